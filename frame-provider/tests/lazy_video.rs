//! The cache in front of a real video: the same frames, with few waits, in bounded memory.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Workshop, hash, oracle};
use sam2_frame_provider::{FrameSource, LazyFrames, LazyOptions};

const X264: &str = "-c:v libx264 -preset ultrafast -threads 1 -bf 3 -b_strategy 0 -sc_threshold 0 -pix_fmt yuv420p";

#[test]
fn both_directions_with_a_working_consumer() {
    let workshop = Workshop::new();
    let path = workshop.film("320x180", 30, 5.0, &format!("{X264} -g 50"), "film.mp4");
    let expected = oracle(&path, 320 * 180 * 3);
    let options = LazyOptions { cache_frames: 10, ..LazyOptions::default() };
    let lazy = LazyFrames::open(&path, options).unwrap();
    let middle = expected.len() / 2;
    for index in (middle..expected.len()).chain((0..middle).rev()) {
        assert_eq!(hash(&lazy, index), expected[index], "frame {index}");
        std::thread::sleep(Duration::from_millis(4)); // The model at work.
    }
    let stats = lazy.stats();
    println!("{stats:?}, hit rate {:.3}, {:?}", stats.hit_rate(), lazy.info().decode_stats);
    assert!(stats.hit_rate() > 0.8, "{stats:?}");
    assert!(stats.peak_bytes <= 10 * 320 * 180 * 3);
    assert!(lazy.info().decode_stats.frames_decoded < 3 * expected.len() as u64);
    lazy.clear();
    assert_eq!(lazy.stats().bytes_held, 0);
}

#[test]
fn several_readers_of_one_video() {
    let workshop = Workshop::new();
    let path = workshop.film("160x96", 30, 3.0, &format!("{X264} -g 15"), "film.mkv");
    let expected = oracle(&path, 160 * 96 * 3);
    let lazy = Arc::new(LazyFrames::open(&path, LazyOptions::default()).unwrap());
    let count = expected.len();
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let (lazy, expected) = (Arc::clone(&lazy), &expected);
            scope.spawn(move || {
                for step in 0..count {
                    let index = [step, count - 1 - step, step * 37 % count][reader];
                    assert_eq!(
                        hash(&lazy, index),
                        expected[index],
                        "reader {reader}, frame {index}"
                    );
                }
            });
        }
    });
    let stats = lazy.stats();
    assert_eq!(stats.hits + stats.misses, 3 * count as u64);
}
