//! DAM4SAM's distractor-aware memory.

use sam2_model::MemorySelection;
use serde::{Deserialize, Serialize};

use super::{Candidates, Earlier, MemoryPolicy, MemoryQuery, MemoryView, Retained, finite};
use crate::frame_record::FrameRecord;
use crate::memory_bank::{MemoryReach, Outcome};
use crate::session::Direction;

/// Options of [`Dam4samPolicy`]. The defaults are the published numbers, except for
/// [`Self::look_back`], which the original does not limit. Thresholds that are not finite count as
/// `None`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dam4samOptions {
    /// Recent memories are taken from every n-th frame, in addition to the preceding one; at least
    /// 1. Takes the place of [`crate::SessionOptions::memory_temporal_stride`].
    pub update_every: usize,
    /// How many of these frames the policy looks back for masks that are not empty; at least as
    /// many as the model has places (six). A bounded session keeps the memories of all frames
    /// between them: about 1 MB each at 1024 x 1024, on both sides of every prompt.
    pub look_back: usize,
    /// Maximum number of distractor frames that a frame reads; 0 = off. They take their places from
    /// the recent memories.
    pub max_distractor_frames: usize,
    /// Minimum number of frames from one distractor frame to the next.
    pub distractor_spacing: usize,
    /// A distractor frame must have a predicted IoU above this, 0..1; `None` = any value.
    pub min_predicted_iou: Option<f32>,
    /// The area of a distractor frame's mask may differ from the usual one by at most this share of
    /// it; `None` = any area.
    pub area_change: Option<f32>,
    /// The usual area is the median of the last n masks that are not empty, this one included; at
    /// least 1.
    pub area_frames: usize,
    /// A candidate shows a distractor if the bounding boxes of the mask alone, and of the mask with
    /// the candidate's largest region outside it, have at most this IoU, 0..1; `None` = off.
    pub distractor_box_iou: Option<f32>,
}

impl Default for Dam4samOptions {
    fn default() -> Self {
        Self {
            update_every: 5,
            look_back: 12,
            max_distractor_frames: 3,
            distractor_spacing: 6,
            min_predicted_iou: Some(0.8),
            area_change: Some(0.2),
            area_frames: 10,
            distractor_box_iou: Some(0.7),
        }
    }
}

/// Splits the memory into recent frames and distractor frames, as DAM4SAM does (Videnovic et al.,
/// CVPR 2025, arXiv:2411.17576).
///
/// - **Recent frames.** The preceding frame and, before it, every
///   [`n`](Dam4samOptions::update_every)-th frame. Frames with an empty mask are neither memories
///   nor pointers; their places go to older frames.
/// - **Distractor frames.** If another candidate shows something next to the object, and the mask
///   is reliable (a high predicted IoU, a usual area), the frame is kept in reserve and read like a
///   conditioning frame. Its memory is encoded from the hard mask, as that of a prompt.
///
/// A frame reads the conditioning frames and six other memories: the distractor frames closest in
/// time, up to three, and as many recent frames as there are places left. The preceding frame is
/// always a recent one.
///
/// Written from the paper and from the public reference's behaviour. Four things differ:
///
/// - Candidates are compared at the decoder's resolution, not at that of the recording.
/// - The search for older frames ends after [`Dam4samOptions::look_back`] places, so that a session
///   is bounded.
/// - A session may have several prompted frames and passes in both directions, which the reference
///   does not have.
/// - Only the distractor frames closest to the newest one are kept, not all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dam4samPolicy {
    options: Dam4samOptions,
}

impl Dam4samPolicy {
    /// Returns a policy with these options.
    pub fn new(options: Dam4samOptions) -> Self {
        Self { options }
    }

    /// Returns the options.
    pub fn options(&self) -> Dam4samOptions {
        self.options
    }

    fn update_every(&self) -> usize {
        self.options.update_every.max(1)
    }

    /// Returns how many frames back the policy reads.
    fn frames(&self, reach: &MemoryReach) -> usize {
        let reach = MemoryReach { stride: self.update_every(), ..*reach };
        reach.furthest(self.options.look_back.max(reach.places()))
    }

    /// Returns how many distractor frames a frame of this model reads at most.
    fn most_distractors(&self, reach: &MemoryReach) -> usize {
        let most = self.options.max_distractor_frames.min(reach.places());
        finite(self.options.distractor_box_iou).map_or(0, |_| most)
    }

