//! The session: prompts in, masks out.

use std::collections::BTreeSet;

use sam2_frame_provider::resize::Scale;
use sam2_frame_provider::{FrameSize, FrameSource};
use sam2_mask_writer::{LabelledMask, Mask};
use sam2_model::resize::{Interpolation, Resize};
use sam2_model::{
    ConditionedFeatures, FrameFeatures, MaskPrediction, MemoryFeatures, MemorySelection,
    ModelPoint, PointerMemory, Sam2, Tensor,
};

use super::direction::Direction;
use super::fill_holes::fill_holes;
use super::object::ObjectState;
use super::options::SessionOptions;
use super::propagation::Propagation;
use crate::error::EngineError;
use crate::memory_bank::{MemoryBank, MemoryReach, MemoryRetention, Outcome};
use crate::prompt::{BoxPrompt, ObjectId, Point};

/// Earlier logits fed back with new clicks are clamped to this range.
const FED_BACK_LOGIT_LIMIT: f32 = 32.0;
/// Up to this many points, the best of three candidate masks is taken (a box counts as two).
const MAX_POINTS_FOR_CANDIDATES: usize = 1;

/// One object in one frame.
#[derive(Clone, Debug)]
pub struct ObjectMask {
    /// Whose mask it is.
    pub object: ObjectId,
    /// At the recording's size.
    pub mask: Mask,
    /// Logit; above 0 = the model sees the object in this frame.
    pub object_score: f32,
    /// The model's own estimate of the mask's IoU with the truth, 0..1.
    pub predicted_iou: f32,
    /// Whether this frame is a conditioning frame of this object.
    pub prompted: bool,
    /// Mask logits before they were brought to the recording's size, `[1, 1, S / 4, S / 4]`.
    pub low_res_logits: Tensor<4>,
}

/// All objects in one frame, in the order in which they were first prompted.
#[derive(Clone, Debug)]
pub struct FrameMasks {
    /// Number of the frame, from 0.
    pub frame_index: usize,
    /// The objects.
    pub objects: Vec<ObjectMask>,
}

impl FrameMasks {
    /// The masks as a [`sam2_mask_writer::MaskSink`] takes them.
    pub fn labelled(&self) -> Vec<LabelledMask> {
        self.objects
            .iter()
            .map(|o| LabelledMask { object: o.object.0, mask: o.mask.clone() })
            .collect()
    }
}

/// Tracks objects through the frames of one recording, as the official `SAM2VideoPredictor` does.
///
/// Prompts are given in the recording's pixels. Frames are read from the source when they are needed and encoded once;
/// the features of the last frame are kept for repeated prompts.
pub struct VideoSession<'m, S> {
    model: &'m Sam2,
    frames: S,
    options: SessionOptions,
    frame_count: usize,
    size: FrameSize,
    pub(super) objects: Vec<ObjectState>,
    /// Frames from which a later pass may start: see [`MemoryBank::prune`].
    anchors: BTreeSet<usize>,
    reach: MemoryReach,
    features: Option<(usize, FrameFeatures)>,
    to_video: Resize,
}

impl<'m, S: FrameSource> VideoSession<'m, S> {
    /// Opens a session with the official defaults.
    ///
    /// # Errors
    /// [`EngineError::FrameOutOfRange`] if the source has no frames.
    pub fn new(model: &'m Sam2, frames: S) -> Result<Self, EngineError> {
        Self::with_options(model, frames, SessionOptions::default())
    }

    /// Opens a session.
    ///
    /// # Errors
    /// [`EngineError::FrameOutOfRange`] if the source has no frames.
    pub fn with_options(
        model: &'m Sam2,
        frames: S,
        options: SessionOptions,
    ) -> Result<Self, EngineError> {
        let (frame_count, size) = (frames.frame_count(), frames.size());
        if frame_count == 0 {
            return Err(EngineError::FrameOutOfRange { frame: 0, count: 0 });
        }
        let low = model.config().low_res_mask_size();
        let video = [size.height as usize, size.width as usize];
        let to_video = Resize::new(Interpolation::Bilinear, [low, low], video, model.device());
        let reach = MemoryReach::new(
            model.config(),
            options.memory_temporal_stride,
            options.max_conditioning_frames,
        );
        Ok(Self {
            reach,
            model,
            frames,
            options,
            frame_count,
            size,
            objects: Vec::new(),
            anchors: BTreeSet::new(),
            features: None,
            to_video,
        })
    }

