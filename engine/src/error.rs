//! Errors of segmentation.

use sam2_frame_provider::{FrameError, FrameSize};
use sam2_mask_writer::WriteError;
use sam2_model::DeviceFailure;

use crate::automatic_masks::AutomaticMaskError;
use crate::prompt::ObjectId;
use crate::session::Region;
use crate::session::SessionFileError;

/// An error during segmentation. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A frame could not be read.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// An output could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A saved session is unusable.
    #[error(transparent)]
    SessionFile(#[from] SessionFileError),
    /// The generator of automatic masks has invalid options, or the caller stopped it.
    #[error(transparent)]
    AutomaticMasks(#[from] AutomaticMaskError),
    /// Propagation without any prompt.
    #[error("there is nothing to track: add points, a box or a mask for at least one object first")]
    NoPrompts,
    /// An object has no prompt, or was only prompted on frames that had already been tracked.
    #[error("object {0} has no prompt of its own: add points, a box or a mask for it")]
    ObjectWithoutPrompt(ObjectId),
    /// The session does not know this object.
    #[error("object {0} is unknown: prompt it first")]
    UnknownObject(ObjectId),
    /// A prompt was given before the first frame of a stream.
    #[error("the stream has no frame yet: push one, then prompt it")]
    NoFrameYet,
    /// A frame of a stream differs in size from the first one.
    #[error(
        "frame {frame} of the stream is {found}, the first was {expected}: open a new session for it"
    )]
    StreamFrameSize {
        /// Index of the frame.
        frame: usize,
        /// Size of the first frame.
        expected: FrameSize,
        /// Size of this frame.
        found: FrameSize,
    },
    /// A prompt has neither points nor a box.
    #[error(
        "the prompt for object {object} on frame {frame} is empty: give at least one point or a box"
    )]
    EmptyPrompt {
        /// The object.
        object: ObjectId,
        /// The frame.
        frame: usize,
    },
    /// A candidate mask was chosen that does not exist.
    #[error(
        "object {object} has no candidate mask {index} on frame {frame}: they are numbered 0, 1, 2"
    )]
    NoSuchCandidate {
        /// The object.
        object: ObjectId,
        /// The frame.
        frame: usize,
        /// The chosen index.
        index: usize,
    },
    /// The frame index is outside the recording.
    #[error("frame {frame} does not exist: the {count} frames are numbered from 0")]
    FrameOutOfRange {
        /// The requested frame.
        frame: usize,
        /// Number of frames in the recording.
        count: usize,
    },
    /// A coordinate is outside the picture or NaN.
    #[error(
        "{what} ({x}, {y}) on frame {frame} is outside the {size} picture: check the coordinates"
    )]
    PointOutside {
        /// Name of the point.
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
    /// A coordinate is inside the picture but outside the session's region.
    #[error(
        "{what} ({x}, {y}) on frame {frame} is outside the region {region}: enlarge the region or move the prompt"
    )]
    PointOutsideRegion {
        /// Name of the point.
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
    /// A region is not within the frames.
    #[error(
        "the region {region} (x,y,width,height) is not within the {size} picture: check its numbers"
    )]
    RegionOutside {
        /// The region.
        region: Region,
        /// The recording's size.
        size: FrameSize,
    },
    /// A box is empty: its edges coincide or are in the wrong order.
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
    /// A mask prompt differs in size from the recording's frames.
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
    /// The memories that propagation from this frame would read were released.
    #[error(
        "cannot propagate from frame {start}: the memories around it were released to bound memory; start from a prompted frame, or open the session with MemoryRetention::All"
    )]
    MemoriesReleased {
        /// The frame from which propagation should have started.
        start: usize,
    },
    /// A correction is on a tracked frame whose earlier result, or the memories it was tracked
    /// with, were released.
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
}

impl EngineError {
    /// Returns whether the device ran out of memory, in which case working on less at a time may
    /// help.
    pub fn is_out_of_memory(&self) -> bool {
        let message = match self {
            Self::DeviceFailure(failure) => {
                return matches!(failure, DeviceFailure::OutOfMemory { .. });
            }
            Self::Device(message) => message,
            _ => return false,
        };
        // The drivers report this only in the message; no error code reaches this crate.
        let said = message.to_lowercase().replace(['_', '-'], " ");
        ["out of memory", "outofmemory", "not enough memory", "buffer too big", "buffertoobig"]
            .iter()
            .any(|words| said.contains(words))
    }
}
