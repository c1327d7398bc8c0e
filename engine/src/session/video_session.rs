//! A session on a recording: prompts in, masks out.

use sam2_frame_provider::{FrameSize, FrameSource};
use sam2_mask_writer::Mask;
use sam2_model::Sam2;

use super::builder::VideoSessionBuilder;
use super::direction::Direction;
use super::options::{SessionLimits, SessionOptions};
use super::propagation::Propagation;
use super::results::{FrameMasks, ObjectMask};
use super::tracker::Tracker;
use crate::error::EngineError;
use crate::memory_bank::{MemoryBank, Outcome};
use crate::on_device::on_device;
use crate::prompt::{BoxPrompt, ObjectId, Point};

/// Tracks objects through the frames of one recording, like the official `SAM2VideoPredictor`.
///
/// Prompts are given in the recording's pixels. Frames are read from the source when they are
/// needed and encoded once; the features of the last frame are kept for repeated prompts.
pub struct VideoSession<S> {
    pub(super) tracker: Tracker<S>,
}

impl<S: FrameSource> VideoSession<S> {
    /// Opens a session with the official defaults. The session keeps a clone of the model, which
    /// shares its weights.
    ///
    /// # Errors
    /// As [`VideoSessionBuilder::open`].
    pub fn new(model: &Sam2, frames: S) -> Result<Self, EngineError> {
        Self::builder(model).open(frames)
    }

    /// Returns a builder to open a session with options or to restore a saved one.
    pub fn builder(model: &Sam2) -> VideoSessionBuilder<S> {
        VideoSessionBuilder::new(model)
    }

    /// Returns the number of frames in the recording.
    pub fn frame_count(&self) -> usize {
        self.tracker.frame_count
    }

    /// Returns the size of the frames and of the masks.
    pub fn size(&self) -> FrameSize {
        self.tracker.size
    }

    /// Returns the source of the frames.
    pub fn frames(&self) -> &S {
        &self.tracker.frames
    }

    /// Returns the frame that was tracked last and its direction; `None` before the first. To
    /// continue from there, also in a restored session, propagate from the next frame in that
    /// direction.
    pub fn position(&self) -> Option<(usize, Direction)> {
        self.tracker.position
    }

    /// Returns the time spent reading frames and running the image encoder since the session was
    /// opened. On a GPU it says little, because the GPU's work is waited for elsewhere. On a CPU
    /// with a small network, part of it may have overlapped with tracking.
    pub fn encode_time(&self) -> std::time::Duration {
        self.tracker.encode_time
    }

    /// Sets how much goes through the model at a time, how many encoded frames are cached and whether
    /// logits are returned. [`SessionLimits::retention`] and [`SessionLimits::correctable_frames`] stay
    /// as they were when the session was opened: what was released does not come back.
    pub fn set_limits(&mut self, limits: SessionLimits) {
        self.tracker.set_limits(limits);
    }

    /// Returns the options of the session.
    pub fn options(&self) -> SessionOptions {
        self.tracker.options
    }

    /// Returns the objects in the order of their first prompt.
    pub fn object_ids(&self) -> Vec<ObjectId> {
        self.tracker.object_ids()
    }

    /// Returns the number of pathways that are followed for an object, at least 1; `None` for an
    /// unknown object. More than 1 only with a memory policy that follows several
    /// ([`MemoryPolicy::pathways`](crate::MemoryPolicy::pathways)).
    pub fn pathway_count(&self, object: ObjectId) -> Option<usize> {
        self.tracker.pathway_count(object)
    }

    /// Returns the memory bank of an object, that of the pathway that is shown, for tests and
    /// statistics.
    pub fn memory_bank(&self, object: ObjectId) -> Option<&MemoryBank> {
        self.tracker.memory_bank(object)
    }

    /// Returns the result of a prompt that no propagation has taken up yet.
    pub fn pending_outcome(&self, frame: usize, object: ObjectId) -> Option<&Outcome> {
        self.tracker.pending_outcome(frame, object)
    }

