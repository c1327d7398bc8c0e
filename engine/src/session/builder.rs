//! Builders that open and restore sessions.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use sam2_frame_provider::FrameSource;
use sam2_model::Sam2;

use super::options::SessionOptions;
use super::stream_session::{StreamOptions, StreamSession};
use super::tracker::Tracker;
use super::video_session::VideoSession;
use crate::error::EngineError;
use crate::memory_policy::MemoryPolicy;
use crate::on_device::on_device;

/// Opens or restores a [`VideoSession`]; see [`VideoSession::builder`].
///
/// ```no_run
/// use sam2_engine::{EngineError, LazyFrames, Sam2, SessionOptions, VideoSession};
///
/// # fn open(model: &Sam2, frames: LazyFrames) -> Result<(), EngineError> {
/// let options = SessionOptions::default().remove_island_area(8);
/// let session = VideoSession::builder(model).options(options).open(frames)?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder opens nothing before `open` or `restore` is called"]
pub struct VideoSessionBuilder<S> {
    model: Sam2,
    options: SessionOptions,
    policy: Option<Arc<dyn MemoryPolicy>>,
    label: Option<String>,
    frames: PhantomData<fn(S)>,
}

impl<S: FrameSource> VideoSessionBuilder<S> {
    pub(super) fn new(model: &Sam2) -> Self {
        let (model, options) = (model.clone(), SessionOptions::default());
        Self { model, options, policy: None, label: None, frames: PhantomData }
    }

    /// Sets the options; without this call they are the official predictor's defaults.
    /// [`Self::restore`] ignores them and takes those of the saved session.
    pub fn options(self, options: SessionOptions) -> Self {
        Self { options, ..self }
    }

    /// Sets a custom memory policy, which replaces [`SessionOptions::memory_policy`].
    pub fn memory_policy(self, policy: Arc<dyn MemoryPolicy>) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// Makes [`Self::restore`] accept only a checkpoint saved under this label; any other file is
    /// refused with
    /// [`SessionFileError::OtherCheckpoint`](crate::SessionFileError::OtherCheckpoint).
    pub fn label(self, label: &str) -> Self {
        Self { label: Some(label.to_owned()), ..self }
    }

    /// Opens a session on `frames`.
    ///
    /// # Errors
    /// [`EngineError::FrameOutOfRange`] for a recording without frames,
    /// [`EngineError::RegionOutside`] if the region is not within its frames.
    pub fn open(self, frames: S) -> Result<VideoSession<S>, EngineError> {
        let Self { model, options, policy, .. } = self;
        let info = frames.info();
        let (frame_count, size) = (info.frame_count, info.size);
        if frame_count == 0 {
            return Err(EngineError::FrameOutOfRange { frame: 0, count: 0 });
        }
        let tracker =
            on_device(&model, || Tracker::new(&model, frames, options, policy, frame_count, size))?;
        Ok(VideoSession { tracker })
    }

    /// Restores a saved session with its options, for the same recording and the same weights. If
    /// the session was opened with a custom memory policy, a policy of the same name must be set
    /// here.
    ///
    /// # Errors
    /// [`EngineError::SessionFile`] for a file that is damaged or that belongs to other weights,
    /// another configuration, a recording of another size or length, another memory policy or
    /// another format version.
    pub fn restore(
        self,
        frames: S,
        path: impl AsRef<Path>,
    ) -> Result<VideoSession<S>, EngineError> {
        let Self { model, policy, label, .. } = self;
        VideoSession::restore_with(&model, frames, path.as_ref(), policy, label.as_deref())
    }
}

/// Opens or restores a [`StreamSession`]; see [`StreamSession::builder`].
#[must_use = "a builder opens nothing before `open` or `restore` is called"]
pub struct StreamSessionBuilder {
    model: Sam2,
    options: StreamOptions,
    policy: Option<Arc<dyn MemoryPolicy>>,
}

impl StreamSessionBuilder {
    pub(super) fn new(model: &Sam2) -> Self {
        Self { model: model.clone(), options: StreamOptions::default(), policy: None }
    }

    /// Sets the options; without this call they are the official predictor's defaults.
    /// [`Self::restore`] ignores them and takes those of the saved stream.
    pub fn options(self, options: StreamOptions) -> Self {
        Self { options, ..self }
    }

    /// Sets a custom memory policy, which replaces [`SessionOptions::memory_policy`].
    pub fn memory_policy(self, policy: Arc<dyn MemoryPolicy>) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// Opens a stream without frames; [`StreamSession::push`] takes the first one.
    pub fn open(self) -> StreamSession {
        StreamSession::with(&self.model, self.options, self.policy)
    }

    /// Restores a saved stream with its options. The next frame must have the same size.
    ///
    /// # Errors
    /// As [`VideoSessionBuilder::restore`], except those about the recording.
    pub fn restore(self, path: impl AsRef<Path>) -> Result<StreamSession, EngineError> {
        StreamSession::restore_with(&self.model, path.as_ref(), self.policy)
    }
}
