//! A job as a caller puts it together.

use sam2_engine::Sam2;
use sam2_frame_provider::FrameSource;
use sam2_mask_writer::MaskSink;

use crate::cancel::CancelFlag;
use crate::delivery::JobOutputs;
use crate::error::JobError;
use crate::journal::Journal;
use crate::options::JobOptions;
use crate::plan::JobPlan;
use crate::receipt::ReceiptPlace;
use crate::recording_stamp::RecordingStamp;
use crate::report::{JobObserver, JobReport};
use crate::run;
use crate::track_evidence::TrackEvidence;

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
}

impl<'a, S: FrameSource + ?Sized> Job<'a, S> {
    /// Prepares a job with the default options and without outputs.
    pub fn new(model: &'a Sam2, frames: &'a S, plan: &'a JobPlan) -> Self {
        let (options, outputs) = (JobOptions::default(), JobOutputs::default());
        let cancel = CancelFlag::new();
        Self { model, frames, plan, options, evidence: None, outputs, observer: None, cancel }
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
        let Self { model, frames, plan, options, evidence, outputs, observer, cancel } = self;
        let mut nobody = ();
        let observer = observer.unwrap_or(&mut nobody);
        run::segment(model, frames, plan, options, evidence, outputs, observer, &cancel)
    }
}
