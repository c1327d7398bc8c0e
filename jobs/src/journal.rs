//! A record of a job's progress, in a file that outlives the process.

use std::path::{Path, PathBuf};

use sam2_engine::Passes;
use sam2_mask_writer::{
    MaskFrame, RecoveredRun, RunBatch, RunFileError, RunHeader, RunWriter, WriteError, fault_point,
    sweep_left_overs,
};

use super::hash::sha256;
use super::settings::job_difference;
use crate::error::JobError;

/// A job's journal: a run file that grows batch by batch. Next to it, while a batch is tracked
/// forward only, lies the session as it was at the last checkpoint.
///
/// If it is dropped before the job is done, the file stays, unless it holds nothing that could be
/// resumed.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    header: RunHeader,
    /// The contents of the file that was resumed.
    found: Option<RecoveredRun>,
    /// The writer of the file. It is opened with the first frame, when it is known how much of the
    /// old contents is kept.
    writer: Option<RunWriter>,
    /// Number of frames between two checkpoints within a batch. 0 disables checkpoints.
    checkpoint_frames: usize,
    /// Whether the journal holds anything that can be resumed.
    worth_keeping: bool,
}

impl Journal {
    /// Default number of frames between two checkpoints.
    pub const CHECKPOINT_FRAMES: usize = 500;

