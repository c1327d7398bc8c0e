//! Doing it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sam2_frame_provider::resize::Scale;
use sam2_frame_provider::{BatchFrames, FrameSource, FramesMode};
use sam2_mask_writer::{LabelledMask, MaskFrame, MaskSink};
use sam2_model::Sam2;

use super::flagged::{FlagCollector, FlaggedFrames};
use super::plan::{BatchPlan, JobPlan, UnpromptedObject};
use super::spool::MaskSpool;
use crate::error::EngineError;
use crate::session::{Direction, Fit, SessionOptions, VideoSession};

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
    /// Of each batch's session.
    pub session: SessionOptions,
    /// How the frames of a batch reach it. All modes but [`FramesMode::Jpeg`], which is lossy, give the same masks.
    pub frames_mode: FramesMode,
}

/// What a job is doing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum JobStage {
    /// A batch begins.
    Batch {
        /// Which, from 0.
        index: usize,
        /// Of how many.
        count: usize,
        /// Its frames.
        frames: Range<usize>,
        /// Its prompted frames; none = its frames stay empty.
        prompt_frames: Vec<usize>,
    },
    /// One more frame is tracked.
    Frame {
        /// Frames tracked or left empty so far.
        done: usize,
        /// Frames in the recording.
        total: usize,
    },
}

/// Is told about progress. Methods are called from the thread that runs the job.
pub trait JobObserver {
    /// Something happened.
    fn on_stage(&mut self, stage: &JobStage);
}

/// An observer that does not care.
impl JobObserver for () {
    fn on_stage(&mut self, _stage: &JobStage) {}
}

/// What came of a job.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct JobReport {
    /// Frames written: always those of the recording.
    pub frames: usize,
    /// Ranges written without masks because they had no usable prompt.
    pub unprompted: Vec<Range<usize>>,
    /// Objects that are missing in stretches of frames because none of their prompts was usable there.
    pub unprompted_objects: Vec<UnpromptedObject>,
    /// Frames in which no object was found although their batch had a prompt.
    pub empty_frames: usize,
    /// Masks that a person should look at, by flag, then by object; frames are counted in the recording.
    pub flagged: Vec<FlaggedFrames>,
}

/// Runs a plan: every frame of the recording goes to every sink, in order.
///
/// Sinks are finished when all frames are written; after an error they are dropped, which removes what they had begun.
///
/// # Errors
/// [`EngineError`]; [`EngineError::FrameCountChanged`] if the recording turned out to be damaged on the way, in which case a second
/// call with a new plan will do, as the source knows its frames then.
pub fn segment<S: FrameSource + ?Sized>(
    model: &Sam2,
    frames: &S,
    plan: &JobPlan,
    options: JobOptions,
    sinks: Vec<Box<dyn MaskSink>>,
    observer: &mut dyn JobObserver,
    cancel: &CancelFlag,
) -> Result<JobReport, EngineError> {
    plan.check(frames.frame_count(), frames.size())?;
    plan.check_region(options.session.region, frames.size())?;
    let total = plan.frame_count();
    let mut run = Run {
        model,
        frames,
        options,
        sinks,
        observer,
        cancel,
        total,
        done: 0,
        report: JobReport::default(),
        flags: FlagCollector::default(),
    };
    run.check_frame_count()?;
    for (index, batch) in plan.batches.iter().enumerate() {
        run.observer.on_stage(&JobStage::Batch {
            index,
            count: plan.batches.len(),
            frames: batch.frames.clone(),
            prompt_frames: batch.prompt_frames(),
        });
        // A damaged recording shows as a frame that cannot be read, or as another number of frames; the latter explains the former.
        let done = run.batch(batch);
        run.check_frame_count()?;
        done?;
        // The next batch reads other frames.
        frames.release_memory();
    }
    let Run { sinks, mut report, flags, .. } = run;
    report.flagged = flags.into_flagged();
    report.unprompted_objects = plan.unprompted_objects();
    // All are complete before the first gets its name.
    let outputs = sinks.into_iter().map(MaskSink::finish).collect::<Result<Vec<_>, _>>()?;
    for output in outputs {
        output.publish()?;
    }
    Ok(report)
}

struct Run<'a, S: ?Sized> {
    model: &'a Sam2,
    frames: &'a S,
    options: JobOptions,
    sinks: Vec<Box<dyn MaskSink>>,
    observer: &'a mut dyn JobObserver,
    cancel: &'a CancelFlag,
    total: usize,
    done: usize,
    report: JobReport,
    flags: FlagCollector,
}

