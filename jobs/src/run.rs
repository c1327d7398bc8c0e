//! A job as a caller puts it together, and its run: batch by batch, with every frame handed to the
//! sinks.

use std::collections::BTreeSet;
use std::ops::Range;

use sam2_frame_provider::FrameSource;
use sam2_mask_writer::{LabelledMask, MaskSink, RunBatch, RunReader, RunRecord};
use sam2_model::{DeviceMemory, Sam2};

use super::between::Gap;
use super::cancel::CancelFlag;
use super::carry_over::with_carried_over;
use super::computed::ComputedFrames;
use super::delivery::{Delivery, JobOutputs};
use super::examine::examine;
use super::journal::Journal;
use super::options::JobOptions;
use super::part::FramePart;
use super::plan::{JobPlan, frames_of};
use super::receipt::ReceiptPlace;
use super::recording_stamp::RecordingStamp;
use super::report::{JobObserver, JobReport, JobStage};
use super::track_evidence::TrackEvidence;
use super::two_way;
use crate::error::JobError;
use sam2_engine::{ObjectId, SessionOptions};

/// A plan, its recording and its outputs, ready to run.
///
/// ```no_run
/// use sam2_jobs::engine::{LazyFrames, Sam2};
/// use sam2_jobs::{Job, JobError, JobPlan};
///
/// # fn run(model: &Sam2, frames: &LazyFrames, plan: &JobPlan, sink: Box<dyn sam2_jobs::engine::MaskSink>) -> Result<(), JobError> {
/// let report = Job::new(model, frames, plan).sink(sink).run()?;
/// println!("{} frames", report.frames);
/// # Ok(())
/// # }
/// ```
#[must_use = "a job does nothing before `run` is called"]
pub struct Job<'a, S: ?Sized> {
    model: &'a Sam2,
    frames: &'a S,
    plan: &'a JobPlan,
    options: JobOptions,
    evidence: Option<&'a TrackEvidence>,
    outputs: JobOutputs,
    observer: Option<&'a mut dyn JobObserver>,
    cancel: CancelFlag,
    computed: Option<ComputedFrames>,
}

impl<'a, S: FrameSource + ?Sized> Job<'a, S> {
    /// Prepares a job with the default options and without outputs.
    pub fn new(model: &'a Sam2, frames: &'a S, plan: &'a JobPlan) -> Self {
        let (options, outputs) = (JobOptions::default(), JobOutputs::default());
        let cancel = CancelFlag::new();
        let (evidence, observer, computed) = (None, None, None);
        Self { model, frames, plan, options, evidence, outputs, observer, cancel, computed }
    }

