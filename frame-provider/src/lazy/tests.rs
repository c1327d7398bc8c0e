use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::size::FrameSize;
use crate::source_info::{DecodeStats, Timing};

const SIZE: FrameSize = FrameSize { width: 2, height: 1 };

/// A source that records what is decoded, and can be made to fail or to wait.
#[derive(Default)]
struct Probe {
    count: AtomicUsize,
    decoded: Mutex<Vec<usize>>,
    failing: Mutex<HashSet<usize>>,
    panicking: AtomicBool,
    busy: AtomicUsize,
    overlapped: AtomicBool,
    /// Frames whose decode waits until they are removed from this set.
    held: Mutex<HashSet<usize>>,
    released: Condvar,
}

impl Probe {
    fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { count: count.into(), ..Self::default() })
    }

    fn decoded(&self) -> Vec<usize> {
        self.decoded.lock().unwrap().clone()
    }

    fn hold(&self, index: usize) {
        self.held.lock().unwrap().insert(index);
    }

    fn release(&self, index: usize) {
        self.held.lock().unwrap().remove(&index);
        self.released.notify_all();
    }

    /// Waits until `length` frames have been decoded or begun, and a little longer so that one too
    /// many would show.
    fn settle(&self, length: usize) -> Vec<usize> {
        for _ in 0..500 {
            if self.decoded().len() >= length {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(30));
        self.decoded()
    }
}

impl FrameSource for Probe {
    fn info(&self) -> SourceInfo {
        SourceInfo::new(self.count.load(Ordering::SeqCst), SIZE)
            .with_timing(Timing::from_rate(30.0))
            .with_description("probe")
            .with_warnings(["a warning".to_owned()])
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        if self.busy.fetch_add(1, Ordering::SeqCst) > 0 {
            self.overlapped.store(true, Ordering::SeqCst);
        }
        self.decoded.lock().unwrap().push(index);
        let mut held = self.held.lock().unwrap();
        while held.contains(&index) {
            held = self.released.wait(held).unwrap();
        }
        drop(held);
        self.busy.fetch_sub(1, Ordering::SeqCst);
        assert!(!self.panicking.load(Ordering::SeqCst), "told to panic");
        if self.failing.lock().unwrap().contains(&index) {
            return Err(FrameError::decode("probe".as_ref(), index, "told to fail"));
        }
        Ok(Arc::new(RgbFrame::from_parts(SIZE, (index as u64).to_le_bytes()[..6].to_vec())))
    }
}

fn options(cache_frames: usize, prefetch: usize) -> LazyOptions {
    LazyOptions { cache_frames, prefetch, ..LazyOptions::default() }
}

fn number(frame: &RgbFrame) -> usize {
    usize::from(frame.data()[0]) + (usize::from(frame.data()[1]) << 8)
}

#[test]
fn forwards_what_the_source_says() {
    let lazy = LazyFrames::new(Probe::new(7), LazyOptions::default());
    let info = lazy.info();
    assert_eq!((info.frame_count, info.size, &*info.description), (7, SIZE, "probe"));
    assert_eq!((info.timing, info.warnings.len()), (Timing::from_rate(30.0), 1));
    assert_eq!(info.warnings[0], "a warning");
    assert_eq!(info.decode_stats, DecodeStats::default());
    assert!(matches!(lazy.frame(7), Err(FrameError::IndexOutOfRange { index: 7, count: 7, .. })));
    assert_eq!(lazy.stats(), LazyStats::default());
}

#[test]
fn counts_hits_misses_and_bytes() {
    let probe = Probe::new(100);
    let lazy = LazyFrames::new(Arc::clone(&probe), options(3, 0));
    for index in [0, 1, 0, 2, 3, 1, 0] {
        assert_eq!(number(&lazy.frame(index).unwrap()), index);
    }
    // 1 was the least recently used when 3 came, and 0 when 1 came back.
    assert_eq!(probe.decoded(), [0, 1, 2, 3, 1, 0]);
    let stats = lazy.stats();
    assert_eq!((stats.hits, stats.misses, stats.evicted), (1, 6, 3));
    assert_eq!((stats.frames_held, stats.bytes_held, stats.peak_bytes), (3, 18, 18));
    assert!(stats.hit_rate() > 0.14 && stats.hit_rate() < 0.15);
    assert!(stats.wait_max <= stats.wait_total);
}

