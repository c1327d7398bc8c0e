//! Writes a report as an output of the running job.

use std::path::Path;

use sam2_mask_writer::{CompleteOutput, MaskFrame, MaskSink, OutputFile, RunBatch, WriteError};
use sam2_report::{ReportBuilder, ReportError};

use super::{describe, fill, pictures::Recording};
use crate::outputs::OutputRecording;

/// Writes the page when all masks are complete. The pictures that it shows are read at that time.
pub struct ReportSink {
    output: OutputFile,
    builder: ReportBuilder,
    recording: Recording,
}

impl ReportSink {
    /// Begins the page of a job.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(path: &Path, job: &OutputRecording, overwrite: bool) -> Result<Self, WriteError> {
        let output = OutputFile::create(path, overwrite)?;
        let run = describe::run(&job.run, job.run_file.clone());
        let recording = match &job.source {
            Some((path, options)) => Recording::Closed(
                path.clone(),
                Box::new(options.clone()),
                Box::new(job.run.clone()),
            ),
            None => Recording::Missing(
                "No recording was given, so the masks are shown alone.".to_owned(),
            ),
        };
        Ok(Self { output, builder: ReportBuilder::new(run), recording })
    }

    fn failed(&self, error: &ReportError) -> WriteError {
        WriteError::Encode { path: self.output.path().to_owned(), message: error.to_string() }
    }
}

impl MaskSink for ReportSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        let added = self.builder.add(frame.index, frame.objects);
        added.map_err(|error| self.failed(&error))
    }

    fn end_batch(&mut self, batch: &RunBatch) -> Result<(), WriteError> {
        self.builder.add_prompts(&batch.prompts);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        let mut report = self.builder.finish();
        if !report.is_complete() {
            return Err(WriteError::Incomplete {
                path: self.output.path().to_owned(),
                expected: report.frames_expected(),
                found: report.frames_found(),
            });
        }
        self.recording.give_to(&mut report);
        fill(self.output, &report.page().to_string())
    }
}
