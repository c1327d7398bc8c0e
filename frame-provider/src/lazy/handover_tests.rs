//! Tests of the exchange between callers and the prefetch thread, under many thread interleavings.
//!
//! `shared.rs` is compiled here a second time, with the locks of a model checker. The checker runs
//! one thread at a time and switches at random at each use of a lock. It reports deadlocks and lost
//! wake-ups with a schedule that reproduces them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use shuttle::thread;

use super::LazyOptions;
use super::cache::Wanted;
use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::resize::{ResizeMode, Scale};
use crate::size::FrameSize;
use crate::source::FrameSource;
use crate::source_info::SourceInfo;
use shared::Shared;

#[path = "shared.rs"]
#[allow(dead_code)]
mod shared;

mod sync {
    pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub(super) use std::sync::PoisonError;
}

/// Number of schedules to try in each test; all tests together take a few seconds.
const SCHEDULES: usize = 3000;

const COUNT: usize = 12;

/// A source of frames; frame 7 is bad.
#[derive(Default)]
struct Source {
    busy: AtomicBool,
    decoded: AtomicUsize,
}

impl FrameSource for Source {
    fn info(&self) -> SourceInfo {
        SourceInfo::new(COUNT, FrameSize { width: 1, height: 1 }).with_description("model")
    }
    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        assert!(!self.busy.swap(true, Ordering::SeqCst), "two decodes at the same time");
        thread::yield_now();
        self.decoded.fetch_add(1, Ordering::SeqCst);
        assert!(self.busy.swap(false, Ordering::SeqCst));
        if index == 7 {
            return Err(FrameError::decode("model".as_ref(), index, "torn"));
        }
        Ok(Arc::new(RgbFrame::from_parts(FrameSize { width: 1, height: 1 }, vec![index as u8; 3])))
    }
}

fn read(shared: &Shared, indices: impl Iterator<Item = usize>) {
    for index in indices {
        match shared.request(Wanted { kind: None, index }) {
            Ok(frame) => assert_eq!(usize::from(frame.data()[0]), index),
            Err(error) => assert!(matches!(error, FrameError::Decode { index: 7, .. }), "{error}"),
        }
    }
}

/// Reads scaled frames and checks that each has the same single colour as its frame.
fn read_scaled(shared: &Shared, indices: impl Iterator<Item = usize>) {
    let scale = Scale::square(2, ResizeMode::PillowBicubic);
    for index in indices {
        match shared.request(Wanted { kind: Some(scale), index }) {
            Ok(frame) => assert_eq!(frame.data(), [index as u8; 12]),
            Err(error) => assert!(matches!(error, FrameError::Decode { index: 7, .. }), "{error}"),
        }
    }
}

/// Runs `readers` in parallel with the worker, and then the checks that must hold after any
/// schedule.
fn run(options: LazyOptions, readers: Vec<fn(&Shared)>) {
    run_within(3, options, readers);
}

/// Does the same as [`run`], with frames of `bytes` bytes for each that the cache may hold.
fn run_within(bytes: u64, options: LazyOptions, readers: Vec<fn(&Shared)>) {
    let source = Arc::new(Source::default());
    let shared = Arc::new(Shared::new(Box::new(Arc::clone(&source)), options));
    let worker = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.work())
    };
    let readers: Vec<_> = readers
        .into_iter()
        .map(|reader| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || reader(&shared))
        })
        .collect();
    for reader in readers {
        reader.join().unwrap();
    }
    shared.stop();
    worker.join().unwrap();
    assert!(shared.is_idle(), "no demand is left behind");
    let stats = shared.stats(&shared.source().info());
    assert!(stats.frames_held <= shared.capacity());
    assert!(stats.peak_bytes <= bytes * shared.capacity() as u64);
    assert!(stats.wasted <= stats.prefetched);
}

fn options(cache_frames: usize, prefetch: usize) -> LazyOptions {
    LazyOptions { cache_frames, prefetch, ..LazyOptions::default() }
}

#[test]
fn readers_in_both_directions_get_their_frames() {
    shuttle::check_random(
        || {
            run(
                options(6, 2),
                vec![|shared| read(shared, 0..6), |shared| read(shared, (4..10).rev())],
            );
        },
        SCHEDULES,
    );
}

#[test]
fn readers_of_the_same_frames_share_them() {
    shuttle::check_random(
        || run(options(3, 1), vec![|shared| read(shared, 5..9), |shared| read(shared, 5..9)]),
        SCHEDULES,
    );
}

#[test]
fn readers_of_frames_and_of_scaled_frames_share_them() {
    shuttle::check_random(
        || {
            run_within(
                3 + 12,
                options(4, 2),
                vec![|shared| read_scaled(shared, 5..9), |shared| read(shared, 5..9), |shared| {
                    read_scaled(shared, [6, 2].into_iter());
                    shared.clear();
                }],
            );
        },
        SCHEDULES,
    );
}

#[test]
fn clearing_at_any_time_does_no_harm() {
    shuttle::check_random(
        || {
            run(
                options(4, 3),
                vec![|shared| read(shared, 0..5), |shared| {
                    shared.clear();
                    thread::yield_now();
                    shared.clear();
                }],
            );
        },
        SCHEDULES,
    );
}

/// Few switches between threads, at the worst places, which random choice seldom finds.
#[test]
fn rare_schedules() {
    shuttle::check_pct(
        || {
            run(
                options(2, 5),
                vec![|shared| read(shared, [0, 1, 2, 9].into_iter()), |shared| {
                    read(shared, [2, 1, 0, 7, 7].into_iter());
                    shared.clear();
                }],
            );
        },
        SCHEDULES,
        3,
    );
}

#[test]
fn stopping_while_prefetching_ends_the_worker() {
    let ends = Arc::new(std::sync::Mutex::new(HashSet::new()));
    let seen = Arc::clone(&ends);
    shuttle::check_random(
        move || {
            let source = Arc::new(Source::default());
            let shared = Arc::new(Shared::new(Box::new(Arc::clone(&source)), options(10, 5)));
            let worker = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.work())
            };
            read(&shared, 0..1);
            shared.stop();
            worker.join().unwrap();
            seen.lock().unwrap().insert(source.decoded.load(Ordering::SeqCst));
        },
        SCHEDULES,
    );
    assert!(ends.lock().unwrap().len() > 1, "the schedules differ: {ends:?}");
}
