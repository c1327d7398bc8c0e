//! One self-contained page about what came of a run: a file to look at before the masks are trusted.
//!
//! A [`ReportBuilder`] is told about the run and takes its masks frame by frame, once and in order. It keeps what the page
//! shows and no more: series reduced to buckets, flags as spans, the outlines of a few dozen frames. The [`Report`] that
//! comes out says which frames it would like to show ([`Report::frames_to_show`]); their pictures are given to it one at a
//! time, and [`Report::page`] is the page. It needs no network, no other file and no script to be read.
//!
//! This crate knows nothing of models, recordings or command lines.
//!
//! ```
//! use sam2_mask_writer::{LabelledMask, Mask};
//! use sam2_report::{ReportBuilder, RunDescription};
//!
//! let run = RunDescription { recording: "mouse.avi".into(), size: (64, 48), frames: 0..1, ..Default::default() };
//! let mut builder = ReportBuilder::new(run);
//! builder.add(0, &[LabelledMask::new(1, Mask::empty(64, 48))])?;
//! let page = builder.finish().page().to_string();
//! assert!(page.starts_with("<!DOCTYPE html>"));
//! # Ok::<(), sam2_report::ReportError>(())
//! ```

#![forbid(unsafe_code)]

mod candidates;
mod collect;
mod describe;
mod error;
mod escape;
mod object;
mod outline;
mod page;
mod picture;
mod report;
mod series;
mod shot;
mod spans;

pub use collect::ReportBuilder;
pub use describe::RunDescription;
pub use error::ReportError;
pub use report::Report;
