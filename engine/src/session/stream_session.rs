//! A session on frames that arrive one at a time: prompts and frames in, masks out.

use std::sync::Arc;

use sam2_frame_provider::{FrameSize, RgbFrame};
use sam2_mask_writer::Mask;
use sam2_model::Sam2;

use super::builder::StreamSessionBuilder;
use super::direction::Direction;
use super::features::Frames;
use super::options::SessionOptions;
use super::placement::Placement;
use super::results::{FrameMasks, ObjectMask};
use super::tracker::Tracker;
use crate::error::EngineError;
use crate::memory_bank::{MemoryBank, MemoryRetention, Outcome};
use crate::memory_policy::MemoryPolicy;
use crate::on_device::on_device;
use crate::prompt::{BoxPrompt, ObjectId, Point};

/// Options of a [`StreamSession`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamOptions {
    /// Options as for a recording. [`SessionOptions::correctable_frames`] and
    /// [`SessionOptions::feature_cache_frames`] have no effect, because only the newest frame can
    /// be prompted.
    pub session: SessionOptions,
    /// Total number of frames, if it is known.
    ///
    /// The network measures the age of object pointers in units of `min(frames, 16) - 1`. An
    /// endless stream uses 15, and so does every recording of 16 frames or more. To match a
    /// [`super::VideoSession`] on a shorter recording, the length must be known from the first
    /// frame. The session takes no more frames than this.
    pub total_frames: Option<usize>,
}

/// Tracks objects in frames that are pushed one at a time, as from a camera.
///
/// The results are bit for bit those of a [`super::VideoSession`] on the same frames forward.
/// Frames are numbered from 0 as they are pushed. Prompts apply to the frame pushed last, and the
/// next [`Self::push`] takes them up; the prompt call returns the mask of the prompted frame.
/// Objects may be added and removed at any time.
///
/// Memory does not grow with the number of frames: the session keeps, for each object, its
/// conditioning frames and what the next frame can read, and in addition one frame at the network's
/// size. The number of conditioning frames grows with the number of prompts, unless
/// [`SessionOptions::max_conditioning_frames`] is set: then those that can never be read again are
/// released too.
///
/// ```no_run
/// use sam2_engine::{DeviceChoice, ObjectId, Point, RgbFrame, Sam2, StreamSession};
///
/// # fn camera() -> impl Iterator<Item = RgbFrame> { std::iter::empty() }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = Sam2::load("sam2.1_hiera_tiny.safetensors", &DeviceChoice::Auto.open()?)?;
/// let mut session = StreamSession::new(&model);
/// for frame in camera() {
///     let masks = session.push(&frame)?;
///     if masks.frame_index == 0 {
///         session.add_points(ObjectId(1), &[Point::positive(210.0, 350.0)])?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct StreamSession {
    model: Sam2,
    options: StreamOptions,
    /// A custom policy that the options do not name.
    pub(super) policy: Option<Arc<dyn MemoryPolicy>>,
    /// `None` until the first frame sets the frame size.
    pub(super) tracker: Option<Tracker<NewestFrame>>,
}

/// The frame pushed last, as network input.
#[derive(Clone)]
pub(super) struct NewestFrame {
    pub(super) index: usize,
    pub(super) input: Arc<RgbFrame>,
}

impl Frames for NewestFrame {
    fn input(&self, frame: usize, _: &Placement) -> Result<Arc<RgbFrame>, EngineError> {
        if frame == self.index {
            Ok(Arc::clone(&self.input))
        } else {
            // Callers request only the newest frame; all earlier ones are gone.
            Err(EngineError::FrameOutOfRange { frame, count: self.index + 1 })
        }
    }
}

impl StreamSession {
    /// Opens a session with the default options. The session keeps a clone of the model, which
    /// shares its weights.
    pub fn new(model: &Sam2) -> Self {
        Self::builder(model).open()
    }

    /// Returns a builder to open a session with options or to restore a saved one.
    pub fn builder(model: &Sam2) -> StreamSessionBuilder {
        StreamSessionBuilder::new(model)
    }

    pub(super) fn with(
        model: &Sam2,
        options: StreamOptions,
        policy: Option<Arc<dyn MemoryPolicy>>,
    ) -> Self {
        Self { model: model.clone(), options, policy, tracker: None }
    }

