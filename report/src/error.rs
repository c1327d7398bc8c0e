//! Errors of making a report.

use std::ops::Range;

/// An error of making a report.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Frames arrived out of order or twice, which would make spans and plots wrong.
    #[error("frame {found} comes after frame {last}: a report takes the frames of a run in order")]
    OutOfOrder {
        /// Index of the previous frame.
        last: usize,
        /// Index of the frame that arrived.
        found: usize,
    },
    /// A frame that is not part of the run.
    #[error("frame {frame} is not among the run's frames {frames:?}")]
    FrameOutOfRange {
        /// Index of the frame.
        frame: usize,
        /// The frames of the run.
        frames: Range<usize>,
    },
    /// A mask whose size differs from the recording's.
    #[error("a mask of frame {frame} is {found:?} pixels, the recording's frames are {expected:?}")]
    MaskSize {
        /// Index of the frame.
        frame: usize,
        /// Width and height of the recording.
        expected: (u32, u32),
        /// Width and height of the mask.
        found: (u32, u32),
    },
    /// A picture whose size differs from the recording's.
    #[error(
        "the picture of frame {frame} has {found} bytes, not {expected}: it is not of this recording"
    )]
    PictureSize {
        /// Index of the frame.
        frame: usize,
        /// Number of bytes of an RGB8 frame of the recording's size.
        expected: usize,
        /// Number of bytes given.
        found: usize,
    },
    /// A picture that the JPEG encoder rejects.
    #[error("the picture of frame {frame} cannot become a JPEG: {message}")]
    Encode {
        /// Index of the frame.
        frame: usize,
        /// The encoder's message.
        message: String,
    },
}
