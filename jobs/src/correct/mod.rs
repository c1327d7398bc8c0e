//! Tracks again what amendments of a run can change, and nothing else.

mod options;
mod shared;
mod sink;
mod task;
#[cfg(test)]
mod tests;

use std::ops::Range;

use sam2_frame_provider::FrameSource;
use sam2_mask_writer::{Action, AmendFileError, MaskFrame, Stretch};
use sam2_model::Sam2;

use self::sink::PatchSink;
use self::task::Task;
use crate::cancel::CancelFlag;
use crate::error::JobError;
use crate::job_prompt::JobPrompt;
use crate::options::JobOptions;
use crate::plan::JobPlan;
use crate::report::{JobObserver, JobStage};
use crate::run::Job;
use crate::track_evidence::TrackEvidence;

pub use self::options::{RunOptions, difference_to_run};
pub use self::shared::SharedRun;

/// Who amends a run, and what time it is.
#[derive(Clone)]
pub struct Author {
    /// A name.
    pub who: String,
    /// Returns the time as RFC 3339 has it.
    pub now: fn() -> String,
}

/// Amends a run by an action, after the checks that need to know what prompts may be.
///
/// # Errors
/// [`JobError::Amend`] if the action contradicts the run; the errors of [`JobPlan::check`] for a prompt
/// that is outside of the frame, contradictory or empty.
pub fn amend(run: &SharedRun, author: &Author, action: Action) -> Result<usize, JobError> {
    let mut run = run.lock();
    if let Action::Prompt { prompt } = &action {
        let header = run.run().header();
        let size = (header.width, header.height);
        run.run().state().check(&action).map_err(AmendFileError::from)?;
        let options = RunOptions::of(header)?;
        let plan =
            JobPlan::whole(header.frame_count, vec![JobPrompt::from_run_file(prompt, size)?]);
        let size = sam2_frame_provider::FrameSize { width: size.0, height: size.1 };
        plan.check(header.frame_count, size)?;
        plan.check_region(options.job.session.region, size)?;
    }
    Ok(run.amend(&author.who, &(author.now)(), action)?)
}

/// What was tracked again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackedAgain {
    /// The frames that were tracked again for each object.
    pub spans: Vec<(u32, Range<usize>)>,
    /// Number of frames that went through the model, each time counted.
    pub frames: usize,
}

/// Tracks again everything that is stale in a run.
#[must_use = "nothing is tracked before `run` is called"]
pub struct Correction<'a, S: ?Sized> {
    model: &'a Sam2,
    frames: &'a S,
    run: SharedRun,
    author: Author,
    options: JobOptions,
    evidence: Option<&'a TrackEvidence>,
    observer: Option<&'a mut dyn JobObserver>,
    cancel: CancelFlag,
    wanted: Option<Wanted>,
}

/// Which of the stale stretches are tracked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The objects; empty = all.
    pub objects: Vec<u32>,
    /// Only stretches with some of these frames; `None` = all.
    pub frames: Option<Range<usize>>,
}

impl Wanted {
    fn wants(&self, stretch: &Stretch) -> bool {
        let touches = |frames: &Range<usize>| {
            stretch.frames.start < frames.end && frames.start < stretch.frames.end
        };
        (self.objects.is_empty() || self.objects.contains(&stretch.object))
            && self.frames.as_ref().is_none_or(touches)
    }
}

impl<'a, S: FrameSource + ?Sized> Correction<'a, S> {
    /// Prepares to track the stale frames of a run again, with the options that it was computed with.
    ///
    /// The caller sees to it that model and recording are those of the run ([`difference_to_run`]).
    ///
    /// # Errors
    /// [`JobError::UnknownSetting`] if the run has settings that this program does not know;
    /// [`JobError::MasksApart`] if its objects exclude each other's pixels.
    pub fn new(
        model: &'a Sam2,
        frames: &'a S,
        run: &SharedRun,
        author: Author,
    ) -> Result<Self, JobError> {
        let options = RunOptions::of(run.lock().run().header())?.for_correction();
        options.check(&JobPlan::default())?;
        let (run, cancel) = (run.clone(), CancelFlag::new());
        let (evidence, observer, wanted) = (None, None, None);
        Ok(Self { model, frames, run, author, options, evidence, observer, cancel, wanted })
    }

    /// Tracks only some of what is stale.
    pub fn only(mut self, wanted: Wanted) -> Self {
        self.wanted = Some(wanted);
        self
    }

    /// Sets the pose track that masks are compared with.
    pub fn evidence(mut self, evidence: Option<&'a TrackEvidence>) -> Self {
        self.evidence = evidence;
        self
    }