    /// Prompts an object with clicks, replaces its earlier prompts on that frame, and returns the
    /// resulting mask.
    ///
    /// A frame that has not been tracked becomes a conditioning frame; on a tracked frame, the
    /// clicks correct the result.
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
    /// `replace` drops the frame's earlier clicks; otherwise they are kept, before the new ones.
    /// Either way, the mask logits of an earlier result on this frame are fed back. A box always
    /// comes first and needs `replace`; without `replace` the earlier clicks are dropped all the
    /// same.
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
        on_device(&self.tracker.model.clone(), || {
            self.tracker.add_points_or_box(frame, object, points, bounds, replace)
        })
    }

    /// Prompts an object as [`Self::add_points_or_box`] does, replacing earlier clicks, and lets
    /// `choose` take one of the decoder's three candidate masks by its index, for example the one that
    /// a user points at. With `None`, the mask is the one that [`Self::add_points_or_box`] gives: one
    /// click takes the candidate with the highest predicted IoU, more clicks or a box take a fourth
    /// mask, the single one.
    ///
    /// # Errors
    /// As [`Self::add_points_or_box`], and [`EngineError::NoSuchCandidate`].
    pub fn add_points_or_box_choosing(
        &mut self,
        frame: usize,
        object: ObjectId,
        points: &[Point],
        bounds: Option<BoxPrompt>,
        choose: impl FnOnce(&[ObjectMask]) -> Option<usize>,
    ) -> Result<ObjectMask, EngineError> {
        on_device(&self.tracker.model.clone(), || {
            self.tracker.add_and_choose(frame, object, (points, bounds), true, Some(choose))
        })
    }

    /// Prompts an object with a mask of the recording's size, which becomes its result on that
    /// frame (`add_new_mask`).
    ///
    /// # Errors
    /// As [`Self::add_points`], and [`EngineError::MaskPromptSize`].
    pub fn add_mask(
        &mut self,
        frame: usize,
        object: ObjectId,
        mask: &Mask,
    ) -> Result<ObjectMask, EngineError> {
        on_device(&self.tracker.model.clone(), || self.tracker.add_mask(frame, object, mask))
    }

    /// Takes back an object's prompts on a frame (`clear_all_prompts_in_frame`). A conditioning
    /// frame becomes an ordinary one and keeps its result until it is tracked again.
    /// [`Self::masks_on`] returns what is left. An object without any prompt stays; until it is
    /// prompted or removed, the next propagation fails with [`EngineError::ObjectWithoutPrompt`].
    ///
    /// # Errors
    /// [`EngineError::UnknownObject`], [`EngineError::FrameOutOfRange`].
    pub fn clear_prompts(&mut self, frame: usize, object: ObjectId) -> Result<(), EngineError> {
        self.tracker.clear_prompts(frame, object)
    }

    /// Takes back all of an object's prompts, on every frame, and discards what was tracked from
    /// them. The object keeps its place among the others and starts afresh with its next prompt,
    /// which it needs before the next propagation.
    ///
    /// [`Self::clear_prompts`] on every prompted frame, as in the official predictor, would instead
    /// keep what was tracked. A click on a tracked frame would then only be a correction, which is
    /// not a prompt of its own.
    ///
    /// # Errors
    /// [`EngineError::UnknownObject`].
    pub fn clear_object_prompts(&mut self, object: ObjectId) -> Result<(), EngineError> {
        self.tracker.clear_object_prompts(object)
    }

    /// Returns the latest masks of all objects on a frame, in the order of their first prompt: the
    /// results of prompts since the last propagation, otherwise what is remembered of the frame.
    /// Objects with no remembered result there are left out. If several pathways are followed, what
    /// the best of them remembers may differ from what was shown. Only resizing is computed. The
    /// official predictor returns the same for the whole frame after each change of its prompts.
    ///
    /// # Errors
    /// [`EngineError::FrameOutOfRange`], [`EngineError::Device`].
    pub fn masks_on(&self, frame: usize) -> Result<FrameMasks, EngineError> {
        self.tracker.check_frame(frame)?;
        on_device(&self.tracker.model.clone(), || self.tracker.masks_on(frame))
    }

    /// Forgets an object (`remove_object` with `strict`); the others are not affected.
    ///
    /// # Errors
    /// [`EngineError::UnknownObject`].
    pub fn remove_object(&mut self, object: ObjectId) -> Result<(), EngineError> {
        self.tracker.remove_object(object)
    }

    /// Forgets an object if it exists, and returns whether it did (`remove_object` without
    /// `strict`).
    pub fn discard_object(&mut self, object: ObjectId) -> bool {
        self.tracker.remove_object(object).is_ok()
    }

    /// Releases what only passes from before `frame` can read: of the prompts up to `frame`, all but
    /// each object's last, and what was tracked from them. Forward passes from `frame` on are not
    /// affected.
    ///
    /// With it, a session that is given its prompts on the way needs no more memory for many than for
    /// one. It applies to [`Passes::Nearest`](super::Passes::Nearest) and
    /// [`Passes::Agreed`](super::Passes::Agreed); with other passes later frames may read every prompt,
    /// and nothing is released.
    pub fn release_before(&mut self, frame: usize) {
        self.tracker.release_before(frame);
    }

    /// Forgets all objects and prompts (`reset_state`).
    pub fn reset(&mut self) {
        self.tracker.reset();
    }

    /// Replaces what the session remembers of an object on a frame, as if the model had predicted
    /// it. Use it to compare with another implementation step by step, or to put an external result
    /// into the memory. Right after a prompt this changes the prompt's result.
    ///
    /// # Errors
    /// [`EngineError::UnknownObject`]; [`EngineError::ResultReleased`] if nothing is remembered of
    /// that frame.
    pub fn set_outcome(
        &mut self,
        frame: usize,
        object: ObjectId,
        outcome: Outcome,
    ) -> Result<(), EngineError> {
        self.tracker.set_outcome(frame, object, outcome)
    }

    /// Tracks every object from the earliest conditioning frame to the end (or the start) of the
    /// recording.
    ///
    /// Errors, including those of a session that cannot be propagated, are items of the iterator,
    /// which then ends.
    pub fn propagate(&mut self, direction: Direction) -> Propagation<'_, S> {
        self.propagate_from(None, direction, None)
    }

    /// Tracks every object from `start` (default: the earliest conditioning frame, in both
    /// directions) for at most `limit` further frames (`propagate_in_video`). In reverse from frame
    /// 0 there is nothing to do.
    pub fn propagate_from(
        &mut self,
        start: Option<usize>,
        direction: Direction,
        limit: Option<usize>,
    ) -> Propagation<'_, S> {
        match on_device(&self.tracker.model.clone(), || self.tracker.prepare(start, direction)) {
            Ok(start) => Propagation::new(self, start, direction, limit),
            Err(error) => Propagation::failed(self, error),
        }
    }
}
