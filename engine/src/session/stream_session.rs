//! A session on frames that come one at a time: prompts and frames in, masks out.

use std::sync::Arc;

use sam2_frame_provider::{FrameSize, RgbFrame};
use sam2_mask_writer::Mask;
use sam2_model::Sam2;

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
    /// As for a recording; [`SessionOptions::correctable_frames`] and [`SessionOptions::feature_cache_frames`] do not count, as
    /// only the newest frame can be prompted.
    pub session: SessionOptions,
    /// How many frames there will be, if that is known.
    ///
    /// The network measures the age of object pointers in units of `min(frames, 16) - 1`. A stream without an end has 15 for
    /// them, and so has every recording of 16 frames or more; to have what a [`super::VideoSession`] has on a shorter one,
    /// its length must be known from the first frame. No more frames than this are taken.
    pub total_frames: Option<usize>,
}

/// Tracks objects in frames that are pushed one at a time, as a camera gives them.
///
/// It gives what a [`super::VideoSession`] gives on the same frames forward, bit for bit. Frames are numbered from 0 as they
/// are pushed. Prompts are for the frame pushed last and are taken up by the next [`Self::push`]; the mask of a prompted
/// frame is what the prompt returns. Objects may come and go at any time.
///
/// What is kept does not grow with the number of frames: for each object its conditioning frames and what the next frame
/// can read, and one frame in the network's size. Conditioning frames grow with the number of prompts, unless
/// [`SessionOptions::max_conditioning_frames`] is set: then those that can never be read again are let go too.
///
/// ```no_run
/// use sam2_engine::{DeviceChoice, ObjectId, Point, RgbFrame, Sam2, StreamOptions, StreamSession};
///
/// # fn camera() -> impl Iterator<Item = RgbFrame> { std::iter::empty() }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = Sam2::load("sam2.1_hiera_tiny.safetensors", &DeviceChoice::Auto.open()?.0)?;
/// let mut session = StreamSession::new(&model, StreamOptions::default());
/// for frame in camera() {
///     let masks = session.push(&frame)?;
///     if masks.frame_index == 0 {
///         session.add_points(ObjectId(1), &[Point::positive(210.0, 350.0)])?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct StreamSession<'m> {
    model: &'m Sam2,
    options: StreamOptions,
    /// One that the options do not name.
    pub(super) policy: Option<Arc<dyn MemoryPolicy>>,
    /// `None` until the first frame says how large frames are.
    pub(super) tracker: Option<Tracker<'m, NewestFrame>>,
}

/// The frame pushed last, as the network takes it.
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
            // No caller asks for another one; if one did, it would be one that is gone.
            Err(EngineError::FrameOutOfRange { frame, count: self.index + 1 })
        }
    }
}

impl<'m> StreamSession<'m> {
    /// Opens a session.
    pub fn new(model: &'m Sam2, options: StreamOptions) -> Self {
        Self { model, options, policy: None, tracker: None }
    }

    /// Opens a session with a memory policy of your own; [`SessionOptions::memory_policy`] does not count then.
    pub fn with_memory_policy(
        model: &'m Sam2,
        options: StreamOptions,
        policy: Arc<dyn MemoryPolicy>,
    ) -> Self {
        Self { model, options, policy: Some(policy), tracker: None }
    }