    /// Takes the next frame and tracks every object on it. Without objects it computes nothing and
    /// returns no masks.
    ///
    /// # Errors
    /// [`EngineError::RegionOutside`] if the region does not fit in the first frame,
    /// [`EngineError::StreamFrameSize`] for a frame that differs in size from the first,
    /// [`EngineError::FrameOutOfRange`] after [`StreamOptions::total_frames`],
    /// [`EngineError::ObjectWithoutPrompt`] for an object whose prompts were all taken back,
    /// [`EngineError::Device`]. After an error the session is as if the frame had not been pushed;
    /// it can be pushed again.
    pub fn push(&mut self, frame: &RgbFrame) -> Result<FrameMasks, EngineError> {
        on_device(&self.model.clone(), || self.take(frame))
    }

    fn take(&mut self, frame: &RgbFrame) -> Result<FrameMasks, EngineError> {
        let index = self.frame_count();
        if let Some(count) = self.options.total_frames.filter(|&total| index >= total) {
            return Err(EngineError::FrameOutOfRange { frame: index, count });
        }
        let Some(tracker) = &mut self.tracker else {
            let placement = Placement::new(
                frame.size(),
                &self.options.session,
                self.model.config().image_size,
                self.model.device(),
            )?;
            let newest = NewestFrame { index, input: Arc::new(placement.input(frame)?) };
            self.tracker = Some(self.tracker_on(newest, frame.size())?);
            return Ok(FrameMasks { frame_index: index, objects: Vec::new() });
        };
        if frame.size() != tracker.size {
            let (expected, found) = (tracker.size, frame.size());
            return Err(EngineError::StreamFrameSize { frame: index, expected, found });
        }
        // The memories of new prompts need the frame they are on, which is replaced below.
        if tracker.objects.iter().any(|object| object.has_pending() || !object.is_conditioned()) {
            tracker.objects = tracker.with_prompts_taken_up()?;
        }
        let newest = NewestFrame { index, input: Arc::new(tracker.placement.input(frame)?) };
        let before = std::mem::replace(&mut tracker.frames, newest);
        // A guard of its own: after any failure the earlier frame must be put back.
        match on_device(&self.model, || tracker.track_frame(index, Direction::Forward, None)) {
            Ok(masks) => {
                if tracker.options.limits.retention == MemoryRetention::Bounded {
                    let (reach, retained) = (tracker.reach, tracker.retained);
                    tracker
                        .objects
                        .iter_mut()
                        .for_each(|object| object.forget_before(index, &reach, retained));
                }
                Ok(masks)
            }
            Err(error) => {
                tracker.frames = before;
                Err(error)
            }
        }
    }

    pub(super) fn tracker_on(
        &self,
        newest: NewestFrame,
        size: FrameSize,
    ) -> Result<Tracker<NewestFrame>, EngineError> {
        // Only the newest frame is ever tracked or corrected, and no pass starts elsewhere, so no
        // anchor is needed.
        let options = self.options.session.correctable_frames(0).feature_cache_frames(1);
        let count = self.options.total_frames.unwrap_or(usize::MAX);
        Tracker::new(&self.model, newest, options, self.policy.clone(), count, size)
    }

    /// Returns the number of frames pushed so far, which is the index of the next one.
    pub fn frame_count(&self) -> usize {
        self.tracker.as_ref().map_or(0, |tracker| tracker.frames.index + 1)
    }

    /// Returns the size of the frames and of the masks; `None` before the first frame.
    pub fn size(&self) -> Option<FrameSize> {
        self.tracker.as_ref().map(|tracker| tracker.size)
    }

    /// Returns the options of the session.
    pub fn options(&self) -> StreamOptions {
        self.options
    }

    /// Returns the objects in the order of their first prompt.
    pub fn object_ids(&self) -> Vec<ObjectId> {
        self.tracker.as_ref().map_or_else(Vec::new, Tracker::object_ids)
    }

    /// Returns the number of pathways that are followed for an object, at least 1; `None` for an
    /// unknown object. More than 1 only with a memory policy that follows several
    /// ([`MemoryPolicy::pathways`](crate::MemoryPolicy::pathways)).
    pub fn pathway_count(&self, object: ObjectId) -> Option<usize> {
        self.tracker.as_ref()?.pathway_count(object)
    }

    /// Returns the memory bank of an object, that of the pathway that is shown, for tests and
    /// statistics.
    pub fn memory_bank(&self, object: ObjectId) -> Option<&MemoryBank> {
        self.tracker.as_ref()?.memory_bank(object)
    }

    /// Returns the result of a prompt that the next frame will take up.
    pub fn pending_outcome(&self, object: ObjectId) -> Option<&Outcome> {
        let tracker = self.tracker.as_ref()?;
        tracker.pending_outcome(tracker.frames.index, object)
    }

