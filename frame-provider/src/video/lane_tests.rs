//! Tests of the lane with a clip that consists of numbers only. They check which frames come, how
//! many are decoded for them and how many are held, and test the passing of frames between the
//! threads under many thread interleavings.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::lane::{self, Lane};

/// The lane compiled a second time, with the locks of a model checker.
#[path = "lane.rs"]
#[allow(dead_code)]
mod checked;

mod sync {
    pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub(super) use std::sync::PoisonError;
}

/// Combined counts of all producers of one test.
#[derive(Default)]
struct Tally {
    decoded: AtomicUsize,
    held: AtomicUsize,
    most_held: AtomicUsize,
}

/// A frame that knows its index, and is counted while it lives.
struct Frame(usize, Arc<Tally>);

impl Frame {
    fn new(number: usize, tally: &Arc<Tally>) -> Self {
        let held = tally.held.fetch_add(1, Ordering::SeqCst) + 1;
        tally.most_held.fetch_max(held, Ordering::SeqCst);
        Self(number, Arc::clone(tally))
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.1.held.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A clip with a key frame at each multiple of `group`. Each frame takes one byte.
struct Clip {
    group: usize,
    /// Index of a missing frame.
    hole: Option<usize>,
    next: usize,
    tally: Arc<Tally>,
}

impl Clip {
    fn new(group: usize, tally: &Arc<Tally>) -> Self {
        Self { group, hole: None, next: 0, tally: Arc::clone(tally) }
    }

    fn begin(&mut self, last: usize, room: u64) -> usize {
        let key = last / self.group * self.group;
        self.next = key;
        key.max((last + 1).saturating_sub(lane::window_frames(room, 1)))
    }

    fn next(&mut self) -> Option<(usize, Frame)> {
        let number = self.next;
        self.next += 1;
        self.tally.decoded.fetch_add(1, Ordering::SeqCst);
        (self.hole != Some(number)).then(|| (number, Frame::new(number, &self.tally)))
    }
}

impl lane::Produce for Clip {
    type Frame = Frame;
    fn begin(&mut self, last: usize, room: u64) -> Result<usize, lane::Lost> {
        Ok(self.begin(last, room))
    }
    fn next(&mut self) -> Result<(usize, Frame), lane::Lost> {
        self.next().ok_or(lane::Lost)
    }
    fn bytes(_: &Frame) -> u64 {
        1
    }
}

impl checked::Produce for Clip {
    type Frame = Frame;
    fn begin(&mut self, last: usize, room: u64) -> Result<usize, checked::Lost> {
        shuttle::thread::yield_now();
        Ok(self.begin(last, room))
    }
    fn next(&mut self) -> Result<(usize, Frame), checked::Lost> {
        shuttle::thread::yield_now();
        self.next().ok_or(checked::Lost)
    }
    fn bytes(_: &Frame) -> u64 {
        1
    }
}

fn known(range: Range<usize>, tally: &Arc<Tally>) -> BTreeMap<usize, Arc<Frame>> {
    range.map(|number| (number, Arc::new(Frame::new(number, tally)))).collect()
}

#[test]
fn one_pass_in_reverse_decodes_each_frame_once_if_a_group_fits() {
    for (budget, limit) in [(300, 1.0), (208, 1.25), (200, 1.3), (108, 2.0)] {
        let tally = Arc::new(Tally::default());
        let lane = Lane::start(Clip::new(250, &tally), budget).unwrap();
        lane.jump(999, BTreeMap::new());
        for number in (0..1000).rev() {
            assert_eq!(lane.take(number).unwrap().0, number);
        }
        let decoded = tally.decoded.load(Ordering::SeqCst) as f64 / 1000.0;
        assert!(decoded <= limit, "budget {budget}: {decoded} decoded per served frame");
        // In addition to the frames held, the reader has one frame and the decoder another.
        let most = tally.most_held.load(Ordering::SeqCst);
        assert!(most as u64 <= budget + 2, "budget {budget}: {most} held");
        drop(lane);
        assert_eq!(tally.held.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn frames_that_are_known_already_are_not_decoded_again() {
    let tally = Arc::new(Tally::default());
    let lane = Lane::start(Clip::new(50, &tally), 100).unwrap();
    lane.jump(79, known(50..80, &tally));
    for number in (0..80).rev() {
        assert_eq!(lane.take(number).unwrap().0, number);
    }
    assert_eq!(tally.decoded.load(Ordering::SeqCst), 50);
    lane.rest();
    assert!(lane.is_resting());
    assert_eq!(tally.held.load(Ordering::SeqCst), 0);
}

#[test]
fn what_is_not_on_the_way_is_not_waited_for() {
    let tally = Arc::new(Tally::default());
    let lane = Lane::start(Clip::new(10, &tally), 40).unwrap();
    assert!(lane.take(5).is_none(), "nothing was asked for yet");
    lane.jump(99, BTreeMap::new());
    assert_eq!(lane.take(99).unwrap().0, 99);
    assert!(lane.take(500).is_none());
    assert!(lane.take(3).is_none());
    assert!(!lane.is_lost());
}

#[test]
fn a_missing_frame_ends_the_lane_but_not_the_frames_before_it() {
    let tally = Arc::new(Tally::default());
    let lane = Lane::start(Clip { hole: Some(40), ..Clip::new(20, &tally) }, 200).unwrap();
    lane.jump(79, BTreeMap::new());
    for number in (60..80).rev() {
        assert_eq!(lane.take(number).unwrap().0, number);
    }
    assert!(lane.take(59).is_none());
    assert!(lane.is_lost());
}

#[test]
fn a_producer_that_panics_leaves_nobody_waiting() {
    struct Panics;
    impl lane::Produce for Panics {
        type Frame = ();
        fn begin(&mut self, _: usize, _: u64) -> Result<usize, lane::Lost> {
            Ok(0)
        }
        fn next(&mut self) -> Result<(usize, ()), lane::Lost> {
            panic!("told to panic");
        }
        fn bytes((): &()) -> u64 {
            1
        }
    }
    let lane = Lane::start(Panics, 10).unwrap();
    lane.jump(5, BTreeMap::new());
    assert!(lane.take(5).is_none());
    assert!(lane.is_lost());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Any request returns the right frame or none, never a wrong one, and the memory limit holds.
    #[test]
    fn any_walk(
        group in 1_usize..40,
        budget in 1_u64..80,
        steps in proptest::collection::vec((-6_isize..=3, proptest::bool::weighted(0.03)), 1..120),
    ) {
        let tally = Arc::new(Tally::default());
        let lane = Lane::start(Clip::new(group, &tally), budget).unwrap();
        let mut place = 100_usize;
        lane.jump(place, BTreeMap::new());
        for (step, jumps) in steps {
            place = place.saturating_add_signed(step).min(200);
            if jumps {
                lane.jump(place, BTreeMap::new());
            }
            let frame = lane.take(place);
            if let Some(frame) = &frame {
                prop_assert_eq!(frame.0, place);
            } else {
                lane.jump(place, BTreeMap::new());
                prop_assert_eq!(lane.take(place).unwrap().0, place);
            }
        }
        let most = tally.most_held.load(Ordering::SeqCst) as u64;
        // A budget below the minimum that works is exceeded up to that minimum.
        prop_assert!(most <= budget.max(9) + 2, "{} held", most);
    }
}

/// Reads with a lane under the model checker; `walk` is what the reader does.
fn check(budget: u64, walk: fn(&checked::Shared<Clip>)) {
    shuttle::check_random(
        move || {
            let tally = Arc::new(Tally::default());
            let shared = Arc::new(checked::Shared::new(budget));
            let worker = {
                let (shared, clip) = (Arc::clone(&shared), Clip::new(4, &tally));
                shuttle::thread::spawn(move || shared.work(clip))
            };
            walk(&shared);
            shared.stop();
            worker.join().unwrap();
        },
        3000,
    );
}

fn take_all(shared: &checked::Shared<Clip>, range: Range<usize>) {
    for number in range.rev() {
        assert_eq!(shared.take(number).unwrap().0, number);
    }
}

#[test]
fn no_order_of_threads_loses_a_frame() {
    for budget in [1, 9, 10, 13, 100] {
        check(budget, |shared| {
            shared.jump(9, BTreeMap::new());
            take_all(shared, 0..10);
        });
    }
}

#[test]
fn jumps_and_rests_at_any_time_do_no_harm() {
    check(11, |shared| {
        shared.jump(11, BTreeMap::new());
        take_all(shared, 10..12);
        shared.jump(5, BTreeMap::new());
        take_all(shared, 3..6);
        shared.rest();
        assert!(shared.take(2).is_none());
        shared.jump(7, BTreeMap::new());
        take_all(shared, 6..8);
    });
}
