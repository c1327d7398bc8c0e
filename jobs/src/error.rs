//! Errors of batch jobs.

use std::path::PathBuf;

use sam2_engine::EngineError;
use sam2_frame_provider::{FrameError, FramesMode};
use sam2_mask_writer::{AmendFileError, MaskSizeError, RunFileError, WriteError};

use crate::keypoints::KeypointError;
use crate::merge_error::MergeError;
use crate::prompt_file::PromptFileError;
use sam2_engine::ObjectId;

/// The error of a batch job. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// A session failed, or a prompt does not fit the recording.
    #[error(transparent)]
    Engine(EngineError),
    /// A frame could not be read.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// An output could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The job's settings cannot be serialised.
    #[error("the job's settings cannot be written as JSON: {0}")]
    Settings(#[from] serde_json::Error),
    /// The keypoint file is unusable.
    #[error(transparent)]
    Keypoints(#[from] KeypointError),
    /// A prompt file is unusable.
    #[error(transparent)]
    PromptFile(#[from] PromptFileError),
    /// A run file is unusable.
    #[error(transparent)]
    RunFile(#[from] RunFileError),
    /// A run cannot be amended.
    #[error(transparent)]
    Amend(#[from] AmendFileError),
    /// A run was computed with a setting that this program does not know.
    #[error(
        "the run was computed with a setting that this program does not know, {name} = {value}: use the sam2 that computed it"
    )]
    UnknownSetting {
        /// The setting.
        name: String,
        /// Its value.
        value: String,
    },
    /// A mask prompt in a run file does not have the size of the frames.
    #[error("a mask prompt does not have the size of the frames: {0}")]
    PromptMaskSize(#[from] MaskSizeError),
    /// Run files do not add up to a whole recording.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The number of frames of the recording changed while it was read.
    #[error("'{recording}' turned out to have {now} frames instead of {before}: run again")]
    FrameCountChanged {
        /// The recording.
        recording: String,
        /// Number of frames when it was opened.
        before: usize,
        /// Number of frames now.
        now: usize,
    },
    /// The journal belongs to another job.
    #[error(
        "'{path}' belongs to another job: {what} was {before} and is now {now}; use the settings it was begun with, or begin anew"
    )]
    OtherRun {
        /// The journal.
        path: PathBuf,
        /// The setting that differs.
        what: String,
        /// Its value in the journal.
        before: String,
        /// Its value in this job.
        now: String,
    },
    /// A frame has more points than the model can take: what the model needs grows with the square
    /// of their number.
    #[error(
        "object {object} has {points} points on frame {frame}, more than {limit}: give fewer, or a mask"
    )]
    TooManyPoints {
        /// The object.
        object: ObjectId,
        /// The frame.
        frame: usize,
        /// Number of points.
        points: usize,
        /// Largest number of points.
        limit: usize,
    },
    /// The same pixel is said to be on the object and not on it.
    #[error(
        "object {object} has a positive and a negative point on the same pixel, ({x}, {y}) on frame {frame}: leave one out"
    )]
    ContradictoryPoints {
        /// The object.
        object: ObjectId,
        /// The frame.
        frame: usize,
        /// Column of the pixel.
        x: u32,
        /// Row of the pixel.
        y: u32,
    },
    /// The head of a journal cannot be read, although frames may follow it.
    #[error(
        "the journal '{path}' is damaged ({reason}), so that it cannot be told whether it belongs to this job"
    )]
    DamagedJournal {
        /// The journal.
        path: PathBuf,
        /// What is wrong with the head.
        reason: String,
    },
    /// The recording changed since the job began.
    #[error(
        "the recording changed while it was read ('{path}': {how}); begin anew when it is complete and nothing writes it"
    )]
    RecordingChanged {
        /// The file or folder.
        path: PathBuf,
        /// The evidence of the change.
        how: String,
    },
    /// A part begins or ends within a batch.
    #[error(
        "frame {frame} is within a batch, so that parts would not add up to the whole: use {before} or {after}"
    )]
    PartBorder {
        /// Where the part begins or ends.
        frame: usize,
        /// First frame of the batch.
        before: usize,
        /// End of the batch, exclusive.
        after: usize,
    },
    /// A part is empty, or has frames that do not exist.
    #[error(
        "the part {start}..{end} is not within the recording, which has {count} frames, numbered from 0; use a range within them"
    )]
    EmptyPart {
        /// First frame.
        start: usize,
        /// End of the range, exclusive.
        end: usize,
        /// Number of frames in the recording.
        count: usize,
    },
    /// A part would need the masks of the part before it.
    #[error(
        "a part that begins at frame {start} cannot carry masks over: those of the frame before are computed elsewhere; use a part that begins at 0, or do not carry over"
    )]
    PartOfCarriedOver {
        /// First frame of the part.
        start: usize,
    },
    /// Frames that are read ahead batch by batch, with passes that go across batches.
    #[error(
        "masks are tracked across the borders of batches, so frames are read when they are needed, and the way `{mode}` is not possible; use lazy"
    )]
    FramesAcrossBatches {
        /// How frames should be read.
        mode: FramesMode,
    },
    /// Masks should be carried over borders that do not stop tracking.
    #[error(
        "with passes from both sides, objects are tracked across the borders of batches, so there is nothing to carry over; leave it out"
    )]
    NothingToCarryOver,
    /// Logits are asked for on frames that are not computed.
    #[error("there are no logits of the frames between the computed ones; compute every frame")]
    LogitsBetween,
    /// Masks should be improved where two passes disagree, but there is one pass only.
    #[error("prompting again needs the passes from both sides to compare masks; use agreed passes")]
    NothingToCompare,
    /// Prompts should come from a track, but there is none.
    #[error("prompting again needs a pose track to prompt from; give one, or leave it out")]
    NothingToPromptFrom,
    /// Masks of a pass should exclude each other.
    #[error(
        "with passes from both sides, masks of different passes are combined, so objects cannot exclude each other's pixels; leave `non_overlap_masks` out"
    )]
    MasksApart,
    /// The device's memory does not suffice, even with as little in flight as possible.
    #[error(
        "the device's memory does not suffice, not even with {objects} object{} at a time and {cached} encoded frame{} kept ({source}); use a smaller model or image size, or another device",
        if *objects == 1 { "" } else { "s" }, if *cached == 1 { "" } else { "s" }
    )]
    DeviceMemory {
        /// Number of objects that went through the model at a time.
        objects: usize,
        /// Number of encoded frames that were kept.
        cached: usize,
        /// The device's error.
        source: Box<JobError>,
    },
    /// Temporary storage for masks failed.
    #[error(
        "cannot store masks temporarily in '{folder}': {source}; free space there or set TMPDIR"
    )]
    Spool {
        /// The folder for temporary files.
        folder: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The user stopped the job.
    #[error("stopped after {done} of {total} frames")]
    Cancelled {
        /// Number of frames tracked.
        done: usize,
        /// Number of frames in the job.
        total: usize,
    },
}

impl JobError {
    /// Returns `true` if the device had too little memory, so that the job may succeed with less in
    /// flight.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_out_of_memory())
    }
}

/// Keeps a frame or file that failed under its own variant, wherever it failed.
impl From<EngineError> for JobError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Frame(error) => Self::Frame(error),
            EngineError::Write(error) => Self::Write(error),
            other => Self::Engine(other),
        }
    }
}

/// Converts a failure of the device, which sessions report.
impl From<sam2_model::DeviceFailure> for JobError {
    fn from(failure: sam2_model::DeviceFailure) -> Self {
        Self::Engine(failure.into())
    }
}
