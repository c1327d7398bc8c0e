//! Merges the run files of a recording's parts.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use sam2_frame_provider::FrameSource;
use sam2_mask_writer::{MaskSink, RunFileError, RunHeader, RunReader, RunRecord};

use super::cancel::CancelFlag;
use super::delivery::{Delivery, JobOutputs};
use super::hash::{sha256, short};
use super::merge_error::MergeError;
use super::report::JobReport;
use super::settings::{job_difference, mixed};
use crate::error::JobError;

/// The parts of one recording, in order. Every frame is taken from exactly one of them.
#[derive(Debug)]
pub struct RunParts {
    header: RunHeader,
    pieces: Vec<Piece>,
}

/// Frames that are taken from a run file.
#[derive(Clone, Debug, PartialEq)]
struct Piece {
    path: PathBuf,
    frames: Range<usize>,
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
        let piece = |(header, path): (RunHeader, PathBuf)| Piece { path, frames: header.frames };
        Ok(Self { header, pieces: parts.into_iter().map(piece).collect() })
    }

    /// Opens a run and run files of some of its batches that were computed again, whose frames take the
    /// place of the run's; of several such files, the later ones count. Prompts may differ, and nothing
    /// else.
    ///
    /// # Errors
    /// As [`Self::open`]; [`MergeError::WithinBatch`] if frames to be replaced do not begin and end where
    /// batches of the run do.
    pub fn replacing(
        run: impl AsRef<Path>,
        newer: &[impl AsRef<Path>],
        mixed_processors: bool,
    ) -> Result<Self, JobError> {
        let run = run.as_ref().to_owned();
        let first = RunReader::open(&run)?;
        let mut header = first.header().clone();
        if header.frames != (0..header.frame_count) {
            let Range { start, end } = header.frames;
            let last = header.frame_count - 1;
            let missing = if start > 0 { (0, start - 1) } else { (end, last) };
            return Err(MergeError::Gap { start: missing.0, last: missing.1 }.into());
        }
        let mut borders = BTreeSet::from([header.frame_count]);
        for record in first {
            if let RunRecord::Batch(batch) = record? {
                borders.insert(batch.frames.start);
            }
        }
        let mut pieces = vec![Piece { path: run.clone(), frames: 0..header.frame_count }];
        for path in newer {
            let path = path.as_ref().to_owned();
            let mut part = RunReader::open(&path)?.header().clone();
            let frames = std::mem::replace(&mut part.frames, header.frames.clone());
            let own_prompts = part.settings.remove("prompts").unwrap_or_default();
            let known_prompts = header.settings.get("prompts").cloned().unwrap_or_default();
            part.settings.insert("prompts".into(), known_prompts.clone());
            part.object_names.extend(header.object_names.clone());
            header.object_names.clone_from(&part.object_names);
            let compared = match mixed_processors {
                true => (mixed(&header), mixed(&part)),
                false => (header.clone(), part.clone()),
            };
            if let Some((what, here, there)) = job_difference(&compared.0, &compared.1) {
                let difference = format!("{what} is {there}, not {here}");
                return Err(MergeError::Different { first: run, second: path, difference }.into());
            }
            let within = [frames.start, frames.end].into_iter().find(|at| !borders.contains(at));
            if let Some(frame) = within {
                let before = borders.range(..frame).next_back().copied().unwrap_or(0);
                let after = borders.range(frame..).next().copied().unwrap_or(header.frame_count);
                return Err(MergeError::WithinBatch { path, frame, before, after }.into());
            }
            if own_prompts != known_prompts {
                let both = format!("{known_prompts}, on {frames:?} {own_prompts}");
                header.settings.insert("prompts".into(), short(&sha256(&both)));
            }
            header.prompts.retain(|(frame, ..)| !frames.contains(frame));
            header.prompts.extend(part.prompts.into_iter().filter(|(f, ..)| frames.contains(f)));
            header.prompts.sort_by_key(|(frame, object, _)| (*frame, *object));
            header.prompt_count = None;
            pieces = pieces.into_iter().flat_map(|piece| piece.without(&frames)).collect();
            pieces.push(Piece { path, frames });
            pieces.sort_by_key(|piece| piece.frames.start);
        }
        let header = if mixed_processors { mixed(&header) } else { header };
        Ok(Self { header, pieces })
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
        for piece in &self.pieces {
            for record in piece.records()? {
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
        for piece in &self.pieces {
            for record in piece.records()? {
                if let RunRecord::Frame(frame) = record? {
                    objects.extend(frame.objects.iter().map(|shown| shown.object));
                }
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
        for piece in &self.pieces {
            for record in piece.records()? {
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

impl Piece {
    /// Returns the records of the frames, and of the batches that lie in them. Everything else is read and
    /// checked too.
    fn records(
        &self,
    ) -> Result<impl Iterator<Item = Result<RunRecord, RunFileError>> + '_, RunFileError> {
        let belongs = |record: &Result<RunRecord, RunFileError>| match record {
            Ok(RunRecord::Frame(frame)) => self.frames.contains(&frame.index),
            Ok(RunRecord::Batch(batch)) => {
                self.frames.start <= batch.frames.start && batch.frames.end <= self.frames.end
            }
            _ => true,
        };
        Ok(RunReader::open(&self.path)?.filter(belongs))
    }

    /// Returns what is left of the piece without some frames.
    fn without(self, frames: &Range<usize>) -> Vec<Self> {
        let before = self.frames.start..self.frames.end.min(frames.start);
        let behind = self.frames.start.max(frames.end)..self.frames.end;
        let left = [before, behind].into_iter().filter(|range| !range.is_empty());
        left.map(|frames| Self { path: self.path.clone(), frames }).collect()
    }
}