impl<S: FrameSource + ?Sized> Run<'_, S> {
    fn batch(&mut self, batch: &BatchPlan) -> Result<(), EngineError> {
        if batch.prompts.is_empty() {
            for frame in batch.frames.clone() {
                self.count_frame()?;
                self.write(frame, &[])?;
            }
            self.report.unprompted.push(batch.frames.clone());
            return Ok(());
        }
        // A recording of its own for the model: the scale of pointer distances depends on the number of frames.
        let side = self.model.config().image_size as u32;
        let scale = Scale::square(side, self.options.session.resize);
        let (range, mode) = (batch.frames.clone(), self.options.frames_mode);
        let SessionOptions { region, fit, .. } = self.options.session;
        let source = if region.is_none() && fit == Fit::Squash {
            BatchFrames::open_scaled(self.frames, range, mode, scale)?
        } else {
            BatchFrames::open(self.frames, range, mode)?
        };
        let mut session = VideoSession::with_options(self.model, source, self.options.session)?;
        let offset = batch.frames.start;
        for prompt in &batch.prompts {
            let points: Vec<_> = prompt.points.iter().map(|(_, point)| *point).collect();
            let frame = prompt.frame - offset;
            if let Some(mask) = &prompt.mask {
                session.add_mask(frame, prompt.object, mask)?;
            }
            // After a mask, they refine it: its logits are fed back.
            if !points.is_empty() || prompt.bounds.is_some() {
                session.add_points_or_box(frame, prompt.object, &points, prompt.bounds, true)?;
            }
        }

        let first = batch.prompts.iter().map(|prompt| prompt.frame).min();
        if first == Some(offset) {
            // Nothing comes before the first prompt: masks can be written as they come.
            for result in session.propagate(Direction::Forward) {
                let masks = result?;
                self.count_frame()?;
                self.flags.note(offset + masks.frame_index, &masks);
                let objects = masks.labelled();
                self.note_empty(&objects);
                self.write(offset + masks.frame_index, &objects)?;
            }
            return Ok(());
        }
        let mut spool = MaskSpool::new(batch.frames.len());
        for direction in [Direction::Forward, Direction::Reverse] {
            for result in session.propagate(direction) {
                let masks = result?;
                // Both passes yield the prompt frame, with the same masks.
                if !spool.contains(masks.frame_index) {
                    self.count_frame()?;
                    self.flags.note(offset + masks.frame_index, &masks);
                    spool.put(masks.frame_index, &masks.labelled()).map_err(spool_error)?;
                }
            }
        }
        for frame in 0..batch.frames.len() {
            let objects = spool.get(frame).map_err(spool_error)?.unwrap_or_default();
            self.note_empty(&objects);
            self.write(offset + frame, &objects)?;
        }
        Ok(())
    }

    fn note_empty(&mut self, objects: &[LabelledMask]) {
        if objects.iter().all(|labelled| labelled.mask.area() == 0) {
            self.report.empty_frames += 1;
        }
    }

    fn write(&mut self, index: usize, objects: &[LabelledMask]) -> Result<(), EngineError> {
        let image = if self.sinks.iter().any(|sink| sink.wants_image(index)) {
            Some(self.frames.frame(index)?)
        } else {
            None
        };
        let rate = self.frames.timing().frames_per_second;
        let frame = MaskFrame::new(index, objects)
            .with_image(image.as_ref().map(|image| image.data()))
            .with_seconds(rate.map(|rate| index as f64 / rate));
        for sink in &mut self.sinks {
            sink.write(&frame)?;
        }
        self.report.frames += 1;
        Ok(())
    }

    fn count_frame(&mut self) -> Result<(), EngineError> {
        if self.cancel.is_cancelled() {
            return Err(EngineError::Cancelled { done: self.done, total: self.total });
        }
        self.done += 1;
        self.observer.on_stage(&JobStage::Frame { done: self.done, total: self.total });
        Ok(())
    }

    fn check_frame_count(&self) -> Result<(), EngineError> {
        let now = self.frames.frame_count();
        if now == self.total {
            return Ok(());
        }
        Err(EngineError::FrameCountChanged {
            recording: self.frames.describe(),
            before: self.total,
            now,
        })
    }
}

fn spool_error(source: std::io::Error) -> EngineError {
    EngineError::Spool { folder: std::env::temp_dir(), source }
}
