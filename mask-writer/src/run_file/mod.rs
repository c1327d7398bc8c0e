//! Run files (`.sam2run`): the complete results of segmenting a recording or a part of it.
//!
//! A run file holds the masks of every frame as runs, what the model reported about them, and which
//! frames were tracked together. While a job runs, the file is the job's journal: complete batches
//! are never computed again. Afterwards it can be converted into any other format or a report, and
//! the files of several parts can be merged into one.
//!
//! # Format
//!
//! The file begins with the eight bytes `SAM2RUN\n`. Records follow, all numbers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | kind: 0 header, 1 frame, 2 end of a batch, 3 end of the run, 4 amendment, 5 masks computed again |
//! | 8 | length of the payload |
//! | 4 | CRC-32 (IEEE) of kind, length and payload |
//! | length | payload |
//!
//! The first record is the header ([`RunHeader`] as JSON), and there is only one. Frames come in
//! order and without gaps. A record of kind 2 ([`RunBatch`] as JSON) follows the last frame of each
//! batch, and one of kind 3 (without payload) follows the last batch.
//!
//! Payload of a frame; `v` is an unsigned number with seven bits per byte, lowest first, and the
//! high bit set on all bytes but the last:
//!
//! | type | what |
//! |---|---|
//! | v | number of the frame in the recording |
//! | u8, f64 | 1 and its time in seconds, or 0 and nothing |
//! | v | number of objects; for each of them: |
//! | v | the object |
//! | u8 | bit 0: facts follow; bit 1: logits follow; bit 2: the agreement follows the facts |
//! | f32, f32, u8, u8 | facts: object score, predicted IoU, whether prompted, flags ([`QualityFlags::bits`](crate::QualityFlags::bits)) |
//! | f32 | agreement: IoU of the two masks of a frame that was tracked from both sides |
//! | v, then as many v | runs, as [`Mask::runs`](crate::Mask::runs), of a mask of the recording's size |
//! | f32 each | logits: width x height of them |
//!
//! After the end of the run, amendments may follow: records of kind 4 ([`Amendment`] as JSON), and
//! records of kind 5, which hold the number of the amendment that they belong to and the number of the
//! frame, as u64 each, and then the masks of the objects that were computed again, coded as a frame.
//! What is torn at the end of a file, because its writer was killed, does not count.
//!
//! Readers reject a [`RunHeader::format_version`] other than [`RunHeader::FORMAT_VERSION`].

mod amend;
mod error;
mod frame;
mod header;
mod reader;
mod record;
mod sink;
mod writer;

#[cfg(test)]
mod tests;

pub use amend::{
    Action, Added, AmendError, AmendFileError, Amendment, OpenRun, RunAmender, RunState, Stretch,
};
pub use error::RunFileError;
pub use frame::{FrameCodeError, RunFrame};
pub use header::{RunBatch, RunHeader, RunPoint, RunPrompt};
pub use reader::{RecoveredRun, RunFrames, RunReader, RunRecord};
pub use sink::RunFileSink;
pub use writer::RunWriter;
