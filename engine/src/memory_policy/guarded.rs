//! A policy for look-alikes and occlusion that reads only trusted memories.

use sam2_model::MemorySelection;
use serde::{Deserialize, Serialize};

use super::{
    Candidates, Earlier, MemoryPolicy, MemoryQuery, MemoryRead, MemoryView, Retained, finite,
};
use crate::frame_record::FrameRecord;
use crate::memory_bank::MemoryReach;

/// Options of [`GuardedPolicy`]. The defaults were chosen on generated clips with the demonstration
/// model (`docs/memory-policies.md`). Thresholds that are not finite count as `None`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardedOptions {
    /// A frame is trusted only if its object score is above this; `None` = any score.
    pub min_object_score: Option<f32>,
    /// A frame is trusted only if its predicted IoU is at or above this, 0..1; `None` = any value.
    pub min_predicted_iou: Option<f32>,
    /// A frame is trusted only if its mask is not flagged ([`crate::QualityFlag`]).
    pub distrust_flagged: bool,
    /// How many places back the policy searches for trusted memories; at least as many as the model
    /// has (six).
    ///
    /// A place is a frame, or with [`crate::SessionOptions::memory_temporal_stride`] every n-th
    /// frame. A bounded session keeps the memories of all these places: about 1 MB each at 1024 x
    /// 1024, on both sides of every prompt.
    pub look_back: usize,
    /// Maximum number of frames with a distractor to keep in reserve; 0 = off.
    pub max_distractor_frames: usize,
    /// Minimum number of frames between two of them, and between one of them and a prompted frame.
    pub distractor_spacing: usize,
    /// A candidate counts as a second object if its predicted IoU is at least this share of the
    /// mask's predicted IoU; `None` = off.
    pub distractor_iou: Option<f32>,
}

impl Default for GuardedOptions {
    fn default() -> Self {
        Self {
            min_object_score: Some(0.0),
            min_predicted_iou: Some(0.2),
            distrust_flagged: false,
            look_back: 30,
            max_distractor_frames: 3,
            distractor_spacing: 5,
            distractor_iou: Some(0.7),
        }
    }
}

/// Reads trusted frames instead of simply the last ones. The policy needs no training and follows
/// ideas of SAMURAI (Yang et al. 2024, arXiv:2411.11922), DAM4SAM (Videnovic et al. 2024,
/// arXiv:2411.17576) and SAM2Long (Ding et al. 2024, arXiv:2410.16268); it reproduces none of them.
///
/// - **Gate.** A frame becomes an ordinary memory and pointer only if its object score and
///   predicted IoU are high enough and, if so set, its mask is not flagged. Prompted frames always
///   pass. The six places go to the most recent trusted frames within
///   [`GuardedOptions::look_back`], so that an occlusion does not fill the memory with the
///   obstacle.
/// - **Distractors.** A trusted frame in which another candidate shows a second object is kept in
///   reserve and read like a conditioning frame: it shows the model which of the two is meant.
///   There are few such frames, spaced in time.
///
/// If every frame is trusted and there is no distractor, the policy reads what
/// [`super::OfficialPolicy`] reads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GuardedPolicy {
    options: GuardedOptions,
}

/// To count as a second object, a candidate must cover an area outside the mask within this range,
/// as a share of the mask's area.
const SECOND_OBJECT_AREA: std::ops::RangeInclusive<f64> = 0.4..=2.5;
/// A second object may share at most this part of its own area with the mask.
const SECOND_OBJECT_OVERLAP: f64 = 0.2;

impl GuardedPolicy {
    /// Returns a policy with these options.
    pub fn new(options: GuardedOptions) -> Self {
        Self { options }
    }

    /// Returns the options.
    pub fn options(&self) -> GuardedOptions {
        self.options
    }

    fn trusts(&self, record: &FrameRecord) -> bool {
        let GuardedOptions { min_object_score, min_predicted_iou, distrust_flagged, .. } =
            self.options;
        let (score, iou) = (record.object_score, record.predicted_iou);
        let seen = finite(min_object_score).is_none_or(|least| score > least);
        let sure = finite(min_predicted_iou).is_none_or(|least| iou >= least);
        let remarkable = distrust_flagged && !record.flags.is_empty();
        record.prompted || (seen && sure && !remarkable)
    }

    /// Returns the maximum number of places to search.
    fn places(&self, reach: &MemoryReach) -> usize {
        self.options.look_back.max(reach.places())
    }

    /// Returns the maximum number of frames with a distractor to keep.
    fn apart(&self) -> usize {
        let GuardedOptions { max_distractor_frames, distractor_iou, .. } = self.options;
        finite(distractor_iou).map_or(0, |_| max_distractor_frames)
    }
}

impl MemoryPolicy for GuardedPolicy {
    fn name(&self) -> &str {
        "guarded"
    }

    fn retains(&self, reach: &MemoryReach) -> Retained {
        let memories = reach.furthest(self.places(reach));
        Retained { memories, frames: 0, apart: self.apart() }
    }