    /// Sets the options.
    pub fn options(mut self, options: JobOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the pose track that masks are compared with: masks off the track are flagged, and where
    /// two passes disagree it decides ([`Passes::Agreed`](crate::engine::Passes::Agreed)).
    pub fn evidence(mut self, evidence: Option<&'a TrackEvidence>) -> Self {
        self.evidence = evidence;
        self
    }

    /// Adds an output. Each output gets every frame of the job, in order, and is told where batches
    /// end.
    pub fn sink(mut self, sink: Box<dyn MaskSink>) -> Self {
        self.outputs.sinks.push(sink);
        self
    }

    /// Adds several outputs.
    pub fn sinks(mut self, sinks: impl IntoIterator<Item = Box<dyn MaskSink>>) -> Self {
        self.outputs.sinks.extend(sinks);
        self
    }

    /// Sets the record of finished work, with which an interrupted job can be resumed.
    pub fn journal(mut self, journal: Journal) -> Self {
        self.outputs.journal = Some(journal);
        self
    }

    /// Sets where to write, once the outputs are complete, how they were made.
    pub fn receipt(mut self, receipt: Option<ReceiptPlace>) -> Self {
        self.outputs.receipt = receipt;
        self
    }

    /// Sets the state of the recording's files when it was opened. It is checked again before a
    /// batch counts as done.
    pub fn recording(mut self, stamp: RecordingStamp) -> Self {
        self.outputs.recording = stamp;
        self
    }

    /// Sets what is told about every batch and frame.
    pub fn observe(mut self, observer: &'a mut dyn JobObserver) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Sets the flag that stops the job after the current frame.
    pub fn cancel(mut self, cancel: &CancelFlag) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Computes these frames instead of those that follow from the plan.
    pub(super) fn computed_as(mut self, computed: ComputedFrames) -> Self {
        self.computed = Some(computed);
        self
    }

    /// Runs the job: every frame of the recording, or of a part of it, goes to every output, in
    /// order.
    ///
    /// Outputs are finished when all frames are written. After an error they are dropped, which
    /// removes what they had begun, except for the journal: with one, the same job goes on from
    /// there and ends in the same outputs.
    ///
    /// If the device's memory does not suffice, a batch is repeated with fewer objects at a time and
    /// fewer encoded frames kept, before that is an error. No frame is ever left out.
    ///
    /// # Errors
    /// [`JobError`]. After [`JobError::FrameCountChanged`], because the recording turned out to be
    /// damaged on the way, a second call with a new plan succeeds: the source knows its frames then.
    pub fn run(self) -> Result<JobReport, JobError> {
        let Self { model, frames, plan, options, evidence, outputs, .. } = self;
        let Self { observer, cancel, computed, .. } = self;
        let mut nobody = ();
        let observer = observer.unwrap_or(&mut nobody);
        let info = frames.info();
        plan.check(info.frame_count, info.size)?;
        plan.check_region(options.session.region, info.size)?;
        options.check(plan)?;
        if options.reprompt.is_some() && evidence.is_none() {
            return Err(JobError::NothingToPromptFrom);
        }
        let computed = computed.unwrap_or_else(|| ComputedFrames::of(plan, options.step));
        let part_frames = options.part_of(plan);
        let positions = computed.positions(&part_frames.range());
        let part = FramePart { start: positions.start, end: positions.end };
        let delivery = Delivery::new(Some(frames), outputs, part_frames.start);
        let mut session_options = options.session;
        session_options.limits.keep_video_logits |= delivery.wants_logits();
        if delivery.wants_logits() && !options.step.is_every_frame() {
            return Err(JobError::LogitsBetween);
        }
        let (given, plan) = (plan, &computed.plan(plan));
        let mut run = Run {
            model,
            frames,
            options,
            evidence,
            session_options,
            part,
            part_frames,
            recording_frames: given.frame_count(),
            computed,
            delivery,
            observer,
            cancel: &cancel,
            done: 0,
            resumed: 0,
        };
        run.check_frame_count()?;
        run.replay_batches()?;
        if options.crosses_batches() {
            two_way::segment(&mut run, plan)?;
        }
        for (index, batch) in plan.batches_in(part) {
            if batch.frames.end <= run.next_position() {
                continue;
            }
            let prompts = if options.carry_over && batch.frames.start > part.start {
                with_carried_over(batch, run.delivery.last_masks())
            } else {
                batch.prompts.clone()
            };
            let prompted = frames_of(&prompts).into_iter().map(|at| run.computed.frame(at));
            run.observer.on_stage(&JobStage::Batch {
                index,
                count: plan.batches.len(),
                frames: run.frames_at(&batch.frames),
                prompt_frames: prompted.collect(),
                tracked_from: Vec::new(),
            });
            // A damaged recording shows as an unreadable frame, or as a changed number of frames. The
            // latter explains the former.
            let done = run.batch(batch, &prompts);
            run.check_frame_count()?;
            let timings = done?;
            let frames_done = run.frames_at(&batch.frames);
            run.observer.on_stage(&JobStage::BatchDone { index, frames: frames_done, timings });
            // The next batch reads other frames.
            frames.release_memory();
        }
        // Returns this recording's memory to the device: another recording may need other sizes, and
        // other programs may need the memory.
        if !model.is_on_cpu() {
            DeviceMemory::release_unused(model.device())?;
        }
        let resumed = run.resumed;
        let mut unprompted_objects = given.unprompted_objects_in(&part_frames.range());
        if options.carry_over {
            // An object that was prompted once is carried on, so only objects missing from the start
            // have had no prompt.
            unprompted_objects.retain(|missing| missing.frames.start == part_frames.start);
        } else if options.crosses_batches() {
            // An object is tracked from its prompts in other batches too.
            let prompts = plan.batches.iter().flat_map(|batch| &batch.prompts);
            let prompted: BTreeSet<ObjectId> = prompts.map(|prompt| prompt.object).collect();
            unprompted_objects.retain(|missing| !prompted.contains(&missing.object));
        }
        let report = run.delivery.finish(!unprompted_objects.is_empty())?;
        Ok(JobReport { resumed, unprompted_objects, ..report })
    }
}

pub(super) struct Run<'a, S: ?Sized> {
    pub(super) model: &'a Sam2,
    pub(super) frames: &'a S,
    pub(super) options: JobOptions,
    /// What a pose track says about masks.
    pub(super) evidence: Option<&'a TrackEvidence>,
    /// Session options, with less in flight than requested once memory did not suffice.
    pub(super) session_options: SessionOptions,
    /// The frames that are computed. What follows is in their positions, if nothing else is said.
    pub(super) computed: ComputedFrames,
    pub(super) part: FramePart,
    /// The part in frames of the recording.
    pub(super) part_frames: FramePart,
    recording_frames: usize,
    pub(super) delivery: Delivery<'a, S>,
    pub(super) observer: &'a mut dyn JobObserver,
    pub(super) cancel: &'a CancelFlag,
    /// Number of computed frames tracked or left empty so far.
    pub(super) done: usize,
    resumed: usize,
}

impl<S: FrameSource + ?Sized> Run<'_, S> {
    /// Sends out the complete batches of an interrupted job.
    fn replay_batches(&mut self) -> Result<(), JobError> {
        let Some(journal) = &self.delivery.journal else { return Ok(()) };
        let Some(found) = journal.found() else { return Ok(()) };
        let mut batches = found.batches.len();
        let frames = found.header.frames.start..found.next_frame();
        if batches == 0 {
            return Ok(());
        }
        let mut records = RunReader::open(journal.path())?;
        while batches > 0 {
            match records.next().transpose()? {
                Some(RunRecord::Frame(frame)) => self.delivery.replay(&frame)?,
                Some(RunRecord::Batch(batch)) => {
                    self.delivery.note_batch(&batch)?;
                    batches -= 1;
                }
                // The batches were there when the file was recovered; stop if they are gone.
                _ => break,
            }
            self.stop_if_asked()?;
        }
        self.count_resumed(frames);
        if self.delivery.next_frame() == self.part_frames.end
            && let Some(journal) = &mut self.delivery.journal
        {
            // Nothing follows that would cut off the unfinished frames after the last batch.
            journal.keep_loose(0)?;
        }
        Ok(())
    }