    /// Sets what is told about every frame. [`JobStage::Frame`] counts the frames of all spans.
    pub fn observe(mut self, observer: &'a mut dyn JobObserver) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Sets the flag that stops after the current frame. What is done by then is kept.
    pub fn cancel(mut self, cancel: &CancelFlag) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Changes what is in flight and kept, which does not change masks.
    pub fn limits(mut self, limits: sam2_engine::SessionLimits) -> Self {
        self.options.session.limits = limits;
        self
    }

    /// Tracks every stale stretch from the prompts and masks next to it, and adds the masks to the run
    /// file as they come. Every mask that is not stale stays as it is.
    ///
    /// # Errors
    /// [`JobError`]. What was tracked before is kept; [`JobError::Cancelled`] after a stop.
    pub fn run(mut self) -> Result<TrackedAgain, JobError> {
        let mut done = TrackedAgain::default();
        let mut stretches = self.run.lock().run().state().stretches();
        if let Some(wanted) = &self.wanted {
            stretches.retain(|stretch| wanted.wants(stretch));
        }
        let tasks = Task::all(&stretches);
        let total: usize = tasks.iter().map(|task| task.frames.len()).sum();
        let mut nobody = ();
        let told: &mut dyn JobObserver = match self.observer.take() {
            Some(observer) => observer,
            None => &mut nobody,
        };
        for task in &tasks {
            let mut observer = Counting { inner: told, before: done.frames, total };
            self.track(task, &mut observer)?;
            done.frames += task.frames.len();
            done.spans.extend(task.objects.iter().map(|object| (*object, task.frames.clone())));
        }
        Ok(done)
    }

    fn track(&self, task: &Task, observer: &mut dyn JobObserver) -> Result<(), JobError> {
        let objects: Vec<u32> = task.objects.iter().copied().collect();
        let (number, plan) = {
            let mut run = self.run.lock();
            let plan = task.plan(&mut run, self.options.step)?;
            let action = Action::Computed { objects: objects.clone(), frames: task.frames.clone() };
            (run.amend(&self.author.who, &(self.author.now)(), action)?, plan)
        };
        let Some(plan) = plan else {
            // Nothing says any more where these objects are.
            let mut run = self.run.lock();
            for frame in task.frames.clone() {
                run.patch(number, &MaskFrame::new(frame, &[]))?;
            }
            run.sync()?;
            return Ok(());
        };
        let logits = self.run.lock().run().header().logits;
        let sink = PatchSink::new(self.run.clone(), number, objects, task.frames.clone(), logits);
        let options = JobOptions { part: Some(plan.part), ..self.options };
        let result = Job::new(self.model, self.frames, &plan.job)
            .options(options)
            .computed_as(plan.computed)
            .evidence(self.evidence)
            .sink(Box::new(sink))
            .observe(observer)
            .cancel(&self.cancel)
            .run();
        // Also after an error, what was computed counts.
        self.run.lock().sync()?;
        result.map(|_| ())
    }
}

/// Counts the frames of one span among those of all of them.
struct Counting<'a> {
    inner: &'a mut dyn JobObserver,
    before: usize,
    total: usize,
}

impl JobObserver for Counting<'_> {
    fn on_stage(&mut self, stage: &JobStage) {
        match stage {
            JobStage::Frame { done, .. } => {
                let done = (self.before + done).min(self.total);
                self.inner.on_stage(&JobStage::Frame { done, total: self.total });
            }
            // The batches of these jobs are no batches of the run.
            JobStage::Batch { .. } | JobStage::BatchDone { .. } => {}
            other => self.inner.on_stage(other),
        }
    }
}

/// Returns the amendment to return to for one step back.
///
/// # Errors
/// [`JobError::Amend`] if there is nothing to undo.
pub fn undo(run: &SharedRun, author: &Author) -> Result<usize, JobError> {
    let mut run = run.lock();
    let to = run.run().undo().map_err(AmendFileError::from)?;
    Ok(run.amend(&author.who, &(author.now)(), Action::Return { to })?)
}

/// Takes one undone step again.
///
/// # Errors
/// [`JobError::Amend`] if there is nothing to redo.
pub fn redo(run: &SharedRun, author: &Author) -> Result<usize, JobError> {
    let mut run = run.lock();
    let to = run.run().redo().map_err(AmendFileError::from)?;
    Ok(run.amend(&author.who, &(author.now)(), Action::Return { to })?)
}

/// Returns the frames on which two objects are exchanged from `first` on: up to the next locked frame,
/// or to the end of the run.
///
/// # Errors
/// [`JobError::Amend`] if the frame does not exist or is locked.
pub fn exchanged_from(
    run: &SharedRun,
    objects: [u32; 2],
    first: usize,
) -> Result<Range<usize>, JobError> {
    let run = run.lock();
    Ok(run.run().state().exchanged_from(objects, first).map_err(AmendFileError::from)?)
}
