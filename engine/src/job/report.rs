//! What a job says while it runs and when it is done.

use std::ops::Range;
use std::time::Duration;

use super::flagged::FlaggedFrames;
use super::plan::UnpromptedObject;

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
        /// Frames in the job.
        total: usize,
    },
    /// These frames were done before an interruption and are not computed again.
    Resumed {
        /// Their numbers.
        frames: Range<usize>,
    },
    /// The device's memory did not suffice: the batch begins anew with less in flight.
    LessInFlight {
        /// The batch's frames.
        frames: Range<usize>,
        /// Objects that go through the model at a time from now on.
        objects_per_pass: usize,
        /// Encoded frames that are kept from now on.
        feature_cache_frames: usize,
        /// What the device said.
        reason: String,
    },
    /// A batch is done.
    BatchDone {
        /// Which, from 0.
        index: usize,
        /// Its frames.
        frames: Range<usize>,
        /// What it took.
        timings: BatchTimings,
    },
}

/// Where the time of a batch went. On a GPU, work is handed over and waited for later, so that encoding and tracking are told apart on the CPU only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchTimings {
    /// From its begin to its end.
    pub total: Duration,
    /// Reading frames and running the image encoder.
    pub encode: Duration,
    /// Everything else that the model did.
    pub track: Duration,
    /// Writing outputs and the journal.
    pub write: Duration,
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
    /// Frames written: always those of the recording, or of the part that was asked for.
    pub frames: usize,
    /// Of these, frames that an interrupted job had done before.
    pub resumed: usize,
    /// Ranges written without masks because they had no usable prompt.
    pub unprompted: Vec<Range<usize>>,
    /// Objects that are missing in stretches of frames because none of their prompts was usable there.
    pub unprompted_objects: Vec<UnpromptedObject>,
    /// Frames in which no object was found although their batch had a prompt.
    pub empty_frames: usize,
    /// Masks that a person should look at, by flag, then by object; frames are counted in the recording.
    pub flagged: Vec<FlaggedFrames>,
}
