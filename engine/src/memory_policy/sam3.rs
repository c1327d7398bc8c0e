//! SAM 3's selection of memories.

use sam2_model::{MemorySelection, PointerMemory};
use serde::{Deserialize, Serialize};

use super::{Earlier, MemoryPolicy, MemoryView, Retained, finite};
use crate::frame_record::FrameRecord;
use crate::memory_bank::MemoryReach;

/// Options of [`Sam3Policy`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sam3Options {
    /// A frame is remembered if its confidence is above this, 0..1: its object score, scaled to
    /// 0..1, times its predicted IoU. Default 0.01 (`mf_threshold`); `None` or a number that is not
    /// finite = every frame.
    pub min_confidence: Option<f32>,
    /// How many places back the policy searches for such frames; at least as many as the model has
    /// (six). The original looks back to the first frame.
    ///
    /// A place is a frame, or with [`crate::SessionOptions::memory_temporal_stride`] every n-th
    /// frame. A bounded session keeps the memories of all these places: about 1 MB each at 1024 x
    /// 1024, on both sides of every prompt.
    pub look_back: usize,
}

impl Default for Sam3Options {
    fn default() -> Self {
        Self { min_confidence: Some(0.01), look_back: 60 }
    }
}

/// Reads the frames on which the model is sure that it sees the object, as SAM 3's tracker does
/// (`use_memory_selection` of `sam3`, after SAM2Long, arXiv:2410.16268).
///
/// The six places go to the newest frames whose confidence is high enough, the newest in the newest
/// place, however far back they lie. The preceding frame is always among them. Pointers are those
/// of the same frames, at most fifteen, and their age is their rank in this list, not their
/// distance. As in the original, the oldest frame of the list gives no pointer.
///
/// Differs from the original in that the search ends after [`Sam3Options::look_back`] places, and
/// that the first frame of a recording is not left out of a forward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sam3Policy {
    options: Sam3Options,
}

impl Sam3Policy {
    /// Returns a policy with these options.
    pub fn new(options: Sam3Options) -> Self {
        Self { options }
    }

    /// Returns the options.
    pub fn options(&self) -> Sam3Options {
        self.options
    }

    fn places(&self, reach: &MemoryReach) -> usize {
        self.options.look_back.max(reach.places())
    }

    fn remembers(&self, record: &FrameRecord) -> bool {
        finite(self.options.min_confidence).is_none_or(|least| confidence(record) > least)
    }

    /// Returns the frames that are remembered, newest first: at most one less than
    /// [`MemoryView::pointer_limit`], and the preceding frame in addition if it is not one of them.
    fn remembered<'a>(&self, view: &MemoryView<'a>) -> Vec<Earlier<'a>> {
        let query = view.query();
        // Frames at equal distances: multiples of the stride, as in the official policy, would leave
        // out the frame before the last.
        let steps = |place: usize| place.saturating_mul(query.reach.stride).saturating_add(1);
        let frames = (0..self.places(&query.reach))
            .map_while(|place| query.direction.back(query.frame, steps(place)))
            .take_while(|&frame| frame < query.frame_count);
        let mut remembered: Vec<Earlier<'a>> = frames
            .filter_map(|frame| view.at(frame))
            .filter(|earlier| !earlier.conditioning)
            .filter(|earlier| earlier.record.is_none_or(|record| self.remembers(record)))
            .take(view.pointer_limit().saturating_sub(1))
            .collect();
        let preceding = view.back(1);
        if let Some(preceding) = preceding
            && remembered.first().is_none_or(|newest| newest.steps > 1)
        {
            remembered.insert(0, preceding);
        }
        remembered
    }
}

/// Returns the object score, scaled from 0 (absent) to 1, times the predicted IoU.
fn confidence(record: &FrameRecord) -> f32 {
    let score = record.object_score;
    if score > 0.0 { (2.0 / (1.0 + (-score).exp()) - 1.0) * record.predicted_iou } else { 0.0 }
}

impl MemoryPolicy for Sam3Policy {
    fn name(&self) -> &str {
        "sam3"
    }

    fn retains(&self, reach: &MemoryReach) -> Retained {
        Retained { memories: reach.furthest(self.places(reach)), frames: 0, apart: 0 }
    }