    /// Takes the next frame and tracks every object on it. Without objects there is nothing to compute, and no mask comes.
    ///
    /// # Errors
    /// [`EngineError::RegionOutside`] if the first frame does not hold the region, [`EngineError::StreamFrameSize`] for a frame of another size than the first, [`EngineError::FrameOutOfRange`] after
    /// [`StreamOptions::total_frames`], [`EngineError::ObjectWithoutPrompt`] for an object whose prompts were all taken back,
    /// [`EngineError::Device`]. After an error the session is as if the frame had not come: it may be pushed again.
    pub fn push(&mut self, frame: &RgbFrame) -> Result<FrameMasks, EngineError> {
        on_device(self.model, || self.take(frame))
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
        // The memories of new prompts need the frame that they are on, which goes now.
        if tracker.objects.iter().any(|object| object.has_pending() || !object.is_conditioned()) {
            tracker.objects = tracker.with_prompts_taken_up()?;
        }
        let newest = NewestFrame { index, input: Arc::new(tracker.placement.input(frame)?) };
        let before = std::mem::replace(&mut tracker.frames, newest);
        // Guarded by itself as well: the frame is given back after whatever went wrong.
        match on_device(self.model, || tracker.track_frame(index, Direction::Forward, None)) {
            Ok(masks) => {
                if tracker.options.retention == MemoryRetention::Bounded {
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
    ) -> Result<Tracker<'m, NewestFrame>, EngineError> {
        // Only the newest frame is ever looked at or corrected, and no pass starts anywhere else, so that no anchor is needed.
        let options = SessionOptions {
            correctable_frames: 0,
            feature_cache_frames: 1,
            ..self.options.session
        };
        let count = self.options.total_frames.unwrap_or(usize::MAX);
        Tracker::new(self.model, newest, options, self.policy.clone(), count, size)
    }

    /// Frames pushed so far, which is the number of the next one.
    pub fn frame_count(&self) -> usize {
        self.tracker.as_ref().map_or(0, |tracker| tracker.frames.index + 1)
    }

    /// Size of the frames and of the masks; `None` before the first frame.
    pub fn size(&self) -> Option<FrameSize> {
        self.tracker.as_ref().map(|tracker| tracker.size)
    }

    /// The options it was opened with.
    pub fn options(&self) -> StreamOptions {
        self.options
    }

    /// Objects in the order of their first prompt.
    pub fn object_ids(&self) -> Vec<ObjectId> {
        self.tracker.as_ref().map_or_else(Vec::new, Tracker::object_ids)
    }

    /// What is remembered of an object, for tests and statistics.
    pub fn memory_bank(&self, object: ObjectId) -> Option<&MemoryBank> {
        self.tracker.as_ref()?.memory_bank(object)
    }

    /// The result of a prompt that the next frame will take up.
    pub fn pending_outcome(&self, object: ObjectId) -> Option<&Outcome> {
        let tracker = self.tracker.as_ref()?;
        tracker.pending_outcome(tracker.frames.index, object)
    }

    /// Prompts an object with clicks on the newest frame, replacing its earlier prompts there, and returns the mask they
    /// give. For an object that was tracked on this frame, this is a correction.
    ///
    /// # Errors
    /// [`EngineError::NoFrameYet`] before the first frame; otherwise as [`super::VideoSession::add_points`].
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

    /// Prompts an object with clicks, a box or both on the newest frame; `replace` drops its earlier clicks there. See
    /// [`super::VideoSession::add_points_or_box`].
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
        on_device(tracker.model, || {
            tracker.add_points_or_box(newest, object, points, bounds, replace)
        })
    }

    /// Prompts an object with a mask of the frames' size, which becomes its result on the newest frame.
    ///
    /// # Errors
    /// As [`Self::add_points`], and [`EngineError::MaskPromptSize`].
    pub fn add_mask(&mut self, object: ObjectId, mask: &Mask) -> Result<ObjectMask, EngineError> {
        let (tracker, newest) = self.newest()?;
        on_device(tracker.model, || tracker.add_mask(newest, object, mask))
    }

    /// The latest masks of all objects on the newest frame, with what prompts changed there; see
    /// [`super::VideoSession::masks_on`].
    ///
    /// # Errors
    /// [`EngineError::NoFrameYet`], [`EngineError::Device`].
    pub fn newest_masks(&self) -> Result<FrameMasks, EngineError> {
        let tracker = self.tracker.as_ref().ok_or(EngineError::NoFrameYet)?;
        on_device(self.model, || tracker.masks_on(tracker.frames.index))
    }

    /// Takes back an object's prompts on the newest frame.
    ///
    /// # Errors
    /// [`EngineError::NoFrameYet`], [`EngineError::UnknownObject`].
    pub fn clear_prompts(&mut self, object: ObjectId) -> Result<(), EngineError> {
        let (tracker, newest) = self.newest()?;
        tracker.clear_prompts(newest, object)
    }

    /// Takes back all of an object's prompts, and with them what was tracked from them; see
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

    /// Forgets an object; the others go on untouched.
    ///
    /// # Errors
    /// [`EngineError::UnknownObject`].
    pub fn remove_object(&mut self, object: ObjectId) -> Result<(), EngineError> {
        match &mut self.tracker {
            Some(tracker) => tracker.remove_object(object),
            None => Err(EngineError::UnknownObject(object)),
        }
    }

    /// Forgets an object if it is there, and says whether it was.
    pub fn discard_object(&mut self, object: ObjectId) -> bool {
        self.remove_object(object).is_ok()
    }

    /// Forgets all objects and prompts. Frames are numbered on.
    pub fn reset(&mut self) {
        if let Some(tracker) = &mut self.tracker {
            tracker.reset();
        }
    }

    fn newest(&mut self) -> Result<(&mut Tracker<'m, NewestFrame>, usize), EngineError> {
        let tracker = self.tracker.as_mut().ok_or(EngineError::NoFrameYet)?;
        let newest = tracker.frames.index;
        Ok((tracker, newest))
    }
}