    /// Frames in the recording.
    pub fn frame_count(&self) -> usize {
        self.frame_count
    }

    /// Size of its frames and of the masks.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// Where frames come from.
    pub fn frames(&self) -> &S {
        &self.frames
    }

    /// Objects in the order of their first prompt.
    pub fn object_ids(&self) -> Vec<ObjectId> {
        self.objects.iter().map(|o| o.id).collect()
    }

    /// What is remembered of an object, for tests and statistics.
    pub fn memory_bank(&self, object: ObjectId) -> Option<&MemoryBank> {
        self.objects.iter().find(|o| o.id == object).map(|o| &o.bank)
    }

    /// The result of a prompt that no propagation has taken up yet.
    pub fn pending_outcome(&self, frame: usize, object: ObjectId) -> Option<&Outcome> {
        let state = self.objects.iter().find(|o| o.id == object)?;
        let pending = state.pending_conditioning.iter().chain(&state.pending_corrections);
        pending.into_iter().find(|(f, _)| *f == frame).map(|(_, outcome)| outcome)
    }

    /// Prompts an object with clicks, replacing its earlier prompts on that frame, and returns the mask they give.
    ///
    /// On a frame that has not been tracked this makes a conditioning frame; on a tracked frame it corrects the result.
    ///
    /// # Errors
    /// [`EngineError`] for a frame or point that does not exist, or a frame that cannot be read.
    pub fn add_points(
        &mut self,
        frame: usize,
        object: ObjectId,
        points: &[Point],
    ) -> Result<ObjectMask, EngineError> {
        self.add_points_or_box(frame, object, points, None, true)
    }

    /// Prompts an object with a box.
    ///
    /// # Errors
    /// As [`Self::add_points`], and [`EngineError::EmptyBox`].
    pub fn add_box(
        &mut self,
        frame: usize,
        object: ObjectId,
        bounds: BoxPrompt,
    ) -> Result<ObjectMask, EngineError> {
        self.add_points_or_box(frame, object, &[], Some(bounds), true)
    }

    /// Prompts an object with clicks, a box or both (`add_new_points_or_box`).
    ///
    /// `replace` drops the frame's earlier clicks; otherwise they are kept before the new ones. The mask logits of an earlier
    /// result on this frame are fed back either way. A box always comes first and needs `replace`; without it the earlier clicks are dropped all
    /// the same.
    ///
    /// # Errors
    /// As [`Self::add_points`], and [`EngineError::EmptyBox`].
    pub fn add_points_or_box(
        &mut self,
        frame: usize,
        object: ObjectId,
        points: &[Point],
        bounds: Option<BoxPrompt>,
        replace: bool,
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
        let index = self.object_index(object);
        let mut model_points = match self.objects[index].points.get(&frame) {
            Some(earlier) if !replace && bounds.is_none() => earlier.clone(),
            _ => Vec::new(),
        };
        model_points.extend(all.into_iter().map(|p| self.to_model(p)));

        let state = &self.objects[index];
        let tracked = state.tracked(frame);
        let conditions = tracked.is_none() || self.options.corrections_condition;
        let earlier = state.latest(frame, conditions).map(Outcome::low_res_logits);
        if earlier.is_none() && state.was_released(frame) {
            return Err(EngineError::ResultReleased { frame, object });
        }
        let fed_back =
            earlier.map(|logits| logits.clamp(-FED_BACK_LOGIT_LIMIT, FED_BACK_LOGIT_LIMIT));
        let conditioned = match tracked {
            None => self.model.condition_without_memory(&features),
            Some(direction) => {
                let selection = self.select(index, frame, direction);
                self.condition(&features, &selection)
            }
        };
        let prompts = self.model.embed_prompts(&model_points, fed_back);
        let outputs = self.model.decode(&features, &conditioned, &prompts);
        let candidates = model_points.len() <= MAX_POINTS_FOR_CANDIDATES;
        let prediction = self.model.predict_mask(&outputs, candidates);
        self.objects[index].points.insert(frame, model_points);
        self.keep_prompt_result(index, frame, prediction, conditions)
    }