    /// Prompts an object with clicks on the newest frame, replaces its earlier prompts there, and
    /// returns the resulting mask. If the object was tracked on this frame, this is a correction.
    ///
    /// # Errors
    /// [`EngineError::NoFrameYet`] before the first frame; otherwise as
    /// [`super::VideoSession::add_points`].
    pub fn add_points(
        &mut self,
        object: ObjectId,
        points: &[Point],
    ) -> Result<ObjectMask, EngineError> {
        self.add_points_or_box(object, points, None, true)
    }

    /// Prompts an object with a box on the newest frame.
    ///
    /// # Errors
    /// As [`Self::add_points`], and [`EngineError::EmptyBox`].
    pub fn add_box(
        &mut self,
        object: ObjectId,
        bounds: BoxPrompt,
    ) -> Result<ObjectMask, EngineError> {
        self.add_points_or_box(object, &[], Some(bounds), true)
    }

    /// Prompts an object with clicks, a box or both on the newest frame; `replace` drops its
    /// earlier clicks there. See [`super::VideoSession::add_points_or_box`].
    ///
    /// # Errors
    /// As [`Self::add_points`], and [`EngineError::EmptyBox`].
    pub fn add_points_or_box(
        &mut self,
        object: ObjectId,
        points: &[Point],
        bounds: Option<BoxPrompt>,
        replace: bool,
    ) -> Result<ObjectMask, EngineError> {
        let (tracker, newest) = self.newest()?;
        on_device(&tracker.model.clone(), || {
            tracker.add_points_or_box(newest, object, points, bounds, replace)
        })
    }

    /// Prompts an object with a mask of the frames' size, which becomes its result on the newest
    /// frame.
    ///
    /// # Errors
    /// As [`Self::add_points`], and [`EngineError::MaskPromptSize`].
    pub fn add_mask(&mut self, object: ObjectId, mask: &Mask) -> Result<ObjectMask, EngineError> {
        let (tracker, newest) = self.newest()?;
        on_device(&tracker.model.clone(), || tracker.add_mask(newest, object, mask))
    }

    /// Returns the latest masks of all objects on the newest frame, including changes by prompts;
    /// see [`super::VideoSession::masks_on`].
    ///
    /// # Errors
    /// [`EngineError::NoFrameYet`], [`EngineError::Device`].
    pub fn newest_masks(&self) -> Result<FrameMasks, EngineError> {
        let tracker = self.tracker.as_ref().ok_or(EngineError::NoFrameYet)?;
        on_device(&self.model, || tracker.masks_on(tracker.frames.index))
    }

    /// Takes back an object's prompts on the newest frame.
    ///
    /// # Errors
    /// [`EngineError::NoFrameYet`], [`EngineError::UnknownObject`].
    pub fn clear_prompts(&mut self, object: ObjectId) -> Result<(), EngineError> {
        let (tracker, newest) = self.newest()?;
        tracker.clear_prompts(newest, object)
    }

    /// Takes back all of an object's prompts and discards what was tracked from them; see
    /// [`super::VideoSession::clear_object_prompts`].
    ///
    /// # Errors
    /// [`EngineError::UnknownObject`].
    pub fn clear_object_prompts(&mut self, object: ObjectId) -> Result<(), EngineError> {
        match &mut self.tracker {
            Some(tracker) => tracker.clear_object_prompts(object),
            None => Err(EngineError::UnknownObject(object)),
        }
    }

    /// Forgets an object; the others are not affected.
    ///
    /// # Errors
    /// [`EngineError::UnknownObject`].
    pub fn remove_object(&mut self, object: ObjectId) -> Result<(), EngineError> {
        match &mut self.tracker {
            Some(tracker) => tracker.remove_object(object),
            None => Err(EngineError::UnknownObject(object)),
        }
    }

    /// Forgets an object if it exists, and returns whether it did.
    pub fn discard_object(&mut self, object: ObjectId) -> bool {
        self.remove_object(object).is_ok()
    }

    /// Forgets all objects and prompts. Frame numbering continues.
    pub fn reset(&mut self) {
        if let Some(tracker) = &mut self.tracker {
            tracker.reset();
        }
    }

    fn newest(&mut self) -> Result<(&mut Tracker<NewestFrame>, usize), EngineError> {
        let tracker = self.tracker.as_mut().ok_or(EngineError::NoFrameYet)?;
        let newest = tracker.frames.index;
        Ok((tracker, newest))
    }
}