#[test]
fn prefetches_in_the_direction_of_travel() {
    let probe = Probe::new(100);
    let lazy = LazyFrames::new(Arc::clone(&probe), options(20, 3));
    lazy.frame(50).unwrap();
    assert_eq!(probe.settle(4), [50, 51, 52, 53]);
    lazy.frame(51).unwrap();
    assert_eq!(probe.settle(5)[4..], [54]);
    // One step back: 50 is cached; then onwards in reverse.
    lazy.frame(50).unwrap();
    assert_eq!(probe.settle(8)[5..], [49, 48, 47]);
    lazy.frame(49).unwrap();
    assert_eq!(probe.settle(9)[8..], [46]);
    // A jump stops prefetching, and the same step twice starts it again.
    lazy.frame(10).unwrap();
    assert_eq!(probe.settle(10)[9..], [10]);
    lazy.frame(20).unwrap();
    lazy.frame(30).unwrap();
    assert_eq!(probe.settle(14)[10..], [20, 30, 40, 60], "50 is still there");
    let stats = lazy.stats();
    assert_eq!((stats.hits, stats.prefetched, stats.wasted), (3, 10, 0));
}

#[test]
fn prefetching_ends_at_the_ends_and_within_the_cache() {
    let probe = Probe::new(4);
    let lazy = LazyFrames::new(Arc::clone(&probe), options(50, 10));
    lazy.frame(1).unwrap();
    assert_eq!(probe.settle(3), [1, 2, 3]);
    lazy.frame(0).unwrap();
    assert_eq!(probe.settle(4), [1, 2, 3, 0]);

    let probe = Probe::new(100);
    let lazy = LazyFrames::new(Arc::clone(&probe), options(3, 10));
    lazy.frame(0).unwrap();
    assert_eq!(probe.settle(3), [0, 1, 2], "no more than fits beside the present frame");
    assert_eq!(lazy.stats().frames_held, 3);
}

#[test]
fn limits_by_bytes() {
    let limited = |bytes| {
        LazyFrames::new(Probe::new(9), LazyOptions { cache_bytes: Some(bytes), ..options(50, 5) })
    };
    assert_eq!(limited(6 * 4 + 5).capacity(), 4);
    assert_eq!(limited(0).capacity(), 1);
    assert_eq!(LazyFrames::new(Probe::new(9), options(0, 5)).capacity(), 1);
    let lazy = limited(6 * 4);
    for index in 0..9 {
        lazy.frame(index).unwrap();
    }
    assert!(lazy.stats().peak_bytes <= 24);
}

#[test]
fn a_hit_does_not_wait_for_a_decode() {
    let probe = Probe::new(100);
    let lazy = LazyFrames::new(Arc::clone(&probe), options(10, 2));
    probe.hold(2);
    lazy.frame(0).unwrap();
    assert_eq!(probe.settle(3), [0, 1, 2], "the worker now waits in frame 2");
    assert_eq!(number(&lazy.frame(0).unwrap()), 0);
    assert_eq!(number(&lazy.frame(1).unwrap()), 1);
    assert_eq!(lazy.stats().hits, 2);
    probe.release(2);
    // Requested in flight or just after: decoded once either way.
    assert_eq!(number(&lazy.frame(2).unwrap()), 2);
    assert_eq!(probe.settle(5).iter().filter(|&&index| index == 2).count(), 1);
}

#[test]
fn callers_of_one_frame_share_its_decode() {
    let probe = Probe::new(100);
    let lazy = LazyFrames::new(Arc::clone(&probe), options(10, 0));
    probe.hold(5);
    std::thread::scope(|scope| {
        let callers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| number(&lazy.frame(5).unwrap()))).collect();
        while lazy.stats().misses < 4 {
            std::thread::yield_now();
        }
        probe.release(5);
        assert!(callers.into_iter().all(|caller| caller.join().unwrap() == 5));
    });
    assert_eq!(probe.decoded(), [5]);
    assert!(lazy.shared_is_idle());
}

