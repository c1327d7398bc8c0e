//! One object of a session.

use std::collections::{BTreeMap, BTreeSet};

use sam2_model::ModelPoint;

use super::direction::{Direction, Passes};
use super::history::FrameRuns;
use super::pathway::{JudgedStep, Pathway, Reserve};
use crate::memory_bank::{MemoryBank, MemoryReach, Outcome};
use crate::memory_policy::{MemoryRead, Retained};
use crate::prompt::ObjectId;

/// Prompts, results and history of one object.
#[derive(Clone, Debug)]
pub(super) struct ObjectState {
    pub(super) id: ObjectId,
    /// Memories of the pathway that is shown, the best so far.
    pub(super) bank: MemoryBank,
    /// The sum of the pathway that is shown; 0 while the object has only this one.
    pub(super) sum: f64,
    /// The other pathways, best first. Their banks have results of the same frames.
    pub(super) others: Vec<Pathway>,
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
            sum: 0.0,
            others: Vec::new(),
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

    /// Returns the number of pathways, at least 1.
    pub(super) fn pathway_count(&self) -> usize {
        1 + self.others.len()
    }

    /// Returns the memories of a pathway, 0 being the shown one.
    pub(super) fn bank_of(&self, pathway: usize) -> &MemoryBank {
        let other = pathway.checked_sub(1).and_then(|index| self.others.get(index));
        other.map_or(&self.bank, |other| &other.bank)
    }

    /// Returns the sum of a pathway, 0 being the shown one.
    pub(super) fn sum_of(&self, pathway: usize) -> f64 {
        let other = pathway.checked_sub(1).and_then(|index| self.others.get(index));
        other.map_or(self.sum, |other| other.sum)
    }

    /// Returns the memories of all pathways.
    fn banks_mut(&mut self) -> impl Iterator<Item = &mut MemoryBank> {
        let others = self.others.iter_mut().map(|other| &mut other.bank);
        std::iter::once(&mut self.bank).chain(others)
    }

    /// Ends all pathways but the shown one.
    pub(super) fn end_others(&mut self) {
        self.others.clear();
        self.sum = 0.0;
    }

    /// Stores the results of a tracked frame, best first. They are the object's pathways from now
    /// on; pathways that none of them continues end.
    pub(super) fn advance(&mut self, frame: usize, steps: Vec<JudgedStep>, reserve: Reserve) {
        if steps.is_empty() {
            return;
        }
        let others = std::mem::take(&mut self.others);
        let shown = Pathway { bank: std::mem::take(&mut self.bank), sum: self.sum };
        let mut before: Vec<Pathway> = std::iter::once(shown).chain(others).collect();
        let parents: Vec<usize> = steps.iter().map(|step| step.step.continues).collect();
        let mut pathways = steps.into_iter().enumerate().map(|(index, step)| {
            let parent = parents[index];
            // Only a pathway that another step continues too is copied; the copies share tensors.
            let bank = match parents[index + 1..].contains(&parent) {
                true => before[parent].bank.clone(),
                false => std::mem::take(&mut before[parent].bank),
            };
            step.on(bank, frame, reserve)
        });
        if let Some(Pathway { bank, sum }) = pathways.next() {
            (self.bank, self.sum) = (bank, sum);
        }
        self.others = pathways.collect();
        self.released.set(frame, None);
    }

    /// Stores the result of a corrected frame. There must be no other pathway.
    pub(super) fn insert_tracked(&mut self, frame: usize, outcome: Outcome) {
        self.bank.insert_tracked(frame, outcome);
        self.released.set(frame, None);
    }

    /// Stores the result of a conditioning frame. There must be no other pathway.
    pub(super) fn insert_conditioning(&mut self, frame: usize, outcome: Outcome) {
        self.bank.insert_conditioning(frame, outcome);
        self.released.set(frame, None);
    }

    /// Turns a conditioning frame into an ordinary one that counts as never tracked.
    pub(super) fn downgrade(&mut self, frame: usize) {
        if self.bank.conditioning(frame).is_some() {
            self.end_others();
            self.bank.downgrade(frame);
            self.tracked.set(frame, None);
        }
    }

