//! Counters of the cache.

use std::time::Duration;

/// Counters of a [`LazyFrames`](super::LazyFrames) since its creation. Requests include those for
/// frames and those for scaled frames, each counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LazyStats {
    /// Requests whose frame was in the cache: answered without waiting.
    pub hits: u64,
    /// Requests whose frame was not in the cache: they waited for a decode. Includes those whose
    /// frame was being prefetched (`late`) and those that ended in an error.
    pub misses: u64,
    /// Misses for a frame that the prefetcher was decoding at that moment: the consumer is faster
    /// than the decoder.
    pub late: u64,
    /// Frames decoded before any request.
    pub prefetched: u64,
    /// Prefetched frames that were dropped before any request.
    pub wasted: u64,
    /// Requests that ended in an error.
    pub errors: u64,
    /// Frames dropped to make room.
    pub evicted: u64,
    /// Time that requests spent waiting for a decode, summed over threads.
    pub wait_total: Duration,
    /// The longest of these waits.
    pub wait_max: Duration,
    /// Frames in the cache now, without scaled ones.
    pub frames_held: usize,
    /// Scaled frames in the cache now.
    pub scaled_held: usize,
    /// Bytes of pixels in the cache now, of frames and of scaled frames. Frames that callers still
    /// hold are not counted.
    pub bytes_held: u64,
    /// The largest value that `bytes_held` ever had.
    pub peak_bytes: u64,
    /// Frames that the source's decoders put out, including unwanted ones; 0 for sources that do
    /// not decode.
    pub frames_decoded: u64,
    /// Readers followed now: see [`LazyFrames`](super::LazyFrames).
    pub readers: usize,
    /// Bytes that the source itself holds now, such as decoded frames in YUV for reading in
    /// reverse.
    pub source_bytes_held: u64,
    /// The largest value that `source_bytes_held` ever had.
    pub source_peak_bytes: u64,
}

impl LazyStats {
    /// Returns the share of requests answered from the cache, `0.0..=1.0`; 0 before the first
    /// request.
    pub fn hit_rate(&self) -> f64 {
        match self.hits + self.misses {
            0 => 0.0,
            requests => self.hits as f64 / requests as f64,
        }
    }

    /// Returns the number of frames decoded per request answered with a frame; 0 before the first.
    /// For a clip that is read once, 1 is the minimum. Seeking and reading in reverse increase the
    /// number, the cache reduces it.
    pub fn decoded_per_served(&self) -> f64 {
        match (self.hits + self.misses).saturating_sub(self.errors) {
            0 => 0.0,
            served => self.frames_decoded as f64 / served as f64,
        }
    }

    /// Returns an upper bound in bytes for what the cache and its source ever held at once.
    pub fn peak_total_bytes(&self) -> u64 {
        self.peak_bytes + self.source_peak_bytes
    }

    pub(crate) fn record_wait(&mut self, waited: Duration) {
        self.wait_total += waited;
        self.wait_max = self.wait_max.max(waited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_waits() {
        let mut stats = LazyStats::default();
        assert_eq!(stats.hit_rate(), 0.0);
        stats.hits = 3;
        stats.misses = 1;
        assert_eq!(stats.hit_rate(), 0.75);
        assert_eq!(LazyStats::default().decoded_per_served(), 0.0);
        (stats.frames_decoded, stats.errors) = (6, 1);
        assert_eq!(stats.decoded_per_served(), 2.0);
        (stats.peak_bytes, stats.source_peak_bytes) = (3, 4);
        assert_eq!(stats.peak_total_bytes(), 7);
        stats.record_wait(Duration::from_millis(5));
        stats.record_wait(Duration::from_millis(2));
        assert_eq!(
            (stats.wait_total, stats.wait_max),
            (Duration::from_millis(7), Duration::from_millis(5))
        );
    }
}
