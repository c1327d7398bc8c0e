//! One object of a session.

use std::collections::BTreeMap;

use sam2_model::ModelPoint;

use super::direction::Direction;
use crate::memory_bank::{MemoryBank, Outcome};
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
    /// Whether and which way each frame was tracked last.
    history: Vec<Option<Direction>>,
}

impl ObjectState {
    pub(super) fn new(id: ObjectId, frame_count: usize) -> Self {
        Self {
            id,
            bank: MemoryBank::default(),
            points: BTreeMap::new(),
            pending_conditioning: Vec::new(),
            pending_corrections: Vec::new(),
            history: vec![None; frame_count],
        }
    }

    /// Which way the frame was tracked last; `None` if it never was.
    pub(super) fn tracked(&self, frame: usize) -> Option<Direction> {
        self.history.get(frame).copied().flatten()
    }

    pub(super) fn mark_tracked(&mut self, frame: usize, direction: Direction) {
        if let Some(entry) = self.history.get_mut(frame) {
            *entry = Some(direction);
        }
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
