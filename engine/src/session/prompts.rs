//! Prompts: adding them and taking them back.

use sam2_frame_provider::FrameSize;
use sam2_mask_writer::Mask;
use sam2_model::MaskPrediction;
use sam2_model::mask_decoder::DecoderOutputs;

use super::features::Frames;
use super::object::ObjectState;
use super::post_process::Shown;
use super::results::ObjectMask;
use super::tracker::Tracker;
use crate::error::EngineError;
use crate::memory_bank::Outcome;
use crate::prompt::{BoxPrompt, ObjectId, Point};

/// Earlier logits that are fed back with new clicks are clamped to plus or minus this value.
const FED_BACK_LOGIT_LIMIT: f32 = 32.0;
/// With up to this many points, the best of three candidate masks is used (a box counts as two
/// points).
const MAX_POINTS_FOR_CANDIDATES: usize = 1;

/// Each method implements the session method of the same name.
impl<F: Frames> Tracker<F> {
    pub(super) fn add_points_or_box(
        &mut self,
        frame: usize,
        object: ObjectId,
        points: &[Point],
        bounds: Option<BoxPrompt>,
        replace: bool,
    ) -> Result<ObjectMask, EngineError> {
        self.add_and_choose(frame, object, (points, bounds), replace, None::<fn(&_) -> _>)
    }

    /// Prompts an object. `choose` may take one of the three candidate masks; otherwise the rule of
    /// the official predictor does.
    pub(super) fn add_and_choose(
        &mut self,
        frame: usize,
        object: ObjectId,
        (points, bounds): (&[Point], Option<BoxPrompt>),
        replace: bool,
        choose: Option<impl FnOnce(&[ObjectMask]) -> Option<usize>>,
    ) -> Result<ObjectMask, EngineError> {
        self.check_frame(frame)?;
        if points.is_empty() && bounds.is_none() {
            return Err(EngineError::EmptyPrompt { object, frame });
        }
        let mut all = Vec::with_capacity(points.len() + 2);
        if let Some(bounds) = bounds {
            self.check_box(bounds, frame)?;
            all.extend(bounds.corners());
        }
        for (index, &point) in points.iter().enumerate() {
            self.check_point(&format!("point {}", index + 1), point, frame)?;
            all.push(point);
        }
        let features = self.features(frame)?;
        let known = self.objects.iter().find(|state| state.id == object);
        let mut model_points = match known.and_then(|state| state.points.get(&frame)) {
            Some(earlier) if !replace && bounds.is_none() => earlier.clone(),
            _ => Vec::new(),
        };
        model_points.extend(all.into_iter().map(|p| self.placement.to_model(p)));

        let tracked = known.and_then(|state| state.tracked(frame));
        let conditions = tracked.is_none() || self.options.corrections_condition;
        let earlier = known.and_then(|state| state.latest(frame, conditions));
        let lost = known.is_some_and(|state| {
            let past = tracked.is_some_and(|way| state.has_lost(&self.reads(state, frame, way)));
            past || (earlier.is_none() && state.was_released(frame))
        });
        if lost {
            return Err(EngineError::ResultReleased { frame, object });
        }
        let fed_back = earlier.map(|outcome| {
            outcome.low_res_logits().clamp(-FED_BACK_LOGIT_LIMIT, FED_BACK_LOGIT_LIMIT)
        });
        let conditioned = match (known, tracked) {
            (Some(state), Some(direction)) => {
                self.condition(&features, &self.select(state, &state.bank, frame, direction))
            }
            _ => self.model.condition_without_memory(&features),
        };
        let prompts = self.model.embed_prompts(&model_points, fed_back);
        let outputs = self.model.decode(&features, &conditioned, &prompts);
        let chosen = match choose {
            Some(choose) => self.chosen_candidate(frame, object, &outputs, choose)?,
            None => None,
        };
        let prediction = chosen.unwrap_or_else(|| {
            let several = model_points.len() <= MAX_POINTS_FOR_CANDIDATES;
            self.model.predict_mask(&outputs, several)
        });
        let shown = self.keep_prompt_result(frame, object, prediction, conditions)?;
        self.object_mut(object).points.insert(frame, model_points);
        Ok(shown)
    }

    /// Shows `choose` the three candidate masks of an object on a frame, and returns the one that it
    /// takes.
    fn chosen_candidate(
        &self,
        frame: usize,
        object: ObjectId,
        outputs: &DecoderOutputs,
        choose: impl FnOnce(&[ObjectMask]) -> Option<usize>,
    ) -> Result<Option<MaskPrediction>, EngineError> {
        let candidates = self.model.predict_candidates(outputs);
        let mut masks = Vec::with_capacity(candidates.len());
        // One by one, since where masks must not overlap, one candidate would cut another.
        for prediction in candidates.clone() {
            let shown = Shown { object, prediction, prompted: true, raw: true };
            masks.append(&mut self.post_process.to_masks(frame, vec![shown])?.objects);
        }
        let Some(index) = choose(&masks) else { return Ok(None) };
        let chosen = candidates.get(index).cloned();
        chosen.map(Some).ok_or(EngineError::NoSuchCandidate { object, frame, index })
    }

