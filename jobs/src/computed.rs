//! Jobs that compute only some of the frames.
//!
//! To the model, the computed frames are a recording of their own: they are numbered without gaps,
//! and these numbers are called positions. Everything that a job reports and writes has the numbers
//! of the recording's frames.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use sam2_frame_provider::resize::Scale;
use sam2_frame_provider::{FrameError, FrameSource, RgbFrame, ScaledFrame, SourceInfo};

use crate::between::Between;
use crate::job_prompt::JobPrompt;
use crate::plan::{BatchPlan, JobPlan};

/// Which frames are computed, and what the frames between them get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameStep {
    /// Every how many frames one is computed, counted from the beginning of each batch. Prompted
    /// frames and the last frame of a batch are computed too.
    pub every: NonZeroUsize,
    /// The masks of the other frames.
    pub between: Between,
}

impl Default for FrameStep {
    /// Every frame.
    fn default() -> Self {
        Self { every: NonZeroUsize::MIN, between: Between::default() }
    }
}

impl FrameStep {
    /// Returns true if every frame is computed.
    pub fn is_every_frame(&self) -> bool {
        self.every == NonZeroUsize::MIN
    }
}

/// The frames of a recording that are computed.
#[derive(Clone, Debug)]
pub(super) struct ComputedFrames {
    /// Ascending; `None` = all.
    some: Option<Arc<[usize]>>,
    /// Number of frames in the recording.
    count: usize,
}

impl ComputedFrames {
    /// Chooses the frames of a plan that are computed.
    pub(super) fn of(plan: &JobPlan, step: FrameStep) -> Self {
        let some = (!step.is_every_frame()).then(|| {
            let of_batch = |batch: &BatchPlan| {
                let regular = batch.frames.clone().step_by(step.every.get());
                let last = batch.frames.end.checked_sub(1);
                let prompted = batch.prompts.iter().map(|prompt| prompt.frame);
                regular.chain(last).chain(prompted).collect::<Vec<_>>()
            };
            let mut frames: Vec<usize> = plan.batches.iter().flat_map(of_batch).collect();
            frames.sort_unstable();
            frames.dedup();
            frames.into()
        });
        Self { some, count: plan.frame_count() }
    }

    /// Returns how many frames are computed.
    pub(super) fn len(&self) -> usize {
        self.some.as_ref().map_or(self.count, |some| some.len())
    }

    /// Returns the frame at a position; behind the last position, the number of frames.
    pub(super) fn frame(&self, position: usize) -> usize {
        match &self.some {
            None => position,
            Some(some) => some.get(position).copied().unwrap_or(self.count),
        }
    }

    /// Returns the position of a frame, or of the first computed frame behind it.
    pub(super) fn position(&self, frame: usize) -> usize {
        match &self.some {
            None => frame,
            Some(some) => some.partition_point(|&computed| computed < frame),
        }
    }

    /// Returns the positions of a range of frames.
    pub(super) fn positions(&self, frames: &Range<usize>) -> Range<usize> {
        self.position(frames.start)..self.position(frames.end)
    }

    /// Returns true if the frame is computed.
    pub(super) fn contains(&self, frame: usize) -> bool {
        self.frame(self.position(frame)) == frame
    }

    /// Returns the plan for the computed frames as a recording of their own.
    pub(super) fn plan(&self, plan: &JobPlan) -> JobPlan {
        let prompt =
            |prompt: &JobPrompt| JobPrompt { frame: self.position(prompt.frame), ..prompt.clone() };
        let batch = |batch: &BatchPlan| BatchPlan {
            frames: self.positions(&batch.frames),
            prompts: batch.prompts.iter().map(prompt).collect(),
        };
        JobPlan { batches: plan.batches.iter().map(batch).collect(), names: plan.names.clone() }
    }
}

/// The computed frames of a source.
pub(super) struct ComputedSource<'a, S: ?Sized> {
    source: &'a S,
    computed: ComputedFrames,
}

impl<'a, S: ?Sized> ComputedSource<'a, S> {
    pub(super) fn new(source: &'a S, computed: &ComputedFrames) -> Self {
        Self { source, computed: computed.clone() }
    }
}

/// Times, names and damaged frames stay those of the whole source: sessions do not ask for them.
impl<S: FrameSource + ?Sized> FrameSource for ComputedSource<'_, S> {
    fn info(&self) -> SourceInfo {
        let info = self.source.info();
        match self.computed.some {
            None => info,
            Some(_) => info.with_frame_count(self.computed.len()),
        }
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        self.source.frame(self.computed.frame(index))
    }

    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        self.source.scaled(self.computed.frame(index), scale)
    }

    fn release_memory(&self) {
        self.source.release_memory();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam2_engine::ObjectId;

    fn plan() -> JobPlan {
        let batch = |frames: Range<usize>, prompted: &[usize]| BatchPlan {
            frames,
            prompts: prompted.iter().map(|&f| JobPrompt::empty(f, ObjectId(1))).collect(),
        };
        let batches = vec![batch(0..10, &[5, 7]), batch(10..20, &[]), batch(20..21, &[20])];
        JobPlan { batches, ..JobPlan::default() }
    }

    #[test]
    fn ends_of_batches_and_prompted_frames_are_computed_too() {
        let step = FrameStep { every: NonZeroUsize::new(4).unwrap(), ..FrameStep::default() };
        let computed = ComputedFrames::of(&plan(), step);
        let frames: Vec<usize> = (0..computed.len()).map(|at| computed.frame(at)).collect();
        assert_eq!(frames, [0, 4, 5, 7, 8, 9, 10, 14, 18, 19, 20]);
        assert_eq!(computed.frame(11), 21);
        assert_eq!([6, 7, 20, 21].map(|frame| computed.position(frame)), [3, 3, 10, 11]);
        assert!(computed.contains(14) && !computed.contains(15) && !computed.contains(99));
        let inner = computed.plan(&plan());
        let ranges: Vec<_> = inner.batches.iter().map(|batch| batch.frames.clone()).collect();
        assert_eq!(ranges, [0..6, 6..10, 10..11]);
        let prompted: Vec<usize> = inner.prompt_frames();
        assert_eq!(prompted, [2, 3, 10]);
    }

    #[test]
    fn with_a_step_of_one_nothing_changes() {
        let computed = ComputedFrames::of(&plan(), FrameStep::default());
        assert_eq!((computed.len(), computed.frame(13), computed.position(13)), (21, 13, 13));
        assert_eq!(computed.plan(&plan()), plan());
    }
}
