//! What can go wrong when a report is made.

use std::ops::Range;

/// A report that cannot be made of what was given.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Frames came out of order, or one came twice: spans and plots would be wrong.
    #[error("frame {found} comes after frame {last}: a report takes the frames of a run in order")]
    OutOfOrder {
        /// The frame before.
        last: usize,
        /// The frame that came.
        found: usize,
    },
    /// A frame that the run does not have.
    #[error("frame {frame} is not among the run's frames {frames:?}")]
    FrameOutOfRange {
        /// The frame.
        frame: usize,
        /// The run's frames.
        frames: Range<usize>,
    },
    /// A mask of another size than the recording's.
    #[error("a mask of frame {frame} is {found:?} pixels, the recording's frames are {expected:?}")]
    MaskSize {
        /// The frame.
        frame: usize,
        /// The recording's width and height.
        expected: (u32, u32),
        /// The mask's.
        found: (u32, u32),
    },
    /// A picture of another size than the recording's.
    #[error(
        "the picture of frame {frame} has {found} bytes, not {expected}: it is not of this recording"
    )]
    PictureSize {
        /// The frame.
        frame: usize,
        /// Bytes of RGB8 at the recording's size.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A picture that the JPEG encoder refuses.
    #[error("the picture of frame {frame} cannot become a JPEG: {message}")]
    Encode {
        /// The frame.
        frame: usize,
        /// What the encoder said.
        message: String,
    },
}
