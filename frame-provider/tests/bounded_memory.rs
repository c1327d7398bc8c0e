//! Memory over a long film. This is a separate test, since it measures the memory of the whole
//! process.

mod common;

use common::Workshop;
use sam2_frame_provider::resize::{ResizeMode, Scale};
use sam2_frame_provider::{FrameSource, LazyFrames, LazyOptions, VideoFrames, VideoOptions};

const X264: &str = "-c:v libx264 -preset ultrafast -threads 1 -bf 2 -b_strategy 0 -sc_threshold 0 -g 250 \
                    -keyint_min 250 -pix_fmt yuv420p";

#[test]
fn ten_thousand_frames_in_each_direction_in_bounded_memory() {
    let workshop = Workshop::new();
    let path = workshop.film("160x96", 25, 400.0, X264, "film.mp4");
    let frame_bytes = 160 * 96 * 3;
    let scale = Scale::square(128, ResizeMode::PillowBicubic);
    let budget = 8 << 20;
    for (reverse, scaled) in [(false, false), (true, false), (true, true)] {
        let options = VideoOptions { reverse_bytes: budget, ..VideoOptions::default() };
        let video = VideoFrames::open_with(&path, options).unwrap();
        let lazy = LazyFrames::new(video, LazyOptions::default());
        let before = resident_bytes();
        let mut peak = 0;
        for step in 0..10_000 {
            let index = if reverse { 9_999 - step } else { step };
            match scaled {
                true => drop(lazy.scaled(index, scale).unwrap()),
                false => drop(lazy.frame(index).unwrap()),
            }
            if step % 500 == 0 {
                peak = peak.max(resident_bytes().saturating_sub(before));
            }
        }
        let stats = lazy.stats();
        println!(
            "reverse: {reverse}, scaled: {scaled}: RSS grew by {:.1} MB, held at most {:.1} + {:.1} MB, {:.3} decoded per \
             served",
            peak as f64 / 1e6,
            stats.peak_bytes as f64 / 1e6,
            stats.source_peak_bytes as f64 / 1e6,
            stats.decoded_per_served()
        );
        let scaled_bytes = if scaled { 12 * 128 * 128 * 3 } else { 0 };
        assert!(stats.peak_bytes <= 50 * frame_bytes + scaled_bytes, "{stats:?}");
        assert!(stats.source_peak_bytes <= budget + (1 << 20), "{stats:?}");
        assert!(stats.decoded_per_served() <= 1.3);
        // Allowance for two more decoders, the allocator, and pages of code. The frames themselves
        // would need 461 MB.
        assert!(peak <= stats.peak_total_bytes() + (48 << 20), "{peak}");
    }
}

/// Returns the resident memory of this process as the kernel counts it; 0 if the kernel does not
/// say.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0) * 4096
}
