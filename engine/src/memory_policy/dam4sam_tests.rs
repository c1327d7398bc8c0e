//! Tests of DAM4SAM's memory.

use super::*;
use crate::memory_bank::MemoryBank;
use crate::memory_policy::testing::{
    self, candidates, distances, outcome, reach, record, times, tracked_bank, values,
};

const POLICY: Dam4samPolicy = Dam4samPolicy {
    options: Dam4samOptions {
        update_every: 5,
        look_back: 12,
        max_distractor_frames: 3,
        distractor_spacing: 6,
        min_predicted_iou: Some(0.8),
        area_change: Some(0.2),
        area_frames: 10,
        distractor_box_iou: Some(0.7),
    },
};

fn view(bank: &MemoryBank, frame: usize, direction: Direction) -> MemoryView<'_> {
    testing::view(bank, &POLICY, frame, direction, reach())
}

/// Returns a bank prompted on frame 0 and tracked from 1 to `last`, in which the `empty` frames
/// have no mask.
fn bank(last: usize, empty: &[usize]) -> MemoryBank {
    let area = |frame| if empty.contains(&frame) { 0 } else { 50 };
    let mut bank = tracked_bank(last, |frame| record(area(frame)));
    bank.insert_record(0, FrameRecord { prompted: true, ..record(50) });
    bank
}

/// Returns the frames of the recent memories, oldest first.
fn recent(bank: &MemoryBank, frame: usize) -> Vec<f32> {
    let selection = POLICY.select(&view(bank, frame, Direction::Forward));
    let conditioning = times(&selection).iter().filter(|&&time| time == 0).count();
    let newest_last: Vec<usize> = times(&selection)[conditioning..].to_vec();
    let first = 7 - newest_last.len();
    assert_eq!(newest_last, (first..7).collect::<Vec<_>>(), "the newest has place 6");
    values(&selection)[conditioning..].to_vec()
}

#[test]
fn the_defaults_are_the_published_numbers() {
    assert_eq!(Dam4samOptions::default(), POLICY.options);
}

#[test]
fn recent_memories_are_the_preceding_frame_and_every_fifth() {
    let bank = bank(59, &[]);
    assert_eq!(recent(&bank, 43), [20.0, 25.0, 30.0, 35.0, 40.0, 42.0]);
    // A multiple that is the preceding frame itself is read once.
    assert_eq!(recent(&bank, 41), [15.0, 20.0, 25.0, 30.0, 35.0, 40.0]);
    // The prompted frame is read as such, so its place goes to no other.
    assert!(recent(&bank, 1).is_empty());
    assert_eq!(recent(&bank, 4), [3.0]);
    assert_eq!(recent(&bank, 8), [5.0, 7.0]);
    let selection = POLICY.select(&view(&bank, 43, Direction::Forward));
    assert_eq!(values(&selection)[0], 0.0);
    let expected: Vec<i64> = std::iter::once(43).chain(1..16).collect();
    assert_eq!(distances(&selection), expected);
}

#[test]
fn a_reverse_pass_takes_multiples_too() {
    let mut bank = MemoryBank::default();
    bank.insert_conditioning(90, outcome(90.0));
    for frame in 40..90 {
        bank.insert_tracked(frame, outcome(frame as f32));
        bank.insert_record(frame, record(50));
    }
    let selection = POLICY.select(&view(&bank, 47, Direction::Reverse));
    assert_eq!(values(&selection), [90.0, 70.0, 65.0, 60.0, 55.0, 50.0, 48.0]);
    assert_eq!(distances(&selection)[..3], [43, 1, 2]);
}

#[test]
fn frames_with_an_empty_mask_are_not_remembered() {
    let bank = bank(59, &[30, 40, 41, 42]);
    // The newest frame with a mask, and from there the multiples.
    assert_eq!(recent(&bank, 43), [10.0, 15.0, 20.0, 25.0, 35.0, 39.0]);
    let selection = POLICY.select(&view(&bank, 43, Direction::Forward));
    let expected: Vec<i64> = std::iter::once(43).chain((4..16).filter(|d| *d != 13)).collect();
    assert_eq!(distances(&selection), expected);
    // A long absence leaves the prompt alone.
    let absent: Vec<usize> = (1..=100).collect();
    assert!(recent(&self::bank(100, &absent), 101).is_empty());
    // Sessions saved before areas were recorded have no records.
    let mut old = MemoryBank::default();
    old.insert_conditioning(0, outcome(0.0));
    (1..8).for_each(|frame| old.insert_tracked(frame, outcome(frame as f32)));
    assert_eq!(recent(&old, 8), [5.0, 7.0]);
}

