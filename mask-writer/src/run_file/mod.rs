//! Run files (`.sam2run`): everything that segmenting a recording, or a part of it, has found out.
//!
//! A run file holds the masks of every frame as runs, what the model said about them, and which frames were tracked together.
//! While a job runs it is the job's journal: what is complete up to the end of a batch is never computed again. Afterwards any other
//! format, a report, or, from several parts, the whole can be made of it.
//!
//! # Format
//!
//! The file begins with the eight bytes `SAM2RUN\n`. Records follow, all numbers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | kind: 0 header, 1 frame, 2 end of a batch, 3 end of the run |
//! | 8 | length of the payload |
//! | 4 | CRC-32 (IEEE) of kind, length and payload |
//! | length | payload |
//!
//! The first record is the header ([`RunHeader`] as JSON), and only that one. Frames come in order and without gaps; a record of kind
//! 2 ([`RunBatch`] as JSON) follows the last frame of each batch, and kind 3 (without payload) the last batch.
//!
//! Payload of a frame; `v` is an unsigned number of seven bits a byte, lowest first, the high bit set on all bytes but the last:
//!
//! | type | what |
//! |---|---|
//! | v | number of the frame in the recording |
//! | u8, f64 | 1 and its time in seconds, or 0 and nothing |
//! | v | number of objects; for each of them: |
//! | v | the object |
//! | u8 | bit 0: facts follow; bit 1: logits follow |
//! | f32, f32, u8, u8 | facts: object score, predicted IoU, whether prompted, flags ([`QualityFlags::bits`](crate::QualityFlags::bits)) |
//! | v, then as many v | runs, as [`Mask::runs`](crate::Mask::runs), of a mask of the recording's size |
//! | f32 each | logits: width x height of them |
//!
//! Readers refuse a [`RunHeader::format_version`] other than [`RunHeader::FORMAT_VERSION`].

mod error;
mod frame;
mod header;
mod reader;
mod record;
mod sink;
mod writer;

#[cfg(test)]
mod tests;

pub use error::RunFileError;
pub use frame::RunFrame;
pub use header::{RunBatch, RunHeader, RunPoint, RunPrompt};
pub use reader::{RecoveredRun, RunFrames, RunReader, RunRecord};
pub use sink::RunFileSink;
pub use writer::RunWriter;
