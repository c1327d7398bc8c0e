//! From the run files of a recording's parts to the whole.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sam2_frame_provider::FrameSource;
use sam2_mask_writer::{RunHeader, RunReader, RunRecord};

use super::delivery::{Delivery, JobOutputs};
use super::report::JobReport;
use super::run::CancelFlag;
use super::settings::{job_difference, mixed};
use super::span::FrameSpan;
use crate::error::EngineError;

/// Run files do not make a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// No file at all.
    #[error("there is nothing to merge: give the run files of all parts")]
    Nothing,
    /// Parts of different recordings or jobs.
    #[error("'{second}' does not belong to '{first}': {difference}; use parts of one job")]
    Different {
        /// The part that comes first.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
        /// What differs, as a clause.
        difference: String,
    },
    /// Frames that no part holds.
    #[error(
        "{span} {are} in no part: add the run file with {span}",
        span = FrameSpan::inclusive(*start, *last),
        are = FrameSpan::inclusive(*start, *last).are()
    )]
    Gap {
        /// The first of them.
        start: usize,
        /// The last.
        last: usize,
    },
    /// Frames that two parts hold.
    #[error(
        "{span} {are} in '{first}' and in '{second}': leave one of the two out, or run again with parts that do not overlap",
        span = FrameSpan::inclusive(*start, *last),
        are = FrameSpan::inclusive(*start, *last).are()
    )]
    Overlap {
        /// The first of them.
        start: usize,
        /// The last.
        last: usize,
        /// A part.
        first: PathBuf,
        /// Another one.
        second: PathBuf,
    },
}

/// The parts of one recording, in order: every frame is in exactly one of them.
#[derive(Debug)]
pub struct RunParts {
    header: RunHeader,
    paths: Vec<PathBuf>,
}

impl RunParts {
    /// Looks at run files, given in any order. With `mixed_processors` they may have been computed on different kinds of
    /// processors and devices.
    ///
    /// # Errors
    /// [`EngineError::RunFile`] if one cannot be read; [`MergeError`] if they are of different jobs, or if frames are missing or there
    /// twice.
    pub fn open(paths: &[impl AsRef<Path>], mixed_processors: bool) -> Result<Self, EngineError> {
        let mut parts = paths
            .iter()
            .map(|path| {
                let path = path.as_ref().to_owned();
                Ok((RunReader::open(&path)?.header().clone(), path))
            })
            .collect::<Result<Vec<_>, EngineError>>()?;
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

    /// What the whole says about itself: the same as if one job had made it.
    pub fn header(&self) -> &RunHeader {
        &self.header
    }

    /// Frames that somebody prompted. Goes through the parts, whose checksums are looked at on the way.
    ///
    /// # Errors
    /// [`EngineError::RunFile`] if a part is damaged or not finished.
    pub fn prompt_frames(&self) -> Result<Vec<usize>, EngineError> {
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

    /// The objects that have masks, in ascending order. Goes through the parts.
    ///
    /// # Errors
    /// As [`Self::prompt_frames`].
    pub fn objects(&self) -> Result<Vec<u32>, EngineError> {
        let mut objects = BTreeSet::new();
        for path in &self.paths {
            for frame in RunReader::open(path)?.frames() {
                objects.extend(frame?.objects.iter().map(|shown| shown.object));
            }
        }
        Ok(objects.into_iter().collect())
    }

    /// Sends every frame to every sink, one at a time. `recording` is for sinks that want its pictures.
    ///
    /// # Errors
    /// [`EngineError::RunFile`] if a part is damaged or not finished, [`EngineError::Write`], [`EngineError::Cancelled`]. Outputs are
    /// dropped then.
    pub fn write(
        &self,
        recording: Option<&dyn FrameSource>,
        outputs: impl Into<JobOutputs>,
        cancel: &CancelFlag,
    ) -> Result<JobReport, EngineError> {
        let mut delivery = Delivery::new(recording, outputs.into(), 0);
        for path in &self.paths {
            for record in RunReader::open(path)? {
                match record? {
                    RunRecord::Frame(frame) => delivery.replay(&frame)?,
                    RunRecord::Batch(batch) => delivery.note_batch(&batch)?,
                    _ => {}
                }
                if cancel.is_cancelled() {
                    let (done, total) = (delivery.next_frame(), self.header.frame_count);
                    return Err(EngineError::Cancelled { done, total });
                }
            }
        }
        delivery.finish(false)
    }
}
