//! Run files, read frame by frame in any order.

use std::fs::File;
use std::path::{Path, PathBuf};

use rangemap::RangeSet;

use super::amendment::{Action, Amendment};
use super::apply::Amended;
use super::error::AmendError;
use super::index::{RunIndex, read_at};
use super::state::RunState;
use crate::run_file::RunReader;
use crate::run_file::error::RunFileError;
use crate::run_file::frame::{self, RunFrame};
use crate::run_file::header::{RunBatch, RunHeader};
use crate::run_file::record::{Kind, Missing};

/// A run file, finished or still growing, whose frames can be read in any order as they are after its
/// amendments.
///
/// Only the places of frames are in memory, eight bytes for each.
#[derive(Debug)]
pub struct OpenRun {
    path: PathBuf,
    header: RunHeader,
    file: File,
    pub(super) index: RunIndex,
    amended: Amended,
}

/// What has been added to a run file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Added {
    /// Frames that were computed for the first time.
    pub frames: std::ops::Range<usize>,
    /// Frames whose masks were computed again.
    pub masks: Vec<usize>,
    /// Number of amendments.
    pub amendments: usize,
}

impl OpenRun {
    /// Opens a run file.
    ///
    /// # Errors
    /// [`RunFileError`] if it cannot be read or is no run file. Damage behind its head is no error here:
    /// [`Self::damage`] tells.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RunFileError> {
        let path = path.as_ref().to_owned();
        let io = |source| RunFileError::Io { path: path.clone(), source };
        let reader = RunReader::open_as_computed(&path)?;
        let header = reader.header().clone();
        let file = File::open(&path).map_err(io)?;
        let mut index = RunIndex::behind(reader.head_end(), header.frames.clone());
        index.read_on(&file).map_err(io)?;
        let amended = Amended::new(&header, &index, index.head());
        Ok(Self { path, header, file, index, amended })
    }

    /// Takes in what has been added to the file since it was read.
    ///
    /// # Errors
    /// [`RunFileError::Io`].
    pub fn read_on(&mut self) -> Result<Added, RunFileError> {
        let before = self.index.end;
        let (frames, amendments) = (self.frames_there(), self.amendments().len());
        let masks = self.index.patch_order.len();
        let read = self.index.read_on(&self.file);
        read.map_err(|source| RunFileError::Io { path: self.path.clone(), source })?;
        if self.index.end != before {
            self.refold();
        }
        let first = self.header.frames.start;
        Ok(Added {
            frames: first + frames..first + self.frames_there(),
            masks: self.index.patch_order.get(masks..).unwrap_or_default().to_vec(),
            amendments: self.amendments().len() - amendments,
        })
    }

    pub(super) fn refold(&mut self) {
        self.amended = Amended::new(&self.header, &self.index, self.index.head());
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the header.
    pub fn header(&self) -> &RunHeader {
        &self.header
    }

    /// Returns the batches as they were computed.
    pub fn batches(&self) -> &[RunBatch] {
        &self.index.batches
    }

    /// Returns the number of frames that are there. A run that is not finished has fewer than its
    /// header says.
    pub fn frames_there(&self) -> usize {
        self.index.frames.len()
    }

    /// Returns whether the run is finished.
    pub fn is_finished(&self) -> bool {
        self.index.run_end.is_some()
    }

    /// Returns why the file is not readable up to its end; `None` if it is, or if its last record is
    /// merely not whole, as in a file that is being written.
    pub fn damage(&self) -> Option<&'static str> {
        self.index.damage
    }

    /// Returns all amendments, in the order in which they were made, undone ones included.
    pub fn amendments(&self) -> &[Amendment] {
        &self.index.amendments
    }

    /// Returns the amendments that count, in order.
    pub fn current(&self) -> Vec<&Amendment> {
        self.index.chain(self.index.head())
    }

    /// Returns what the amendments add up to.
    pub fn state(&self) -> &RunState {
        self.amended.state()
    }

    /// Returns the state that the run would be in after further actions.
    ///
    /// # Errors
    /// [`AmendError`] for the first that contradicts the state before it.
    pub fn state_after(&self, actions: &[Action]) -> Result<RunState, AmendError> {
        let mut state = self.state().clone();
        for action in actions {
            state.check(action)?;
            match action {
                Action::Return { to } => {
                    let last = self.amendments().len();
                    if !self.index.is_state(*to) {
                        return Err(AmendError::NoSuchAmendment { number: *to, last });
                    }
                    state = Amended::new(&self.header, &self.index, *to).state().clone();
                }
                action => {
                    let amendment = Amendment {
                        number: state.head + 1,
                        parent: state.head,
                        when: String::new(),
                        who: String::new(),
                        action: action.clone(),
                    };
                    state.apply(&amendment, &RangeSet::new());
                }
            }
        }
        Ok(state)
    }

    /// Returns the number of the amendment to return to in order to undo the last decision. What was
    /// computed because of it is undone too.
    ///
    /// # Errors
    /// [`AmendError::NothingTo`].
    pub fn undo(&self) -> Result<usize, AmendError> {
        let chain = self.current();
        let last = chain.iter().rev().find(|amendment| amendment.action.is_decision());
        last.map(|amendment| amendment.parent).ok_or(AmendError::NothingTo("undo"))
    }

    /// Returns the number of the amendment to return to in order to redo the decision that was undone
    /// last.
    ///
    /// # Errors
    /// [`AmendError::NothingTo`].
    pub fn redo(&self) -> Result<usize, AmendError> {
        // Returns undone since the last decision or computation, the latest first.
        let head = self.index.head();
        let returns = self.index.amendments.iter().rev();
        let undone = returns.take_while(|a| matches!(a.action, Action::Return { .. }));
        // The state from which it was returned is the farthest along the line through this one.
        let farthest = undone.last().map_or(head, |first| first.parent);
        let line = self.index.chain(farthest);
        let place = match head {
            0 => Some(0),
            _ => line.iter().position(|amendment| amendment.number == head).map(|at| at + 1),
        };
        let ahead = place.and_then(|place| line.get(place..)).unwrap_or_default();
        // One decision, and what was computed because of it.
        let mut to = None;
        for amendment in ahead {
            if amendment.action.is_decision() && to.is_some() {
                break;
            }
            to = Some(amendment.number);
        }
        to.ok_or(AmendError::NothingTo("redo"))
    }

    /// Reads a frame as it is after the amendments.
    ///
    /// # Errors
    /// [`RunFileError`]; `None` if the frame is not there.
    pub fn frame(&mut self, frame: usize) -> Result<Option<RunFrame>, RunFileError> {
        let Some(mut found) = self.computed_frame(frame)? else { return Ok(None) };
        self.amended.change(&mut found, &self.index, &mut self.file, &self.path)?;
        Ok(Some(found))
    }

    /// Reads a frame as it was after amendment `number`; 0 = as it was computed.
    ///
    /// # Errors
    /// As [`Self::frame`].
    pub fn frame_after(
        &mut self,
        frame: usize,
        number: usize,
    ) -> Result<Option<RunFrame>, RunFileError> {
        let Some(mut found) = self.computed_frame(frame)? else { return Ok(None) };
        let mut amended = Amended::new(&self.header, &self.index, number);
        amended.change(&mut found, &self.index, &mut self.file, &self.path)?;
        Ok(Some(found))
    }

    /// Reads a frame as it was computed at first.
    fn computed_frame(&mut self, frame: usize) -> Result<Option<RunFrame>, RunFileError> {
        let place = frame.checked_sub(self.header.frames.start);
        let place = place.and_then(|place| self.index.frames.get(place));
        let Some(&at) = place else { return Ok(None) };
        let damaged =
            |reason: String| RunFileError::Damaged { path: self.path.clone(), at, reason };
        let mut payload = Vec::new();
        match read_at(&mut self.file, at, &mut payload) {
            Ok(Kind::Frame) => {}
            Ok(_) => return Err(damaged("a frame is not where it was".into())),
            Err(Missing::Io(source)) => {
                return Err(RunFileError::Io { path: self.path.clone(), source });
            }
            Err(Missing::Torn) => return Err(damaged("the file has become shorter".into())),
            Err(Missing::Damaged(reason)) => return Err(damaged(reason.into())),
        }
        let size = (self.header.width, self.header.height);
        let found = frame::decode(&payload, size).map_err(&damaged)?;
        match found.index == frame {
            true => Ok(Some(found)),
            false => Err(damaged(format!("frame {} where {frame} was due", found.index))),
        }
    }

    /// Returns the frames that are there, as a range in the recording.
    pub fn range_there(&self) -> std::ops::Range<usize> {
        self.index.range()
    }
}