    /// Prompts an object with a mask of the recording's size, which becomes its result on that frame (`add_new_mask`).
    ///
    /// # Errors
    /// As [`Self::add_points`], and [`EngineError::MaskPromptSize`].
    pub fn add_mask(
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
        let index = self.object_index(object);
        let side = self.model.config().image_size;
        let (height, width) = (self.size.height as usize, self.size.width as usize);
        let pixels: Vec<f32> = mask.to_bytes(1).into_iter().map(f32::from).collect();
        let device = self.model.device();
        let mask_bchw =
            Tensor::<1>::from_floats(&pixels[..], device).reshape([1, 1, height, width]);
        let model_mask = if (height, width) == (side, side) {
            mask_bchw
        } else {
            Resize::new(Interpolation::BilinearAntialias, [height, width], [side, side], device)
                .forward(mask_bchw)
                .greater_equal_scalar(0.5)
                .float()
        };
        let prediction = self.model.use_mask_as_output(&features, model_mask);
        let state = &mut self.objects[index];
        state.points.remove(&frame);
        let conditions = state.tracked(frame).is_none() || self.options.corrections_condition;
        self.keep_prompt_result(index, frame, prediction, conditions)
    }

    /// Takes back an object's prompts on a frame (`clear_all_prompts_in_frame`). A conditioning frame becomes an ordinary one.
    ///
    /// # Errors
    /// [`EngineError::UnknownObject`], [`EngineError::FrameOutOfRange`].
    pub fn clear_prompts(&mut self, frame: usize, object: ObjectId) -> Result<(), EngineError> {
        self.check_frame(frame)?;
        let state = self.known_object(object)?;
        state.points.remove(&frame);
        state.pending_conditioning.retain(|(f, _)| *f != frame);
        state.pending_corrections.retain(|(f, _)| *f != frame);
        if state.bank.conditioning(frame).is_some() {
            state.bank.downgrade(frame);
            state.unmark_tracked(frame);
        }
        Ok(())
    }

    /// Forgets an object (`remove_object`); the others go on untouched.
    ///
    /// # Errors
    /// [`EngineError::UnknownObject`].
    pub fn remove_object(&mut self, object: ObjectId) -> Result<(), EngineError> {
        self.known_object(object)?;
        self.objects.retain(|state| state.id != object);
        Ok(())
    }

    /// Forgets all objects and prompts (`reset_state`).
    pub fn reset(&mut self) {
        self.objects.clear();
        self.anchors.clear();
    }

