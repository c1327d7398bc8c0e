//! Merges the run files of a recording's parts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sam2_frame_provider::FrameSource;
use sam2_mask_writer::{MaskSink, RunHeader, RunReader, RunRecord};

use super::cancel::CancelFlag;
use super::delivery::{Delivery, JobOutputs};
use super::merge_error::MergeError;
use super::report::JobReport;
use super::settings::{job_difference, mixed};
use crate::error::JobError;

/// The parts of one recording, in order. Every frame is in exactly one of them.
#[derive(Debug)]
pub struct RunParts {
    header: RunHeader,
    paths: Vec<PathBuf>,
}

impl RunParts {
    /// Opens run files, given in any order. With `mixed_processors` they may have been computed on
    /// different kinds of processors and devices.
    ///
    /// # Errors
    /// [`JobError::RunFile`] if one cannot be read; [`MergeError`] if they are of different jobs,
    /// or if frames are missing or appear twice.
    pub fn open(paths: &[impl AsRef<Path>], mixed_processors: bool) -> Result<Self, JobError> {
        let mut parts = paths
            .iter()
            .map(|path| {
                let path = path.as_ref().to_owned();
                Ok((RunReader::open(&path)?.header().clone(), path))
            })
            .collect::<Result<Vec<_>, JobError>>()?;
        parts.sort_by_key(|(header, _)| (header.frames.start, header.frames.end));
        let Some((first, first_path)) = parts.first().cloned() else {
            return Err(MergeError::Nothing.into());
        };
        let whole = |header: &RunHeader| {
            let mut whole = if mixed_processors { mixed(header) } else { header.clone() };
            whole.frames = 0..header.frame_count;
            whole
        };
        let header = whole(&first);
        let mut due = 0;
        let mut before = &first_path;
        for (part, path) in &parts {
            if let Some((what, here, there)) = job_difference(&header, &whole(part)) {
                let (first, second) = (first_path.clone(), path.clone());
                let difference = format!("{what} is {there}, not {here}");
                return Err(MergeError::Different { first, second, difference }.into());
            }
            let start = part.frames.start;
            if start > due {
                return Err(MergeError::Gap { start: due, last: start - 1 }.into());
            }
            if start < due {
                let last = due.min(part.frames.end).max(start + 1) - 1;
                let (first, second) = (before.clone(), path.clone());
                return Err(MergeError::Overlap { start, last, first, second }.into());
            }
            (due, before) = (part.frames.end, path);
        }
        if due < header.frame_count {
            return Err(MergeError::Gap { start: due, last: header.frame_count - 1 }.into());
        }
        Ok(Self { header, paths: parts.into_iter().map(|(_, path)| path).collect() })
    }

    /// Returns the header of the whole, which is the same as if one job had made it.
    pub fn header(&self) -> &RunHeader {
        &self.header
    }

    /// Returns the prompted frames. Reads all parts and verifies their checksums.
    ///
    /// # Errors
    /// [`JobError::RunFile`] if a part is damaged or not finished.
    pub fn prompt_frames(&self) -> Result<Vec<usize>, JobError> {
        let mut frames = Vec::new();
        for path in &self.paths {
            for record in RunReader::open(path)? {
                if let RunRecord::Batch(batch) = record? {
                    frames.extend(batch.prompt_frames);
                }
            }
        }
        Ok(frames)
    }

    /// Returns the objects that have masks, in ascending order. Reads all parts.
    ///
    /// # Errors
    /// As [`Self::prompt_frames`].
    pub fn objects(&self) -> Result<Vec<u32>, JobError> {
        let mut objects = BTreeSet::new();
        for path in &self.paths {
            for frame in RunReader::open(path)?.frames() {
                objects.extend(frame?.objects.iter().map(|shown| shown.object));
            }
        }
        Ok(objects.into_iter().collect())
    }

    /// Sends every frame to every sink, one at a time. `recording` is for sinks that want its
    /// images.
    ///
    /// # Errors
    /// [`JobError::RunFile`] if a part is damaged or not finished, [`JobError::Write`],
    /// [`JobError::Cancelled`]. Outputs are dropped then.
    pub fn write(
        &self,
        recording: Option<&dyn FrameSource>,
        sinks: Vec<Box<dyn MaskSink>>,
        cancel: &CancelFlag,
    ) -> Result<JobReport, JobError> {
        let mut delivery =
            Delivery::new(recording, JobOutputs { sinks, ..JobOutputs::default() }, 0);
        for path in &self.paths {
            for record in RunReader::open(path)? {
                match record? {
                    RunRecord::Frame(frame) => delivery.replay(&frame)?,
                    RunRecord::Batch(batch) => delivery.note_batch(&batch)?,
                    _ => {}
                }
                if cancel.is_cancelled() {
                    let (done, total) = (delivery.next_frame(), self.header.frame_count);
                    return Err(JobError::Cancelled { done, total });
                }
            }
        }
        delivery.finish(false)
    }
}
