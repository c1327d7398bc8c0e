//! Where the records of a run file lie.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;

use rangemap::RangeSet;

use super::amendment::{Action, Amendment};
use crate::run_file::header::RunBatch;
use crate::run_file::record::{self, HEAD, Kind, Missing};

/// The places of all frames of a run file, its batches and its amendments. Frames are not read: it takes
/// a tenth of a second for an hour of video.
#[derive(Clone, Debug, Default)]
pub(in crate::run_file) struct RunIndex {
    /// The frames that the file is to have.
    bounds: Range<usize>,
    /// Byte position of the record of every frame, from the first frame of the file on.
    pub(super) frames: Vec<u64>,
    pub(super) batches: Vec<RunBatch>,
    /// Byte position behind the end record, if there is one.
    pub(super) run_end: Option<u64>,
    pub(super) amendments: Vec<Amendment>,
    /// Positions of the masks that were computed again, by frame: the amendment and the record.
    pub(super) patches: HashMap<usize, Vec<(usize, u64)>>,
    /// The frames whose masks were computed again, in the order of the file.
    pub(super) patch_order: Vec<usize>,
    /// The frames of each computation that are there.
    pub(super) computed: HashMap<usize, RangeSet<usize>>,
    /// Byte position behind the last whole record.
    pub(in crate::run_file) end: u64,
    /// Why the records end there, if not because the file does.
    pub(in crate::run_file) damage: Option<&'static str>,
}

impl RunIndex {
    /// Returns the index of a file of which nothing was read but its header, which ends at this byte and
    /// promises these frames.
    pub(in crate::run_file) fn behind(header_end: u64, bounds: Range<usize>) -> Self {
        Self { bounds, end: header_end, ..Self::default() }
    }

    /// Reads on from [`Self::end`]. A record that is not whole, and everything behind it, is left out.
    pub(in crate::run_file) fn read_on(&mut self, file: &File) -> std::io::Result<()> {
        let length = file.metadata()?.len();
        let mut file = BufReader::with_capacity(1 << 12, file);
        file.seek(SeekFrom::Start(self.end))?;
        let mut payload = Vec::new();
        self.damage = None;
        loop {
            let left = length.saturating_sub(self.end);
            let Some((kind, size)) = record::peek(&mut file, left)? else { return Ok(()) };
            let next = self.end + HEAD + size;
            let kind = match kind {
                Ok(kind) => kind,
                Err(reason) => {
                    self.damage = Some(reason);
                    return Ok(());
                }
            };
            if kind == Kind::Frame && self.run_end.is_none() {
                self.frames.push(self.end);
                skip(&mut file, size)?;
            } else {
                file.seek_relative(-(HEAD as i64))?;
                match record::read(&mut file, left, &mut payload) {
                    Ok(kind) => {
                        if let Err(reason) = self.take(kind, &payload) {
                            self.damage = Some(reason);
                            return Ok(());
                        }
                    }
                    Err(Missing::Io(error)) => return Err(error),
                    Err(Missing::Torn) => return Ok(()),
                    Err(Missing::Damaged(reason)) => {
                        self.damage = Some(reason);
                        return Ok(());
                    }
                }
                if kind == Kind::End {
                    self.run_end = Some(next);
                }
            }
            self.end = next;
        }
    }

