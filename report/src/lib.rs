//! A self-contained page about the results of a run: a file to look at before trusting the masks.
//!
//! A [`ReportBuilder`] takes the description of the run and then its masks, frame by frame, once
//! and in order. It keeps only what the page shows: series reduced to buckets, flags as spans, the
//! outlines of a few dozen frames. The resulting [`Report`] lists the frames that it would like to
//! show ([`Report::frames_to_show`]). The caller supplies their pictures one at a time, and
//! [`Report::page`] returns the page, which is readable without network, other files or scripts.
//!
//! This crate does not depend on models, recordings or command lines.
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
