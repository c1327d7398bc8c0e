//! Encoder features of a session's frames.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use sam2_frame_provider::{FrameSource, RgbFrame};
use sam2_model::{FrameFeatures, device_failure};

use super::direction::Direction;
use super::placement::Placement;
use super::tracker::Tracker;
use crate::error::EngineError;

/// The source of a session's frames.
pub(super) trait Frames {
    /// Returns frame `frame` as network input.
    fn input(&self, frame: usize, placement: &Placement) -> Result<Arc<RgbFrame>, EngineError>;
}

impl<S: FrameSource> Frames for S {
    fn input(&self, frame: usize, placement: &Placement) -> Result<Arc<RgbFrame>, EngineError> {
        match placement.whole_frame() {
            // The source may have computed it ahead of time.
            Some(scale) => Ok(self.scaled(frame, scale)?.scaled),
            None => Ok(Arc::new(placement.input(&*self.frame(frame)?)?)),
        }
    }
}

/// Up to this many input pixels per thread, the network's kernels are too small to keep all threads
/// busy.
const FEW_PIXELS: usize = 1 << 17;

/// Encoder features of the most recently used frames.
pub(super) struct FeatureCache {
    frames: LruCache<usize, FrameFeatures>,
    most: usize,
    /// A frame that could not be read ahead of time, and the error.
    unreadable: Option<(usize, EngineError)>,
}

impl FeatureCache {
    /// Returns a cache of at most `most` frames, at least one.
    pub(super) fn new(most: usize) -> Self {
        // Unbounded, because a bounded cache would allocate its whole capacity at once.
        Self { frames: LruCache::unbounded(), most: most.max(1), unreadable: None }
    }

    fn put(&mut self, frame: usize, features: FrameFeatures) {
        // Evict before inserting, so that the cache never exceeds its limit.
        while self.frames.len() >= self.most {
            self.frames.pop_lru();
        }
        self.frames.put(frame, features);
    }
}

/// Result of encoding a frame ahead of time: its features and the time they took, or why it could
/// not be read.
type Ahead = Result<(FrameFeatures, Duration), EngineError>;

impl<F: Frames> Tracker<F> {
    /// Returns the frame's features, and encodes the frame unless it is cached.
    pub(super) fn features(&mut self, frame: usize) -> Result<FrameFeatures, EngineError> {
        if let Some(features) = self.features.frames.get(&frame) {
            return Ok(features.clone());
        }
        // Report the error once: the next request reads the frame again.
        if let Some((_, error)) = self.features.unreadable.take().filter(|(at, _)| *at == frame) {
            return Err(error);
        }
        let started = Instant::now();
        let input = self.frames.input(frame, &self.placement)?;
        let features = self.model.encode_image(input.data());
        self.encode_time += started.elapsed();
        self.features.put(frame, features.clone());
        Ok(features)
    }

    /// Runs `work` while the frame that will probably be tracked next is encoded in parallel.
    /// Errors of that frame surface when it is requested, if it ever is.
    ///
    /// A GPU processes its queue in order. It gets the frame when `work` calls the function it
    /// receives, after `work` has queued all of its own operations; the GPU then computes while the
    /// host waits for results and turns them into masks. A CPU encodes the frame during all of
    /// `work`, but only if the network is too small to keep all threads busy: then two steps in
    /// parallel are faster than one after the other with every kernel spread over all threads.
    pub(super) fn beside_the_next<R>(
        &mut self,
        upcoming: Option<usize>,
        direction: Direction,
        work: impl FnOnce(&Self, &mut dyn FnMut()) -> R,
    ) -> R {
        let next = upcoming.filter(|&frame| {
            !self.features.frames.contains(&frame) && self.will_be_tracked(frame, direction)
        });
        let (this, mut ahead) = (&*self, None);
        let result = match next {
            Some(frame) if !this.model.is_on_cpu() => {
                work(this, &mut || ahead = this.on_the_device(frame))
            }
            Some(frame) if this.leaves_threads_idle() => {
                match this.frames.input(frame, &this.placement) {
                    Ok(input) => rayon::in_place_scope(|scope| {
                        let (model, ahead) = (&this.model, &mut ahead);
                        scope.spawn(move |_| {
                            let started = Instant::now();
                            let features = model.encode_image(input.data());
                            *ahead = Some(Ok((features, started.elapsed())));
                        });
                        work(this, &mut || ())
                    }),
                    Err(error) => {
                        ahead = Some(Err(error));
                        work(this, &mut || ())
                    }
                }
            }
            _ => work(this, &mut || ()),
        };
        match next.zip(ahead) {
            Some((frame, Ok((features, time)))) => {
                self.encode_time += time;
                self.features.put(frame, features);
            }
            Some((frame, Err(error))) => self.features.unreadable = Some((frame, error)),
            None => {}
        }
        result
    }

    /// Queues a frame on an asynchronous device. Returns `None` if the device fails: the frame is
    /// encoded again when its turn comes, when more memory may be free.
    fn on_the_device(&self, frame: usize) -> Option<Ahead> {
        let started = Instant::now();
        let encoded = device_failure::guard(|| {
            let input = self.frames.input(frame, &self.placement)?;
            Ok((self.model.encode_image(input.data()), started.elapsed()))
        });
        let failed = |failure: &_| {
            tracing::debug!("frame {frame} could not be encoded ahead: {failure}");
        };
        encoded.inspect_err(failed).ok()
    }

    /// Returns whether this is a CPU whose threads the network's kernels cannot keep busy.
    fn leaves_threads_idle(&self) -> bool {
        let threads = self.model.parallel_batches();
        threads > 1 && self.model.config().image_size.pow(2) <= FEW_PIXELS * threads
    }

    /// Returns true if a pass in this direction computes a new result of any object on the frame.
    fn will_be_tracked(&self, frame: usize, direction: Direction) -> bool {
        self.objects.iter().any(|object| self.is_to_be_tracked(object, frame, direction))
    }
}
