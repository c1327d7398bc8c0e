//! What can go wrong while segmenting.

use std::path::PathBuf;

use sam2_frame_provider::{FrameError, FrameSize};
use sam2_mask_writer::{RunFileError, WriteError};
use sam2_model::DeviceFailure;

use crate::automatic_masks::AutomaticMaskError;
use crate::job::MergeError;
use crate::keypoints::KeypointError;
use crate::prompt::ObjectId;
use crate::prompt_file::PromptFileError;
use crate::session::Region;
use crate::session::SessionFileError;

/// Segmenting failed. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A frame could not be read.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// An output could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The keypoint file is unusable.
    #[error(transparent)]
    Keypoints(#[from] KeypointError),
    /// A file of prompts is unusable.
    #[error(transparent)]
    PromptFile(#[from] PromptFileError),
    /// A saved session is unusable.
    #[error(transparent)]
    SessionFile(#[from] SessionFileError),
    /// Masks of everything cannot be had as asked for, or the caller stopped it.
    #[error(transparent)]
    AutomaticMasks(#[from] AutomaticMaskError),
    /// Propagation without any prompt.
    #[error("there is nothing to track: add points, a box or a mask for at least one object first")]
    NoPrompts,
    /// An object that was never prompted, or only on frames that had already been tracked.
    #[error("object {0} has no prompt of its own: add points, a box or a mask for it")]
    ObjectWithoutPrompt(ObjectId),
    /// An object that the session does not know.
    #[error("there is no object {0}: prompt it first")]
    UnknownObject(ObjectId),
    /// A prompt for a stream that has not begun.
    #[error("the stream has no frame yet: push one, then prompt it")]
    NoFrameYet,
    /// A frame of another size than the first of the stream.
    #[error(
        "frame {frame} of the stream is {found}, the first was {expected}: open a new session for it"
    )]
    StreamFrameSize {
        /// Its number.
        frame: usize,
        /// Size of the first frame.
        expected: FrameSize,
        /// Its size.
        found: FrameSize,
    },
    /// A prompt without any point.
    #[error(
        "the prompt for object {object} on frame {frame} is empty: give at least one point or a box"
    )]
    EmptyPrompt {
        /// The object.
        object: ObjectId,
        /// The frame.
        frame: usize,
    },
    /// A frame that does not exist.
    #[error("frame {frame} does not exist: the {count} frames are numbered from 0")]
    FrameOutOfRange {
        /// What was asked for.
        frame: usize,
        /// Frames in the recording.
        count: usize,
    },
    /// A coordinate outside the picture, or none at all (NaN).
    #[error(
        "{what} ({x}, {y}) on frame {frame} is outside the {size} picture: check the coordinates"
    )]
    PointOutside {
        /// Which point.
        what: String,
        /// Column.
        x: f32,
        /// Row.
        y: f32,
        /// The frame.
        frame: usize,
        /// The recording's size.
        size: FrameSize,
    },
    /// A coordinate in the picture, but not in the part of it that the session looks at.
    #[error(
        "{what} ({x}, {y}) on frame {frame} is outside the region {region}: enlarge the region or move the prompt"
    )]
    PointOutsideRegion {
        /// Which point.
        what: String,
        /// Column.
        x: f32,
        /// Row.
        y: f32,
        /// The frame.
        frame: usize,
        /// The region.
        region: Region,
    },
    /// A region that is not within the frames.
    #[error(
        "the region {region} (x,y,width,height) is not within the {size} picture: check its numbers"
    )]
    RegionOutside {
        /// The region.
        region: Region,
        /// The recording's size.
        size: FrameSize,
    },
    /// A box whose edges are in the wrong order or outside.
    #[error(
        "the box {x0},{y0},{x1},{y1} on frame {frame} is empty: give x0,y0 (top left) and x1,y1 (bottom right)"
    )]
    EmptyBox {
        /// Left.
        x0: f32,
        /// Top.
        y0: f32,
        /// Right.
        x1: f32,
        /// Bottom.
        y1: f32,
        /// The frame.
        frame: usize,
    },
    /// A mask prompt of another size than the recording's frames.
    #[error(
        "the mask for object {object} on frame {frame} is {found}, the recording {expected}: resize the mask"
    )]
    MaskPromptSize {
        /// The object.
        object: ObjectId,
        /// The frame.
        frame: usize,
        /// The recording's size.
        expected: FrameSize,
        /// The mask's size.
        found: FrameSize,
    },
    /// The memories that propagation from this frame would read were let go.
    #[error(
        "cannot propagate from frame {start}: the memories around it were released to bound memory; start from a prompted frame, or open the session with MemoryRetention::All"
    )]
    MemoriesReleased {
        /// Where propagation should have started.
        start: usize,
    },
    /// A correction on a tracked frame whose earlier result, or the memories it was tracked with, were let go.
    #[error(
        "cannot correct frame {frame} of object {object}: its earlier result was released to bound memory; raise SessionOptions::correctable_frames, or open the session with MemoryRetention::All"
    )]
    ResultReleased {
        /// The frame.
        frame: usize,
        /// The object.
        object: ObjectId,
    },
    /// The device failed, for example for lack of memory.
    #[error("the device failed: {0}; try a smaller model or another device")]
    Device(String),
    /// The device is out of memory, was lost, or cannot run a kernel.
    #[error(transparent)]
    DeviceFailure(#[from] DeviceFailure),
    /// The recording turned out to have another number of frames while it was read.
    #[error("'{recording}' turned out to have {now} frames instead of {before}: run again")]
    FrameCountChanged {
        /// The recording.
        recording: String,
        /// Frames when it was opened.
        before: usize,
        /// Frames now.
        now: usize,
    },
    /// A run file is unusable.
    #[error(transparent)]
    RunFile(#[from] RunFileError),
    /// Run files do not make a whole.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A journal of another job.
    #[error(
        "'{path}' belongs to another job: {what} was {before} and is now {now}; use the settings it was begun with, or begin anew"
    )]
    OtherRun {
        /// The journal.
        path: PathBuf,
        /// What differs.
        what: String,
        /// In the journal.
        before: String,
        /// In this job.
        now: String,
    },
    /// More points on one frame than the model can take in: what it needs grows with the square of their number.
    #[error(
        "object {object} has {points} points on frame {frame}, more than {limit}: give fewer, or a mask"
    )]
    TooManyPoints {
        /// The object.
        object: ObjectId,
        /// The frame.
        frame: usize,
        /// How many it has.
        points: usize,
        /// How many it may have.
        limit: usize,
    },
    /// A journal whose head cannot be read, although frames may follow it.
    #[error(
        "the journal '{path}' is damaged ({reason}), so that it cannot be told whether it belongs to this job"
    )]
    DamagedJournal {
        /// The journal.
        path: PathBuf,
        /// What is wrong with its head.
        reason: String,
    },
    /// The recording is no longer what it was when the job began.
    #[error(
        "the recording changed while it was read ('{path}': {how}); begin anew when it is complete and nothing writes it"
    )]
    RecordingChanged {
        /// The file or folder.
        path: PathBuf,
        /// What shows it.
        how: String,
    },
    /// A part that cuts a batch in two.
    #[error(
        "frame {frame} is within a batch, so that parts would not add up to the whole: use {before} or {after}"
    )]
    PartBorder {
        /// Where the part begins or ends.
        frame: usize,
        /// Where the batch begins.
        before: usize,
        /// Where it ends.
        after: usize,
    },
    /// A part without frames, or with some that do not exist.
    #[error(
        "there is no part {start}..{end}: the recording has {count} frames, numbered from 0; use a range within them"
    )]
    EmptyPart {
        /// First frame.
        start: usize,
        /// Behind the last.
        end: usize,
        /// Frames in the recording.
        count: usize,
    },
    /// A part that would need the masks of the one before.
    #[error(
        "a part that begins at frame {start} cannot carry masks over: those of the frame before are computed elsewhere; use a part that begins at 0, or do not carry over"
    )]
    PartOfCarriedOver {
        /// Where the part begins.
        start: usize,
    },
    /// The device's memory does not suffice, not even with as little as possible in flight.
    #[error(
        "the device's memory does not suffice, not even with {objects} object{} at a time and {cached} encoded frame{} kept ({source}); use a smaller model or image size, or another device",
        if *objects == 1 { "" } else { "s" }, if *cached == 1 { "" } else { "s" }
    )]
    DeviceMemory {
        /// Objects that went through the model at a time.
        objects: usize,
        /// Encoded frames that were kept.
        cached: usize,
        /// What the device said.
        source: Box<EngineError>,
    },
    /// Temporary storage for masks failed.
    #[error(
        "cannot store masks temporarily in '{folder}': {source}; free space there or set TMPDIR"
    )]
    Spool {
        /// Where.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Stopped by the user.
    #[error("stopped after {done} of {total} frames")]
    Cancelled {
        /// Frames tracked.
        done: usize,
        /// Frames in the job.
        total: usize,
    },
}

impl EngineError {
    /// Whether the device had too little memory, so that less at a time may do.
    pub fn is_out_of_memory(&self) -> bool {
        let message = match self {
            Self::DeviceFailure(failure) => {
                return matches!(failure, DeviceFailure::OutOfMemory { .. });
            }
            Self::Device(message) => message,
            _ => return false,
        };
        // What the drivers say; there is no code for it that reaches us.
        let said = message.to_lowercase().replace(['_', '-'], " ");
        ["out of memory", "outofmemory", "not enough memory", "buffer too big", "buffertoobig"]
            .iter()
            .any(|words| said.contains(words))
    }
}
