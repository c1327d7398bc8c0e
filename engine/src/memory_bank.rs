//! Memories of one object, or of one of its pathways, for later frames.
//!
//! The official predictor keeps every frame's output for ever. Later frames read only what the
//! session's [`crate::MemoryPolicy`] selects: by default the conditioning frames, the six preceding
//! frames and sixteen pointers. [`MemoryBank`] keeps what can still be read and releases the rest.
//! An ordinary frame is one that was tracked or corrected and is not a conditioning frame.

use std::collections::{BTreeMap, BTreeSet};

use sam2_model::{MaskPrediction, MemoryFeatures, MemorySelection, Sam2Config, Tensor};
use serde::{Deserialize, Serialize};

use crate::frame_record::FrameRecord;
use crate::memory_policy::{MemoryPolicy, MemoryQuery, MemoryView, OfficialPolicy, Retained};
use crate::session::Direction;

/// How much of the past a session keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryRetention {
    /// Everything that propagation can read when it continues from the current position or starts
    /// at any prompted frame, in either direction. Does not grow with the recording. Any other
    /// propagation is refused with an error, never answered from an incomplete past.
    #[default]
    Bounded,
    /// Everything, as in the official predictor: about 1.5 MB per frame and object at 1024 x 1024.
    All,
}

/// The result of one frame for one object, as later frames read it. All tensors have batch size 1.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Logits, scores and pointer.
    pub prediction: MaskPrediction,
    /// The memory; `None` before it is encoded (prompted frames) or after it was released.
    pub memory: Option<MemoryFeatures>,
}

impl Outcome {
    /// Returns the mask logits, `[1, 1, S / 4, S / 4]`.
    pub fn low_res_logits(&self) -> Tensor<4> {
        self.prediction.low_res_logits.clone()
    }
}

/// One object's conditioning and tracked frames.
#[derive(Clone, Debug, Default)]
pub struct MemoryBank {
    /// In order of insertion, which is the order of their tokens.
    conditioning: Vec<(usize, Outcome)>,
    tracked: BTreeMap<usize, Outcome>,
    /// Copies of tracked frames that a policy keeps in reserve, whatever their age.
    apart: BTreeMap<usize, Outcome>,
    /// Records of conditioning and ordinary frames, kept as long as their outcomes.
    records: BTreeMap<usize, FrameRecord>,
}

