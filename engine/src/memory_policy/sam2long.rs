//! SAM2Long's several pathways and its choice of memories.

use sam2_model::MemorySelection;
use serde::{Deserialize, Serialize};

use super::guarded::{GuardedOptions, GuardedPolicy};
use super::pathways::Pathways;
use super::{MemoryPolicy, MemoryQuery, MemoryRead, MemoryView, Retained};
use crate::memory_bank::MemoryReach;

/// Options of [`Sam2longPolicy`]. Limits that are not finite count as `None`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sam2longOptions {
    /// Maximum number of pathways of an object; default 3, and 0 counts as 1. With 1, only the
    /// choice of memories is left.
    pub pathways: usize,
    /// The model is unsure about a frame if the object score (a logit) of every pathway is closer to
    /// 0 than this; default 2, `None` = never. Of candidates whose predicted IoUs are equal to two
    /// decimals, only the best is then followed.
    pub unsure_below: Option<f32>,
    /// A pathway remembers a frame only if its object score there is above this; default 0, `None` =
    /// any score.
    pub min_object_score: Option<f32>,
    /// A pathway remembers a frame only if the predicted IoU of its mask there is at or above this,
    /// 0..1; default 0.3, `None` = any value.
    pub min_predicted_iou: Option<f32>,
    /// How many places back a pathway searches for such frames; at least as many as the model has
    /// (six). Default 30. The paper has no limit.
    ///
    /// A place is a frame, or with [`crate::SessionOptions::memory_temporal_stride`] every n-th
    /// frame. A bounded session keeps the memories of all these places: about 1 MB each at 1024 x
    /// 1024, on both sides of every prompt, and again for each pathway in which they differ.
    pub look_back: usize,
}

impl Default for Sam2longOptions {
    fn default() -> Self {
        Self {
            pathways: 3,
            unsure_below: Some(2.0),
            min_object_score: Some(0.0),
            min_predicted_iou: Some(0.3),
            look_back: 30,
        }
    }
}

/// Follows several pathways, each of which remembers only frames on which it sees the object, after
/// SAM2Long (Ding et al., ICCV 2025, arXiv:2410.16268). Written from the paper, without its code.
///
/// - **Pathways.** See [`Pathways`].
/// - **Memories.** The six places go to the most recent frames whose object score and predicted IoU
///   are high enough, and pointers are those of such frames, as in [`GuardedPolicy`] without
///   distractor frames.
///
/// Differs from the paper: masks are returned frame by frame, from the pathway that is best so far;
/// the search for memories ends after [`Sam2longOptions::look_back`] places; and memories are not
/// weighted by their object scores in the attention.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sam2longPolicy {
    options: Sam2longOptions,
}

impl Sam2longPolicy {
    /// Returns a policy with these options.
    pub fn new(options: Sam2longOptions) -> Self {
        Self { options }
    }

    /// Returns the options.
    pub fn options(&self) -> Sam2longOptions {
        self.options
    }

    /// Returns the policy that chooses a pathway's memories.
    fn gate(&self) -> GuardedPolicy {
        let Sam2longOptions { min_object_score, min_predicted_iou, look_back, .. } = self.options;
        GuardedPolicy::new(GuardedOptions {
            min_object_score,
            min_predicted_iou,
            distrust_flagged: false,
            look_back,
            max_distractor_frames: 0,
            distractor_iou: None,
            ..GuardedOptions::default()
        })
    }
}

impl MemoryPolicy for Sam2longPolicy {
    fn name(&self) -> &str {
        "sam2long"
    }

    fn retains(&self, reach: &MemoryReach) -> Retained {
        self.gate().retains(reach)
    }

    fn select(&self, view: &MemoryView<'_>) -> MemorySelection {
        self.gate().select(view)
    }

    fn reads(&self, query: &MemoryQuery) -> Vec<MemoryRead> {
        self.gate().reads(query)
    }

    fn pathways(&self) -> Pathways {
        let Sam2longOptions { pathways: count, unsure_below, .. } = self.options;
        Pathways { count, unsure_below }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame_record::FrameRecord;
    use crate::memory_policy::OfficialPolicy;
    use crate::memory_policy::testing::{
        distances, reach, record, times, tracked_bank, values, view,
    };
    use crate::session::Direction;

    #[test]
    fn the_defaults_are_those_of_the_paper() {
        let policy = Sam2longPolicy::default();
        let expected = Pathways { count: 3, unsure_below: Some(2.0) };
        assert_eq!((policy.pathways(), policy.name()), (expected, "sam2long"));
        let Sam2longOptions { min_object_score, min_predicted_iou, .. } = policy.options();
        assert_eq!((min_object_score, min_predicted_iou), (Some(0.0), Some(0.3)));
    }

    #[test]
    fn frames_without_the_object_or_with_a_poor_mask_are_not_remembered() {
        let bank = tracked_bank(20, |frame| FrameRecord {
            object_score: if frame == 18 { -0.1 } else { 9.0 },
            predicted_iou: if frame == 19 { 0.29 } else { 0.3 },
            ..record(50)
        });
        let policy = Sam2longPolicy::default();
        let select = |policy: &dyn MemoryPolicy| {
            policy.select(&view(&bank, policy, 21, Direction::Forward, reach()))
        };
        let chosen = select(&policy);
        assert_eq!(values(&chosen), [0.0, 13.0, 14.0, 15.0, 16.0, 17.0, 20.0]);
        assert_eq!(times(&chosen), [0, 1, 2, 3, 4, 5, 6]);
        assert!(!distances(&chosen).contains(&2) && !distances(&chosen).contains(&3));

        let all = Sam2longOptions {
            min_object_score: None,
            min_predicted_iou: None,
            ..Sam2longOptions::default()
        };
        let (trusting, official) = (select(&Sam2longPolicy::new(all)), select(&OfficialPolicy));
        assert_eq!(values(&trusting), values(&official));
        assert_eq!(distances(&trusting), distances(&official));
    }
}
