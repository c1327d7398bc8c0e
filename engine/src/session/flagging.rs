//! Masks are judged by those before them; see [`super::quality`].

use super::direction::Direction;
use super::features::Frames;
use super::object::ObjectState;
use super::post_process::read_one;
use super::quality::{AREA_LOOK_BACK, Expectation, Found, FrameRecord};
use super::results::FrameMasks;
use super::tracker::Tracker;
use crate::error::EngineError;
use crate::memory_bank::Outcome;
use crate::prompt::ObjectId;

impl<F: Frames> Tracker<'_, F> {
    /// Flags the masks of a frame that was tracked, and remembers them for the frames to come.
    pub(super) fn flag_tracked(&mut self, masks: &mut FrameMasks, direction: Direction) {
        let frame = masks.frame_index;
        for shown in &mut masks.objects {
            let Some(index) = self.objects.iter().position(|state| state.id == shown.object) else {
                continue;
            };
            let (area, object_score) = (shown.mask.area(), shown.object_score);
            let found = Found { area, object_score, prompted: shown.prompted };
            let record = self.judge(&self.objects[index], frame, Some(direction), found);
            shown.flags = record.flags;
            self.objects[index].records.insert(frame, record);
        }
    }

    /// Flags the latest masks of a frame: results of prompts that no propagation has taken up are judged now, others were when they were
    /// found.
    pub(super) fn flag_remembered(&self, masks: &mut FrameMasks) {
        let frame = masks.frame_index;
        for shown in &mut masks.objects {
            let Some(state) = self.objects.iter().find(|state| state.id == shown.object) else {
                continue;
            };
            let pending = state.pending_conditioning.iter().chain(&state.pending_corrections);
            let is_pending = pending.into_iter().any(|(f, _)| *f == frame);
            let (area, object_score) = (shown.mask.area(), shown.object_score);
            let found = Found { area, object_score, prompted: true };
            shown.flags = match state.records.get(&frame).filter(|_| !is_pending) {
                Some(record) => record.flags,
                None => self.judge(state, frame, None, found).flags,
            };
        }
    }

    /// Remembers the result of a prompt that propagation takes up.
    pub(super) fn record_prompt(
        &self,
        state: &mut ObjectState,
        frame: usize,
        outcome: &Outcome,
    ) -> Result<(), EngineError> {
        let found = Found {
            area: self.post_process.area(&outcome.prediction)?,
            object_score: read_one(outcome.prediction.object_score_logits.clone())?,
            prompted: true,
        };
        let record = self.judge(state, frame, None, found);
        state.records.insert(frame, record);
        Ok(())
    }

    /// Remembers a result that came from elsewhere.
    pub(super) fn record_replaced(
        &mut self,
        object: ObjectId,
        frame: usize,
        area: u64,
        object_score: f32,
    ) {
        let Some(index) = self.objects.iter().position(|state| state.id == object) else { return };
        let state = &self.objects[index];
        let prompted = state.bank.conditioning(frame).is_some();
        let found = Found { area, object_score, prompted };
        let record = self.judge(state, frame, state.tracked(frame), found);
        self.objects[index].records.insert(frame, record);
    }

    /// Judges a mask by those behind it. Without a direction nothing is expected of its area.
    fn judge(
        &self,
        state: &ObjectState,
        frame: usize,
        direction: Option<Direction>,
        found: Found,
    ) -> FrameRecord {
        let area = |frame: usize| state.records.get(&frame).map(|record| record.area);
        // A frame further back than pointers are read from may have been let go.
        let look_back = AREA_LOOK_BACK.min(self.reach.max_object_pointers.saturating_sub(1));
        let areas = direction.map_or_else(Vec::new, |direction| {
            (1..=look_back).filter_map(|steps| area(direction.back(frame, steps)?)).collect()
        });
        let closest = state
            .bank
            .conditioning_frames()
            .filter(|&prompted| prompted != frame)
            .min_by_key(|prompted| prompted.abs_diff(frame));
        let prompted_area = closest.and_then(area);
        let expected = Expectation { pixels: self.placement.pixels(), areas, prompted_area };
        FrameRecord { area: found.area, flags: self.options.quality.judge(found, &expected) }
    }
}
