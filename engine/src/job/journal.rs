//! What a job has done so far, in a file that outlives it.

use std::path::{Path, PathBuf};

use sam2_mask_writer::{
    MaskFrame, RecoveredRun, RunBatch, RunFileError, RunHeader, RunWriter, WriteError, fault_point,
    sweep_left_overs,
};

use super::settings::{job_difference, sha256};
use crate::error::EngineError;

/// A job's journal: a run file that grows batch by batch, and beside it, within a batch that runs forwards, the session as it was at
/// the last checkpoint.
///
/// Dropped before the job is done it stays, unless there is nothing in it that could be taken up.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    header: RunHeader,
    /// What was there to be taken up.
    found: Option<RecoveredRun>,
    /// Opened with the first frame, when it is known how much of what was there is taken up.
    writer: Option<RunWriter>,
    /// Frames between two checkpoints within a batch; 0 = none.
    checkpoint_frames: usize,
    /// Whether there is something in it.
    worth_keeping: bool,
}

impl Journal {
    /// Frames between two checkpoints, unless said otherwise.
    pub const CHECKPOINT_FRAMES: usize = 500;

    /// Begins a journal; an older one of this name is replaced.
    ///
    /// # Errors
    /// [`EngineError::Write`], also if another process writes it.
    pub fn create(path: impl Into<PathBuf>, header: RunHeader) -> Result<Self, EngineError> {
        let path = path.into();
        let writer = RunWriter::create(&path, &header)?;
        // An older job's. Not before the journal is locked: it may be that of a process at work.
        remove_if_there(&checkpoint_path(&path))?;
        Ok(Self {
            path,
            header,
            found: None,
            writer: Some(writer),
            checkpoint_frames: Self::CHECKPOINT_FRAMES,
            worth_keeping: false,
        })
    }

    /// Takes up a journal; begins one if there is none.
    ///
    /// # Errors
    /// [`EngineError::OtherRun`] if it is of another recording, other prompts, parameters or weights;
    /// [`EngineError::DamagedJournal`] if its head is damaged and frames may follow; [`EngineError::RunFile`] if it cannot be read; [`EngineError::Write`] if another process writes it.
    pub fn resume(path: impl Into<PathBuf>, header: RunHeader) -> Result<Self, EngineError> {
        let path = path.into();
        let found = match sam2_mask_writer::RunReader::recover(&path) {
            Ok(found) => found,
            // Stopped before there was anything in it but, perhaps, a part of its head.
            Err(RunFileError::NotARun { .. }) if !may_hold_frames(&path, &header) => {
                return Self::create(path, header);
            }
            Err(RunFileError::NotARun { reason, .. }) => {
                return Err(EngineError::DamagedJournal { path, reason });
            }
            Err(RunFileError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Self::create(path, header);
            }
            Err(error) => return Err(error.into()),
        };
        if let Some((what, before, now)) = job_difference(&found.header, &header) {
            return Err(EngineError::OtherRun { path, what, before, now });
        }
        // Locked from now on.
        let writer = RunWriter::append(&path, &found)?;
        Ok(Self {
            path,
            // What labels the checkpoints.
            header: found.header.clone(),
            worth_keeping: !found.batches.is_empty() || !found.loose_frames.is_empty(),
            found: Some(found),
            writer: Some(writer),
            checkpoint_frames: Self::CHECKPOINT_FRAMES,
        })
    }

    /// The same with other distances between checkpoints: what an interruption can cost within a batch. 0 = none.
    #[must_use]
    pub fn with_checkpoints_every(mut self, frames: usize) -> Self {
        self.checkpoint_frames = frames;
        self
    }

    /// Removes the journal of a job whose outputs are all published, if it is still there.
    ///
    /// # Errors
    /// As [`Self::resume`]: a journal of another job stays.
    pub fn clear(path: &Path, header: RunHeader) -> Result<(), EngineError> {
        if path.exists() {
            Self::resume(path, header)?.remove();
        }
        Ok(())
    }