    fn select(&self, view: &MemoryView<'_>) -> MemorySelection {
        let query = view.query();
        let chosen = view.conditioning();
        let apart: Vec<_> = view.kept_apart().collect();
        let always = || chosen.iter().chain(&apart).copied();
        let is_chosen = |frame| chosen.iter().any(|(f, _)| *f == frame);
        let is_apart = |frame| apart.iter().any(|(f, _)| *f == frame);
        let trusted = |earlier: &Earlier<'_>| {
            !is_apart(earlier.frame) && earlier.record.is_none_or(|record| self.trusts(record))
        };
        let mut spatial: Vec<_> =
            always().filter_map(|(_, outcome)| Some((0, outcome.memory.clone()?))).collect();

        let mut recent = Vec::new();
        let mut time = query.reach.places();
        for place in query.places(self.places(&query.reach)) {
            if time == 0 {
                break;
            }
            match view.at(place).filter(|earlier| !is_chosen(earlier.frame)) {
                // Its place goes to an older frame, as if this one did not exist.
                Some(earlier) if !trusted(&earlier) => continue,
                Some(earlier) => {
                    recent.extend(earlier.memory.map(|memory| (time, memory.clone())));
                }
                // No result, or a conditioning frame: the place stays empty, as in the official
                // policy.
                None => {}
            }
            time -= 1;
        }
        spatial.extend(recent.into_iter().rev());

