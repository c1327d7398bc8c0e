//! Messages of a running job, and the report of a finished one.

use std::ops::Range;
use std::time::Duration;

use sam2_engine::ObjectId;

use super::flagged::FlaggedFrames;
use super::plan::UnpromptedObject;

/// The stage that a job has reached.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum JobStage {
    /// A batch begins.
    Batch {
        /// Index of the batch, from 0.
        index: usize,
        /// Number of batches.
        count: usize,
        /// The batch's frames.
        frames: Range<usize>,
        /// The batch's prompted frames.
        prompt_frames: Vec<usize>,
        /// Prompted frames of other batches from which the batch is tracked too. If there are none
        /// either, its frames stay empty.
        tracked_from: Vec<usize>,
    },
    /// One more frame is done.
    Frame {
        /// Number of frames tracked or left empty so far.
        done: usize,
        /// Number of frames in the job.
        total: usize,
    },
    /// These frames were done before an interruption and are not computed again.
    Resumed {
        /// The resumed frames.
        frames: Range<usize>,
    },
    /// The pose track has prompted an object again, and what that can change was tracked again.
    PromptedAgain {
        /// The object.
        object: ObjectId,
        /// The frame of the new prompt.
        frame: usize,
        /// The frames that it can change.
        frames: Range<usize>,
        /// How many of these frames were flagged before.
        before: usize,
        /// How many are flagged now.
        now: usize,
    },
    /// The device's memory did not suffice. The batch begins again with less in flight.
    LessInFlight {
        /// The batch's frames.
        frames: Range<usize>,
        /// Number of objects that go through the model at a time from now on.
        objects_per_pass: usize,
        /// Number of encoded frames that are kept from now on.
        feature_cache_frames: usize,
        /// The device's error.
        reason: String,
    },
    /// A batch is done.
    BatchDone {
        /// Index of the batch, from 0.
        index: usize,
        /// The batch's frames.
        frames: Range<usize>,
        /// Where its time went.
        timings: BatchTimings,
    },
}

/// Where the time of a batch went. On a GPU, work is queued and waited for later, so encoding and
/// tracking can be told apart on the CPU only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchTimings {
    /// From the beginning of the batch to its end.
    pub total: Duration,
    /// Reading frames and running the image encoder.
    pub encode: Duration,
    /// Everything else in the model.
    pub track: Duration,
    /// Writing outputs and the journal.
    pub write: Duration,
}

/// Receives the progress of a job. Its methods are called from the thread that runs the job.
pub trait JobObserver {
    /// Called at every stage of the job.
    fn on_stage(&mut self, stage: &JobStage);
}

/// Ignores all progress.
impl JobObserver for () {
    fn on_stage(&mut self, _stage: &JobStage) {}
}

/// The result of a job.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct JobReport {
    /// Number of frames written: always those of the recording, or of the requested part.
    pub frames: usize,
    /// Number of these frames that an interrupted job had already done.
    pub resumed: usize,
    /// Ranges written without masks because they had no usable prompt.
    pub unprompted: Vec<Range<usize>>,
    /// Objects that are missing in ranges of frames because they had no usable prompt there.
    pub unprompted_objects: Vec<UnpromptedObject>,
    /// Number of frames in which no object was found although their batch had a prompt.
    pub empty_frames: usize,
    /// Masks that a person should check, ordered by flag, then by object. Frame numbers are those
    /// of the recording.
    pub flagged: Vec<FlaggedFrames>,
}
