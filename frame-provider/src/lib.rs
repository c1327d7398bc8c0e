//! Exact, lazy, memory-bounded access to the frames of a recording.
//!
//! Everything that a segmentation engine needs to know about its input is behind one trait, [`FrameSource`]: how many
//! frames there are, how large they are, and frame `i` as RGB8. The sources:
//!
//! - [`VideoFrames`]: a video file, frame-exact in any order of access (see its documentation for what that means);
//! - [`JoinedFrames`]: several video files as one recording;
//! - [`TiffStack`]: a TIFF or BigTIFF file with a page per frame;
//! - [`ImageFolder`]: a folder of JPEG, PNG, BMP or TIFF files;
//! - [`OmeTiff`]: an OME-TIFF recording in several files;
//! - [`NdTiff`] and [`MmStack`]: recordings of Micro-Manager;
//! - [`NumpyFrames`]: a NumPy array;
//! - [`MemoryFrames`]: frames that are already in memory;
//! - [`LazyFrames`]: wraps any of them with a bounded cache and a background prefetcher;
//! - [`MappedFrames`]: wraps any of them with another range of intensities;
//! - [`TolerantFrames`]: wraps any of them and replaces frames that cannot be decoded, if that is wanted;
//! - [`BatchFrames`]: a part of any of them, read on demand, preloaded, or extracted to JPEG files.
//!
//! [`open`] chooses by looking at what is at a path, [`open_with`] with options. [`Intensity`] says how other samples
//! become 8-bit ones.
//!
//! [`FrameSource::scaled`] gives frames at the size that a model takes, by a choice of [`resize`] modes. The default,
//! [`resize::pillow_bicubic`], scales with the very same result as Pillow, which is what the published SAM 2 weights were
//! evaluated with.
//!
//! [`probe`] tells what is known about a recording, and on request decodes all of it to find damage.
//!
//! # Example
//!
//! ```no_run
//! use sam2_frame_provider::{FrameSource, LazyFrames, LazyOptions};
//!
//! # fn main() -> Result<(), sam2_frame_provider::FrameError> {
//! let frames = LazyFrames::open("mouse.mp4", LazyOptions::default())?;
//! println!("{}: {} frames of {}", frames.describe(), frames.frame_count(), frames.size());
//! for index in (0..frames.frame_count()).rev() {
//!     let frame = frames.frame(index)?;
//!     assert_eq!(frame.data().len(), frame.size().rgb_bytes());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Logging
//!
//! Warnings go to [`tracing`] and are kept in [`FrameSource::warnings`]. FFmpeg's own messages go to `tracing` too, never
//! to standard error. The levels: `warn` for what changes the numbers a user sees (a truncated file, a rebuilt index),
//! `info` for slow steps, `debug` for decisions.

#![deny(missing_docs)]
// The tests compile the hand-over between threads a second time, with a model checker's locks.
#![cfg_attr(test, allow(clippy::duplicate_mod))]

mod axes;
mod batch;
mod error;
mod files;
mod foreign;
mod frame;
mod image_folder;
mod intensity;
mod joined;
mod lazy;
mod mapped;
mod memory;
mod micro_manager;
mod numpy;
mod ome;
mod open;
mod picture;
mod probe;
pub mod resize;
mod source;
mod sync;
mod tiff;
mod tolerant;
mod travel;
mod video;
mod video_folder;

pub use axes::{Axes, Coordinate, ParseAxesError};
pub use batch::{BatchFrames, FramesMode};
pub use error::{Cause, FrameError};
pub use files::files_of;
pub use frame::{FrameSize, RgbFrame};
pub use image_folder::ImageFolder;
pub use intensity::{Intensity, ParseIntensityError};
pub use joined::JoinedFrames;
pub use lazy::{LazyFrames, LazyOptions, LazyStats};
pub use mapped::MappedFrames;
pub use memory::MemoryFrames;
pub use micro_manager::{MmStack, NdTiff};
pub use numpy::NumpyFrames;
pub use ome::OmeTiff;
pub use open::{OpenOptions, check_opens, open, open_with};
pub use probe::{
    GroupLengths, IndexKind, ProbeReport, VideoDetails, VideoStream, probe, probe_source,
};
pub use source::{DecodeStats, Flaws, FrameSource, ScaledFrame, SourceMemory, Timing};
pub use tiff::TiffStack;
pub use tolerant::{BadFrames, TolerantFrames};
pub use video::{
    IndexCacheMode, IndexMode, LibraryVersion, VideoFrames, VideoOptions, ffmpeg_libraries,
    video_decoders,
};
pub use video_folder::{OrderedFiles, order_files, video_files};

/// For fuzzing only.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::video::check_index;
}
