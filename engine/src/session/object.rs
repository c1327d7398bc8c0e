//! One object of a session.

use std::collections::{BTreeMap, BTreeSet};

use sam2_model::ModelPoint;

use super::direction::Direction;
use super::history::FrameRuns;
use crate::memory_bank::{MemoryBank, MemoryReach, Outcome};
use crate::memory_policy::{MemoryRead, Retained};
use crate::prompt::ObjectId;

/// Prompts, results and history of one object.
#[derive(Clone, Debug)]
pub(super) struct ObjectState {
    pub(super) id: ObjectId,
    pub(super) bank: MemoryBank,
    /// Clicks and box corners by frame, in the model's pixels.
    pub(super) points: BTreeMap<usize, Vec<ModelPoint>>,
    /// Results of prompts since the last propagation, whose memories are not encoded yet.
    pub(super) pending_conditioning: Vec<(usize, Outcome)>,
    /// The same for corrections that do not become conditioning frames.
    pub(super) pending_corrections: Vec<(usize, Outcome)>,
    /// Which way each frame was tracked last.
    pub(super) tracked: FrameRuns<Direction>,
    /// Frames whose results were let go to bound memory.
    pub(super) released: FrameRuns<()>,
}

impl ObjectState {
    pub(super) fn new(id: ObjectId) -> Self {
        Self {
            id,
            bank: MemoryBank::default(),
            points: BTreeMap::new(),
            pending_conditioning: Vec::new(),
            pending_corrections: Vec::new(),
            tracked: FrameRuns::default(),
            released: FrameRuns::default(),
        }
    }

    /// Which way the frame was tracked last; `None` if it never was.
    pub(super) fn tracked(&self, frame: usize) -> Option<Direction> {
        self.tracked.get(frame)
    }

    pub(super) fn mark_tracked(&mut self, frame: usize, direction: Direction) {
        self.tracked.set(frame, Some(direction));
        self.released.set(frame, None);
    }

    /// Whether the frame had a result that was let go since.
    pub(super) fn was_released(&self, frame: usize) -> bool {
        self.released.get(frame).is_some()
    }

    /// Whether any of what tracking a frame would read was let go.
    pub(super) fn has_lost(&self, reads: &[MemoryRead]) -> bool {
        reads.iter().any(|&MemoryRead { frame, memory }| {
            if self.bank.conditioning(frame).is_some() {
                return false;
            }
            match self.bank.tracked(frame) {
                Some(outcome) => memory && outcome.memory.is_none(),
                None => self.was_released(frame),
            }
        })
    }

    /// Keeps the result of an ordinary frame.
    pub(super) fn insert_tracked(&mut self, frame: usize, outcome: Outcome) {
        self.bank.insert_tracked(frame, outcome);
        self.released.set(frame, None);
    }

    /// Keeps the result of a conditioning frame.
    pub(super) fn insert_conditioning(&mut self, frame: usize, outcome: Outcome) {
        self.bank.insert_conditioning(frame, outcome);
        self.released.set(frame, None);
    }

    /// Makes a conditioning frame an ordinary one that was never tracked.
    pub(super) fn downgrade(&mut self, frame: usize) {
        if self.bank.conditioning(frame).is_some() {
            self.bank.downgrade(frame);
            self.tracked.set(frame, None);
        }
    }

    /// Forgets ordinary frames from `first` to `last`, also those that were let go: nothing would read them any more.
    pub(super) fn forget_tracked(&mut self, first: usize, last: usize) {
        self.bank.forget_tracked(first, last);
        self.released.clear(first, last);
    }

    /// Lets go of what no later pass can read: see [`MemoryBank::prune`].
    pub(super) fn prune(
        &mut self,
        anchors: &BTreeSet<usize>,
        position: usize,
        retained: Retained,
        correctable: usize,
    ) {
        let released = &mut self.released;
        let release = |frame| released.set(frame, Some(()));
        self.bank.prune(anchors, position, retained, correctable, release);
    }

    /// Lets go of all that only earlier frames than `newest` could ask for.
    pub(super) fn forget_before(&mut self, newest: usize, reach: &MemoryReach, retained: Retained) {
        self.points = self.points.split_off(&newest);
        self.tracked.forget_before(newest);
        self.released.forget_before(newest);
        self.bank.prune_conditioning(newest, reach, retained);
    }

    /// The latest result on a frame that a new click there starts from.
    pub(super) fn latest(&self, frame: usize, conditioning: bool) -> Option<&Outcome> {
        let pending =
            if conditioning { &self.pending_conditioning } else { &self.pending_corrections };
        pending
            .iter()
            .find(|(f, _)| *f == frame)
            .map(|(_, outcome)| outcome)
            .or_else(|| self.bank.conditioning(frame))
            .or_else(|| self.bank.tracked(frame))
    }

    /// Whether prompts wait for the next propagation.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending_conditioning.is_empty() || !self.pending_corrections.is_empty()
    }

    /// Whether the object has a prompt of its own, taken up or not.
    pub(super) fn is_conditioned(&self) -> bool {
        !self.pending_conditioning.is_empty() || self.bank.conditioning_frames().next().is_some()
    }

    /// Keeps the result of a prompt until propagation starts.
    pub(super) fn set_pending(&mut self, frame: usize, outcome: Outcome, conditioning: bool) {
        let pending = if conditioning {
            &mut self.pending_conditioning
        } else {
            &mut self.pending_corrections
        };
        match pending.iter_mut().find(|(f, _)| *f == frame) {
            Some((_, old)) => *old = outcome,
            None => pending.push((frame, outcome)),
        }
    }
}
