//! A session on a recording: prompts in, masks out.

use std::sync::Arc;

use sam2_frame_provider::{FrameSize, FrameSource};
use sam2_mask_writer::Mask;
use sam2_model::Sam2;

use super::direction::Direction;
use super::options::SessionOptions;
use super::propagation::Propagation;
use super::results::{FrameMasks, ObjectMask};
use super::tracker::Tracker;
use crate::error::EngineError;
use crate::memory_bank::{MemoryBank, Outcome};
use crate::memory_policy::MemoryPolicy;
use crate::on_device::on_device;
use crate::prompt::{BoxPrompt, ObjectId, Point};

/// Tracks objects through the frames of one recording, as the official `SAM2VideoPredictor` does.
///
/// Prompts are given in the recording's pixels. Frames are read from the source when they are needed and encoded once;
/// the features of the last frame are kept for repeated prompts.
pub struct VideoSession<'m, S> {
    pub(super) tracker: Tracker<'m, S>,
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
    /// [`EngineError::FrameOutOfRange`] if the source has no frames, [`EngineError::RegionOutside`] for a region that is not within them.
    pub fn with_options(
        model: &'m Sam2,
        frames: S,
        options: SessionOptions,
    ) -> Result<Self, EngineError> {
        Self::open(model, frames, options, None)
    }

    /// Opens a session with a memory policy of your own; [`SessionOptions::memory_policy`] does not count then.
    ///
    /// # Errors
    /// As [`Self::with_options`].
    pub fn with_memory_policy(
        model: &'m Sam2,
        frames: S,
        options: SessionOptions,
        policy: Arc<dyn MemoryPolicy>,
    ) -> Result<Self, EngineError> {
        Self::open(model, frames, options, Some(policy))
    }

    fn open(
        model: &'m Sam2,
        frames: S,
        options: SessionOptions,
        policy: Option<Arc<dyn MemoryPolicy>>,
    ) -> Result<Self, EngineError> {
        let (frame_count, size) = (frames.frame_count(), frames.size());
        if frame_count == 0 {
            return Err(EngineError::FrameOutOfRange { frame: 0, count: 0 });
        }
        let tracker =
            on_device(model, || Tracker::new(model, frames, options, policy, frame_count, size))?;
        Ok(Self { tracker })
    }

    /// Frames in the recording.
    pub fn frame_count(&self) -> usize {
        self.tracker.frame_count
    }

    /// Size of its frames and of the masks.
    pub fn size(&self) -> FrameSize {
        self.tracker.size
    }

    /// Where frames come from.
    pub fn frames(&self) -> &S {
        &self.tracker.frames
    }

    /// The frame that was tracked last, and which way; `None` before the first. To go on from there, also in a session that was
    /// restored, propagate from the next frame in that direction.
    pub fn position(&self) -> Option<(usize, Direction)> {
        self.tracker.position
    }

    /// Time spent on reading frames and running the image encoder since the session was opened. On a GPU, whose work is waited for
    /// elsewhere, it says little; on a CPU with a small network part of it may have passed beside tracking.
    pub fn encode_time(&self) -> std::time::Duration {
        self.tracker.encode_time
    }

    /// Options it was opened with.
    pub fn options(&self) -> SessionOptions {
        self.tracker.options
    }

    /// Objects in the order of their first prompt.
    pub fn object_ids(&self) -> Vec<ObjectId> {
        self.tracker.object_ids()
    }

    /// What is remembered of an object, for tests and statistics.
    pub fn memory_bank(&self, object: ObjectId) -> Option<&MemoryBank> {
        self.tracker.memory_bank(object)
    }

    /// The result of a prompt that no propagation has taken up yet.
    pub fn pending_outcome(&self, frame: usize, object: ObjectId) -> Option<&Outcome> {
        self.tracker.pending_outcome(frame, object)
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
        on_device(self.tracker.model, || {
            self.tracker.add_points_or_box(frame, object, points, bounds, replace)
        })
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
        on_device(self.tracker.model, || self.tracker.add_mask(frame, object, mask))
    }

    /// Takes back an object's prompts on a frame (`clear_all_prompts_in_frame`). A conditioning frame becomes an ordinary one, which
    /// keeps its result until it is tracked again. [`Self::masks_on`] shows what is left. An object without any prompt stays,
    /// and [`EngineError::ObjectWithoutPrompt`] keeps the next propagation from starting until it is prompted or removed.
    ///
    /// # Errors
    /// [`EngineError::UnknownObject`], [`EngineError::FrameOutOfRange`].
    pub fn clear_prompts(&mut self, frame: usize, object: ObjectId) -> Result<(), EngineError> {
        self.tracker.clear_prompts(frame, object)
    }

    /// Takes back all of an object's prompts, on every frame, and with them what was tracked from them. The object keeps its
    /// place among the others and begins anew with its next prompt, which it needs before the next propagation.
    ///
    /// With [`Self::clear_prompts`] on every prompted frame, as with the official predictor, what was tracked would stay, and
    /// a click on a tracked frame would only be a correction, which is no prompt of its own.
    ///
    /// # Errors
    /// [`EngineError::UnknownObject`].
    pub fn clear_object_prompts(&mut self, object: ObjectId) -> Result<(), EngineError> {
        self.tracker.clear_object_prompts(object)
    }

    /// The latest masks of all objects on a frame, in the order of their first prompt: what prompts have given since the last propagation,
    /// else what is remembered of the frame. Objects of which nothing is remembered there are left out. Nothing is computed
    /// but sizes. This is what the official predictor returns for the whole frame after each change of its prompts.
    ///
    /// # Errors
    /// [`EngineError::FrameOutOfRange`], [`EngineError::Device`].
    pub fn masks_on(&self, frame: usize) -> Result<FrameMasks, EngineError> {
        self.tracker.check_frame(frame)?;
        on_device(self.tracker.model, || self.tracker.masks_on(frame))
    }

    /// Forgets an object (`remove_object` with `strict`); the others go on untouched.
    ///
    /// # Errors
    /// [`EngineError::UnknownObject`].
    pub fn remove_object(&mut self, object: ObjectId) -> Result<(), EngineError> {
        self.tracker.remove_object(object)
    }

    /// Forgets an object if it is there, and says whether it was (`remove_object` without `strict`).
    pub fn discard_object(&mut self, object: ObjectId) -> bool {
        self.tracker.remove_object(object).is_ok()
    }

    /// Forgets all objects and prompts (`reset_state`).
    pub fn reset(&mut self) {
        self.tracker.reset();
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
        self.tracker.set_outcome(frame, object, outcome)
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
        match on_device(self.tracker.model, || self.tracker.prepare(start, direction)) {
            Ok(start) => Propagation::new(self, start, direction, limit),
            Err(error) => Propagation::failed(self, error),
        }
    }
}