    /// Returns the distractor frames to read, by frame index: the closest ones, without the
    /// preceding frame, which is read as a recent one.
    fn distractor_frames<'a>(&self, view: &MemoryView<'a>) -> Vec<(usize, &'a Outcome)> {
        let query = view.query();
        let preceding = query.place(1);
        let apart = view.kept_apart();
        let mut apart: Vec<_> = apart.filter(|(frame, _)| Some(*frame) != preceding).collect();
        apart.sort_by_key(|(frame, _)| query.frame.abs_diff(*frame));
        apart.truncate(self.most_distractors(&query.reach));
        apart.sort_by_key(|(frame, _)| *frame);
        apart
    }

    /// Returns the nearest multiple of [`Self::update_every`] that precedes `frame`.
    fn multiple_behind(&self, frame: usize, direction: Direction) -> Option<usize> {
        let every = self.update_every();
        match direction {
            Direction::Forward => Some(frame.checked_sub(1)? / every * every),
            Direction::Reverse => (frame / every + 1).checked_mul(every),
        }
    }

    /// Returns up to `count` recent frames, newest first: the preceding frame, or if that does not
    /// serve the newest one that does, and then every n-th frame.
    fn recent<'a>(
        &self,
        view: &MemoryView<'a>,
        count: usize,
        serves: impl Fn(&Earlier<'a>) -> bool,
    ) -> Vec<Earlier<'a>> {
        let MemoryQuery { frame, direction, frame_count, reach } = *view.query();
        let furthest = self.frames(&reach);
        let mut recent = Vec::new();
        let mut at = frame;
        while recent.len() < count {
            let next = if recent.is_empty() {
                direction.back(at, 1)
            } else {
                self.multiple_behind(at, direction)
            };
            let within = |next: &usize| *next < frame_count && next.abs_diff(frame) <= furthest;
            let Some(next) = next.filter(within) else { break };
            at = next;
            recent.extend(view.at(at).filter(&serves));
        }
        recent
    }

    /// Returns whether `area`, on the frame of `view`, is close to the median of the masks before it.
    /// Returns false if no frame was tracked before.
    fn area_is_usual(&self, view: &MemoryView<'_>, area: u64) -> bool {
        let Some(change) = finite(self.options.area_change).map(f64::from) else { return true };
        let query = view.query();
        let frames = (1..=self.frames(&query.reach))
            .map_while(|steps| query.direction.back(query.frame, steps))
            .take_while(|&frame| frame < query.frame_count);
        let mut earlier = frames
            .filter_map(|frame| view.at(frame))
            .filter(|earlier| !earlier.conditioning)
            .filter_map(|earlier| Some(earlier.record?.area))
            .peekable();
        if earlier.peek().is_none() {
            return false;
        }
        let others = self.options.area_frames.max(1) - 1;
        let mut areas: Vec<u64> = earlier.filter(|&area| area > 0).take(others).collect();
        areas.push(area);
        areas.sort_unstable();
        let middle = areas.len() / 2;
        let median = (areas[middle] + areas[(areas.len() - 1) / 2]) as f64 / 2.0;
        (1.0 - change..=1.0 + change).contains(&(area as f64 / median))
    }
}

/// Returns whether the frame's mask has pixels. Results of sessions that were saved before areas
/// were recorded count as having some.
fn is_visible(earlier: &Earlier<'_>) -> bool {
    earlier.record.is_none_or(|record| record.area > 0)
}

impl MemoryPolicy for Dam4samPolicy {
    fn name(&self) -> &str {
        "dam4sam"
    }

    fn retains(&self, reach: &MemoryReach) -> Retained {
        // The preceding frame is not read as a distractor frame, so one more is kept.
        let apart = match self.most_distractors(reach) {
            0 => 0,
            most => most.saturating_add(1),
        };
        Retained { memories: self.frames(reach), frames: 0, apart }
    }

    fn select(&self, view: &MemoryView<'_>) -> MemorySelection {
        let query = view.query();
        let chosen = view.conditioning();
        let distractors = self.distractor_frames(view);
        let always = || chosen.iter().chain(&distractors).copied();
        let is_always = |frame| always().any(|(f, _)| f == frame);
        let apart: Vec<_> = view.kept_apart().collect();
        let in_reserve = |frame| apart.iter().find(|(f, _)| *f == frame).map(|(_, o)| *o);

        let mut spatial: Vec<_> =
            always().filter_map(|(_, outcome)| Some((0, outcome.memory.clone()?))).collect();
        let places = query.reach.places();
        let recent = self.recent(view, places.saturating_sub(distractors.len()), |earlier| {
            let preceding = earlier.steps == 1;
            is_visible(earlier)
                && !is_always(earlier.frame)
                && (preceding || in_reserve(earlier.frame).is_none())
        });
        // The newest has the place of the newest, however many there are.
        let recent = recent.iter().enumerate().rev().filter_map(|(age, earlier)| {
            let in_reserve = in_reserve(earlier.frame).and_then(|outcome| outcome.memory.as_ref());
            Some((places - age, in_reserve.or(earlier.memory)?.clone()))
        });
        spatial.extend(recent);

        let serves = |earlier: &Earlier<'_>| !is_always(earlier.frame) && is_visible(earlier);
        let pointers = view.pointers(always(), serves);
        let pointer_time_scale = view.pointer_limit().saturating_sub(1);
        MemorySelection { spatial, pointers, pointer_time_scale }
    }

    fn reads_candidates(&self) -> bool {
        self.options.max_distractor_frames > 0 && finite(self.options.distractor_box_iou).is_some()
    }

    /// Returns whether a candidate reaches far out of the mask's bounding box.
    fn sees_distractor(&self, candidates: &Candidates) -> bool {
        let chosen = candidates.most_confident();
        let Some(most) = finite(self.options.distractor_box_iou) else { return false };
        (0..candidates.all().len())
            .filter(|&index| index != chosen)
            .filter_map(|index| candidates.box_iou_with_part_outside(index, chosen))
            .any(|iou| iou as f32 <= most)
    }

    fn keeps_apart(&self, view: &MemoryView<'_>, record: &FrameRecord) -> bool {
        let frame = view.query().frame;
        let sure =
            finite(self.options.min_predicted_iou).is_none_or(|least| record.predicted_iou > least);
        let spaced = |(known, _): (usize, &Outcome)| {
            known.abs_diff(frame) >= self.options.distractor_spacing
        };
        record.distractor
            && record.area > 0
            && sure
            && view.kept_apart().all(spaced)
            && self.area_is_usual(view, record.area)
    }

    fn encodes_apart_as_prompted(&self) -> bool {
        true
    }
}

#[cfg(test)]
#[path = "dam4sam_tests.rs"]
mod tests;
