//! From a session's frames to what the network sees of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use sam2_frame_provider::{FrameSource, RgbFrame};
use sam2_model::{FrameFeatures, device_failure};

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
    /// Why a frame could not be read ahead of its turn.
    unreadable: Option<(usize, EngineError)>,
}

impl FeatureCache {
    /// A cache of at most `most` frames, or of one.
    pub(super) fn new(most: usize) -> Self {
        // Unbounded, because a bound is allocated at once, whatever it is.
        Self { frames: LruCache::unbounded(), most: most.max(1), unreadable: None }
    }

    fn put(&mut self, frame: usize, features: FrameFeatures) {
        // First, so that there is never one more than there may be.
        while self.frames.len() >= self.most {
            self.frames.pop_lru();
        }
        self.frames.put(frame, features);
    }
}

/// What came of a frame ahead of its turn: its features and what they took, or why it could not be read.
type Ahead = Result<(FrameFeatures, Duration), EngineError>;

impl<F: Frames> Tracker<'_, F> {
    /// The frame's features, encoded unless they are among those used last.
    pub(super) fn features(&mut self, frame: usize) -> Result<FrameFeatures, EngineError> {
        if let Some(features) = self.features.frames.get(&frame) {
            return Ok(features.clone());
        }
        // Once: who asks again wants it read again.
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

    /// Does `work`, and beside it encodes the frame that will probably be tracked next. What goes wrong with that frame is an error when its turn comes, if it comes.
    ///
    /// A GPU works on what it is given one after the other: it gets the frame when `work`, which has handed all of its own to the device by then, calls what it is given. It has something to
    /// do then while the host waits for results and makes masks of them. A CPU encodes it at the same time as all of `work`, if the network is too small to keep all threads busy: two
    /// steps at a time are faster then than one after the other with every kernel shared out.
    pub(super) fn beside_the_next<R>(
        &mut self,
        upcoming: Option<usize>,
        work: impl FnOnce(&Self, &mut dyn FnMut()) -> R,
    ) -> R {
        let next = upcoming
            .filter(|&frame| !self.features.frames.contains(&frame) && self.will_be_tracked(frame));
        let (this, mut ahead) = (&*self, None);
        let result = match next {
            Some(frame) if !this.model.is_on_cpu() => {
                work(this, &mut || ahead = this.on_the_device(frame))
            }
            Some(frame) if this.leaves_threads_idle() => {
                match this.frames.input(frame, &this.placement) {
                    Ok(input) => rayon::in_place_scope(|scope| {
                        let (model, ahead) = (this.model, &mut ahead);
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

    /// Hands a frame to a device that works on its own. `None` if the device fails: it is asked once more when the frame's turn comes, and by then may have more memory.
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

    /// Whether this is a CPU whose threads the network's kernels cannot keep busy.
    fn leaves_threads_idle(&self) -> bool {
        let threads = self.model.parallel_batches();
        threads > 1 && self.model.config().image_size.pow(2) <= FEW_PIXELS * threads
    }

    /// Whether there is an object that has no prompt there.
    fn will_be_tracked(&self, frame: usize) -> bool {
        self.objects.iter().any(|state| state.bank.conditioning(frame).is_none())
    }
}