#[test]
fn distractor_frames_take_places_of_recent_ones() {
    let mut bank = bank(59, &[]);
    for (frame, expected) in [
        (10, vec![20.0, 25.0, 30.0, 35.0, 42.0]),
        (20, vec![25.0, 30.0, 35.0, 42.0]),
        (30, vec![25.0, 35.0, 42.0]),
        // Read as the preceding frame, and with the memory in the reserve.
        (42, vec![25.0, 35.0, -42.0]),
    ] {
        bank.keep_apart(frame, 4);
        bank.set_memory_apart(frame, outcome(-(frame as f32)).memory.unwrap());
        let mut expected = expected;
        // The multiple at 40 is the first behind the preceding frame in every case.
        expected.insert(expected.len() - 1, 40.0);
        let places = 6 - bank.kept_apart().filter(|(f, _)| *f != 42).count();
        let expected = expected[expected.len() - places..].to_vec();
        assert_eq!(recent(&bank, 43), expected, "{frame}");
    }
    let selection = POLICY.select(&view(&bank, 43, Direction::Forward));
    assert_eq!(values(&selection)[..4], [0.0, -10.0, -20.0, -30.0]);
    // Distractor frames give pointers like conditioning frames, whatever their age.
    assert_eq!(distances(&selection)[..5], [43, 33, 23, 13, 1]);
    assert_eq!(distances(&selection).len(), 4 + 14);
    // With a newer one, the most distant one is an ordinary frame again.
    let selection = POLICY.select(&view(&bank, 44, Direction::Forward));
    assert_eq!(values(&selection)[..4], [0.0, -20.0, -30.0, -42.0]);
    // Frames to come are not read.
    let selection = POLICY.select(&view(&bank, 20, Direction::Forward));
    assert_eq!(values(&selection)[..2], [0.0, -10.0]);
    assert_eq!(times(&selection).iter().filter(|&&time| time == 0).count(), 2);
}

#[test]
fn what_becomes_a_distractor_frame() {
    let seen = FrameRecord { distractor: true, ..record(50) };
    let mut bank = bank(40, &[38, 39]);
    let kept = |bank: &MemoryBank, frame, record| {
        POLICY.keeps_apart(&view(bank, frame, Direction::Forward), &record)
    };
    assert!(kept(&bank, 41, seen));
    for other in [
        record(50),
        FrameRecord { predicted_iou: 0.8, ..seen },
        FrameRecord { predicted_iou: f32::NAN, ..seen },
        FrameRecord { area: 0, ..seen },
        FrameRecord { area: 39, ..seen },
        FrameRecord { area: 61, ..seen },
    ] {
        assert!(!kept(&bank, 41, other), "{other:?}");
    }
    assert!(kept(&bank, 41, FrameRecord { area: 40, predicted_iou: 0.801, ..seen }));
    assert!(kept(&bank, 41, FrameRecord { area: 60, ..seen }));
    // The first tracked frame has no usual area; the prompt's is not counted.
    assert!(!kept(&bank, 1, seen));
    assert!(kept(&bank, 2, seen));
    // More than five frames after the last one, and whatever lies ahead.
    bank.keep_apart(30, 4);
    assert!(!kept(&bank, 35, seen));
    assert!(kept(&bank, 36, seen) && kept(&bank, 29, seen));
}

#[test]
fn the_usual_area_is_a_median_of_ten() {
    let mut bank = MemoryBank::default();
    bank.insert_conditioning(0, outcome(0.0));
    for (frame, area) in (1..).zip([9, 9, 100, 100, 100, 100, 0, 200, 200, 200, 200, 200]) {
        bank.insert_tracked(frame, outcome(frame as f32));
        bank.insert_record(frame, record(area));
    }
    // The last nine with a mask have areas of 100 (four) and 200 (five), so that this one and 200 are
    // in the middle if this one is between them.
    let usual = |area| POLICY.area_is_usual(&view(&bank, 13, Direction::Forward), area);
    assert!(usual(200) && usual(240) && !usual(241));
    // The medians are 170 and 165.
    assert!(usual(140) && !usual(130));
    let any = Dam4samPolicy::new(Dam4samOptions { area_change: None, ..POLICY.options });
    assert!(any.area_is_usual(&view(&bank, 13, Direction::Forward), 1));
}

#[test]
fn a_distractor_reaches_out_of_the_box_of_the_mask() {
    let seen = |other| POLICY.sees_distractor(&candidates(&[(0, 7, 0.9), other, (0, 6, 0.1)]));
    // 7 of 10 columns are 0.7, however little the model trusts the candidate.
    assert!(seen((5, 10, 0.0)) && seen((12, 13, 0.5)));
    assert!(!seen((5, 9, 0.8)) && !seen((2, 5, 0.8)));
    assert!(!POLICY.sees_distractor(&candidates(&[])));
    assert!(!POLICY.sees_distractor(&candidates(&[(3, 3, 0.9), (0, 16, 0.8), (1, 2, 0.1)])));
    let off = Dam4samOptions { distractor_box_iou: None, ..POLICY.options };
    let off = Dam4samPolicy::new(off);
    assert_eq!((off.retains(&reach()).apart, off.reads_candidates()), (0, false));
}

#[test]
fn odd_numbers_do_no_harm() {
    let bank = bank(59, &[]);
    for (update_every, look_back) in [(0, 0), (usize::MAX, 1), (1, usize::MAX), (7, usize::MAX)] {
        let options = Dam4samOptions {
            update_every,
            look_back,
            max_distractor_frames: usize::MAX,
            area_frames: usize::MAX,
            ..POLICY.options
        };
        let policy = Dam4samPolicy::new(options);
        for (frame, direction) in [(60, Direction::Forward), (0, Direction::Reverse)] {
            let view = testing::view(&bank, &policy, frame, direction, reach());
            let selection = policy.select(&view);
            assert!((2..=7).contains(&selection.spatial.len()), "{update_every} {look_back}");
            assert!(policy.reads(view.query()).len() < 200);
        }
    }
}
