//! Quality flags: each mask is judged by the masks before it; see [`super::quality`].

use std::collections::BTreeMap;

use sam2_model::MemoryFeatures;

use super::direction::Direction;
use super::features::Frames;
use super::object::ObjectState;
use sam2_mask_writer::QualityFlag;

use super::quality::{AREA_LOOK_BACK, Expectation, Found};
use super::results::{FrameMasks, ObjectMask};
use super::tracker::Tracker;
use crate::error::EngineError;
use crate::frame_record::FrameRecord;
use crate::memory_bank::Outcome;
use crate::prompt::ObjectId;

impl<F: Frames> Tracker<F> {
    /// Flags the masks of a tracked frame, records them for later frames, and lets the policy keep
    /// the frame in reserve. `distractors` has the indices of the objects that were tracked with
    /// another object in sight, with the memory for the reserve if it is not the tracked frame's.
    pub(super) fn flag_tracked(
        &mut self,
        masks: &mut FrameMasks,
        direction: Direction,
        mut distractors: BTreeMap<usize, Option<MemoryFeatures>>,
    ) {
        let frame = masks.frame_index;
        for shown in &mut masks.objects {
            let Some(index) = self.objects.iter().position(|state| state.id == shown.object) else {
                continue;
            };
            let state = &self.objects[index];
            let mut record = self.judge(state, frame, Some(direction), found_in(shown));
            record.distractor = distractors.contains_key(&index);
            shown.flags = record.flags;
            let apart = self.retained.apart > 0
                && !shown.prompted
                && self.policy.keeps_apart(&self.view(state, frame, direction), &record);
            let window = self.objects[index].window(frame, direction, self.options.passes);
            let bank = &mut self.objects[index].bank;
            bank.insert_record(frame, record);
            if apart {
                bank.forget_apart_outside(window);
                bank.keep_apart(frame, self.retained.apart);
                if let Some(memory) = distractors.remove(&index).flatten() {
                    bank.set_memory_apart(frame, memory);
                }
            }
        }
        self.flag_overlaps(masks);
    }

    /// Flags masks that overlap. The records of the objects do not change: what an object remembers
    /// must not depend on others.
    fn flag_overlaps(&self, masks: &mut FrameMasks) {
        let all: Vec<_> = masks.objects.iter().map(|shown| &shown.mask).collect();
        let overlaps = self.options.quality.overlapping(&all);
        for (shown, overlaps) in masks.objects.iter_mut().zip(overlaps) {
            if overlaps {
                shown.flags.insert(QualityFlag::Overlap);
            }
        }
    }

    /// Flags the latest masks of a frame. Results of prompts that no propagation has taken up are
    /// judged now; all others were judged when they were computed.
    pub(super) fn flag_remembered(&self, masks: &mut FrameMasks) {
        let frame = masks.frame_index;
        for shown in &mut masks.objects {
            let Some(state) = self.objects.iter().find(|state| state.id == shown.object) else {
                continue;
            };
            let pending = state.pending_conditioning.iter().chain(&state.pending_corrections);
            let is_pending = pending.into_iter().any(|(f, _)| *f == frame);
            let found = Found { prompted: true, ..found_in(shown) };
            shown.flags = match state.bank.record(frame).filter(|_| !is_pending) {
                Some(record) => record.flags,
                None => self.judge(state, frame, None, found).flags,
            };
        }
        self.flag_overlaps(masks);
    }

    /// Records the result of a prompt that propagation takes up.
    pub(super) fn record_prompt(
        &self,
        state: &mut ObjectState,
        frame: usize,
        outcome: &Outcome,
    ) -> Result<(), EngineError> {
        let found = Found { prompted: true, ..self.found(outcome)? };
        let record = self.judge(state, frame, None, found);
        state.bank.insert_record(frame, record);
        Ok(())
    }

    /// Reads back area and scores of a result that has not been shown yet.
    pub(super) fn found(&self, outcome: &Outcome) -> Result<Found, EngineError> {
        let answer = self.post_process.read(outcome.prediction.clone())?;
        Ok(Found {
            area: self.post_process.area(&answer.low_res_logits)?,
            object_score: answer.object_score,
            predicted_iou: answer.predicted_iou,
            prompted: false,
        })
    }

    /// Records a result that came from outside the session.
    pub(super) fn record_replaced(&mut self, object: ObjectId, frame: usize, found: Found) {
        let Some(index) = self.objects.iter().position(|state| state.id == object) else { return };
        let state = &self.objects[index];
        let prompted = state.bank.conditioning(frame).is_some();
        let found = Found { prompted, ..found };
        let record = self.judge(state, frame, state.tracked(frame), found);
        self.objects[index].bank.insert_record(frame, record);
    }

    /// Judges a mask by earlier ones in the direction of propagation. Without a direction there is
    /// no expectation for its area.
    fn judge(
        &self,
        state: &ObjectState,
        frame: usize,
        direction: Option<Direction>,
        found: Found,
    ) -> FrameRecord {
        let area = |frame: usize| state.bank.record(frame).map(|record| record.area);
        // Frames further back than the oldest pointer may have been released.
        let look_back = AREA_LOOK_BACK.min(self.reach.pointers());
        let areas = direction.map_or_else(Vec::new, |direction| {
            let (first, last) = state.window(frame, direction, self.options.passes);
            (1..=look_back)
                .map_while(|steps| direction.back(frame, steps))
                .take_while(|earlier| (first..=last).contains(earlier))
                .filter_map(area)
                .collect()
        });
        let passes = self.options.passes;
        let (first, last) = match direction {
            Some(direction) => state.window(frame, direction, passes),
            // A prompt that sees no other one.
            None if passes.sees_one_prompt() => (frame, frame),
            None => (0, usize::MAX),
        };
        let closest = state
            .bank
            .conditioning_frames()
            .filter(|prompted| *prompted != frame && (first..=last).contains(prompted))
            .min_by_key(|prompted| prompted.abs_diff(frame));
        let prompted_area = closest.and_then(area);
        let expected = Expectation { pixels: self.placement.pixels(), areas, prompted_area };
        let flags = self.options.quality.judge(found, &expected);
        let Found { area, object_score, predicted_iou, prompted } = found;
        FrameRecord { object_score, predicted_iou, area, flags, prompted, distractor: false }
    }
}

fn found_in(shown: &ObjectMask) -> Found {
    Found {
        area: shown.mask.area(),
        object_score: shown.object_score,
        predicted_iou: shown.predicted_iou,
        prompted: shown.prompted,
    }
}