impl MemoryBank {
    /// Returns the conditioning frames in the order they were added.
    pub fn conditioning_frames(&self) -> impl Iterator<Item = usize> + '_ {
        self.conditioning.iter().map(|(frame, _)| *frame)
    }

    /// Returns the conditioning frames with their outcomes, in the order they were added.
    pub(crate) fn conditioning_outcomes(&self) -> impl Iterator<Item = (usize, &Outcome)> {
        self.conditioning.iter().map(|(frame, outcome)| (*frame, outcome))
    }

    /// Returns the ordinary frames that are still kept, with their outcomes.
    pub(crate) fn tracked_outcomes(&self) -> impl Iterator<Item = (usize, &Outcome)> {
        self.tracked.iter().map(|(frame, outcome)| (*frame, outcome))
    }

    /// Restores a bank, without its records. Frames must be distinct, and frames in reserve
    /// (`apart`) must not be conditioning frames.
    pub(crate) fn from_outcomes(
        conditioning: Vec<(usize, Outcome)>,
        tracked: Vec<(usize, Outcome)>,
        apart: Vec<(usize, Outcome)>,
    ) -> Self {
        Self {
            conditioning,
            tracked: tracked.into_iter().collect(),
            apart: apart.into_iter().collect(),
            records: BTreeMap::new(),
        }
    }

    /// Returns the outcome of a conditioning frame.
    pub fn conditioning(&self, frame: usize) -> Option<&Outcome> {
        self.conditioning.iter().find(|(f, _)| *f == frame).map(|(_, outcome)| outcome)
    }

    /// Returns the outcome of an ordinary frame, if it is still kept.
    pub fn tracked(&self, frame: usize) -> Option<&Outcome> {
        self.tracked.get(&frame)
    }

    /// Returns the outcome of a conditioning or ordinary frame, if it is still kept.
    pub(crate) fn outcome(&self, frame: usize) -> Option<&Outcome> {
        self.conditioning(frame).or_else(|| self.tracked(frame))
    }

    /// Returns the frames that the policy keeps in reserve, by frame index; see
    /// [`MemoryPolicy::keeps_apart`].
    pub fn kept_apart(&self) -> impl Iterator<Item = (usize, &Outcome)> {
        self.apart.iter().map(|(frame, outcome)| (*frame, outcome))
    }

    /// Returns the record of a frame's result, as long as the result is kept.
    pub fn record(&self, frame: usize) -> Option<&FrameRecord> {
        self.records.get(&frame)
    }

    /// Returns all records by frame index.
    pub(crate) fn records(&self) -> impl Iterator<Item = (usize, &FrameRecord)> {
        self.records.iter().map(|(frame, record)| (*frame, record))
    }

    /// Sets the record of a frame's result.
    pub(crate) fn insert_record(&mut self, frame: usize, record: FrameRecord) {
        self.records.insert(frame, record);
    }

    /// Copies a tracked frame to the reserve of at most `limit` frames and evicts the most distant
    /// one.
    pub(crate) fn keep_apart(&mut self, frame: usize, limit: usize) {
        if let Some(outcome) = self.tracked.get(&frame) {
            self.apart.insert(frame, outcome.clone());
        }
        while self.apart.len() > limit {
            let Some(furthest) = self.apart.keys().copied().max_by_key(|f| f.abs_diff(frame))
            else {
                break;
            };
            self.apart.remove(&furthest);
        }
    }

    /// Replaces the memory of a frame in reserve; does nothing for other frames.
    pub(crate) fn set_memory_apart(&mut self, frame: usize, memory: MemoryFeatures) {
        if let Some(outcome) = self.apart.get_mut(&frame) {
            outcome.memory = Some(memory);
        }
    }

    /// Adds or replaces a conditioning frame, which is then no longer an ordinary frame.
    pub fn insert_conditioning(&mut self, frame: usize, outcome: Outcome) {
        self.tracked.remove(&frame);
        self.apart.remove(&frame);
        match self.conditioning.iter_mut().find(|(f, _)| *f == frame) {
            Some((_, old)) => *old = outcome,
            None => self.conditioning.push((frame, outcome)),
        }
    }

    /// Adds or replaces an ordinary frame and removes it from the reserve.
    pub fn insert_tracked(&mut self, frame: usize, outcome: Outcome) {
        self.apart.remove(&frame);
        self.tracked.insert(frame, outcome);
    }

    /// Returns the number of ordinary frames kept, for tests and statistics.
    pub fn tracked_len(&self) -> usize {
        self.tracked.len()
    }

    /// Returns the memories that `frame` reads under the official policy, in `direction` through a
    /// recording of `frame_count` frames (the selection in `_prepare_memory_conditioned_features`).
    pub fn select(
        &self,
        frame: usize,
        direction: Direction,
        frame_count: usize,
        reach: &MemoryReach,
    ) -> MemorySelection {
        let query = MemoryQuery { frame, direction, frame_count, reach: *reach };
        let retained = Retained::of(&OfficialPolicy, reach);
        OfficialPolicy.select(&MemoryView::new(self, retained, query))
    }

    /// Forgets ordinary frames from `first` to `last`, inclusive.
    pub(crate) fn forget_tracked(&mut self, first: usize, last: usize) {
        self.tracked.retain(|&frame, _| !(first..=last).contains(&frame));
        self.apart.retain(|&frame, _| !(first..=last).contains(&frame));
        self.forget_records();
    }

    /// Forgets records whose results are gone.
    fn forget_records(&mut self) {
        let (tracked, conditioning) = (&self.tracked, &self.conditioning);
        self.records.retain(|frame, _| {
            tracked.contains_key(frame) || conditioning.iter().any(|(f, _)| f == frame)
        });
    }

    /// Turns a conditioning frame into an ordinary one; does nothing for other frames.
    pub(crate) fn downgrade(&mut self, frame: usize) {
        if let Some(position) = self.conditioning.iter().position(|(f, _)| *f == frame) {
            let (_, outcome) = self.conditioning.remove(position);
            self.tracked.insert(frame, outcome);
            if let Some(record) = self.records.get_mut(&frame) {
                record.prompted = false;
            }
        }
    }

    /// Replaces the outcome of a frame, conditioning or ordinary, and removes it from the reserve.
    /// Returns false if the frame has no outcome.
    pub(crate) fn replace(&mut self, frame: usize, outcome: Outcome) -> bool {
        let conditioning = self.conditioning.iter_mut().find(|(f, _)| *f == frame);
        match conditioning.map(|(_, old)| old).or_else(|| self.tracked.get_mut(&frame)) {
            Some(old) => {
                *old = outcome;
                self.apart.remove(&frame);
                true
            }
            None => false,
        }
    }

    /// Releases the conditioning frames that no frame from `newest` forward can read. Without a cap
    /// it does nothing; with one, it keeps the newest frames and those near enough to serve as
    /// ordinary frames.
    ///
    /// One more than the cap stays, because tokens have a different order while the cap is not
    /// exceeded.
    pub(crate) fn prune_conditioning(
        &mut self,
        newest: usize,
        reach: &MemoryReach,
        retained: Retained,
    ) {
        let Some(limit) = reach.max_conditioning_frames else { return };
        let mut frames: Vec<usize> = self.conditioning_frames().collect();
        frames.sort_unstable_by(|a, b| b.cmp(a));
        let Some(&oldest) = frames.get(limit) else { return };
        let near = retained.memories.max(retained.frames);
        self.conditioning.retain(|(frame, _)| *frame >= oldest || frame.abs_diff(newest) <= near);
        self.forget_records();
    }

    /// Releases every result of a frame before `first`.
    pub(crate) fn release_before(&mut self, first: usize) {
        self.conditioning.retain(|(frame, _)| *frame >= first);
        self.tracked.retain(|&frame, _| frame >= first);
        self.apart.retain(|&frame, _| frame >= first);
        self.forget_records();
    }

    /// Removes the frames outside of `window`, first to last, from the reserve.
    pub(crate) fn forget_apart_outside(&mut self, (first, last): (usize, usize)) {
        self.apart.retain(|frame, _| (first..=last).contains(frame));
    }

    /// Releases everything that no propagation onwards from `position` or from any of the `anchors`
    /// can read.
    ///
    /// Both sides of an anchor stay, because a pass in one direction reads what the pass in the
    /// other direction left there. Around the position, `correctable` more frames stay, so that the
    /// last ones can be tracked again. `on_release` is called for every released frame.
    pub(crate) fn prune(
        &mut self,
        anchors: &BTreeSet<usize>,
        position: usize,
        retained: Retained,
        correctable: usize,
        mut on_release: impl FnMut(usize),
    ) {
        let near = |frame: usize, reach: usize| {
            frame.abs_diff(position) <= reach.saturating_add(correctable)
                || anchors
                    .range(frame.saturating_sub(reach)..=frame.saturating_add(reach))
                    .next()
                    .is_some()
        };
        let Retained { memories, frames, .. } = retained;
        self.tracked.retain(|&frame, _| {
            let keep = near(frame, memories.max(frames));
            if !keep {
                on_release(frame);
            }
            keep
        });
        for (&frame, outcome) in &mut self.tracked {
            if outcome.memory.is_some() && !near(frame, memories) {
                outcome.memory = None;
            }
        }
        self.forget_records();
    }
}

