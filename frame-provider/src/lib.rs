//! Exact, lazy, memory-bounded access to the frames of a recording.
//!
//! One trait, [`FrameSource`], gives a segmentation engine all that it needs of its input: frame
//! `i` as RGB8, and what is known about the whole ([`SourceInfo`]: the number of frames, their size
//! and times, warnings and more). The sources are:
//!
//! - [`VideoFrames`]: a video file, frame-exact in any order of access (see its documentation for
//!   what that means);
//! - [`JoinedFrames`]: several video files as one recording;
//! - [`TiffStack`]: a TIFF or BigTIFF file with one page per frame;
//! - [`ImageFolder`]: a folder of JPEG, PNG, BMP or TIFF files;
//! - [`OmeTiff`]: an OME-TIFF recording in several files;
//! - [`NdTiff`] and [`MmStack`]: recordings of Micro-Manager;
//! - [`NumpyFrames`]: a NumPy array;
//! - [`MemoryFrames`]: frames that are already in memory;
//! - [`LazyFrames`]: wraps any of them with a bounded cache and a background prefetcher;
//! - [`MappedFrames`]: wraps any of them with another range of intensities;
//! - [`TolerantFrames`]: wraps any of them and replaces frames that cannot be decoded, if the
//!   caller wants that;
//! - [`BatchFrames`]: a part of any of them, read on demand, preloaded, or extracted to JPEG files.
//!
//! [`open`] chooses the source by inspecting the path; [`open_with`] does the same with options.
//! [`Intensity`] sets how samples of other depths become 8-bit samples.
//!
//! [`FrameSource::scaled`] returns frames at the input size of a model, in one of several
//! [`resize`] modes. The default, [`resize::pillow_bicubic`], gives exactly the result of Pillow,
//! with which the published SAM 2 weights were evaluated.
//!
//! [`probe`] reports what is known about a recording. On request it decodes the whole recording to
//! find damage.
//!
//! # Example
//!
//! ```no_run
//! use sam2_frame_provider::{FrameSource, LazyFrames, LazyOptions};
//!
//! # fn main() -> Result<(), sam2_frame_provider::FrameError> {
//! let frames = LazyFrames::open("mouse.mp4", LazyOptions::default())?;
//! let info = frames.info();
//! println!("{}: {} frames of {}", info.description, info.frame_count, info.size);
//! for index in (0..info.frame_count).rev() {
//!     let frame = frames.frame(index)?;
//!     assert_eq!(frame.data().len(), frame.size().rgb_bytes());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Frames of other crates
//!
//! With the feature `image`, an [`RgbFrame`] is made of `image::RgbImage` or `image::DynamicImage`,
//! and becomes one again. With the feature `ndarray`, the same holds for arrays `[height, width,
//! 3]` of `u8`. Both are conversions of the standard library (`TryFrom` and `From`) and are off by
//! default.
//!
//! # Logging
//!
//! Warnings go to [`tracing`] and are kept in [`SourceInfo::warnings`]. FFmpeg's own messages go
//! to `tracing` too, never to standard error. The levels are `warn` for anything that changes the
//! numbers a user sees (a truncated file, a rebuilt index), `info` for slow steps, and `debug` for
//! decisions.

#![deny(missing_docs)]
// The tests compile the modules that pass frames between threads a second time, with the locks of a
// model checker.
#![cfg_attr(test, allow(clippy::duplicate_mod))]

mod axes;
mod batch;
mod damaged;
mod endings;
mod error;
mod files;
mod foreign;
mod frame;
#[cfg(feature = "image")]
mod frame_image;
#[cfg(feature = "ndarray")]
mod frame_ndarray;
mod frame_times;
mod image_folder;
mod intensity;
#[cfg(feature = "video")]
mod joined;
mod jpeg;
mod lazy;
mod mapped;
mod memory;
mod micro_manager;
mod numpy;
mod ome;
mod open;
mod open_options;
mod picture;
mod probe;
pub mod resize;
mod size;
mod source;
mod source_info;
mod stack_notes;
mod sync;
mod tiff;
mod tolerant;
mod travel;
#[cfg(feature = "video")]
mod video;
mod video_details;
mod video_folder;
mod video_options;

pub use axes::{Axes, Coordinate, ParseAxesError};
pub use batch::{BatchFrames, FramesMode};
pub use error::{Cause, FrameError};
pub use files::files_of;
pub use frame::RgbFrame;
pub use image_folder::ImageFolder;
pub use intensity::{Intensity, ParseIntensityError};
#[cfg(feature = "video")]
pub use joined::JoinedFrames;
pub use lazy::{LazyFrames, LazyOptions, LazyStats};
pub use mapped::MappedFrames;
pub use memory::MemoryFrames;
pub use micro_manager::{MmStack, NdTiff};
pub use numpy::NumpyFrames;
pub use ome::OmeTiff;
pub use open::{check_opens, open, open_with};
pub use open_options::OpenOptions;
pub use probe::{ProbeReport, probe, probe_source};
pub use size::FrameSize;
pub use source::{FrameSource, ScaledFrame};
pub use source_info::{DecodeStats, Flaws, SourceInfo, SourceMemory, Timing};
pub use tiff::TiffStack;
pub use tolerant::{BadFrames, TolerantFrames};
#[cfg(feature = "video")]
pub use video::{LibraryVersion, VideoFrames, ffmpeg_libraries, video_decoders};
pub use video_details::{GroupLengths, IndexKind, VideoDetails, VideoStream};
pub use video_folder::{OrderedFiles, order_files, video_files};
pub use video_options::{IndexCacheMode, IndexMode, VideoOptions};

/// Entry points for fuzzing only.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::video::check_index;
}
