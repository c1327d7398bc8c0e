//! Appends amendments to a run file.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use super::amendment::{Action, Amendment};
use super::error::AmendError;
use super::open_run::OpenRun;
use crate::error::WriteError;
use crate::fault::fault_point;
use crate::run_file::error::RunFileError;
use crate::run_file::frame::RunFrame;
use crate::run_file::record::{self, Kind};
use crate::run_file::writer;
use crate::sink::MaskFrame;

/// Amends a finished run file. What [`Self::amend`] was given is on the disk when it returns; the file is
/// locked as long as this value exists, so that no second process amends it.
#[derive(Debug)]
pub struct RunAmender {
    run: OpenRun,
    file: File,
    /// What could not be written as a whole is cut off before the next record.
    torn: bool,
}

/// A run file could not be amended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AmendFileError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] RunFileError),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The amendment is refused.
    #[error(transparent)]
    Refused(#[from] AmendError),
    /// The run is still being computed, or was interrupted.
    #[error("'{path}' is not finished ({found} of {expected} frames): resume the run first")]
    Unfinished {
        /// The file.
        path: std::path::PathBuf,
        /// Number of frames that are there.
        found: usize,
        /// Number of frames that it is to have.
        expected: usize,
    },
}

impl RunAmender {
    /// Opens a finished run file. The last record of a file whose writer was killed may be torn; it is
    /// cut off before something is added.
    ///
    /// # Errors
    /// [`AmendFileError::Unfinished`] without the end of the run; [`AmendFileError::Read`] if it is
    /// damaged; [`AmendFileError::Write`] if it may not be written, or is by another process.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, AmendFileError> {
        let path = path.as_ref();
        let mut run = OpenRun::open(path)?;
        if !run.is_finished() && run.damage().is_none() {
            let (found, expected) = (run.frames_there(), run.header().frames.len());
            return Err(AmendFileError::Unfinished { path: path.to_owned(), found, expected });
        }
        let file = writer::open(path, false)?;
        // What another process has added before the lock was taken.
        run.read_on()?;
        // Behind damage there may be whole amendments, which the next record would overwrite.
        if let Some(reason) = run.damage() {
            let (path, at) = (path.to_owned(), run.index.end);
            return Err(RunFileError::Damaged { path, at, reason: reason.into() }.into());
        }
        Ok(Self { run, file, torn: true })
    }

    /// Returns the run with everything added so far.
    pub fn run(&self) -> &OpenRun {
        &self.run
    }

    /// Returns the run for reading its frames.
    pub fn run_mut(&mut self) -> &mut OpenRun {
        &mut self.run
    }

    /// Adds an amendment and returns its number.
    ///
    /// # Errors
    /// [`AmendFileError::Refused`] if it contradicts the state of the run; [`AmendFileError::Write`].
    pub fn amend(
        &mut self,
        who: &str,
        when: &str,
        action: Action,
    ) -> Result<usize, AmendFileError> {
        self.run.state().check(&action)?;
        if let Action::Return { to } = action
            && !self.run.index.is_state(to)
        {
            let last = self.run.amendments().len();
            return Err(AmendError::NoSuchAmendment { number: to, last }.into());
        }
        let number = self.run.amendments().len() + 1;
        let amendment = Amendment {
            number,
            parent: self.run.index.head(),
            when: when.to_owned(),
            who: who.to_owned(),
            action,
        };
        let json = serde_json::to_vec(&amendment)
            .map_err(|error| self.io(std::io::Error::other(error)))?;
        self.append(Kind::Amendment, &json)?;
        fault_point("amendment written");
        self.sync()?;
        fault_point("amendment synced");
        Ok(number)
    }

    /// Adds the masks of a frame that were computed for amendment `number`, an [`Action::Computed`].
    /// [`Self::sync`] brings them to the disk, and [`OpenRun::frame`] then shows them.
    ///
    /// # Errors
    /// [`AmendFileError::Write`]; also [`WriteError::OutOfOrder`] if that amendment did not announce the
    /// frame.
    pub fn patch(&mut self, number: usize, frame: &MaskFrame<'_>) -> Result<(), AmendFileError> {
        let announced = number.checked_sub(1).and_then(|at| self.run.amendments().get(at));
        let frames = match announced.map(|amendment| &amendment.action) {
            Some(Action::Computed { frames, .. }) => frames.clone(),
            _ => 0..0,
        };
        if !frames.contains(&frame.index) {
            let (path, expected) = (self.run.path().to_owned(), frames.start);
            return Err(WriteError::OutOfOrder { path, expected, found: frame.index }.into());
        }
        let mut payload = Vec::new();
        payload.extend((number as u64).to_le_bytes());
        payload.extend((frame.index as u64).to_le_bytes());
        RunFrame::encode(frame, self.run.header().logits, &mut payload);
        self.append(Kind::Patch, &payload)?;
        fault_point("masks added");
        Ok(())
    }

    /// Brings everything to the disk, and takes it into the state of [`Self::run`].
    ///
    /// # Errors
    /// [`AmendFileError::Write`].
    pub fn sync(&mut self) -> Result<(), AmendFileError> {
        self.file.sync_data().map_err(|error| self.io(error))?;
        self.run.refold();
        Ok(())
    }

    fn append(&mut self, kind: Kind, payload: &[u8]) -> Result<(), AmendFileError> {
        let at = self.run.index.end;
        if std::mem::replace(&mut self.torn, true) {
            self.file.set_len(at).map_err(|error| self.io(error))?;
        }
        self.file.seek(SeekFrom::Start(at)).map_err(|error| self.io(error))?;
        let mut record = Vec::with_capacity(payload.len() + record::HEAD as usize);
        record::write(&mut record, kind, payload).map_err(|error| self.io(error))?;
        self.file.write_all(&record).map_err(|error| self.io(error))?;
        self.torn = false;
        if let Err(reason) = self.run.index.take(kind, payload) {
            return Err(self.io(std::io::Error::other(reason)));
        }
        self.run.index.end = at + record.len() as u64;
        Ok(())
    }

    fn io(&self, source: std::io::Error) -> AmendFileError {
        WriteError::Io { path: self.run.path().to_owned(), source }.into()
    }
}