    fn select(&self, view: &MemoryView<'_>) -> MemorySelection {
        let chosen = view.conditioning();
        let remembered = self.remembered(view);
        let places = view.query().reach.places();
        // The preceding frame may be a conditioning frame that is read already; its place stays
        // empty.
        let is_new =
            |earlier: &Earlier<'_>| !chosen.iter().any(|(frame, _)| *frame == earlier.frame);
        let mut spatial: Vec<_> =
            chosen.iter().filter_map(|(_, outcome)| Some((0, outcome.memory.clone()?))).collect();
        let newest = remembered.iter().take(places).enumerate().rev();
        spatial.extend(
            newest
                .filter(|(_, earlier)| is_new(earlier))
                .filter_map(|(rank, earlier)| Some((places - rank, earlier.memory?.clone()))),
        );
        let limit = view.pointer_limit();
        let mut pointers = view.pointers_behind(chosen.iter().copied());
        let ranked = (1..limit.min(remembered.len())).zip(&remembered);
        pointers.extend(
            ranked.filter(|(_, earlier)| is_new(earlier)).map(|(rank, earlier)| PointerMemory {
                distance: rank as i64,
                ..earlier.pointer()
            }),
        );
        MemorySelection { spatial, pointers, pointer_time_scale: limit.saturating_sub(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_bank::MemoryBank;
    use crate::memory_policy::OfficialPolicy;
    use crate::memory_policy::testing::{
        self, distances, outcome, reach, record, times, tracked_bank, values,
    };
    use crate::session::Direction;

    const POLICY: Sam3Policy =
        Sam3Policy { options: Sam3Options { min_confidence: Some(0.01), look_back: 60 } };

    /// Returns a bank prompted on frame 0 and tracked from 1 to `last`, in which the object is
    /// absent from the `absent` frames.
    fn bank(last: usize, absent: &[usize]) -> MemoryBank {
        let object_score = |frame| if absent.contains(&frame) { -3.0 } else { 3.0 };
        tracked_bank(last, |frame| FrameRecord { object_score: object_score(frame), ..record(50) })
    }

    fn select(bank: &MemoryBank, frame: usize, stride: usize) -> MemorySelection {
        let reach = MemoryReach { stride, ..reach() };
        POLICY.select(&testing::view(bank, &POLICY, frame, Direction::Forward, reach))
    }

    #[test]
    fn the_defaults_are_those_of_the_original() {
        assert_eq!(Sam3Options::default(), POLICY.options);
    }

    #[test]
    fn where_the_object_is_always_seen_the_memories_are_the_official_ones() {
        let bank = bank(59, &[]);
        for frame in 1..60 {
            let view = testing::view(&bank, &OfficialPolicy, frame, Direction::Forward, reach());
            let (ours, official) = (select(&bank, frame, 1), OfficialPolicy.select(&view));
            assert_eq!((times(&ours), values(&ours)), (times(&official), values(&official)));
        }
        // The oldest of the fifteen gives no pointer.
        let expected: Vec<i64> = std::iter::once(40).chain(1..15).collect();
        assert_eq!(distances(&select(&bank, 40, 1)), expected);
    }

    #[test]
    fn frames_without_the_object_are_passed_over_except_the_preceding_one() {
        let bank = bank(39, &[22, 26, 27, 28, 29]);
        let selection = select(&bank, 30, 1);
        assert_eq!(times(&selection), [0, 1, 2, 3, 4, 5, 6]);
        // Frame 29 is the preceding one.
        assert_eq!(values(&selection), [0.0, 20.0, 21.0, 23.0, 24.0, 25.0, 29.0]);
        // Fifteen remembered frames and the preceding one, without the oldest: age is rank.
        let expected: Vec<i64> = std::iter::once(30).chain(1..16).collect();
        assert_eq!(distances(&selection), expected);
        let pointer: f32 = selection.pointers[2].pointer.clone().mean().into_scalar();
        assert_eq!(pointer, 25.0);
        // Nothing but the preceding frame, which gives no pointer then.
        let selection = select(&self::bank(5, &[1, 2, 3, 4, 5]), 6, 1);
        assert_eq!((times(&selection), values(&selection)), (vec![0, 6], vec![0.0, 5.0]));
        assert_eq!(distances(&selection), [6]);
    }

    #[test]
    fn it_searches_as_far_as_it_says() {
        let absent: Vec<usize> = (50..=120).collect();
        let bank = bank(120, &absent);
        assert_eq!(values(&select(&bank, 109, 1)), [0.0, 49.0, 108.0]);
        assert_eq!(values(&select(&bank, 110, 1)), [0.0, 109.0]);
        // With a stride, the frames at equal distances from the preceding one.
        assert_eq!(values(&select(&bank, 45, 4)), [0.0, 24.0, 28.0, 32.0, 36.0, 40.0, 44.0]);
    }

    #[test]
    fn a_preceding_prompt_leaves_its_place_empty() {
        let mut bank = bank(39, &[]);
        bank.insert_conditioning(29, outcome(29.0));
        let selection = select(&bank, 30, 1);
        assert_eq!(times(&selection), [0, 0, 1, 2, 3, 4, 5]);
        assert_eq!(values(&selection), [0.0, 29.0, 24.0, 25.0, 26.0, 27.0, 28.0]);
        assert_eq!(distances(&selection)[..3], [30, 1, 2]);
    }

    #[test]
    fn confidence_is_score_times_predicted_iou() {
        let of = |object_score, predicted_iou| {
            confidence(&FrameRecord { object_score, predicted_iou, ..record(50) })
        };
        assert_eq!([of(0.0, 1.0), of(-2.0, 1.0), of(f32::NAN, 1.0)], [0.0; 3]);
        assert!((of(1.0, 0.5) - 0.5 * (0.5_f32).tanh()).abs() < 1e-6);
        assert!(of(50.0, 1.0) == 1.0);
        let remembers = |min_confidence, score| {
            let policy = Sam3Policy::new(Sam3Options { min_confidence, ..POLICY.options });
            policy.remembers(&FrameRecord { object_score: score, ..record(50) })
        };
        assert!(remembers(Some(0.01), 0.03) && !remembers(Some(0.01), 0.02));
        assert!(remembers(None, -5.0) && remembers(Some(f32::NAN), -5.0));
    }
}