    /// Frames that need not be computed again, if the journal at `path` is taken up. 0 if there is none.
    pub fn frames_kept(path: &Path) -> usize {
        let Ok(found) = sam2_mask_writer::RunReader::recover(path) else { return 0 };
        let batches = found.next_frame() - found.header.frames.start;
        let checkpoint = checkpoint_path(path).exists();
        batches + if checkpoint { found.loose_frames.len() } else { 0 }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn found(&self) -> Option<&RecoveredRun> {
        self.found.as_ref()
    }

    pub(super) fn checkpoint_frames(&self) -> usize {
        self.checkpoint_frames
    }

    /// Returns the label of checkpoints within the batch that begins with frame `first`: it names this job's head too, so that
    /// a checkpoint that outlived its batch or its job is never taken for one of another.
    pub(super) fn checkpoint_label(&self, first: usize) -> Result<String, EngineError> {
        let head = serde_json::to_string(&self.header)
            .map_err(|error| EngineError::Device(error.to_string()))?;
        Ok(format!("{} from frame {first}", sha256(&head)))
    }

    /// Where the session of a checkpoint lies.
    pub(super) fn checkpoint_path(&self) -> PathBuf {
        checkpoint_path(&self.path)
    }

    /// Cuts off what lies behind `frames` frames of the batch that was not finished.
    pub(super) fn keep_loose(&mut self, frames: usize) -> Result<(), EngineError> {
        if frames == 0 {
            remove_if_there(&self.checkpoint_path())?;
        }
        if let (Some(writer), Some(found)) = (&mut self.writer, &self.found) {
            writer.cut(found, frames)?;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), EngineError> {
        Ok(self.writer()?.write(frame)?)
    }

    /// Brings what was written to the disk.
    pub(super) fn sync(&mut self) -> Result<(), EngineError> {
        Ok(self.writer()?.sync()?)
    }

    pub(super) fn checkpoint_saved(&mut self) {
        self.worth_keeping = true;
    }

    pub(super) fn end_batch(&mut self, batch: &RunBatch) -> Result<(), EngineError> {
        self.writer()?.end_batch(batch)?;
        self.worth_keeping = true;
        self.found = None;
        // It is behind us.
        let _ = std::fs::remove_file(self.checkpoint_path());
        fault_point("checkpoint removed");
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), EngineError> {
        match self.writer.take() {
            Some(writer) => Ok(writer.finish()?),
            None => Ok(()),
        }
    }

    /// The outputs are there.
    pub(super) fn remove(mut self) {
        self.discard();
    }

    /// There is no use in keeping it.
    pub(super) fn discard(&mut self) {
        self.worth_keeping = false;
    }

    fn writer(&mut self) -> Result<&mut RunWriter, EngineError> {
        let (path, header) = (&self.path, &self.header);
        match &mut self.writer {
            Some(writer) => Ok(writer),
            none => Ok(none.insert(RunWriter::create(path, header)?)),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.worth_keeping {
            // The journal last: as long as it is there, `--resume` clears away what belongs to it.
            let _ = std::fs::remove_file(self.checkpoint_path());
            sweep_left_overs(&self.checkpoint_path());
            fault_point("journal not removed");
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Returns whether a journal whose head cannot be read is long enough to hold more than a head.
fn may_hold_frames(path: &Path, header: &RunHeader) -> bool {
    let head = serde_json::to_vec(header).map_or(0, |json| json.len() as u64);
    std::fs::metadata(path).map_or(true, |file| file.len() > head + RunHeader::FRAMING_BYTES)
}

fn remove_if_there(path: &Path) -> Result<(), EngineError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(WriteError::Io { path: path.to_owned(), source }.into())
        }
        Err(_) => Ok(()),
        Ok(()) => {
            fault_point("old checkpoint removed");
            Ok(())
        }
    }
}

fn checkpoint_path(journal: &Path) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(".session");
    name.into()
}
