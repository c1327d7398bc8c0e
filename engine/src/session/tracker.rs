//! The core of a session: objects, their memories, and one frame after the other.
//!
//! It knows neither how many frames there will be nor how they are read; [`super::VideoSession`] gives it a recording.

use std::collections::BTreeSet;

use sam2_frame_provider::FrameSize;
use sam2_model::{ConditionedFeatures, FrameFeatures, MemorySelection, Sam2};

use super::direction::Direction;
use super::features::Frames;
use super::object::ObjectState;
use super::options::SessionOptions;
use super::post_process::PostProcess;
use super::results::FrameMasks;
use crate::error::EngineError;
use crate::memory_bank::{MemoryBank, MemoryReach, MemoryRetention, Outcome};
use crate::prompt::ObjectId;

/// Prompts, memories and results of several objects in the frames of `F`.
pub(super) struct Tracker<'m, F> {
    pub(super) model: &'m Sam2,
    pub(super) frames: F,
    pub(super) options: SessionOptions,
    pub(super) frame_count: usize,
    pub(super) size: FrameSize,
    pub(super) objects: Vec<ObjectState>,
    /// Frames from which a later pass may start: see [`MemoryBank::prune`].
    pub(super) anchors: BTreeSet<usize>,
    pub(super) reach: MemoryReach,
    pub(super) features: Option<(usize, FrameFeatures)>,
    pub(super) post_process: PostProcess,
}

impl<'m, F: Frames> Tracker<'m, F> {
    pub(super) fn new(
        model: &'m Sam2,
        frames: F,
        options: SessionOptions,
        frame_count: usize,
        size: FrameSize,
    ) -> Self {
        let reach = MemoryReach::new(
            model.config(),
            options.memory_temporal_stride,
            options.max_conditioning_frames,
        );
        Self {
            model,
            frames,
            options,
            frame_count,
            size,
            objects: Vec::new(),
            anchors: BTreeSet::new(),
            reach,
            features: None,
            post_process: PostProcess::new(model, size, options),
        }
    }

    pub(super) fn object_ids(&self) -> Vec<ObjectId> {
        self.objects.iter().map(|o| o.id).collect()
    }

    pub(super) fn memory_bank(&self, object: ObjectId) -> Option<&MemoryBank> {
        self.objects.iter().find(|o| o.id == object).map(|o| &o.bank)
    }

    pub(super) fn pending_outcome(&self, frame: usize, object: ObjectId) -> Option<&Outcome> {
        let state = self.objects.iter().find(|o| o.id == object)?;
        let pending = state.pending_conditioning.iter().chain(&state.pending_corrections);
        pending.into_iter().find(|(f, _)| *f == frame).map(|(_, outcome)| outcome)
    }

    /// Encodes the memories of new prompts and finds the first frame (`propagate_in_video_preflight`).
    pub(super) fn prepare(
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
        let masks = self.post_process.to_masks(frame, outcomes)?;
        if self.options.retention == MemoryRetention::Bounded {
            for state in &mut self.objects {
                state.prune(&self.anchors, frame, &self.reach);
            }
        }
        Ok(masks)
    }

    pub(super) fn select(
        &self,
        index: usize,
        frame: usize,
        direction: Direction,
    ) -> MemorySelection {
        self.objects[index].bank.select(frame, direction, self.frame_count, &self.reach)
    }

    pub(super) fn condition(
        &self,
        features: &FrameFeatures,
        selection: &MemorySelection,
    ) -> ConditionedFeatures {
        match self.model.memory_tokens(selection) {
            Some(memory) => self.model.condition_on_memory(features, &memory),
            None => self.model.condition_without_memory(features),
        }
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
}
