//! Writes a run file in place: a journal that survives the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::frame::RunFrame;
use super::header::{RunBatch, RunHeader};
use super::reader::RecoveredRun;
use super::record::{self, Kind, MAGIC};
use crate::error::WriteError;
use crate::fault::fault_point;
use crate::sink::MaskFrame;

/// Writes a run file that can be continued after an interruption: when [`Self::end_batch`] returns,
/// the batch is on the disk.
///
/// The file is locked as long as this value exists, so that no second process writes it. Dropping
/// this value does not delete the file.
#[derive(Debug)]
pub struct RunWriter {
    path: PathBuf,
    file: BufWriter<File>,
    encoder: Encoder,
}

impl RunWriter {
    /// Creates a run file and replaces an existing one.
    ///
    /// # Errors
    /// [`WriteError::Io`]; [`WriteError::InUse`] if another process is writing it.
    pub fn create(path: &Path, header: &RunHeader) -> Result<Self, WriteError> {
        let io = |source| WriteError::Io { path: path.to_owned(), source };
        let file = open(path, true)?;
        fault_point("journal opened");
        file.set_len(0).map_err(io)?;
        fault_point("journal emptied");
        let mut writer = Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            encoder: Encoder::new(header),
        };
        writer.encoder.begin(&mut writer.file, header).map_err(io)?;
        fault_point("head written");
        writer.sync()?;
        fault_point("journal begun");
        Ok(writer)
    }

    /// Continues a run file after its last complete batch. [`Self::cut`] removes what follows that
    /// batch.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn append(path: &Path, found: &RecoveredRun) -> Result<Self, WriteError> {
        let io = |source| WriteError::Io { path: path.to_owned(), source };
        let file = BufWriter::new(open(path, false)?);
        // Nothing is cut off yet: how much of an unfinished batch can be reused may only be known
        // later.
        let mut writer = Self { path: path.to_owned(), file, encoder: Encoder::new(&found.header) };
        writer.file.seek(SeekFrom::Start(found.length)).map_err(io)?;
        writer.encoder.next_frame = found.next_frame();
        Ok(writer)
    }

    /// Cuts off everything except the complete batches and the first `loose` frames after them.
    /// Writing continues with the frame after those.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn cut(&mut self, found: &RecoveredRun, loose: usize) -> Result<(), WriteError> {
        let loose = loose.min(found.loose_frames.len());
        let last = loose.checked_sub(1).and_then(|last| found.loose_frames.get(last));
        let length = last.copied().unwrap_or(found.length);
        self.file.get_ref().set_len(length).map_err(|source| self.io(source))?;
        self.file.seek(SeekFrom::Start(length)).map_err(|source| self.io(source))?;
        self.encoder.next_frame = found.next_frame() + loose;
        fault_point("journal cut");
        Ok(())
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the next frame, with logits only if the header announced them.
    ///
    /// # Errors
    /// [`WriteError::OutOfOrder`], [`WriteError::Size`], [`WriteError::Io`].
    pub fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.encoder.frame(&mut self.file, frame, &self.path)?;
        fault_point("frame written");
        Ok(())
    }

    /// Ends a batch; its frames are safely on the disk afterwards.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn end_batch(&mut self, batch: &RunBatch) -> Result<(), WriteError> {
        self.encoder.batch(&mut self.file, batch).map_err(|source| self.io(source))?;
        fault_point("batch written");
        self.sync()?;
        fault_point("batch synced");
        Ok(())
    }

    /// Ends the run.
    ///
    /// # Errors
    /// [`WriteError::Incomplete`], [`WriteError::Io`].
    pub fn finish(mut self) -> Result<(), WriteError> {
        self.encoder.end(&mut self.file, &self.path)?;
        fault_point("end written");
        self.sync()?;
        fault_point("end synced");
        Ok(())
    }

    /// Writes everything so far to the disk.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn sync(&mut self) -> Result<(), WriteError> {
        self.file.flush().map_err(|source| self.io(source))?;
        fault_point("journal flushed");
        self.file.get_ref().sync_data().map_err(|source| self.io(source))
    }

    fn io(&self, source: std::io::Error) -> WriteError {
        WriteError::Io { path: self.path.clone(), source }
    }
}