/// Which frames a frame reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryReach {
    /// Number of memories, all conditioning frames counted as one.
    pub num_maskmem: usize,
    /// Pointers of ordinary frames, plus one.
    pub max_object_pointers: usize,
    /// Distance between memories, except for the newest.
    pub stride: usize,
    /// See [`crate::SessionOptions::max_conditioning_frames`].
    pub max_conditioning_frames: Option<usize>,
    /// See [`crate::SessionOptions::correctable_frames`]; 0 unless set.
    pub correctable_frames: usize,
}

impl MemoryReach {
    /// Combines the model's numbers with a session's options.
    pub fn new(config: &Sam2Config, stride: usize, max_conditioning_frames: Option<usize>) -> Self {
        Self {
            num_maskmem: config.num_maskmem,
            max_object_pointers: config.max_object_pointers.max(1),
            stride: stride.max(1),
            max_conditioning_frames: max_conditioning_frames.map(|limit| limit.max(2)),
            correctable_frames: 0,
        }
    }

    /// Returns how many memories of ordinary frames a frame reads.
    pub fn places(&self) -> usize {
        self.num_maskmem.saturating_sub(1)
    }

    /// Returns how many pointers of ordinary frames a frame reads.
    pub fn pointers(&self) -> usize {
        self.max_object_pointers.saturating_sub(1)
    }

