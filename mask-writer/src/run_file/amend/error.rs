//! Amendments that are refused.

use std::ops::Range;

/// An amendment that contradicts the run or what was amended before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmendError {
    /// A frame that the run does not have.
    #[error("the run has no frame {frame}: it has frames {} to {}", run.start, run.end.saturating_sub(1))]
    NoSuchFrame {
        /// The frame.
        frame: usize,
        /// The frames of the run.
        run: Range<usize>,
    },
    /// A range without frames.
    #[error("the range {}..{} has no frames: give its first and its last frame", .0.start, .0.end)]
    NoFrames(Range<usize>),
    /// An object that the run does not have.
    #[error("the run has no object {object}: it has {known}")]
    NoSuchObject {
        /// The object.
        object: u32,
        /// The objects of the run, in words.
        known: String,
    },
    /// Object numbers begin with 1.
    #[error("0 is not an object: objects are numbered from 1")]
    ObjectZero,
    /// Twice the same object.
    #[error("object {0} was given twice: give two objects")]
    SameObject(u32),
    /// No prompt to remove.
    #[error(
        "object {object} has no prompt on frame {frame}: `sam2 correct --show` lists the prompts"
    )]
    NoSuchPrompt {
        /// The object.
        object: u32,
        /// The frame.
        frame: usize,
    },
    /// A frame that is locked.
    #[error("frame {frame} is locked for {}: unlock it first", match object { Some(object) => format!("object {object}"), None => "all objects".to_owned() })]
    Locked {
        /// The object; `None` = all.
        object: Option<u32>,
        /// The first such frame.
        frame: usize,
    },
    /// A prompt where the object is said to be absent.
    #[error("object {object} is marked as absent on frame {frame}: take that back first")]
    Absent {
        /// The object.
        object: u32,
        /// The frame.
        frame: usize,
    },
    /// A prompt where the object was deleted.
    #[error(
        "object {object} was deleted on frame {frame}: undo that, or give the animal another number"
    )]
    Deleted {
        /// The object.
        object: u32,
        /// The frame.
        frame: usize,
    },
    /// Frames that are still to be tracked again.
    #[error("object {object} is not tracked again yet on frames {} to {}: track first, then lock", frames.start, frames.end.saturating_sub(1))]
    NotTracked {
        /// The object.
        object: u32,
        /// The first such frames.
        frames: Range<usize>,
    },
    /// An amendment that does not exist.
    #[error("there is no amendment {number}: the last one is {last}")]
    NoSuchAmendment {
        /// The number.
        number: usize,
        /// The last number.
        last: usize,
    },
    /// Nothing to undo or to redo.
    #[error("there is nothing to {0}")]
    NothingTo(&'static str),
    /// A prompt that says nothing.
    #[error(
        "the prompt of object {object} on frame {frame} is empty: give a point, a box or a mask"
    )]
    EmptyPrompt {
        /// The object.
        object: u32,
        /// The frame.
        frame: usize,
    },
    /// A mask that does not have the size of the frames.
    #[error(
        "the mask of object {object} on frame {frame} does not have the size of the frames, {width}x{height}"
    )]
    MaskSize {
        /// The object.
        object: u32,
        /// The frame.
        frame: usize,
        /// Width of the frames.
        width: u32,
        /// Height of the frames.
        height: u32,
    },
}