    /// Begins a journal. Replaces an older one of this name.
    ///
    /// # Errors
    /// [`JobError::Write`], also if another process writes the journal.
    pub fn create(path: impl Into<PathBuf>, header: RunHeader) -> Result<Self, JobError> {
        let path = path.into();
        let writer = RunWriter::create(&path, &header)?;
        // The checkpoint may be an older job's. It is removed only once the journal is locked,
        // since before that it may belong to a running process.
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

    /// Checks, without changing anything, whether [`Self::resume`] would take up the journal at
    /// `path`, and returns how many frames it holds. 0 if there is none, or if it would be begun anew.
    ///
    /// # Errors
    /// As [`Self::resume`], but for another process that writes it.
    pub fn check(path: &Path, header: &RunHeader) -> Result<usize, JobError> {
        let frames = |found: RecoveredRun| {
            let loose = if keeps_loose_frames(header) { found.loose_frames.len() } else { 0 };
            found.next_frame() - found.header.frames.start + loose
        };
        Ok(recover(path, header)?.map_or(0, frames))
    }

    /// Resumes a journal. Begins one if there is none.
    ///
    /// # Errors
    /// [`JobError::OtherRun`] if the journal is of another recording, or of other prompts,
    /// parameters or weights; [`JobError::DamagedJournal`] if its head is damaged and frames may
    /// follow; [`JobError::RunFile`] if it cannot be read; [`JobError::Write`] if another process
    /// writes it.
    pub fn resume(path: impl Into<PathBuf>, header: RunHeader) -> Result<Self, JobError> {
        let path = path.into();
        let Some(found) = recover(&path, &header)? else { return Self::create(path, header) };
        // The file is locked from here on.
        let writer = RunWriter::append(&path, &found)?;
        Ok(Self {
            path,
            // This header labels the checkpoints.
            header: found.header.clone(),
            worth_keeping: !found.batches.is_empty() || !found.loose_frames.is_empty(),
            found: Some(found),
            writer: Some(writer),
            checkpoint_frames: Self::CHECKPOINT_FRAMES,
        })
    }

    /// Sets the number of frames between checkpoints, which is what an interruption can cost within
    /// a batch. 0 disables them.
    #[must_use]
    pub fn with_checkpoints_every(mut self, frames: usize) -> Self {
        self.checkpoint_frames = frames;
        self
    }

    /// Removes the journal of a job whose outputs are all published, if it still exists.
    ///
    /// # Errors
    /// As [`Self::resume`]: a journal of another job stays.
    pub fn clear(path: &Path, header: RunHeader) -> Result<(), JobError> {
        if path.exists() {
            Self::resume(path, header)?.remove();
        }
        Ok(())
    }

    /// Returns the number of frames that need not be computed again if the journal at `path` is
    /// resumed. Returns 0 if there is none.
    pub fn frames_kept(path: &Path) -> usize {
        let Ok(found) = sam2_mask_writer::RunReader::recover(path) else { return 0 };
        let batches = found.next_frame() - found.header.frames.start;
        let kept = keeps_loose_frames(&found.header) || checkpoint_path(path).exists();
        batches + if kept { found.loose_frames.len() } else { 0 }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn found(&self) -> Option<&RecoveredRun> {
        self.found.as_ref()
    }

    pub(super) fn checkpoint_frames(&self) -> usize {
        self.checkpoint_frames
    }

    /// Returns the label of checkpoints within the batch that begins with frame `first`. The label
    /// depends on this job's header too, so that a checkpoint that outlived its batch or its job is
    /// never used for another.
    pub(super) fn checkpoint_label(&self, first: usize) -> Result<String, JobError> {
        let head = serde_json::to_string(&self.header)?;
        Ok(format!("{} from frame {first}", sha256(&head)))
    }

    /// Returns the path of the checkpoint's session.
    pub(super) fn checkpoint_path(&self) -> PathBuf {
        checkpoint_path(&self.path)
    }

    /// Cuts off everything after the first `frames` frames of the unfinished batch.
    pub(super) fn keep_loose(&mut self, frames: usize) -> Result<(), JobError> {
        if frames == 0 {
            remove_if_there(&self.checkpoint_path())?;
        }
        if let (Some(writer), Some(found)) = (&mut self.writer, &self.found) {
            writer.cut(found, frames)?;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), JobError> {
        self.writer()?.write(frame)?;
        self.worth_keeping |= keeps_loose_frames(&self.header);
        Ok(())
    }

    /// Flushes everything written to the disk.
    pub(super) fn sync(&mut self) -> Result<(), JobError> {
        Ok(self.writer()?.sync()?)
    }

    pub(super) fn checkpoint_saved(&mut self) {
        self.worth_keeping = true;
    }

    pub(super) fn end_batch(&mut self, batch: &RunBatch) -> Result<(), JobError> {
        self.writer()?.end_batch(batch)?;
        self.worth_keeping = true;
        self.found = None;
        // The checkpoint is obsolete: its batch is complete.
        let _ = std::fs::remove_file(self.checkpoint_path());
        fault_point("checkpoint removed");
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), JobError> {
        match self.writer.take() {
            Some(writer) => Ok(writer.finish()?),
            None => Ok(()),
        }
    }

    /// Removes the journal, once the outputs are published.
    pub(super) fn remove(mut self) {
        self.discard();
    }

    /// Marks the journal as not worth keeping.
    pub(super) fn discard(&mut self) {
        self.worth_keeping = false;
    }

    fn writer(&mut self) -> Result<&mut RunWriter, JobError> {
        let (path, header) = (&self.path, &self.header);
        match &mut self.writer {
            Some(writer) => Ok(writer),
            none => Ok(none.insert(RunWriter::create(path, header)?)),
        }
    }
}

/// Reads a journal of the job with this header. Returns `None` if there is none, or nothing in it.
fn recover(path: &Path, header: &RunHeader) -> Result<Option<RecoveredRun>, JobError> {
    let found = match sam2_mask_writer::RunReader::recover(path) {
        Ok(found) => found,
        // The job stopped before the journal held more than, perhaps, a part of its head.
        Err(RunFileError::NotARun { .. }) if !may_hold_frames(path, header) => return Ok(None),
        Err(RunFileError::NotARun { reason, .. }) => {
            return Err(JobError::DamagedJournal { path: path.to_owned(), reason });
        }
        Err(RunFileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    if let Some((what, before, now)) = job_difference(&found.header, header) {
        return Err(JobError::OtherRun { path: path.to_owned(), what, before, now });
    }
    Ok(Some(found))
}

/// Returns whether a job goes on from any frame, without a checkpoint: where each mask depends only on
/// the prompts next to it.
fn keeps_loose_frames(header: &RunHeader) -> bool {
    let name = header.settings.get("passes").map(|name| serde_json::Value::from(name.as_str()));
    let passes = name.and_then(|name| serde_json::from_value(name).ok());
    passes.is_some_and(Passes::sees_one_prompt)
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.worth_keeping {
            // The journal goes last: while it exists, `--resume` clears away what belongs to it.
            let _ = std::fs::remove_file(self.checkpoint_path());
            sweep_left_overs(&self.checkpoint_path());
            fault_point("journal not removed");
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Returns whether a journal with an unreadable head is long enough to hold more than a head.
fn may_hold_frames(path: &Path, header: &RunHeader) -> bool {
    let head = serde_json::to_vec(header).map_or(0, |json| json.len() as u64);
    std::fs::metadata(path).map_or(true, |file| file.len() > head + RunHeader::FRAMING_BYTES)
}

fn remove_if_there(path: &Path) -> Result<(), JobError> {
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