#[test]
fn a_late_prefetch_is_counted() {
    let probe = Probe::new(100);
    let lazy = LazyFrames::new(Arc::clone(&probe), options(10, 1));
    probe.hold(1);
    lazy.frame(0).unwrap();
    probe.settle(2);
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| number(&lazy.frame(1).unwrap()));
        while lazy.stats().misses < 2 {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(20));
        probe.release(1);
        assert_eq!(caller.join().unwrap(), 1);
    });
    let stats = lazy.stats();
    assert_eq!(stats.late, 1);
    assert!(
        stats.wait_max >= Duration::from_millis(20) && stats.wait_total >= stats.wait_max,
        "{stats:?}"
    );
}

#[test]
fn errors_go_to_whoever_asks_for_that_frame_and_are_not_kept() {
    let probe = Probe::new(100);
    probe.failing.lock().unwrap().extend([2, 30]);
    let lazy = LazyFrames::new(Arc::clone(&probe), options(10, 3));
    lazy.frame(0).unwrap();
    assert_eq!(probe.settle(4), [0, 1, 2, 3]);
    assert!(lazy.frame(1).is_ok(), "the failed prefetch of another frame is not reported here");
    assert_eq!(probe.settle(5), [0, 1, 2, 3, 4], "a failed prefetch is not repeated on its own");
    assert!(matches!(lazy.frame(2), Err(FrameError::Decode { index: 2, .. })));
    probe.failing.lock().unwrap().clear();
    assert_eq!(number(&lazy.frame(2).unwrap()), 2, "the next request tries again");
    probe.failing.lock().unwrap().insert(30);
    for _ in 0..2 {
        assert!(matches!(lazy.frame(30), Err(FrameError::Decode { index: 30, .. })));
    }
    assert_eq!(lazy.stats().errors, 3);
}

#[test]
fn a_panic_of_the_source_is_an_error_of_that_frame() {
    let probe = Probe::new(100);
    let lazy = LazyFrames::new(Arc::clone(&probe), options(10, 0));
    probe.panicking.store(true, Ordering::SeqCst);
    let error = lazy.frame(3).unwrap_err();
    assert_eq!(error.to_string(), "probe: frame 3: the source panicked: told to panic");
    probe.panicking.store(false, Ordering::SeqCst);
    assert_eq!(number(&lazy.frame(3).unwrap()), 3);
}

#[test]
fn clear_frees_everything_and_stops_prefetching() {
    let probe = Probe::new(100);
    let lazy = LazyFrames::new(Arc::clone(&probe), options(10, 3));
    probe.hold(2);
    let kept = lazy.frame(0).unwrap();
    probe.settle(3);
    lazy.clear();
    probe.release(2);
    assert_eq!(probe.settle(3), [0, 1, 2], "nothing is decoded ahead after a clear");
    let stats = lazy.stats();
    assert_eq!((stats.frames_held, stats.bytes_held, stats.wasted), (0, 0, 2));
    assert_eq!(Arc::strong_count(&kept), 1, "only the caller still holds the frame");
    assert_eq!(number(&lazy.frame(0).unwrap()), 0);
}

#[test]
fn renumbering_by_the_source_empties_the_cache() {
    let probe = Probe::new(100);
    let lazy = LazyFrames::new(Arc::clone(&probe), options(10, 0));
    lazy.frame(0).unwrap();
    lazy.frame(1).unwrap();
    probe.count.store(99, Ordering::SeqCst);
    lazy.frame(50).unwrap();
    lazy.frame(1).unwrap();
    assert_eq!(probe.decoded(), [0, 1, 50, 1]);
    assert!(lazy.frame(99).is_err());
}