    /// Takes in a record that was read as a whole and lies at [`Self::end`].
    pub(super) fn take(&mut self, kind: Kind, payload: &[u8]) -> Result<(), &'static str> {
        match (kind, self.run_end) {
            (Kind::Batch, None) => {
                let batch: RunBatch =
                    serde_json::from_slice(payload).map_err(|_| "a batch is not readable")?;
                let last = self.batches.last().map(|before| before.frames.end);
                let frames = last.unwrap_or(self.bounds.start)..self.range().end;
                let mut prompts = batch.prompts.iter().map(|prompt| prompt.frame);
                if batch.frames != frames || !prompts.all(|f| frames.contains(&f)) {
                    return Err("a batch of other frames than those before its end");
                }
                self.batches.push(batch);
            }
            (Kind::End, None) => {
                let last = self.batches.last().map_or(self.bounds.start, |b| b.frames.end);
                if self.range() != self.bounds || last != self.bounds.end {
                    return Err("an end before the last frame");
                }
            }
            (Kind::Amendment, Some(_)) => {
                let amendment: Amendment =
                    serde_json::from_slice(payload).map_err(|_| "an amendment is not readable")?;
                self.check(&amendment)?;
                self.amendments.push(amendment);
            }
            (Kind::Patch, Some(_)) => {
                let (number, frame) = record::patch_head(payload).ok_or("masks without a head")?;
                let computed = number.checked_sub(1).and_then(|at| self.amendments.get(at));
                let frames = computed.and_then(|amendment| match &amendment.action {
                    Action::Computed { frames, .. } => Some(frames),
                    _ => None,
                });
                if !frames.is_some_and(|frames| frames.contains(&frame)) {
                    return Err("masks that no amendment announced");
                }
                self.patch_order.push(frame);
                self.patches.entry(frame).or_default().push((number, self.end));
                self.computed.entry(number).or_default().insert(frame..frame + 1);
            }
            _ => return Err("a record that does not belong there"),
        }
        Ok(())
    }

    /// Checks that an amendment follows the ones before it.
    fn check(&self, amendment: &Amendment) -> Result<(), &'static str> {
        let count = self.amendments.len();
        let to = match amendment.action {
            Action::Return { to } => to,
            _ => 0,
        };
        let is_known = self.is_state(amendment.parent) && self.is_state(to);
        let is_there = |frames: &Range<usize>| {
            !frames.is_empty() && self.bounds.start <= frames.start && frames.end <= self.bounds.end
        };
        let frames = amendment.action.frames();
        if !frames.is_none_or(|frames| is_there(&frames)) {
            return Err("an amendment of frames that are not there");
        }
        match amendment.number == count + 1 && is_known {
            true => Ok(()),
            false => Err("an amendment that does not follow the ones before it"),
        }
    }

    /// Returns whether there is a state of this number: 0, or an amendment that returns to no other.
    pub(super) fn is_state(&self, number: usize) -> bool {
        let amendment = number.checked_sub(1).map(|at| self.amendments.get(at));
        amendment.is_none_or(|amendment| {
            amendment.is_some_and(|known| !matches!(known.action, Action::Return { .. }))
        })
    }

    /// Returns the amendment whose state holds; 0 = none.
    pub(in crate::run_file) fn head(&self) -> usize {
        match self.amendments.last() {
            None => 0,
            Some(Amendment { action: Action::Return { to }, .. }) => *to,
            Some(amendment) => amendment.number,
        }
    }

    /// Returns the amendments that lead to the state after one of them, in order.
    pub(super) fn chain(&self, head: usize) -> Vec<&Amendment> {
        let mut chain = Vec::new();
        let mut number = head;
        while let Some(amendment) = number.checked_sub(1).and_then(|at| self.amendments.get(at)) {
            chain.push(amendment);
            // Parents lie before their children, so this ends.
            number = amendment.parent.min(number - 1);
        }
        chain.reverse();
        chain
    }

    /// Returns the frames of a computation that are there.
    pub(super) fn frames_of(&self, number: usize) -> RangeSet<usize> {
        self.computed.get(&number).cloned().unwrap_or_default()
    }

    /// Returns the frames of the file that are there.
    pub(super) fn range(&self) -> Range<usize> {
        self.bounds.start..self.bounds.start + self.frames.len()
    }
}

fn skip(file: &mut BufReader<&File>, mut bytes: u64) -> std::io::Result<()> {
    while bytes > 0 {
        let step = bytes.min(i64::MAX as u64);
        file.seek_relative(step as i64)?;
        bytes -= step;
    }
    Ok(())
}

/// Reads the record at a position.
pub(super) fn read_at(file: &mut File, at: u64, payload: &mut Vec<u8>) -> Result<Kind, Missing> {
    let length = file.metadata().map_err(Missing::Io)?.len();
    file.seek(SeekFrom::Start(at)).map_err(Missing::Io)?;
    record::read(&mut file.by_ref(), length.saturating_sub(at), payload)
}
