//! From a session's frames to what the network sees of them.

use std::sync::Arc;

use lru::LruCache;
use sam2_frame_provider::resize::{Scale, resize};
use sam2_frame_provider::{FrameSource, RgbFrame};
use sam2_model::{FrameFeatures, Sam2};

use super::options::SessionOptions;
use super::tracker::Tracker;
use crate::error::EngineError;

/// Where the frames of a session come from.
pub(super) trait Frames {
    /// Frame `frame` as the network takes it.
    fn input(
        &self,
        frame: usize,
        preparation: InputPreparation,
    ) -> Result<Arc<RgbFrame>, EngineError>;
}

/// How a frame becomes the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InputPreparation {
    scale: Scale,
}

impl InputPreparation {
    pub(super) fn new(model: &Sam2, options: &SessionOptions) -> Self {
        Self { scale: Scale::square(model.config().image_size as u32, options.resize) }
    }

    /// The frame in the network's size, RGB8 `[side, side, 3]`.
    pub(super) fn apply(self, frame: &RgbFrame) -> Result<RgbFrame, EngineError> {
        let Scale { size, mode } = self.scale;
        Ok(resize(frame, size.width, size.height, mode)?)
    }
}

impl<S: FrameSource> Frames for S {
    fn input(
        &self,
        frame: usize,
        preparation: InputPreparation,
    ) -> Result<Arc<RgbFrame>, EngineError> {
        Ok(self.scaled(frame, preparation.scale)?.scaled)
    }
}

/// Features of the frames used last.
pub(super) struct FeatureCache {
    frames: LruCache<usize, FrameFeatures>,
    most: usize,
}

impl FeatureCache {
    /// A cache of at most `most` frames, or of one.
    pub(super) fn new(most: usize) -> Self {
        // Unbounded, because a bound is allocated at once, whatever it is.
        Self { frames: LruCache::unbounded(), most: most.max(1) }
    }

    fn put(&mut self, frame: usize, features: FrameFeatures) {
        // First, so that there is never one more than there may be.
        while self.frames.len() >= self.most {
            self.frames.pop_lru();
        }
        self.frames.put(frame, features);
    }
}

impl<F: Frames> Tracker<'_, F> {
    /// The frame's features, encoded unless they are among those used last.
    pub(super) fn features(&mut self, frame: usize) -> Result<FrameFeatures, EngineError> {
        if let Some(features) = self.features.frames.get(&frame) {
            return Ok(features.clone());
        }
        let input = self.frames.input(frame, InputPreparation::new(self.model, &self.options))?;
        let features = self.model.encode_image(input.data());
        self.features.put(frame, features.clone());
        Ok(features)
    }
}
