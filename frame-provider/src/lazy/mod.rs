//! A bounded cache in front of any source. A background thread fills it ahead of the reader.

mod cache;
#[cfg(test)]
mod handover_tests;
#[cfg(test)]
mod scaled_tests;
mod shared;
mod stats;
mod sync {
    pub(super) use crate::sync::*;
}
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::resize::Scale;
use crate::source::{FrameSource, ScaledFrame};
use crate::source_info::{SourceInfo, SourceMemory};
use crate::tolerant::{BadFrames, TolerantFrames};
use cache::Wanted;
use shared::Shared;
pub use stats::LazyStats;

/// How much [`LazyFrames`] caches and how far it reads ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LazyOptions {
    /// Largest number of frames to keep; at least one is kept even with 0. Default 50. For readers
    /// of scaled frames ([`FrameSource::scaled`]), `2 * (prefetch + 1)` scaled frames are kept in
    /// addition, but at most this number.
    pub cache_frames: usize,
    /// Number of frames to decode ahead, in the direction of travel; 0 switches prefetching off. It
    /// is limited to what fits in the cache next to the present frame. Default 5.
    pub prefetch: usize,
    /// Largest number of bytes of pixels to keep, scaled or not, for clips of unknown size; the
    /// tighter of the two limits applies. Default none.
    pub cache_bytes: Option<u64>,
    /// What to do with frames that cannot be decoded. Default [`BadFrames::Error`].
    pub on_bad_frame: BadFrames,
}

impl Default for LazyOptions {
    fn default() -> Self {
        Self { cache_frames: 50, prefetch: 5, cache_bytes: None, on_bad_frame: BadFrames::Error }
    }
}

/// Any source, with a least-recently-used cache and a background prefetcher.
///
/// One thread does all decoding, in the order that suits a video decoder: first the frames that
/// callers wait for, then the next frames in the direction of travel, forward or reverse, one by
/// one or with a stride. After a jump, it decodes nothing ahead until a direction appears again.
///
/// - A request for a cached frame never waits for a decode.
/// - No frame is decoded twice at the same time; callers that want the same frame share one decode.
/// - A frame that fails to decode causes an error only for the callers that request this frame. The
///   next request for it tries again.
/// - Memory is bounded by [`LazyOptions`], plus the frames that callers hold and the one being
///   decoded, plus what the source holds by its own options ([`SourceInfo::memory`]).
///
/// **Scaled frames** are made by the same thread from the same decode, ahead of their reader, so
/// that a model's thread neither decodes nor scales. Readers that use frames only at their own size
/// pay nothing for it. A full-size frame made along the way is kept too: requesting a frame that
/// the model has just processed is a hit. If a video scales by itself
/// ([`ResizeMode::Decord`](crate::resize::ResizeMode::Decord)), no full-size frame is made;
/// requesting one of the last few costs a conversion, but no decode.
///
/// **Several readers**, for example one session forward and one in reverse, are told apart by the
/// sequence that their requests continue, not by their thread; so it does not matter whether they
/// have separate threads. Up to four are followed, each with [`LazyOptions::prefetch`] frames ahead
/// as far as the cache has room. A reader that has not advanced for 48 requests of others is
/// forgotten.
///
/// Dropping the value stops the thread and waits for the decode in progress, if any. That takes
/// long only in the rare case that a [`VideoFrames`](crate::VideoFrames) is decoding a whole
/// damaged file at that moment to number its frames.
pub struct LazyFrames {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
}

impl LazyFrames {
    /// Opens a video file or a folder of images, as [`open`](crate::open) does.
    ///
    /// # Errors
    /// Those of [`open`](crate::open).
    pub fn open(path: impl AsRef<Path>, options: LazyOptions) -> Result<Self, FrameError> {
        Ok(Self::new(crate::open(path)?, options))
    }

    /// Wraps `source`.
    pub fn new(source: impl FrameSource + 'static, options: LazyOptions) -> Self {
        let source = TolerantFrames::new(source, options.on_bad_frame);
        let shared = Arc::new(Shared::new(Box::new(source), options));
        let for_worker = Arc::clone(&shared);
        let worker = std::thread::Builder::new()
            .name("frame-prefetch".into())
            .spawn(move || for_worker.work());
        let worker = worker
            .inspect_err(|error| {
                // Still correct, only slower: each caller then decodes its own frames.
                tracing::warn!(%error, "no prefetch thread could be started; frames are decoded on demand");
            })
            .ok();
        Self { shared, worker }
    }

    /// Returns the counters of the cache.
    pub fn stats(&self) -> LazyStats {
        self.shared.stats(&self.shared.source().info())
    }

    /// Frees every cached frame and the memory held by the source, and stops prefetching until the
    /// next request. Requests in progress are still answered. The call does not wait for a decode.
    pub fn clear(&self) {
        self.shared.clear();
    }

    fn request(&self, wanted: Wanted) -> Result<Arc<RgbFrame>, FrameError> {
        if self.worker.is_some() {
            self.shared.request(wanted)
        } else {
            self.shared.request_without_worker(wanted)
        }
    }

    #[cfg(test)]
    fn shared_is_idle(&self) -> bool {
        self.shared.is_idle()
    }

    /// Returns the largest number of frames that are kept: the tighter of
    /// [`LazyOptions::cache_frames`] and [`LazyOptions::cache_bytes`].
    pub fn capacity(&self) -> usize {
        self.shared.capacity()
    }
}

impl FrameSource for LazyFrames {
    /// Returns the facts of the source. The memory is that of the cache and of the source.
    fn info(&self) -> SourceInfo {
        let info = self.shared.source().info();
        let stats = self.shared.stats(&info);
        info.with_memory(SourceMemory {
            bytes_held: stats.bytes_held + stats.source_bytes_held,
            peak_bytes: stats.peak_total_bytes(),
        })
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        self.request(Wanted { kind: None, index })
    }

    /// Returns the frame from the cache, or scaled in the background.
    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        let scaled = self.request(Wanted { kind: Some(scale), index })?;
        Ok(ScaledFrame { scaled, frame: None })
    }

    fn release_memory(&self) {
        self.clear();
    }
}

impl std::fmt::Debug for LazyFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LazyFrames")
            .field("source", &self.shared.source().info().description)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Drop for LazyFrames {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(worker) = self.worker.take() {
            // A panic of the source has already been turned into an error; there is nothing more to
            // report here.
            let _ = worker.join();
        }
    }
}
