//! Run files as an output format.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::header::{RunBatch, RunHeader};
use super::writer::Encoder;
use crate::error::WriteError;
use crate::output_file::{CompleteOutput, OutputFile};
use crate::sink::{MaskFrame, MaskSink};

/// Writes a run file that appears under its name only when complete. For a journal that survives an
/// interruption see [`RunWriter`](super::RunWriter).
pub struct RunFileSink {
    output: OutputFile,
    file: BufWriter<File>,
    encoder: Encoder,
    /// First frame of the batch that has not been ended yet.
    batch_start: usize,
}

impl RunFileSink {
    /// Begins a run file.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(path: &Path, header: &RunHeader, overwrite: bool) -> Result<Self, WriteError> {
        let output = OutputFile::create(path, overwrite)?;
        let mut file = BufWriter::new(output.try_clone()?);
        let encoder = Encoder::new(header);
        encoder.begin(&mut file, header).map_err(|source| output.io_error(source))?;
        Ok(Self { output, file, encoder, batch_start: header.frames.start })
    }
}

impl MaskSink for RunFileSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.encoder.frame(&mut self.file, frame, self.output.path())
    }

    fn end_batch(&mut self, batch: &RunBatch) -> Result<(), WriteError> {
        self.batch_start = batch.frames.end;
        self.encoder.batch(&mut self.file, batch).map_err(|source| self.output.io_error(source))
    }

    fn finish(mut self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        // If the caller ended no batch, all frames form one.
        let frames = self.batch_start..self.encoder.next_frame();
        if !frames.is_empty() {
            self.end_batch(&RunBatch { frames, ..RunBatch::default() })?;
        }
        self.encoder.end(&mut self.file, self.output.path())?;
        self.file.flush().map_err(|source| self.output.io_error(source))?;
        drop(self.file);
        self.output.complete()
    }

    fn wants_logits(&self) -> bool {
        self.encoder.logits()
    }
}