        let serves = |earlier: &Earlier<'_>| !is_chosen(earlier.frame) && trusted(earlier);
        let pointers = view.pointers(always(), serves);
        let pointer_time_scale = view.pointer_limit().saturating_sub(1);
        MemorySelection { spatial, pointers, pointer_time_scale }
    }

    fn reads(&self, query: &MemoryQuery) -> Vec<MemoryRead> {
        let places = query.places(self.places(&query.reach));
        places.map(|frame| MemoryRead { frame, memory: true }).collect()
    }

    fn reads_candidates(&self) -> bool {
        self.apart() > 0
    }

    /// Returns whether a candidate shows a second object of similar size that scores nearly as
    /// high.
    fn sees_distractor(&self, candidates: &Candidates) -> bool {
        let chosen = candidates.most_confident();
        let Some(mask) = candidates.all().get(chosen).filter(|mask| mask.area > 0) else {
            return false;
        };
        let Some(share) = finite(self.options.distractor_iou) else { return false };
        candidates.all().iter().enumerate().any(|(index, other)| {
            let outside = candidates.area_outside(index, chosen) as f64;
            index != chosen
                && other.predicted_iou >= share * mask.predicted_iou
                && SECOND_OBJECT_AREA.contains(&(outside / mask.area as f64))
                && outside >= (1.0 - SECOND_OBJECT_OVERLAP) * other.area as f64
        })
    }

    fn keeps_apart(&self, view: &MemoryView<'_>, record: &FrameRecord) -> bool {
        let frame = view.query().frame;
        record.distractor
            && self.trusts(record)
            && view
                .conditioning()
                .into_iter()
                .chain(view.kept_apart())
                .all(|(known, _)| known.abs_diff(frame) >= self.options.distractor_spacing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_bank::MemoryBank;
    use crate::memory_policy::OfficialPolicy;
    use crate::memory_policy::testing::{
        self, candidates, distances, outcome, reach, record, times, tracked_bank, values,
    };
    use crate::session::{Direction, QualityFlag, QualityFlags};

    const POLICY: GuardedPolicy = GuardedPolicy {
        options: GuardedOptions {
            min_object_score: Some(0.0),
            min_predicted_iou: Some(0.5),
            distrust_flagged: true,
            look_back: 15,
            max_distractor_frames: 3,
            distractor_spacing: 5,
            distractor_iou: Some(0.7),
        },
    };

    fn view(bank: &MemoryBank, frame: usize, direction: Direction) -> MemoryView<'_> {
        testing::view(bank, &POLICY, frame, direction, reach())
    }

    /// Returns a bank prompted on frame 0 and tracked from 1 to `last`, in which the `bad` frames
    /// are not trusted.
    fn bank(last: usize, bad: &[usize]) -> MemoryBank {
        let predicted_iou = |frame| if bad.contains(&frame) { 0.4 } else { 0.9 };
        tracked_bank(last, |frame| FrameRecord {
            predicted_iou: predicted_iou(frame),
            ..record(50)
        })
    }

    #[test]
    fn where_everything_is_trusted_it_selects_what_the_official_policy_selects() {
        let mut bank = bank(59, &[]);
        for frame in [26, 43] {
            bank.insert_conditioning(frame, outcome(frame as f32));
            bank.insert_record(frame, FrameRecord { prompted: true, ..FrameRecord::default() });
        }
        bank.forget_tracked(50, 52);
        for (stride, cap) in [(1, None), (3, None), (1, Some(2)), (2, Some(2))] {
            let reach = MemoryReach { stride, max_conditioning_frames: cap, ..reach() };
            for frame in 1..60 {
                for direction in [Direction::Forward, Direction::Reverse] {
                    let select = |policy: &dyn MemoryPolicy| {
                        let view = testing::view(&bank, policy, frame, direction, reach);
                        let selection = policy.select(&view);
                        let scale = selection.pointer_time_scale;
                        (times(&selection), values(&selection), distances(&selection), scale)
                    };
                    assert_eq!(select(&POLICY), select(&OfficialPolicy), "{frame} {direction:?}");
                }
            }
        }
    }

    #[test]
    fn frames_that_are_not_trusted_leave_their_places_to_older_ones() {
        let bank = bank(29, &[22, 26, 27, 28, 29]);
        let selection = POLICY.select(&view(&bank, 30, Direction::Forward));
        assert_eq!(times(&selection), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(values(&selection), [0.0, 19.0, 20.0, 21.0, 23.0, 24.0, 25.0]);
        assert_eq!(distances(&selection), [30, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15]);
    }

    #[test]
    fn it_does_not_look_back_for_ever() {
        let bad: Vec<usize> = (10..=29).collect();
        let bank = bank(29, &bad);
        assert_eq!(times(&POLICY.select(&view(&bank, 30, Direction::Forward))), [0]);
        let selection = POLICY.select(&view(&bank, 23, Direction::Forward));
        assert_eq!(values(&selection), [0.0, 8.0, 9.0]);
        assert_eq!(times(&selection), [0, 5, 6]);
    }

    #[test]
    fn what_is_trusted() {
        let good = record(50);
        assert!(POLICY.trusts(&good));
        let flags = QualityFlags::from_iter([QualityFlag::AreaJump]);
        let doubtful = [
            FrameRecord { object_score: 0.0, ..good },
            FrameRecord { object_score: f32::NAN, ..good },
            FrameRecord { predicted_iou: 0.49, ..good },
            FrameRecord { predicted_iou: f32::NAN, ..good },
            FrameRecord { flags, ..good },
        ];
        let off = GuardedPolicy::new(GuardedOptions {
            min_object_score: None,
            min_predicted_iou: Some(f32::INFINITY),
            distrust_flagged: false,
            ..POLICY.options
        });
        for record in doubtful {
            assert!(!POLICY.trusts(&record), "{record:?}");
            assert!(off.trusts(&record), "{record:?}");
            assert!(POLICY.trusts(&FrameRecord { prompted: true, ..record }), "{record:?}");
        }
    }

    #[test]
    fn a_frame_with_a_distractor_is_looked_at_like_a_conditioning_frame() {
        let mut bank = bank(40, &[]);
        bank.keep_apart(10, 3);
        let selection = POLICY.select(&view(&bank, 41, Direction::Forward));
        assert_eq!(times(&selection), [0, 0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(values(&selection)[..2], [0.0, 10.0]);
        assert_eq!(distances(&selection)[..3], [41, 31, 1]);
        // It does not also take an ordinary place.
        let selection = POLICY.select(&view(&bank, 12, Direction::Forward));
        assert_eq!(values(&selection), [0.0, 10.0, 5.0, 6.0, 7.0, 8.0, 9.0, 11.0]);
        assert_eq!(distances(&selection)[..4], [12, 2, 1, 3]);
        // The frame itself and later frames are not read.
        for frame in [5, 10] {
            let selection = POLICY.select(&view(&bank, frame, Direction::Forward));
            assert_eq!(times(&selection).iter().filter(|&&time| time == 0).count(), 1, "{frame}");
        }
    }

    #[test]
    fn frames_are_kept_apart_if_they_are_trusted_and_not_too_near() {
        let mut bank = bank(40, &[]);
        bank.keep_apart(20, 3);
        let seen = FrameRecord { distractor: true, ..record(50) };
        let asked =
            |frame, record| POLICY.keeps_apart(&view(&bank, frame, Direction::Forward), &record);
        assert!(asked(25, seen) && asked(5, seen));
        // Too near the frame in reserve, and too near the prompted frame.
        assert!(!asked(24, seen) && !asked(4, seen));
        assert!(!asked(25, record(50)));
        assert!(!asked(25, FrameRecord { predicted_iou: 0.1, ..seen }));
    }

    #[test]
    fn a_second_object_is_as_likely_as_large_and_elsewhere() {
        let seen = |other| POLICY.sees_distractor(&candidates(&[(0, 4, 0.8), other, (0, 5, 0.7)]));
        assert!(seen((8, 12, 0.6)));
        // Less likely; a part; the same with a margin; much larger; much smaller.
        for other in [(8, 12, 0.5), (1, 4, 0.7), (0, 6, 0.7), (4, 16, 0.7), (8, 9, 0.7)] {
            assert!(!seen(other), "{other:?}");
        }
        assert!(!POLICY.sees_distractor(&candidates(&[])));
        let none = GuardedOptions { distractor_iou: None, ..POLICY.options };
        assert_eq!(GuardedPolicy::new(none).retains(&reach()).apart, 0);
    }
}