/// With the pause below: half a second in total.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Opens and locks the file without changing its contents, which may belong to another process.
/// Links are not followed, and a file that does not begin like a run file is left alone.
pub(super) fn open(path: &Path, create: bool) -> Result<File, WriteError> {
    let io = |source| WriteError::Io { path: path.to_owned(), source };
    let foreign = |what| WriteError::NotAJournal { path: path.to_owned(), what };
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => return Err(foreign("a link")),
        Ok(found) if !found.is_file() => return Err(foreign("not a regular file")),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let file =
        options.read(true).write(true).create(create).truncate(false).open(path).map_err(io)?;
    // A child process shares the locks of this process until it starts its own program, even locks
    // of files that are closed in the meantime.
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            // Some network file systems do not support locks.
            Ok(()) | Err(TryLockError::Error(_)) => {
                return match begins_like_a_run(&file).map_err(io)? {
                    true => Ok(file),
                    false => Err(foreign("another kind of file")),
                };
            }
        }
    }
    Err(WriteError::InUse(path.to_owned()))
}

/// Returns whether the file begins with [`MAGIC`], or with a prefix of it if the file is shorter.
fn begins_like_a_run(mut file: &File) -> std::io::Result<bool> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(MAGIC.len() as u64).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(MAGIC.starts_with(&start))
}

/// Encodes frames as records and checks their order.
#[derive(Debug)]
pub(super) struct Encoder {
    size: (u32, u32),
    logits: bool,
    frames: std::ops::Range<usize>,
    next_frame: usize,
    record: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(header: &RunHeader) -> Self {
        Self {
            size: (header.width, header.height),
            logits: header.logits,
            frames: header.frames.clone(),
            next_frame: header.frames.start,
            record: Vec::new(),
        }
    }

    /// Returns the index of the frame that is due.
    pub(super) fn next_frame(&self) -> usize {
        self.next_frame
    }

    pub(super) fn logits(&self) -> bool {
        self.logits
    }

    pub(super) fn begin(&self, to: &mut impl Write, header: &RunHeader) -> std::io::Result<()> {
        to.write_all(MAGIC)?;
        record::write(to, Kind::Header, &serde_json::to_vec(header)?)
    }

    pub(super) fn frame(
        &mut self,
        to: &mut impl Write,
        frame: &MaskFrame<'_>,
        path: &Path,
    ) -> Result<(), WriteError> {
        if frame.index != self.next_frame || !self.frames.contains(&frame.index) {
            return Err(WriteError::OutOfOrder {
                path: path.to_owned(),
                expected: self.next_frame,
                found: frame.index,
            });
        }
        let size = |(width, height): (u32, u32)| format!("{width} x {height}");
        let sizes = frame.objects.iter().map(|shown| (shown.mask.width(), shown.mask.height()));
        if let Some(other) = sizes.into_iter().find(|found| *found != self.size) {
            return Err(WriteError::Size {
                path: path.to_owned(),
                frame: frame.index,
                expected: size(self.size),
                found: size(other),
            });
        }
        self.record.clear();
        RunFrame::encode(frame, self.logits, &mut self.record);
        record::write(to, Kind::Frame, &self.record)
            .map_err(|source| WriteError::Io { path: path.to_owned(), source })?;
        self.next_frame += 1;
        Ok(())
    }

    pub(super) fn batch(&self, to: &mut impl Write, batch: &RunBatch) -> std::io::Result<()> {
        record::write(to, Kind::Batch, &serde_json::to_vec(batch)?)
    }

    pub(super) fn end(&self, to: &mut impl Write, path: &Path) -> Result<(), WriteError> {
        if self.next_frame != self.frames.end {
            return Err(WriteError::Incomplete {
                path: path.to_owned(),
                expected: self.frames.len(),
                found: self.next_frame - self.frames.start,
            });
        }
        record::write(to, Kind::End, &[])
            .map_err(|source| WriteError::Io { path: path.to_owned(), source })
    }
}