    pub(super) fn add_mask(
        &mut self,
        frame: usize,
        object: ObjectId,
        mask: &Mask,
    ) -> Result<ObjectMask, EngineError> {
        self.check_frame(frame)?;
        let found = FrameSize { width: mask.width(), height: mask.height() };
        if found != self.size {
            return Err(EngineError::MaskPromptSize { object, frame, expected: self.size, found });
        }
        let features = self.features(frame)?;
        let model_mask = self.placement.mask_input(mask);
        let prediction = self.model.use_mask_as_output(&features, model_mask);
        let known = self.objects.iter().find(|state| state.id == object);
        let tracked = known.and_then(|state| state.tracked(frame));
        let conditions = tracked.is_none() || self.options.corrections_condition;
        let shown = self.keep_prompt_result(frame, object, prediction, conditions)?;
        self.object_mut(object).points.remove(&frame);
        Ok(shown)
    }

    pub(super) fn clear_prompts(
        &mut self,
        frame: usize,
        object: ObjectId,
    ) -> Result<(), EngineError> {
        self.check_frame(frame)?;
        let state = self.known_object(object)?;
        state.points.remove(&frame);
        state.pending_conditioning.retain(|(f, _)| *f != frame);
        state.pending_corrections.retain(|(f, _)| *f != frame);
        state.downgrade(frame);
        Ok(())
    }

    pub(super) fn clear_object_prompts(&mut self, object: ObjectId) -> Result<(), EngineError> {
        *self.known_object(object)? = ObjectState::new(object);
        Ok(())
    }

    pub(super) fn remove_object(&mut self, object: ObjectId) -> Result<(), EngineError> {
        self.known_object(object)?;
        self.objects.retain(|state| state.id != object);
        Ok(())
    }

    pub(super) fn reset(&mut self) {
        self.objects.clear();
        self.anchors.clear();
        self.position = None;
    }

    pub(super) fn set_outcome(
        &mut self,
        frame: usize,
        object: ObjectId,
        outcome: Outcome,
    ) -> Result<(), EngineError> {
        let found = self.found(&outcome)?;
        let state = self.known_object(object)?;
        let pending = state.pending_conditioning.iter_mut().chain(&mut state.pending_corrections);
        if let Some((_, old)) = pending.into_iter().find(|(f, _)| *f == frame) {
            *old = outcome;
        } else if state.bank.replace(frame, outcome) {
            state.end_others();
            self.record_replaced(object, frame, found);
        } else {
            return Err(EngineError::ResultReleased { frame, object });
        }
        Ok(())
    }

    fn known_object(&mut self, object: ObjectId) -> Result<&mut ObjectState, EngineError> {
        self.objects
            .iter_mut()
            .find(|state| state.id == object)
            .ok_or(EngineError::UnknownObject(object))
    }

    /// Keeps a prompt's result for the next propagation and shows it.
    fn keep_prompt_result(
        &mut self,
        frame: usize,
        object: ObjectId,
        prediction: MaskPrediction,
        conditions: bool,
    ) -> Result<ObjectMask, EngineError> {
        let shown =
            Shown { object, prediction: prediction.clone(), prompted: conditions, raw: true };
        let mut masks = self.post_process.to_masks(frame, vec![shown])?;
        // Exactly one object went in.
        let Some(low_res_logits) = masks.objects.first().map(|shown| shown.low_res_logits.clone())
        else {
            return Err(EngineError::EmptyPrompt { object, frame });
        };
        let prediction = MaskPrediction { low_res_logits, ..prediction };
        let outcome = Outcome { prediction, memory: None };
        self.object_mut(object).set_pending(frame, outcome, conditions);
        self.flag_remembered(&mut masks);
        Ok(masks.objects.remove(0))
    }

    /// Returns the object, which is created if it is new.
    fn object_mut(&mut self, object: ObjectId) -> &mut ObjectState {
        let index = match self.objects.iter().position(|state| state.id == object) {
            Some(index) => index,
            None => {
                self.objects.push(ObjectState::new(object));
                self.objects.len() - 1
            }
        };
        &mut self.objects[index]
    }

    pub(super) fn check_frame(&self, frame: usize) -> Result<(), EngineError> {
        if frame < self.frame_count {
            Ok(())
        } else {
            Err(EngineError::FrameOutOfRange { frame, count: self.frame_count })
        }
    }

    fn check_point(&self, what: &str, point: Point, frame: usize) -> Result<(), EngineError> {
        if self.placement.contains(point) {
            return Ok(());
        }
        let inside = |value: f32, length: u32| value >= 0.0 && value <= length as f32;
        if let Some(region) = self.placement.region()
            && inside(point.x, self.size.width)
            && inside(point.y, self.size.height)
        {
            let (what, x, y) = (what.to_owned(), point.x, point.y);
            return Err(EngineError::PointOutsideRegion { what, x, y, frame, region });
        }
        Err(EngineError::PointOutside {
            what: what.to_owned(),
            x: point.x,
            y: point.y,
            frame,
            size: self.size,
        })
    }

    fn check_box(&self, bounds: BoxPrompt, frame: usize) -> Result<(), EngineError> {
        let BoxPrompt { x0, y0, x1, y1 } = bounds;
        for corner in bounds.corners() {
            self.check_point("the box corner", corner, frame)?;
        }
        if x0 < x1 && y0 < y1 {
            Ok(())
        } else {
            Err(EngineError::EmptyBox { x0, y0, x1, y1, frame })
        }
    }
}