#[test]
fn dropping_while_busy_stops_and_joins_the_thread() {
    for _ in 0..20 {
        let probe = Probe::new(1000);
        let lazy = LazyFrames::new(Arc::clone(&probe), options(200, 100));
        lazy.frame(0).unwrap();
        drop(lazy);
        assert_eq!(Arc::strong_count(&probe), 1, "the thread has let go of the source");
    }
}

#[test]
fn works_without_a_worker() {
    let probe = Probe::new(10);
    let shared = Arc::new(Shared::new(Box::new(Arc::clone(&probe)), options(2, 5)));
    let lazy = LazyFrames { shared, worker: None };
    for index in [0, 0, 1, 2, 0] {
        assert_eq!(number(&lazy.frame(index).unwrap()), index);
    }
    assert_eq!((lazy.stats().hits, probe.decoded()), (1, vec![0, 1, 2, 0]));
}

#[test]
fn many_threads_get_the_right_frames() {
    let probe = Probe::new(300);
    probe.failing.lock().unwrap().extend([13, 77, 200]);
    let lazy = LazyFrames::new(Arc::clone(&probe), options(12, 4));
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let lazy = &lazy;
            scope.spawn(move || {
                let mut state = thread as u64 + 1;
                for round in 0..1500_usize {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let index = match thread % 3 {
                        0 => round % 300,
                        1 => 299 - round % 300,
                        _ => (state >> 33) as usize % 300,
                    };
                    match lazy.frame(index) {
                        Ok(frame) => assert_eq!(number(&frame), index),
                        Err(error) => assert!(matches!(
                            error,
                            FrameError::Decode { index: 13 | 77 | 200, .. }
                        )),
                    }
                    if thread == 5 && round % 100 == 0 {
                        lazy.clear();
                    }
                }
            });
        }
    });
    assert!(!probe.overlapped.load(Ordering::SeqCst), "only the worker decodes");
    let stats = lazy.stats();
    assert_eq!(stats.hits + stats.misses, 8 * 1500);
    assert!(stats.frames_held <= 12 && stats.peak_bytes <= 72);
    assert!(lazy.shared_is_idle());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Without prefetching, the cache is a plain list of the most recently used frames.
    #[test]
    fn behaves_like_a_simple_model(
        capacity in 1_usize..6,
        requests in proptest::collection::vec((0_usize..10, proptest::bool::weighted(0.05)), 0..60),
    ) {
        let probe = Probe::new(9);
        probe.failing.lock().unwrap().insert(4);
        let lazy = LazyFrames::new(Arc::clone(&probe), options(capacity, 0));
        let (mut recent, mut decoded, mut hits) = (Vec::new(), Vec::new(), 0);
        for (index, clear) in requests {
            if clear {
                lazy.clear();
                recent.clear();
            }
            let outcome = lazy.frame(index);
            prop_assert_eq!(outcome.is_ok(), index != 4 && index != 9);
            if index == 9 {
                continue;
            }
            if recent.contains(&index) {
                hits += 1;
            } else {
                decoded.push(index);
            }
            recent.retain(|held| *held != index);
            if index != 4 {
                recent.push(index);
            }
            if recent.len() > capacity {
                recent.remove(0);
            }
            let stats = lazy.stats();
            prop_assert_eq!((stats.hits, stats.frames_held), (hits, recent.len()));
            prop_assert_eq!(stats.bytes_held, recent.len() as u64 * 6);
        }
        prop_assert_eq!(probe.decoded(), decoded);
    }

    /// With prefetching, each request gets the right answer and the cache stays within its limits.
    #[test]
    fn prefetching_never_changes_an_answer(
        capacity in 1_usize..8,
        prefetch in 0_usize..10,
        requests in proptest::collection::vec(0_usize..40, 0..60),
    ) {
        let probe = Probe::new(40);
        let lazy = LazyFrames::new(Arc::clone(&probe), options(capacity, prefetch));
        for index in requests {
            prop_assert_eq!(number(&lazy.frame(index).unwrap()), index);
        }
        let stats = lazy.stats();
        prop_assert!(stats.frames_held <= capacity && stats.peak_bytes <= capacity as u64 * 6);
    }
}
