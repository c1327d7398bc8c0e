//! Quality flags: each mask is judged by the masks before it and by those of other objects on its
//! frame; see [`super::quality`].

use std::collections::BTreeMap;

use sam2_mask_writer::QualityFlag;
use sam2_model::FrameFeatures;

use super::direction::Direction;
use super::features::Frames;
use super::object::ObjectState;
use super::pathway::{JudgedStep, Step};
use super::post_process::Unshown;
use super::quality::{AREA_LOOK_BACK, Expectation, Found};
use super::results::{FrameMasks, ObjectMask};
use super::tracker::Tracker;
use crate::error::EngineError;
use crate::frame_record::FrameRecord;
use crate::memory_bank::{MemoryBank, Outcome};
use crate::prompt::ObjectId;

impl<F: Frames> Tracker<F> {
    /// Judges the masks of all pathways, by object index. `masks` has the best mask of each
    /// object, `unshown` has the others, object by object.
    pub(super) fn judge_all(
        &self,
        tracked: BTreeMap<usize, Vec<Step>>,
        masks: &FrameMasks,
        unshown: Vec<Unshown>,
        direction: Direction,
        features: &FrameFeatures,
    ) -> Vec<(usize, Vec<JudgedStep>)> {
        let at = (masks.frame_index, direction);
        let mut unshown = unshown.into_iter();
        let mut all = Vec::new();
        for (index, steps) in tracked {
            let best = masks.get(self.objects[index].id).map(|shown| Unshown {
                low_res_logits: shown.low_res_logits.clone(),
                found: found_in(shown),
            });
            let results: Vec<Unshown> = best
                .into_iter()
                .chain(unshown.by_ref().take(steps.len().saturating_sub(1)))
                .collect();
            let judged = steps.into_iter().zip(results).map(|(mut step, result)| {
                step.outcome.prediction.low_res_logits = result.low_res_logits;
                self.judge_tracked(index, step, result.found, at, features)
            });
            all.push((index, judged.collect()));
        }
        all
    }

    /// Judges the mask of a newly tracked object, whose index is `index`. `found` is about the mask
    /// that `step` ends in.
    fn judge_tracked(
        &self,
        index: usize,
        step: Step,
        found: Found,
        (frame, direction): (usize, Direction),
        features: &FrameFeatures,
    ) -> JudgedStep {
        let state = &self.objects[index];
        let bank = state.bank_of(step.continues);
        let judged = self.judge(state, bank, frame, Some(direction), found);
        let record = FrameRecord { distractor: step.distractor, ..judged };
        let apart = self.retained.apart > 0
            && self.policy.keeps_apart(&self.view(state, bank, frame, direction), &record);
        let as_prompted = apart && self.policy.encodes_apart_as_prompted();
        let memory_apart = as_prompted.then(|| {
            let score = step.outcome.prediction.object_score_logits.clone();
            self.model.encode_memory(features, step.outcome.low_res_logits(), score, true)
        });
        JudgedStep { step, record, apart, memory_apart }
    }

    /// Flags the masks of a frame. Tracked ones were judged before they were stored; those of
    /// prompts are judged and recorded now.
    pub(super) fn flag_tracked(&mut self, masks: &mut FrameMasks, direction: Direction) {
        let frame = masks.frame_index;
        for shown in &mut masks.objects {
            let Some(index) = self.objects.iter().position(|state| state.id == shown.object) else {
                continue;
            };
            let state = &self.objects[index];
            let stored = state.bank.record(frame).filter(|_| !shown.prompted).copied();
            let record = stored.unwrap_or_else(|| {
                self.judge(state, &state.bank, frame, Some(direction), found_in(shown))
            });
            shown.flags = record.flags;
            self.objects[index].bank.insert_record(frame, record);
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
                None => self.judge(state, &state.bank, frame, None, found).flags,
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
        let record = self.judge(state, &state.bank, frame, None, found);
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
        let record = self.judge(state, &state.bank, frame, state.tracked(frame), found);
        self.objects[index].bank.insert_record(frame, record);
    }

    /// Judges a mask by earlier ones of its pathway, whose memories are in `bank`, in the direction
    /// of propagation. Without a direction, its area is not compared with theirs.
    fn judge(
        &self,
        state: &ObjectState,
        bank: &MemoryBank,
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
        let area = |frame: usize| bank.record(frame).map(|record| record.area);
        // Frames further back than the oldest pointer may have been released.
        let look_back = AREA_LOOK_BACK.min(self.reach.pointers());
        let areas = direction.map_or_else(Vec::new, |direction| {
            (1..=look_back)
                .map_while(|steps| direction.back(frame, steps))
                .take_while(is_seen)
                .filter_map(area)
                .collect()
        });
        let closest = bank
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

/// Returns area and scores of a mask that is shown.
fn found_in(shown: &ObjectMask) -> Found {
    Found {
        area: shown.mask.area(),
        object_score: shown.object_score,
        predicted_iou: shown.predicted_iou,
        prompted: shown.prompted,
    }
}
