//! What a job has done so far, in a file that outlives it.

use std::path::{Path, PathBuf};

use sam2_mask_writer::{MaskFrame, RecoveredRun, RunBatch, RunFileError, RunHeader, RunWriter};

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
        let journal = Self {
            path,
            header,
            found: None,
            writer: Some(writer),
            checkpoint_frames: Self::CHECKPOINT_FRAMES,
            worth_keeping: false,
        };
        // An older job's.
        let _ = std::fs::remove_file(journal.checkpoint_path());
        Ok(journal)
    }

    /// Takes up a journal; begins one if there is none.
    ///
    /// # Errors
    /// [`EngineError::OtherRun`] if it is of another recording, other prompts, parameters or weights; [`EngineError::RunFile`] if it
    /// cannot be read; [`EngineError::Write`] if another process writes it.
    pub fn resume(path: impl Into<PathBuf>, header: RunHeader) -> Result<Self, EngineError> {
        let path = path.into();
        let found = match sam2_mask_writer::RunReader::recover(&path) {
            Ok(found) => found,
            // Nothing there, or stopped before anything was.
            Err(RunFileError::NotARun { .. }) => return Self::create(path, header),
            Err(RunFileError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Self::create(path, header);
            }
            Err(error) => return Err(error.into()),
        };
        if let Some((what, before, now)) = found.header.difference(&header) {
            return Err(EngineError::OtherRun { path, what, before, now });
        }
        // Locked from now on.
        let writer = RunWriter::append(&path, &found)?;
        Ok(Self {
            path,
            header,
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

    /// Where the session of a checkpoint lies.
    pub(super) fn checkpoint_path(&self) -> PathBuf {
        checkpoint_path(&self.path)
    }

    /// Cuts off what lies behind `frames` frames of the batch that was not finished.
    pub(super) fn keep_loose(&mut self, frames: usize) -> Result<(), EngineError> {
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
            let _ = std::fs::remove_file(&self.path);
            let _ = std::fs::remove_file(self.checkpoint_path());
        }
    }
}

fn checkpoint_path(journal: &Path) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(".session");
    name.into()
}
