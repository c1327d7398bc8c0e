//! Reasons why run files do not add up to a whole recording.

use std::path::PathBuf;

use crate::span::FrameSpan;

/// Run files do not add up to a whole recording.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// No file was given.
    #[error("there is nothing to merge: give the run files of all parts")]
    Nothing,
    /// The parts are of different recordings or jobs.
    #[error("'{second}' does not belong to '{first}': {difference}; use parts of one job")]
    Different {
        /// The part that comes first.
        first: PathBuf,
        /// A later part.
        second: PathBuf,
        /// What differs, as a clause.
        difference: String,
    },
    /// Some frames are in no part.
    #[error(
        "{span} {are} in no part: add the run file with {span}",
        span = FrameSpan::inclusive(*start, *last),
        are = FrameSpan::inclusive(*start, *last).are()
    )]
    Gap {
        /// The first of these frames.
        start: usize,
        /// The last of these frames, inclusive.
        last: usize,
    },
    /// Frames to be replaced begin or end within a batch, whose frames were tracked together.
    #[error(
        "'{path}' has a border at frame {frame}, within the batch of frames {before} to {}: compute whole batches again, with --frames {before}..{after}",
        after.saturating_sub(1)
    )]
    WithinBatch {
        /// The run file with the newer frames.
        path: PathBuf,
        /// Where it begins or ends.
        frame: usize,
        /// First frame of the batch.
        before: usize,
        /// First frame behind the batch.
        after: usize,
    },
    /// Some frames are in two parts.
    #[error(
        "{span} {are} in '{first}' and in '{second}': leave one of the two out, or run again with parts that do not overlap",
        span = FrameSpan::inclusive(*start, *last),
        are = FrameSpan::inclusive(*start, *last).are()
    )]
    Overlap {
        /// The first of these frames.
        start: usize,
        /// The last of these frames, inclusive.
        last: usize,
        /// The part that comes first.
        first: PathBuf,
        /// The other part.
        second: PathBuf,
    },
}
