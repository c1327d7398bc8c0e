//! What is tracked together, and from what.

use std::collections::BTreeSet;
use std::ops::Range;

use sam2_engine::ObjectId;
use sam2_mask_writer::{RunAmender, Stretch};

use crate::computed::{ComputedFrames, FrameStep};
use crate::error::JobError;
use crate::job_prompt::JobPrompt;
use crate::part::FramePart;
use crate::plan::{BatchPlan, JobPlan};

/// Frames that several objects are tracked on again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) objects: BTreeSet<u32>,
    pub(super) frames: Range<usize>,
    stretches: Vec<Stretch>,
}

/// The job that computes a task.
pub(super) struct TaskPlan {
    pub(super) job: JobPlan,
    pub(super) part: FramePart,
    pub(super) computed: ComputedFrames,
}

impl Task {
    /// Returns the tasks of some stretches, by their frames. Objects with the same frames go through the
    /// image encoder together.
    pub(super) fn all(stretches: &[Stretch]) -> Vec<Self> {
        let mut tasks: Vec<Self> = Vec::new();
        for stretch in stretches {
            match tasks.iter_mut().find(|task| task.frames == stretch.frames) {
                Some(task) => {
                    task.objects.insert(stretch.object);
                    task.stretches.push(stretch.clone());
                }
                None => tasks.push(Self {
                    objects: BTreeSet::from([stretch.object]),
                    frames: stretch.frames.clone(),
                    stretches: vec![stretch.clone()],
                }),
            }
        }
        tasks.sort_by_key(|task| (task.frames.start, task.frames.end));
        tasks
    }

    /// Returns the job for this task; `None` if no prompt and no mask says where the objects are.
    pub(super) fn plan(
        &self,
        run: &mut RunAmender,
        step: FrameStep,
    ) -> Result<Option<TaskPlan>, JobError> {
        let header = run.run().header();
        let (count, size) = (header.frame_count, (header.width, header.height));
        let mut prompts = Vec::new();
        for stretch in &self.stretches {
            for &frame in &stretch.prompts {
                let known = run.run().state().prompts.get(&(stretch.object, frame));
                if let Some((prompt, _)) = known {
                    prompts.push(JobPrompt::from_run_file(prompt, size)?);
                }
            }
            for &frame in &stretch.masks {
                let there = run.run_mut().frame(frame)?;
                let shown = there.into_iter().flat_map(|frame| frame.objects);
                let mask = shown.into_iter().find(|shown| shown.object == stretch.object);
                if let Some(mask) = mask.map(|shown| shown.mask).filter(|mask| mask.area() > 0) {
                    let object = ObjectId(stretch.object);
                    prompts.push(JobPrompt { mask: Some(mask), ..JobPrompt::empty(frame, object) });
                }
            }
        }
        if prompts.is_empty() {
            return Ok(None);
        }
        let computed = match step.is_every_frame() {
            true => ComputedFrames::of(&JobPlan::whole(count, Vec::new()), step),
            false => ComputedFrames::of(&as_planned(run, &prompts), step),
        };
        // The part begins and ends with computed frames.
        let frames = &self.frames;
        let start = match computed.contains(frames.start) {
            true => frames.start,
            false => computed.frame(computed.position(frames.start).saturating_sub(1)),
        };
        let last = computed.frame(computed.position(frames.end - 1));
        let part = FramePart { start, end: (last + 1).min(count) };
        let ranges = [0..part.start, part.range(), part.end..count];
        let batches = ranges.into_iter().filter(|range| !range.is_empty()).map(|frames| {
            let within = |prompt: &&JobPrompt| frames.contains(&prompt.frame);
            let prompts = prompts.iter().filter(within).cloned().collect();
            BatchPlan { frames: frames.clone(), prompts }
        });
        let job = JobPlan { batches: batches.collect(), ..JobPlan::default() };
        Ok(Some(TaskPlan { job, part, computed }))
    }
}

/// Returns the plan of the whole run with the prompts that it has now, from which it follows which
/// frames are computed.
fn as_planned(run: &RunAmender, more: &[JobPrompt]) -> JobPlan {
    let run = run.run();
    let mut frames: BTreeSet<usize> = run.state().prompts.keys().map(|(_, frame)| *frame).collect();
    frames.extend(more.iter().map(|prompt| prompt.frame));
    let covered = run.header().frames.clone();
    let around = [0..covered.start, covered.end..run.header().frame_count];
    let [before, behind] = around.map(|range| (!range.is_empty()).then_some(range));
    let own = run.batches().iter().map(|batch| batch.frames.clone());
    let ranges = before.into_iter().chain(own).chain(behind);
    let batches = ranges.map(|range| {
        let prompted = frames.range(range.clone());
        let prompts = prompted.map(|&frame| JobPrompt::empty(frame, ObjectId(0))).collect();
        BatchPlan { frames: range, prompts }
    });
    JobPlan { batches: batches.collect(), ..JobPlan::default() }
}