    /// Returns the frame `steps` places back, 1 being the newest: first the preceding frame, then
    /// the nearest multiple of the stride at least two frames back, then the multiples further
    /// back.
    pub(crate) fn frame_behind(
        &self,
        frame: usize,
        direction: Direction,
        steps: usize,
    ) -> Option<usize> {
        if steps <= 1 {
            return direction.back(frame, steps);
        }
        // A stride longer than any recording reads at most the preceding frame and the first one.
        let frame = i64::try_from(frame).ok()?;
        let stride = i64::try_from(self.stride).unwrap_or(i64::MAX).clamp(1, i64::MAX >> 16);
        let further = i64::try_from(steps - 2).ok()?.checked_mul(stride)?;
        let earlier = match direction {
            Direction::Forward => ((frame - 2).div_euclid(stride) * stride).checked_sub(further)?,
            Direction::Reverse => {
                (-(-(frame + 2)).div_euclid(stride) * stride).checked_add(further)?
            }
        };
        usize::try_from(earlier).ok()
    }

    /// Returns how far back, in frames, the last of this many places can be.
    pub fn furthest(&self, places: usize) -> usize {
        places.saturating_sub(1).saturating_mul(self.stride).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_policy::testing::{distances, outcome, reach as config, record, times};
    use sam2_model::{ModelVersion, Variant};

    #[test]
    fn selects_conditioning_frames_then_oldest_to_newest_then_pointers() {
        let mut bank = MemoryBank::default();
        bank.insert_conditioning(0, outcome(0.0));
        for frame in 1..30 {
            bank.insert_tracked(frame, outcome(frame as f32));
        }
        let selection = bank.select(30, Direction::Forward, 100, &config());
        assert_eq!(times(&selection), [0, 1, 2, 3, 4, 5, 6]);
        let newest: f32 = selection.spatial[6].1.0.clone().mean().into_scalar();
        assert_eq!(newest, 29.0);
        let expected: Vec<i64> = std::iter::once(30).chain(1..16).collect();
        assert_eq!(distances(&selection), expected);
        assert_eq!(selection.pointer_time_scale, 15);
    }

    #[test]
    fn a_reverse_pass_reads_what_the_forward_pass_left_ahead() {
        let mut bank = MemoryBank::default();
        bank.insert_conditioning(10, outcome(10.0));
        for frame in 11..20 {
            bank.insert_tracked(frame, outcome(frame as f32));
        }
        let selection = bank.select(9, Direction::Reverse, 20, &config());
        // Frame 10 is a conditioning frame, so the time position of the newest memory (6) stays
        // empty.
        assert_eq!(times(&selection), [0, 1, 2, 3, 4, 5]);
        assert_eq!(distances(&selection), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn pointers_of_conditioning_frames_to_come_are_left_out_but_not_their_memories() {
        let mut bank = MemoryBank::default();
        bank.insert_conditioning(5, outcome(5.0));
        bank.insert_conditioning(0, outcome(0.0));
        let selection = bank.select(3, Direction::Forward, 10, &config());
        assert_eq!(times(&selection), [0, 0]);
        assert_eq!(distances(&selection), [3]);
        assert_eq!(selection.pointer_time_scale, 9);
    }

    #[test]
    fn a_stride_takes_the_frame_before_and_multiples() {
        let reach = MemoryReach { stride: 3, ..config() };
        let frames = |frame, direction| -> Vec<Option<usize>> {
            (1..7).map(|steps| reach.frame_behind(frame, direction, steps)).collect()
        };
        assert_eq!(frames(20, Direction::Forward), [19, 18, 15, 12, 9, 6].map(Some));
        assert_eq!(frames(20, Direction::Reverse), [21, 24, 27, 30, 33, 36].map(Some));
        assert_eq!(frames(4, Direction::Forward), [Some(3), Some(0), None, None, None, None]);
        let farthest = (20..60).map(|f| f - reach.frame_behind(f, Direction::Forward, 6).unwrap());
        assert_eq!(farthest.max(), Some(reach.furthest(6)));
        assert_eq!(reach.frame_behind(20, Direction::Forward, usize::MAX), None);
        let endless = MemoryReach { stride: usize::MAX, ..reach };
        assert_eq!(endless.frame_behind(20, Direction::Reverse, usize::MAX), None);
    }

    #[test]
    fn a_cap_takes_the_closest_conditioning_frames_and_uses_the_others_as_ordinary_ones() {
        let mut bank = MemoryBank::default();
        for frame in [0, 40, 18, 30] {
            bank.insert_conditioning(frame, outcome(frame as f32));
        }
        let reach = MemoryReach { max_conditioning_frames: Some(2), ..config() };
        let selection = bank.select(20, Direction::Forward, 100, &reach);
        // 18 before and 30 after; neither is an ordinary memory, and 0 and 40 are out of reach.
        assert_eq!(times(&selection), [0, 0]);
        let selection = bank.select(31, Direction::Forward, 100, &reach);
        assert_eq!(times(&selection), [0, 0]);
        // 30 and 40 are chosen; 18 lies 13 back and gives a pointer as an ordinary frame.
        assert_eq!(distances(&selection), [1, 13]);
    }

    #[test]
    fn a_cap_bounds_what_a_frame_looks_at_however_many_prompts_there_are() {
        let mut bank = MemoryBank::default();
        for frame in 0..300 {
            if frame % 3 == 0 {
                bank.insert_conditioning(frame, outcome(frame as f32));
            } else {
                bank.insert_tracked(frame, outcome(frame as f32));
            }
        }
        for (limit, conditioning) in [(None, 100), (Some(0), 2), (Some(4), 4)] {
            let reach =
                MemoryReach::new(&Sam2Config::new(Variant::Micro, ModelVersion::V2_1), 1, limit);
            for (frame, direction) in [(300, Direction::Forward), (150, Direction::Reverse)] {
                let selection = bank.select(frame, direction, 400, &reach);
                let of_time = |time| selection.spatial.iter().filter(|(t, _)| *t == time).count();
                assert_eq!(of_time(0), conditioning, "{limit:?}");
                assert!(selection.spatial.len() <= conditioning + 6);
                assert!(selection.pointers.len() <= conditioning + 15);
            }
        }
    }

    #[test]
    fn frames_kept_apart_survive_pruning_but_not_what_replaces_them() {
        let mut bank = MemoryBank::default();
        for frame in 0..40 {
            bank.insert_tracked(frame, outcome(frame as f32));
            bank.insert_record(frame, record(frame as u64));
            if frame % 5 == 0 {
                bank.keep_apart(frame, 3);
            }
        }
        let apart = |bank: &MemoryBank| bank.kept_apart().map(|(f, _)| f).collect::<Vec<_>>();
        // The most distant ones were evicted.
        assert_eq!(apart(&bank), [25, 30, 35]);
        let retained = Retained { memories: 2, frames: 4, apart: 3 };
        bank.prune(&BTreeSet::new(), 39, retained, 0, |_| {});
        assert_eq!((bank.tracked_len(), apart(&bank)), (5, vec![25, 30, 35]));
        assert!(bank.record(34).is_none() && bank.record(35).is_some());
        assert!(bank.kept_apart().all(|(_, outcome)| outcome.memory.is_some()));

        // A released result cannot be replaced, and its copy in the reserve stays.
        assert!(!bank.replace(30, outcome(-1.0)));
        assert_eq!(apart(&bank), [25, 30, 35]);
        bank.insert_tracked(30, outcome(-1.0));
        bank.insert_conditioning(35, outcome(-1.0));
        assert_eq!(apart(&bank), [25]);
        bank.forget_tracked(20, 36);
        assert_eq!((apart(&bank), bank.record(35).is_some()), (Vec::new(), true));
        bank.keep_apart(7, 3);
        assert!(apart(&bank).is_empty(), "a frame that is not there is not kept apart");
    }
}