    /// Forgets ordinary frames from `first` to `last`, inclusive, and also that any of them were
    /// released, because later passes no longer read them.
    pub(super) fn forget_tracked(&mut self, first: usize, last: usize) {
        self.banks_mut().for_each(|bank| bank.forget_tracked(first, last));
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
        for other in &mut self.others {
            other.bank.prune(anchors, position, retained, correctable, |_| {});
        }
    }

    /// Releases everything that only frames before `newest` could need.
    pub(super) fn forget_before(&mut self, newest: usize, reach: &MemoryReach, retained: Retained) {
        self.points = self.points.split_off(&newest);
        self.tracked.forget_before(newest);
        self.released.forget_before(newest);
        self.banks_mut().for_each(|bank| bank.prune_conditioning(newest, reach, retained));
    }

    /// Releases everything before `first`.
    pub(super) fn release_before(&mut self, first: usize) {
        self.points = self.points.split_off(&first);
        self.tracked.forget_before(first);
        self.released.forget_before(first);
        self.banks_mut().for_each(|bank| bank.release_before(first));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_policy::testing::{outcome, record};
    use crate::session::pathway::Step;

    const RESERVE: Reserve = Reserve { window: (0, usize::MAX), limit: 1 };

    /// Returns a result whose every value is `value`, on the pathway with index `continues`.
    fn step(continues: usize, value: f32) -> JudgedStep {
        let sum = f64::from(value);
        JudgedStep {
            step: Step { continues, sum, outcome: outcome(value), distractor: false },
            record: record(value as u64),
            apart: value == 31.0,
            memory_apart: None,
        }
    }

    /// Returns, for each pathway, the areas on its frames, which tell whose results they are.
    fn paths(object: &ObjectState) -> Vec<Vec<u64>> {
        let areas = |pathway| object.bank_of(pathway).records().map(|(_, record)| record.area);
        (0..object.pathway_count()).map(|pathway| areas(pathway).collect()).collect()
    }

    #[test]
    fn pathways_part_and_end() {
        let mut object = ObjectState::new(ObjectId(1));
        object.advance(0, vec![step(0, 1.0)], RESERVE);
        assert_eq!((paths(&object), object.sum_of(0)), (vec![vec![1]], 1.0));
        object.advance(1, vec![step(0, 11.0), step(0, 12.0), step(0, 13.0)], RESERVE);
        assert_eq!(paths(&object), [[1, 11], [1, 12], [1, 13]]);
        // The second one becomes the best and parts, the third one ends.
        object.advance(2, vec![step(1, 21.0), step(0, 22.0), step(1, 23.0)], RESERVE);
        assert_eq!(paths(&object), [[1, 12, 21], [1, 11, 22], [1, 12, 23]]);
        assert_eq!([0, 1, 2].map(|pathway| object.sum_of(pathway)), [21.0, 22.0, 23.0]);
        // Each has a reserve of its own.
        object.advance(3, vec![step(0, 30.0), step(2, 31.0)], RESERVE);
        let apart = |pathway| object.bank_of(pathway).kept_apart().count();
        assert_eq!((apart(0), apart(1), object.pathway_count()), (0, 1, 2));
        object.advance(4, Vec::new(), RESERVE);
        assert_eq!(object.pathway_count(), 2);
        object.end_others();
        assert_eq!((paths(&object), object.sum_of(0)), (vec![vec![1, 12, 21, 30]], 0.0));
    }

    #[test]
    fn all_pathways_forget_the_same_frames() {
        let mut object = ObjectState::new(ObjectId(1));
        for frame in 0..40 {
            let steps = vec![step(0, 1.0), step(usize::from(frame > 0), 2.0)];
            object.advance(frame, steps, RESERVE);
        }
        let frames = |object: &ObjectState, pathway| -> Vec<usize> {
            object.bank_of(pathway).tracked_outcomes().map(|(frame, _)| frame).collect()
        };
        let retained = Retained { memories: 3, frames: 5, apart: 0 };
        object.prune(&BTreeSet::new(), 39, retained, 0);
        for pathway in [0, 1] {
            assert_eq!(frames(&object, pathway), [34, 35, 36, 37, 38, 39]);
        }
        object.forget_tracked(36, 37);
        object.release_before(35);
        for pathway in [0, 1] {
            assert_eq!(frames(&object, pathway), [35, 38, 39]);
        }
    }
}
