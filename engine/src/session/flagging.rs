//! Quality flags: each mask is judged by the masks before it and by those of other objects on its
//! frame; see [`super::quality`].

use std::collections::BTreeMap;

use sam2_mask_writer::QualityFlag;
use sam2_model::{FrameFeatures, MemoryFeatures};

use super::direction::Direction;
use super::features::Frames;
use super::object::ObjectState;
use super::quality::{AREA_LOOK_BACK, Expectation, Found};
use super::results::{FrameMasks, ObjectMask};
use super::tracker::Tracker;
use crate::error::EngineError;
use crate::frame_record::FrameRecord;
use crate::memory_bank::Outcome;
use crate::prompt::ObjectId;

/// What is decided about an object's mask before anything of its frame is stored.
pub(super) struct Judged {
    record: FrameRecord,
    /// Whether the policy keeps the frame in reserve.
    apart: bool,
    /// Its memory there, if that is not the tracked frame's.
    memory_apart: Option<MemoryFeatures>,
}

impl<F: Frames> Tracker<F> {
    /// Judges the mask of a newly tracked object, whose index is `index`. `distractor` is whether
    /// another object was in sight.
    pub(super) fn judge_tracked(
        &self,
        (index, outcome, distractor): (usize, &Outcome, bool),
        shown: &ObjectMask,
        (frame, direction): (usize, Direction),
        features: &FrameFeatures,
    ) -> Judged {
        let state = &self.objects[index];
        let judged = self.judge(state, frame, Some(direction), found_in(shown));
        let record = FrameRecord { distractor, ..judged };
        let apart = self.retained.apart > 0
            && self.policy.keeps_apart(&self.view(state, frame, direction), &record);
        let as_prompted = apart && self.policy.encodes_apart_as_prompted();
        let memory_apart = as_prompted.then(|| {
            let score = outcome.prediction.object_score_logits.clone();
            self.model.encode_memory(features, outcome.low_res_logits(), score, true)
        });
        Judged { record, apart, memory_apart }
    }

    /// Flags the masks of a frame, records them for later frames, and keeps the frame in reserve where
    /// the policy wants it. `judged` has what is decided about newly tracked objects, by index.
    pub(super) fn flag_tracked(
        &mut self,
        masks: &mut FrameMasks,
        direction: Direction,
        mut judged: BTreeMap<usize, Judged>,
    ) {
        let frame = masks.frame_index;
        for shown in &mut masks.objects {
            let Some(index) = self.objects.iter().position(|state| state.id == shown.object) else {
                continue;
            };
            let Judged { record, apart, memory_apart } =
                judged.remove(&index).unwrap_or_else(|| {
                    let state = &self.objects[index];
                    let record = self.judge(state, frame, Some(direction), found_in(shown));
                    Judged { record, apart: false, memory_apart: None }
                });
            shown.flags = record.flags;
            let state = &mut self.objects[index];
            state.bank.insert_record(frame, record);
            if apart {
                let window = state.window(frame, direction, self.options.passes);
                state.bank.forget_apart_outside(window);
                state.bank.keep_apart(frame, self.retained.apart);
                if let Some(memory) = memory_apart {
                    state.bank.set_memory_apart(frame, memory);
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
        let passes = self.options.passes;
        let (first, last) = match direction {
            Some(direction) => state.window(frame, direction, passes),
            // A prompt that sees no other one.
            None if passes.sees_one_prompt() => (frame, frame),
            None => (0, usize::MAX),
        };
        let is_seen = |other: &usize| (first..=last).contains(other);
        let area = |frame: usize| state.bank.record(frame).map(|record| record.area);
        // Frames further back than the oldest pointer may have been released.
        let look_back = AREA_LOOK_BACK.min(self.reach.pointers());
        let areas = direction.map_or_else(Vec::new, |direction| {
            (1..=look_back)
                .map_while(|steps| direction.back(frame, steps))
                .take_while(is_seen)
                .filter_map(area)
                .collect()
        });
        let closest = state
            .bank
            .conditioning_frames()
            .filter(|prompted| *prompted != frame && is_seen(prompted))
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
