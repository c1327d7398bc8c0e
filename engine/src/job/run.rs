//! Doing it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sam2_frame_provider::{FrameSource, FramesMode};
use sam2_mask_writer::{LabelledMask, RunReader, RunRecord};
use sam2_model::{DeviceMemory, Sam2};

use super::carry_over::with_carried_over;
use super::delivery::{Delivery, JobOutputs};
use super::part::FramePart;
use super::plan::{JobPlan, frames_of};
use super::report::{JobObserver, JobReport, JobStage};
use crate::error::EngineError;
use crate::session::SessionOptions;

/// Asks a running job to stop after the current frame. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The flag itself, for signal handlers.
    pub fn shared(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Whether it is raised.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How a job is run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JobOptions {
    /// Of each batch's session. Logits are kept too where a sink wants them.
    pub session: SessionOptions,
    /// How the frames of a batch reach it. All modes but [`FramesMode::Jpeg`], which is lossy, give the same masks.
    pub frames_mode: FramesMode,
    /// The last masks of a batch are prompts on the first frame of the next one, beside its own: identity survives the border.
    pub carry_over: bool,
    /// Parts, and what an interrupted job has done, may come from other kinds of processors and devices, whose masks differ in
    /// a few pixels.
    pub mixed_processors: bool,
    /// Only these frames: whole batches of the plan, so that parts together are what one job gives. `None` = all.
    pub part: Option<FramePart>,
}

/// Runs a plan: every frame of the recording, or of a part of it, goes to every sink, in order.
///
/// Outputs are finished when all frames are written; after an error they are dropped, which removes what they had begun, but for the journal: with
/// one, the same job goes on from there and ends in the same outputs.
///
/// Where the device's memory does not suffice, a batch is repeated with fewer objects at a time and fewer encoded frames kept, before
/// that is an error. No frame is ever left out.
///
/// # Errors
/// [`EngineError`]; [`EngineError::FrameCountChanged`] if the recording turned out to be damaged on the way, in which case a second
/// call with a new plan will do, as the source knows its frames then.
pub fn segment<S: FrameSource + ?Sized>(
    model: &Sam2,
    frames: &S,
    plan: &JobPlan,
    options: JobOptions,
    outputs: impl Into<JobOutputs>,
    observer: &mut dyn JobObserver,
    cancel: &CancelFlag,
) -> Result<JobReport, EngineError> {
    plan.check(frames.frame_count(), frames.size())?;
    plan.check_region(options.session.region, frames.size())?;
    let part = options.part.unwrap_or(FramePart { start: 0, end: plan.frame_count() });
    if options.part.is_some() {
        plan.check_part(part)?;
    }
    if options.carry_over && part.start > 0 {
        return Err(EngineError::PartOfCarriedOver { start: part.start });
    }
    let delivery = Delivery::new(Some(frames), outputs.into(), part.start);
    let mut session_options = options.session;
    session_options.keep_video_logits |= delivery.wants_logits();
    let mut run = Run {
        model,
        frames,
        options,
        session_options,
        part,
        recording_frames: plan.frame_count(),
        delivery,
        observer,
        cancel,
        done: 0,
        resumed: 0,
    };
    run.check_frame_count()?;
    run.replay_batches()?;
    for (index, batch) in plan.batches.iter().enumerate() {
        let within = part.start <= batch.frames.start && batch.frames.end <= part.end;
        if !within || batch.frames.end <= run.delivery.next_frame() {
            continue;
        }
        let prompts = if options.carry_over && batch.frames.start > part.start {
            with_carried_over(batch, run.delivery.last_masks())
        } else {
            batch.prompts.clone()
        };
        run.observer.on_stage(&JobStage::Batch {
            index,
            count: plan.batches.len(),
            frames: batch.frames.clone(),
            prompt_frames: frames_of(&prompts),
        });
        // A damaged recording shows as a frame that cannot be read, or as another number of frames; the latter explains the former.
        let done = run.batch(batch, &prompts);
        run.check_frame_count()?;
        let timings = done?;
        let frames_done = batch.frames.clone();
        run.observer.on_stage(&JobStage::BatchDone { index, frames: frames_done, timings });
        // The next batch reads other frames.
        frames.release_memory();
    }
    // What this recording needed goes back to the device: another one may need other sizes, and other programs the memory.
    if !model.is_on_cpu() {
        DeviceMemory::release_unused(model.device())?;
    }
    let resumed = run.resumed;
    let mut unprompted_objects = plan.unprompted_objects_in(&part.range());
    if options.carry_over {
        // What was prompted once is carried on: only what is missing from the start has had no prompt.
        unprompted_objects.retain(|missing| missing.frames.start == part.start);
    }
    let report = run.delivery.finish(!unprompted_objects.is_empty())?;
    Ok(JobReport { resumed, unprompted_objects, ..report })
}

pub(super) struct Run<'a, S: ?Sized> {
    pub(super) model: &'a Sam2,
    pub(super) frames: &'a S,
    pub(super) options: JobOptions,
    /// With less in flight than was asked for, once memory did not suffice.
    pub(super) session_options: SessionOptions,
    pub(super) part: FramePart,
    recording_frames: usize,
    pub(super) delivery: Delivery<'a, S>,
    pub(super) observer: &'a mut dyn JobObserver,
    pub(super) cancel: &'a CancelFlag,
    /// Frames tracked or left empty so far.
    pub(super) done: usize,
    resumed: usize,
}

impl<S: FrameSource + ?Sized> Run<'_, S> {
    /// Sends out what an interrupted job had done: its complete batches.
    fn replay_batches(&mut self) -> Result<(), EngineError> {
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
                // It was all there a moment ago.
                _ => break,
            }
            self.stop_if_asked()?;
        }
        self.count_resumed(frames);
        if self.delivery.next_frame() == self.part.end
            && let Some(journal) = &mut self.delivery.journal
        {
            // Nothing comes any more that would cut off what lies behind.
            journal.keep_loose(0)?;
        }
        Ok(())
    }

    pub(super) fn count_resumed(&mut self, frames: Range<usize>) {
        self.done += frames.len();
        self.resumed += frames.len();
        self.observer.on_stage(&JobStage::Resumed { frames });
        self.tell_frame();
    }

    pub(super) fn put(
        &mut self,
        index: usize,
        objects: &[LabelledMask],
    ) -> Result<(), EngineError> {
        self.delivery.put(index, self.frames.time(index), objects)
    }

    pub(super) fn stop_if_asked(&self) -> Result<(), EngineError> {
        if self.cancel.is_cancelled() {
            return Err(EngineError::Cancelled { done: self.done, total: self.part.range().len() });
        }
        Ok(())
    }

    /// One more frame is done.
    pub(super) fn count_frame(&mut self) {
        self.done += 1;
        self.tell_frame();
    }

    fn tell_frame(&mut self) {
        let (done, total) = (self.done, self.part.range().len());
        self.observer.on_stage(&JobStage::Frame { done, total });
    }

    fn check_frame_count(&mut self) -> Result<(), EngineError> {
        let now = self.frames.frame_count();
        if now == self.recording_frames {
            return Ok(());
        }
        // A file that is cut or written while it is read explains another number of frames, and what was done before that counts.
        self.delivery.stamp.check()?;
        // What was done was done for another number of frames: nothing can go on from there.
        if let Some(journal) = &mut self.delivery.journal {
            journal.discard();
        }
        Err(EngineError::FrameCountChanged {
            recording: self.frames.describe(),
            before: self.recording_frames,
            now,
        })
    }
}