    /// Counts frames of the recording as done before.
    pub(super) fn count_resumed(&mut self, frames: Range<usize>) {
        self.done += self.computed.positions(&frames).len();
        self.resumed += frames.len();
        self.observer.on_stage(&JobStage::Resumed { frames });
        self.tell_frame();
    }

    /// Returns the position of the next frame to send out.
    pub(super) fn next_position(&self) -> usize {
        self.computed.position(self.delivery.next_frame())
    }

    /// Returns the frames of the recording from the first position of a range to the beginning of what
    /// follows it.
    pub(super) fn frames_at(&self, positions: &Range<usize>) -> Range<usize> {
        self.computed.frame(positions.start)..self.computed.frame(positions.end)
    }

    /// Sends out a computed frame, with the flags that depend on all of its masks, and before it the
    /// frames that lie between it and the one before.
    pub(super) fn put(
        &mut self,
        position: usize,
        mut objects: Vec<LabelledMask>,
    ) -> Result<(), JobError> {
        let index = self.computed.frame(position);
        examine(index, &mut objects, &self.session_options.quality, self.evidence);
        let info = self.frames.info();
        let next = self.delivery.next_frame();
        if next < index {
            let before = self.delivery.last_masks().to_vec();
            let gap = Gap::new(self.options.step.between, &before, &objects);
            let (from, length) = (next - 1, (index + 1 - next) as f64);
            for frame in next..index {
                let masks = gap.masks((frame - from) as f64 / length);
                self.delivery.put(frame, info.time(frame), &masks)?;
            }
        }
        self.delivery.put(index, info.time(index), &objects)
    }

    /// Ends a batch, given in positions, in the outputs and in the journal.
    pub(super) fn end_batch(&mut self, mut batch: RunBatch) -> Result<(), JobError> {
        batch.frames = self.frames_at(&batch.frames);
        let frames = batch.prompt_frames.iter_mut().chain(&mut batch.tracked_from);
        for frame in frames.chain(batch.prompts.iter_mut().map(|prompt| &mut prompt.frame)) {
            *frame = self.computed.frame(*frame);
        }
        self.delivery.end_batch(&batch)
    }

    pub(super) fn stop_if_asked(&self) -> Result<(), JobError> {
        if self.cancel.is_cancelled() {
            let (done, total) = (self.frames_done(self.done), self.part_frames.range().len());
            return Err(JobError::Cancelled { done, total });
        }
        Ok(())
    }

    /// Counts one more frame as done.
    pub(super) fn count_frame(&mut self) {
        self.done += 1;
        self.tell_frame();
    }

    fn tell_frame(&mut self) {
        self.tell_frames(self.done);
    }

    /// Tells the observer that the work of `done` frames is done.
    pub(super) fn tell_frames(&mut self, done: usize) {
        let (done, total) = (self.frames_done(done), self.part_frames.range().len());
        self.observer.on_stage(&JobStage::Frame { done, total });
    }

    /// Returns the number of frames of the recording that are done with so many computed ones.
    fn frames_done(&self, computed: usize) -> usize {
        let last = computed.checked_sub(1).map(|last| self.computed.frame(self.part.start + last));
        last.map_or(0, |last| last + 1 - self.part_frames.start)
    }

    pub(super) fn check_frame_count(&mut self) -> Result<(), JobError> {
        let info = self.frames.info();
        let now = info.frame_count;
        if now == self.recording_frames {
            return Ok(());
        }
        // A file that is truncated or overwritten while it is read explains the changed number of
        // frames. Work done before the change counts.
        self.delivery.stamp.check()?;
        // The work was done for another number of frames, so that nothing can continue from it.
        if let Some(journal) = &mut self.delivery.journal {
            journal.discard();
        }
        Err(JobError::FrameCountChanged {
            recording: info.description.to_string(),
            before: self.recording_frames,
            now,
        })
    }
}
