//! One object of a session.

use std::collections::{BTreeMap, BTreeSet};

use sam2_model::ModelPoint;

use super::direction::Direction;
use crate::memory_bank::{MemoryBank, MemoryReach, Outcome};
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
    history: Vec<FrameHistory>,
}

/// What happened to one frame.
#[derive(Clone, Copy, Debug, Default)]
struct FrameHistory {
    /// Which way it was tracked last.
    tracked: Option<Direction>,
    /// Its result was let go to bound memory.
    released: bool,
}

impl ObjectState {
    pub(super) fn new(id: ObjectId, frame_count: usize) -> Self {
        Self {
            id,
            bank: MemoryBank::default(),
            points: BTreeMap::new(),
            pending_conditioning: Vec::new(),
            pending_corrections: Vec::new(),
            history: vec![FrameHistory::default(); frame_count],
        }
    }

    /// Which way the frame was tracked last; `None` if it never was.
    pub(super) fn tracked(&self, frame: usize) -> Option<Direction> {
        self.history.get(frame).and_then(|entry| entry.tracked)
    }

    pub(super) fn mark_tracked(&mut self, frame: usize, direction: Direction) {
        if let Some(entry) = self.history.get_mut(frame) {
            *entry = FrameHistory { tracked: Some(direction), released: false };
        }
    }

    pub(super) fn unmark_tracked(&mut self, frame: usize) {
        if let Some(entry) = self.history.get_mut(frame) {
            entry.tracked = None;
        }
    }

    /// Whether the frame was tracked and its result let go since.
    pub(super) fn was_released(&self, frame: usize) -> bool {
        self.history.get(frame).is_some_and(|entry| entry.released)
    }

    /// Lets go of what no later pass can read: see [`MemoryBank::prune`].
    pub(super) fn prune(
        &mut self,
        anchors: &BTreeSet<usize>,
        position: usize,
        reach: &MemoryReach,
    ) {
        let history = &mut self.history;
        self.bank.prune(anchors, position, reach, |frame| {
            if let Some(entry) = history.get_mut(frame) {
                entry.released = true;
            }
        });
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
