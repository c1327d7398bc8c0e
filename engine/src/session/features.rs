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

/// Pixels of the network's input for each thread up to which its kernels are too small to keep all threads busy.
const FEW_PIXELS: usize = 1 << 17;

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

    /// Does `work`, and beside it encodes the frame that will probably be tracked next, if the network runs on the CPU and is too small to keep all its threads busy: two steps at a
    /// time are faster then than one after the other with every kernel shared out. Elsewhere, or if that frame cannot be read, it is `work` alone; what goes wrong with the frame is
    /// an error when its turn comes, if it comes.
    pub(super) fn beside_the_next<R>(
        &mut self,
        upcoming: Option<usize>,
        work: impl FnOnce(&Self) -> R,
    ) -> R {
        let Some((frame, input)) = upcoming.and_then(|frame| self.small_input(frame)) else {
            return work(self);
        };
        let (model, mut encoded) = (self.model, None);
        let result = rayon::in_place_scope(|scope| {
            scope.spawn(|_| {
                let started = Instant::now();
                let features = model.encode_image(input.data());
                encoded = Some((features, started.elapsed()));
            });
            work(self)
        });
        if let Some((features, time)) = encoded {
            self.encode_time += time;
            self.features.put(frame, features);
        }
        result
    }

    /// A frame that is not encoded yet, if it is one for [`Self::beside_the_next`].
    fn small_input(&self, frame: usize) -> Option<(usize, Arc<RgbFrame>)> {
        let threads = self.model.parallel_batches();
        let pixels = self.model.config().image_size.pow(2);
        if threads < 2
            || pixels > FEW_PIXELS * threads
            || self.features.frames.contains(&frame)
            || !self.will_be_tracked(frame)
        {
            return None;
        }
        match self.frames.input(frame, &self.placement) {
            Ok(input) => Some((frame, input)),
            Err(error) => {
                tracing::debug!("frame {frame} could not be read ahead: {error}");
                None
            }
        }
    }

    /// Whether there is an object that has no prompt there.
    pub(super) fn will_be_tracked(&self, frame: usize) -> bool {
        self.objects.iter().any(|state| state.bank.conditioning(frame).is_none())
    }
}
