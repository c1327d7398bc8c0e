//! From a session's frames to what the network sees of them.

use std::sync::Arc;
use std::time::Instant;

use lru::LruCache;
use sam2_frame_provider::{FrameSource, RgbFrame};
use sam2_model::FrameFeatures;

use super::placement::Placement;
use super::tracker::Tracker;
use crate::error::EngineError;

/// Where the frames of a session come from.
pub(super) trait Frames {
    /// Frame `frame` as the network takes it.
    fn input(&self, frame: usize, placement: &Placement) -> Result<Arc<RgbFrame>, EngineError>;
}

impl<S: FrameSource> Frames for S {
    fn input(&self, frame: usize, placement: &Placement) -> Result<Arc<RgbFrame>, EngineError> {
        match placement.whole_frame() {
            // The source may have made it ahead.
            Some(scale) => Ok(self.scaled(frame, scale)?.scaled),
            None => Ok(Arc::new(placement.input(&*self.frame(frame)?)?)),
        }
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
        let started = Instant::now();
        let input = self.frames.input(frame, &self.placement)?;
        let features = self.model.encode_image(input.data());
        self.encode_time += started.elapsed();
        self.features.put(frame, features.clone());
        Ok(features)
    }
}
