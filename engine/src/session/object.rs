//! One object of a session.

use std::collections::{BTreeMap, BTreeSet};

use sam2_model::ModelPoint;

use super::direction::{Direction, Passes};
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
    /// Results of corrections that do not become conditioning frames, likewise.
    pub(super) pending_corrections: Vec<(usize, Outcome)>,
    /// The direction in which each frame was last tracked.
    pub(super) tracked: FrameRuns<Direction>,
    /// Frames whose results were released to bound memory.
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

    /// Returns the direction in which the frame was last tracked; `None` if it never was.
    pub(super) fn tracked(&self, frame: usize) -> Option<Direction> {
        self.tracked.get(frame)
    }

    /// Returns the first frame with a prompt, of those that condition the object.
    pub(super) fn first_prompt(&self) -> Option<usize> {
        self.bank.conditioning_frames().min()
    }

    /// Returns the frame on which a pass in `direction` first tracks the object, if it comes from far
    /// enough; see [`Passes`]. `None` if that is any frame.
    pub(super) fn first_of_pass(&self, direction: Direction, passes: Passes) -> Option<usize> {
        match (passes, direction) {
            (Passes::Official, _) => None,
            (Passes::Nearest | Passes::Agreed, Direction::Reverse) => {
                self.bank.conditioning_frames().max()
            }
            _ => self.first_prompt(),
        }
    }

    /// Returns the frame on which a pass that begins at `start` begins to track the object.
    pub(super) fn joins_at(&self, start: usize, direction: Direction, passes: Passes) -> usize {
        match (self.first_of_pass(direction, passes), direction) {
            (None, _) => start,
            (Some(first), Direction::Forward) => start.max(first),
            (Some(first), Direction::Reverse) => start.min(first),
        }
    }

    /// Returns true if a pass tracks the object on `frame`; see [`Passes`].
    pub(super) fn is_tracked_on(&self, frame: usize, direction: Direction, passes: Passes) -> bool {
        self.joins_at(frame, direction, passes) == frame
            && (passes != Passes::Nearest || self.is_nearer_behind(frame, direction))
    }

    /// Returns true if the prompt behind `frame`, in the direction of a pass, is nearer than the one
    /// ahead. The forward pass has the frame in the middle.
    fn is_nearer_behind(&self, frame: usize, direction: Direction) -> bool {
        let distances = || self.bank.conditioning_frames().map(|p| direction.distance(p, frame));
        let behind = distances().filter(|&distance| distance >= 0).min();
        let ahead = distances().filter(|&distance| distance < 0).map(|distance| -distance).min();
        match (behind, ahead, direction) {
            (Some(0), ..) | (_, None, _) => true,
            (None, Some(_), _) => false,
            (Some(behind), Some(ahead), Direction::Forward) => behind <= ahead,
            (Some(behind), Some(ahead), Direction::Reverse) => behind < ahead,
        }
    }

    /// Returns the first and the last frame that may be read when `frame` is tracked; see [`Passes`].
    pub(super) fn window(
        &self,
        frame: usize,
        direction: Direction,
        passes: Passes,
    ) -> (usize, usize) {
        if !passes.sees_one_prompt() {
            return (0, usize::MAX);
        }
        let behind = self.bank.conditioning_frames().filter(|&p| direction.distance(p, frame) >= 0);
        match direction {
            Direction::Forward => (behind.max().unwrap_or(frame), frame),
            Direction::Reverse => (frame, behind.min().unwrap_or(frame)),
        }
    }

    pub(super) fn mark_tracked(&mut self, frame: usize, direction: Direction) {
        self.tracked.set(frame, Some(direction));
        self.released.set(frame, None);
    }

    /// Returns whether the frame had a result that has since been released.
    pub(super) fn was_released(&self, frame: usize) -> bool {
        self.released.get(frame).is_some()
    }

    /// Returns whether anything that tracking a frame would read was released.
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

    /// Stores the result of an ordinary frame.
    pub(super) fn insert_tracked(&mut self, frame: usize, outcome: Outcome) {
        self.bank.insert_tracked(frame, outcome);
        self.released.set(frame, None);
    }

    /// Stores the result of a conditioning frame.
    pub(super) fn insert_conditioning(&mut self, frame: usize, outcome: Outcome) {
        self.bank.insert_conditioning(frame, outcome);
        self.released.set(frame, None);
    }

    /// Turns a conditioning frame into an ordinary one that counts as never tracked.
    pub(super) fn downgrade(&mut self, frame: usize) {
        if self.bank.conditioning(frame).is_some() {
            self.bank.downgrade(frame);
            self.tracked.set(frame, None);
        }
    }

    /// Forgets ordinary frames from `first` to `last`, inclusive, and also that any of them were
    /// released, because later passes no longer read them.
    pub(super) fn forget_tracked(&mut self, first: usize, last: usize) {
        self.bank.forget_tracked(first, last);
        self.released.clear(first, last);
    }

    /// Releases what no later pass can read; see [`MemoryBank::prune`].
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

    /// Releases everything that only frames before `newest` could need.
    pub(super) fn forget_before(&mut self, newest: usize, reach: &MemoryReach, retained: Retained) {
        self.points = self.points.split_off(&newest);
        self.tracked.forget_before(newest);
        self.released.forget_before(newest);
        self.bank.prune_conditioning(newest, reach, retained);
    }

    /// Releases everything before `first`.
    pub(super) fn release_before(&mut self, first: usize) {
        self.points = self.points.split_off(&first);
        self.tracked.forget_before(first);
        self.released.forget_before(first);
        self.bank.release_before(first);
    }

    /// Returns the latest result on a frame, from which a new click there starts.
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

    /// Returns whether any prompts wait for the next propagation.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending_conditioning.is_empty() || !self.pending_corrections.is_empty()
    }

    /// Returns whether the object has a prompt of its own, taken up or still pending.
    pub(super) fn is_conditioned(&self) -> bool {
        !self.pending_conditioning.is_empty() || self.bank.conditioning_frames().next().is_some()
    }

    /// Stores the result of a prompt until propagation starts.
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