    /// Replaces what the session remembers of an object on a frame, as if the model had predicted it: for comparing with another
    /// implementation step by step, or to put a result from elsewhere into the memory. Right after a prompt this changes the prompt's result.
    ///
    /// # Errors
    /// [`EngineError::UnknownObject`]; [`EngineError::ResultReleased`] if nothing is remembered of that frame.
    pub fn set_outcome(
        &mut self,
        frame: usize,
        object: ObjectId,
        outcome: Outcome,
    ) -> Result<(), EngineError> {
        let state = self.known_object(object)?;
        let pending = state.pending_conditioning.iter_mut().chain(&mut state.pending_corrections);
        if let Some((_, old)) = pending.into_iter().find(|(f, _)| *f == frame) {
            *old = outcome;
        } else if !state.bank.replace(frame, outcome) {
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

    /// Tracks every object from the earliest conditioning frame to the end (or the start) of the recording.
    ///
    /// Errors, also those of an unusable session, come as an item of the iterator, which then ends.
    pub fn propagate(&mut self, direction: Direction) -> Propagation<'_, 'm, S> {
        self.propagate_from(None, direction, None)
    }

    /// Tracks every object from `start` (default: the earliest conditioning frame, in both directions) for at most `limit`
    /// further frames (`propagate_in_video`). In reverse from frame 0 there is nothing to do.
    pub fn propagate_from(
        &mut self,
        start: Option<usize>,
        direction: Direction,
        limit: Option<usize>,
    ) -> Propagation<'_, 'm, S> {
        match self.prepare(start, direction) {
            Ok(start) => Propagation::new(self, start, direction, limit),
            Err(error) => Propagation::failed(self, error),
        }
    }

    /// Encodes the memories of new prompts and finds the first frame (`propagate_in_video_preflight`).
    fn prepare(
        &mut self,
        start: Option<usize>,
        direction: Direction,
    ) -> Result<usize, EngineError> {
        if self.objects.is_empty() {
            return Err(EngineError::NoPrompts);
        }
        for index in 0..self.objects.len() {
            let corrections = std::mem::take(&mut self.objects[index].pending_corrections);
            for (frame, outcome) in corrections {
                // A conditioning frame keeps its first result; corrections on it only show (and count with `corrections_condition`).
                if self.objects[index].bank.conditioning(frame).is_none() {
                    let outcome = self.with_memory(frame, outcome)?;
                    self.objects[index].bank.insert_tracked(frame, outcome);
                }
                self.clear_around(index, frame);
            }
            let conditioning = std::mem::take(&mut self.objects[index].pending_conditioning);
            for (frame, outcome) in conditioning {
                let outcome = self.with_memory(frame, outcome)?;
                self.objects[index].bank.insert_conditioning(frame, outcome);
                self.clear_around(index, frame);
            }
            if self.objects[index].bank.conditioning_frames().next().is_none() {
                return Err(EngineError::ObjectWithoutPrompt(self.objects[index].id));
            }
        }
        let prompted: BTreeSet<usize> =
            self.objects.iter().flat_map(|o| o.bank.conditioning_frames()).collect();
        let start = match start {
            Some(start) => start,
            None => prompted.first().copied().ok_or(EngineError::NoPrompts)?,
        };
        self.check_frame(start)?;
        self.check_memories_kept(start, direction)?;
        self.anchors = prompted;
        self.anchors.insert(start);
        Ok(start)
    }

    /// Refuses a start whose past was tracked but let go.
    fn check_memories_kept(&self, start: usize, direction: Direction) -> Result<(), EngineError> {
        let reach = &self.reach;
        let memories =
            (1..reach.num_maskmem).filter_map(|time| reach.memory_frame(start, direction, time));
        let pointers =
            (1..reach.max_object_pointers).filter_map(|steps| direction.back(start, steps));
        let read: Vec<(usize, bool)> = memories
            .map(|frame| (frame, true))
            .chain(pointers.map(|frame| (frame, false)))
            .collect();
        for object in &self.objects {
            for &(frame, memory) in &read {
                let lost = match object.bank.tracked(frame) {
                    Some(outcome) => memory && outcome.memory.is_none(),
                    None => object.was_released(frame),
                };
                if lost {
                    return Err(EngineError::MemoriesReleased { start });
                }
            }
        }
        Ok(())
    }

    /// Tracks all objects on one frame.
    pub(super) fn track_frame(
        &mut self,
        frame: usize,
        direction: Direction,
    ) -> Result<FrameMasks, EngineError> {
        let to_track: Vec<usize> = (0..self.objects.len())
            .filter(|&i| self.objects[i].bank.conditioning(frame).is_none())
            .collect();
        if !to_track.is_empty() {
            let features = self.features(frame)?;
            for (members, selection) in self.group_by_layout(&to_track, frame, direction) {
                self.track_group(frame, &features, &members, &selection)?;
            }
        }
        for index in 0..self.objects.len() {
            if self.objects[index].bank.conditioning(frame).is_some() {
                self.clear_around(index, frame);
            }
        }
        let mut outcomes = Vec::with_capacity(self.objects.len());
        for state in &mut self.objects {
            state.mark_tracked(frame, direction);
            let conditioning = state.bank.conditioning(frame);
            let prompted = conditioning.is_some();
            if let Some(outcome) = conditioning.or_else(|| state.bank.tracked(frame)) {
                outcomes.push((state.id, outcome.prediction.clone(), prompted));
            }
        }
        let masks = self.to_masks(frame, outcomes)?;
        if self.options.retention == MemoryRetention::Bounded {
            for state in &mut self.objects {
                state.prune(&self.anchors, frame, &self.reach);
            }
        }
        Ok(masks)
    }

    /// Objects whose memories lie alike go through the network as one batch.
    fn group_by_layout(
        &self,
        objects: &[usize],
        frame: usize,
        direction: Direction,
    ) -> Vec<(Vec<usize>, MemorySelection)> {
        type Layout = (Vec<usize>, Vec<i64>);
        let mut groups: Vec<(Layout, Vec<usize>, Vec<MemorySelection>)> = Vec::new();
        for &index in objects {
            let selection = self.select(index, frame, direction);
            let layout: Layout = (
                selection.spatial.iter().map(|(time, _)| *time).collect(),
                selection.pointers.iter().map(|p| p.distance).collect(),
            );
            match groups.iter_mut().find(|(known, ..)| *known == layout) {
                Some((_, members, selections)) => {
                    members.push(index);
                    selections.push(selection);
                }
                None => groups.push((layout, vec![index], vec![selection])),
            }
        }
        groups
            .into_iter()
            .map(|(_, members, selections)| (members, batch_selections(selections)))
            .collect()
    }

    fn track_group(
        &mut self,
        frame: usize,
        features: &FrameFeatures,
        members: &[usize],
        selection: &MemorySelection,
    ) -> Result<(), EngineError> {
        let conditioned = self.condition(features, selection);
        let prompts = self.model.embed_prompts(&[], None);
        let outputs = self.model.decode(features, &conditioned, &prompts);
        let prediction = self.model.predict_mask(&outputs, true);
        let memory = self.model.encode_memory(
            features,
            prediction.low_res_logits.clone(),
            prediction.object_score_logits.clone(),
            false,
        );
        for (position, &index) in members.iter().enumerate() {
            let one = self.fill_holes(slice_prediction(&prediction, position))?;
            let memory = MemoryFeatures(memory.0.clone().slice_dim(0, position..position + 1));
            let outcome = Outcome { prediction: one, memory: Some(memory) };
            self.objects[index].bank.insert_tracked(frame, outcome);
        }
        Ok(())
    }

    fn select(&self, index: usize, frame: usize, direction: Direction) -> MemorySelection {
        self.objects[index].bank.select(frame, direction, self.frame_count, &self.reach)
    }

    fn condition(
        &self,
        features: &FrameFeatures,
        selection: &MemorySelection,
    ) -> ConditionedFeatures {
        match self.model.memory_tokens(selection) {
            Some(memory) => self.model.condition_on_memory(features, &memory),
            None => self.model.condition_without_memory(features),
        }
    }

    /// Keeps a prompt's result for the next propagation and shows it.
    fn keep_prompt_result(
        &mut self,
        index: usize,
        frame: usize,
        prediction: MaskPrediction,
        conditions: bool,
    ) -> Result<ObjectMask, EngineError> {
        let prediction = self.fill_holes(prediction)?;
        let id = self.objects[index].id;
        let shown = self.to_masks(frame, vec![(id, prediction.clone(), conditions)])?;
        let outcome = Outcome { prediction, memory: None };
        self.objects[index].set_pending(frame, outcome, conditions);
        // Exactly one object went in.
        shown.objects.into_iter().next().ok_or(EngineError::EmptyPrompt { object: id, frame })
    }

    /// Forgets what the frames around a prompt left, if the session is to.
    fn clear_around(&mut self, index: usize, frame: usize) {
        if self.options.clear_memories_around_prompts {
            let reach = self.reach.stride * self.reach.num_maskmem;
            let (first, last) = (frame.saturating_sub(reach), frame.saturating_add(reach));
            self.objects[index].bank.forget_tracked(first, last);
        }
    }

    fn with_memory(&mut self, frame: usize, outcome: Outcome) -> Result<Outcome, EngineError> {
        let features = self.features(frame)?;
        let memory = self.model.encode_memory(
            &features,
            outcome.low_res_logits(),
            outcome.prediction.object_score_logits.clone(),
            true,
        );
        Ok(Outcome { memory: Some(memory), ..outcome })
    }

    fn fill_holes(&self, mut prediction: MaskPrediction) -> Result<MaskPrediction, EngineError> {
        if self.options.fill_hole_area > 0 {
            let logits = &prediction.low_res_logits;
            let dims = logits.dims();
            let mut values = read(logits.clone())?;
            if fill_holes(&mut values, dims[3], self.options.fill_hole_area) > 0 {
                prediction.low_res_logits =
                    Tensor::<1>::from_floats(&values[..], self.model.device()).reshape(dims);
            }
        }
        Ok(prediction)
    }

    /// Brings logits to the recording's size and reads them back.
    fn to_masks(
        &self,
        frame_index: usize,
        predictions: Vec<(ObjectId, MaskPrediction, bool)>,
    ) -> Result<FrameMasks, EngineError> {
        let mut logits = predictions
            .iter()
            .map(|(_, prediction, _)| {
                read(self.to_video.forward(prediction.low_res_logits.clone()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if self.options.non_overlap_masks {
            suppress_overlaps(&mut logits);
        }
        let mut objects = Vec::with_capacity(predictions.len());
        for ((object, prediction, prompted), logits) in predictions.into_iter().zip(logits) {
            let mask = Mask::from_logits(self.size.width, self.size.height, &logits)
                .map_err(|error| EngineError::Device(error.to_string()))?;
            objects.push(ObjectMask {
                object,
                mask,
                object_score: read_one(prediction.object_score_logits)?,
                predicted_iou: read_one(prediction.iou)?,
                prompted,
                low_res_logits: prediction.low_res_logits,
            });
        }
        Ok(FrameMasks { frame_index, objects })
    }

    /// The frame's features, encoded at most once in a row.
    fn features(&mut self, frame: usize) -> Result<FrameFeatures, EngineError> {
        if let Some((cached, features)) = &self.features
            && *cached == frame
        {
            return Ok(features.clone());
        }
        let scale = Scale::square(self.model.config().image_size as u32, self.options.resize);
        let input = self.frames.scaled(frame, scale)?.scaled;
        let features = self.model.encode_image(input.data());
        self.features = Some((frame, features.clone()));
        Ok(features)
    }

    fn object_index(&mut self, object: ObjectId) -> usize {
        match self.objects.iter().position(|o| o.id == object) {
            Some(index) => index,
            None => {
                self.objects.push(ObjectState::new(object, self.frame_count));
                self.objects.len() - 1
            }
        }
    }

    /// Recording's pixels to model's pixels, by way of 0..1 as the official code rounds it.
    fn to_model(&self, point: Point) -> ModelPoint {
        let side = self.model.config().image_size as f32;
        ModelPoint {
            x: point.x / self.size.width as f32 * side,
            y: point.y / self.size.height as f32 * side,
            label: point.label,
        }
    }

    fn check_frame(&self, frame: usize) -> Result<(), EngineError> {
        if frame < self.frame_count {
            Ok(())
        } else {
            Err(EngineError::FrameOutOfRange { frame, count: self.frame_count })
        }
    }

    fn check_point(&self, what: &str, point: Point, frame: usize) -> Result<(), EngineError> {
        let inside = |value: f32, length: u32| value >= 0.0 && value <= length as f32;
        if inside(point.x, self.size.width) && inside(point.y, self.size.height) {
            return Ok(());
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

/// Selections of the same layout as one selection with a batch.
fn batch_selections(mut selections: Vec<MemorySelection>) -> MemorySelection {
    if selections.len() == 1 {
        return selections.remove(0);
    }
    let first = &selections[0];
    let spatial = (0..first.spatial.len())
        .map(|i| {
            let memories = selections.iter().map(|s| s.spatial[i].1.0.clone()).collect();
            (first.spatial[i].0, MemoryFeatures(Tensor::cat(memories, 0)))
        })
        .collect();
    let pointers = (0..first.pointers.len())
        .map(|i| PointerMemory {
            distance: first.pointers[i].distance,
            pointer: Tensor::cat(
                selections.iter().map(|s| s.pointers[i].pointer.clone()).collect(),
                0,
            ),
        })
        .collect();
    MemorySelection { spatial, pointers, pointer_time_scale: first.pointer_time_scale }
}

/// Entry `position` of a batch.
fn slice_prediction(prediction: &MaskPrediction, position: usize) -> MaskPrediction {
    let one = position..position + 1;
    MaskPrediction {
        low_res_logits: prediction.low_res_logits.clone().slice_dim(0, one.clone()),
        iou: prediction.iou.clone().slice_dim(0, one.clone()),
        object_score_logits: prediction.object_score_logits.clone().slice_dim(0, one.clone()),
        object_pointer: prediction.object_pointer.clone().slice_dim(0, one),
    }
}

/// Leaves each pixel to the object with the highest logit there, the first of equals
/// (`_apply_non_overlapping_constraints`).
fn suppress_overlaps(objects: &mut [Vec<f32>]) {
    const SUPPRESSED: f32 = -10.0;
    let pixels = objects.first().map_or(0, Vec::len);
    for pixel in 0..pixels {
        let mut best = 0;
        for index in 1..objects.len() {
            if objects[index][pixel] > objects[best][pixel] {
                best = index;
            }
        }
        for (index, logits) in objects.iter_mut().enumerate() {
            if index != best {
                logits[pixel] = logits[pixel].min(SUPPRESSED);
            }
        }
    }
}

fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, EngineError> {
    tensor.try_into_vec_as::<f32>().map_err(|error| EngineError::Device(format!("{error:?}")))
}

fn read_one(tensor: Tensor<2>) -> Result<f32, EngineError> {
    Ok(read(tensor)?.first().copied().unwrap_or(f32::NAN))
}
