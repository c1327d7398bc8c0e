//! Segment Anything 2 on long recordings: clicks, boxes or masks in, the mask of every object in
//! every frame out, in memory that does not grow with the recording.
//!
//! This crate is all that a program needs for images, recordings and streams. It re-exports what it
//! uses of the crates below; [`frames`], [`masks`] and [`model`] are those crates in full. Batch
//! jobs (pose tracks and prompt files in, masks of every frame out) are in the crate `sam2-jobs`,
//! which builds on this one.
//!
//! This crate prints nothing; messages for the user go to [`tracing`](https://docs.rs/tracing).
//!
//! ```no_run
//! use sam2_engine::{DeviceChoice, Direction, LazyFrames, LazyOptions, ObjectId, Point, Sam2, VideoSession};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = DeviceChoice::Auto.open()?;
//! let model = Sam2::load("sam2.1_hiera_tiny.safetensors", &device)?;
//! let frames = LazyFrames::open("mouse.mp4", LazyOptions::default())?;
//! let mut session = VideoSession::new(&model, frames)?;
//! session.add_points(0, ObjectId(1), &[Point::positive(210.0, 350.0)])?;
//! for result in session.propagate(Direction::Forward) {
//!     let frame = result?;
//!     println!("frame {}: {} pixels", frame.frame_index, frame.objects[0].mask.area());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What do you have?
//!
//! | you have | use | example |
//! |---|---|---|
//! | an image | [`ImagePredictor`]: [`encode`](ImagePredictor::encode) once, [`predict`](ImagePredictor::predict) often | `image_click` |
//! | an image and no prompt: masks of everything | [`AutomaticMaskGenerator`] | `automatic_masks` |
//! | a recording and a click | [`VideoSession`]: prompts on any frame, [`propagate`](VideoSession::propagate) in either direction | `video_click` |
//! | several objects, or masks to correct | the same session: an [`ObjectId`] each, prompts at any time | `several_objects` |
//! | a camera | [`StreamSession`]: [`push`](StreamSession::push) frame by frame | `streaming` |
//! | a recording and its DeepLabCut track | the crate `sam2-jobs`: a `Job` runs a `JobPlan` of batches, straight to files | `keypoints` |
//! | frames in your own format | your [`FrameSource`], wrapped in [`LazyFrames`] | `custom_frame_source` |
//!
//! The example `keypoints` is in `jobs/examples/` (`-p sam2-jobs`), the others are in
//! `engine/examples/`. Each except `automatic_masks` runs without arguments on the bundled
//! recordings: `cargo run --release -p sam2-engine --example video_click`.
//!
//! # Coordinates, sizes, units
//!
//! Points, boxes and regions are in pixels of the recording, x to the right, y down, whatever the
//! input size of the network. Masks have the recording's size. Frames are RGB8,
//! `[height, width, 3]`, and numbered from 0. Logits are above 0 inside the object. Scores named
//! `predicted_iou` are 0..1; `object_score` is a logit, above 0 where the model sees the object.
//!
//! # Models and devices
//!
//! [`Sam2::load`] takes safetensors files and recognises the version (2.0 or 2.1) and the size
//! (tiny to large) from their tensors. The crate `sam2-weights-convert` makes such files from
//! Meta's `.pt` files and from Hugging Face's files. With the feature `download`,
//! `Sam2::from_pretrained` loads an official model by its name and downloads it if needed; the trait
//! is `FromPretrained`. Any number of sessions and threads can share a
//! [`Sam2`] by reference.
//!
//! [`DeviceChoice::open`] finds a GPU if the feature `cuda` or `vulkan` is on, and otherwise uses
//! the CPU. (`Device::default` is the backend that burn prefers among the features, whether or not
//! the machine has such a device.) [`Sam2::with_precision`] chooses the number format, and
//! [`DeviceMemory`] reports what a GPU holds. A [`cuda::CudaProblem`] names what CUDA lacks on a
//! machine. See also `docs/gpu.md`.
//!
//! # Memory
//!
//! With [`MemoryRetention::Bounded`], the default, a session keeps for each object only what later
//! frames can read: six memories and fifteen pointers on each side of the current position and of
//! each prompted frame. The results are bit for bit those of a session that keeps everything. A
//! call that would need more is refused with [`EngineError::MemoriesReleased`] or
//! [`EngineError::ResultReleased`].
//!
//! These options document their cost in bytes: [`SessionOptions::max_conditioning_frames`],
//! [`SessionOptions::correctable_frames`], [`SessionOptions::feature_cache_frames`],
//! [`SessionOptions::objects_per_pass`]; for frames, [`LazyOptions`].
//!
//! # Look-alikes and occlusion
//!
//! [`SessionOptions::memory_policy`] decides which memories a frame reads: those of the official
//! predictor, with [`MemoryPolicyChoice::Guarded`] only trusted ones, and with
//! [`MemoryPolicyChoice::Dam4sam`] or [`MemoryPolicyChoice::Sam3`] those of published rules.
//! [`MemoryPolicyChoice::Sam2long`] follows several hypotheses about each object ([`Pathways`]). To
//! use a [`MemoryPolicy`] of your own, pass it to [`VideoSessionBuilder::memory_policy`].
//! `docs/memory-policies.md` has measurements of each policy.
//!
//! # A part of the picture
//!
//! [`SessionOptions::region`] cuts a [`Region`] from every frame and gives it the network's whole
//! resolution; prompts and masks keep the recording's coordinates. [`SessionOptions::fit`] can keep
//! the proportions. [`Sam2::with_image_size`] uses the same weights with another input size.
//!
//! # Progress and cancellation
//!
//! A [`Propagation`] computes one frame for each call of [`next`](Iterator::next).
//! [`frames_done`](Propagation::frames_done) and [`frames_total`](Propagation::frames_total) report
//! the progress. To stop, drop it; [`VideoSession::position`] then returns where it stopped. For
//! progress, cancellation and resumption of whole jobs see the crate `sam2-jobs`.
//!
//! # Saving
//!
//! [`VideoSession::save`] and [`StreamSession::save`] write prompts, memories and position to one
//! file. `restore` continues from that file bit for bit, also in another process. It refuses files
//! of other weights, another recording or another format ([`SessionFileError`]).
//!
//! # Writing masks
//!
//! A [`Mask`] is run-length encoded; a typical one takes a few kilobytes. [`BigTiffSink`] writes
//! one page per frame, [`ContactSheetSink`] one picture that shows at a glance whether the tracking
//! worked; [`masks`] has ten more formats, from COCO to Parquet. All of them implement
//! [`MaskSink`], and so can your own type. A file or folder appears under its name only when it is
//! complete.
//!
//! # Errors
//!
//! Everything that can fail returns an error: [`LoadError`] and [`DeviceError`] before the work,
//! [`EngineError`] during it, which can contain a [`FrameError`], [`WriteError`] or
//! [`SessionFileError`]. Each is an enum with a variant per cause and a one-line message that says
//! what to do; [`source`](std::error::Error::source) returns the underlying cause. A call that is
//! refused leaves the session unchanged.
//!
//! # Threads
//!
//! All types here are [`Send`], and those that can be shared are [`Sync`]: models, encoded images,
//! masks, frame sources, errors. A session belongs to one thread at a time; for several recordings
//! at once, open a session for each on the same model. The CPU backend already uses all cores for
//! one session.
//!
//! # Versions
//!
//! Before 1.0 a minor version may add fields to the option structs (build them with
//! their setters or with `..Default::default()`) and change results where the official predictor
//! leaves them open; patch versions do neither. Error enums and read-only structs are
//! `#[non_exhaustive]`. The minimum supported Rust version is `rust-version` in `Cargo.toml`; raising
//! it takes a minor version.

#![forbid(unsafe_code)]

mod automatic_masks;
mod benchmark;
mod error;
mod frame_record;
mod image_predictor;
mod memory_bank;
mod memory_policy;
mod on_device;
mod prompt;
mod session;

// Sessions on recordings and streams, with their inputs and results.
pub use frame_record::FrameRecord;
pub use memory_bank::{MemoryBank, MemoryReach, MemoryRetention, Outcome};
pub use memory_policy::{
    Candidate, Candidates, Dam4samOptions, Dam4samPolicy, Earlier, GuardedOptions, GuardedPolicy,
    MemoryPolicy, MemoryPolicyChoice, MemoryQuery, MemoryRead, MemoryView, OfficialPolicy,
    Pathways, Retained, Sam2longOptions, Sam2longPolicy, Sam3Options, Sam3Policy,
};
pub use prompt::{BoxPrompt, ObjectId, Point};
pub use session::{
    Direction, FORMAT_VERSION as SESSION_FORMAT_VERSION, Fit, FrameMasks, FrameRuns, ObjectMask,
    ParseRegionError, Passes, Propagation, QualityFlag, QualityFlags, QualityOptions, Region,
    SessionFileError, SessionLimits, SessionOptions, StreamOptions, StreamSession,
    StreamSessionBuilder, VideoSession, VideoSessionBuilder, fill_holes, remove_islands,
};

// Images.
pub use automatic_masks::{
    AutomaticMaskError, AutomaticMaskGenerator, AutomaticMaskOptions, CropBox, GenerationProgress,
    MaskOutput, MaskRecord, PointGrids, Segmentation, crop_boxes, point_grid,
    postprocess_small_regions, remove_small_regions,
};
pub use image_predictor::{EncodedImage, ImageMask, ImagePredictor, ImagePrompt, PointPredictions};

// Speed measurement.
pub use benchmark::{Benchmark, BenchmarkOptions, StepTimes, benchmark};

pub use error::EngineError;

// The model. The module `cuda` checks whether this machine has what CUDA needs.
pub use sam2_model::cuda;
pub use sam2_model::{
    Device, DeviceBudget, DeviceChoice, DeviceError, DeviceFailure, DeviceMemory, LoadError,
    MaskPrediction, MemoryFeatures, MemorySelection, ModelVersion, PointLabel, Precision, Sam2,
    Sam2Config, Tensor, Variant,
};

// Models by name.
#[cfg(feature = "download")]
pub use sam2_weights_convert::{
    DownloadOptions, DownloadProgress, FromPretrained, ModelSource, PretrainedError,
};

// Sources of frames.
#[cfg(feature = "video")]
pub use sam2_frame_provider::VideoFrames;
pub use sam2_frame_provider::resize::{ResizeMode, Scale};
pub use sam2_frame_provider::{
    BadFrames, FrameError, FrameSize, FrameSource, FramesMode, Intensity, LazyFrames, LazyOptions,
    LazyStats, MemoryFrames, OpenOptions, RgbFrame, ScaledFrame, SourceInfo, Timing,
};

// Mask writers.
pub use sam2_mask_writer::{
    BigTiffSink, CocoRle, CocoRleError, CompleteOutput, ContactSheetSink, LabelImage,
    LabelImageError, LabelledMask, Mask, MaskFacts, MaskFrame, MaskSink, MaskSizeError,
    MaskStackReader, PixelValues, RecordingInfo, RunBatch, RunFileError, RunFileSink, RunFrame,
    RunHeader, RunPoint, RunPrompt, RunReader, WriteError,
};

/// Everything about frames: `sam2-frame-provider` in full.
#[doc(no_inline)]
pub use sam2_frame_provider as frames;
/// Everything about masks and their files: `sam2-mask-writer` in full.
#[doc(no_inline)]
pub use sam2_mask_writer as masks;
/// The network, its blocks and its weights: `sam2-model` in full.
#[doc(no_inline)]
pub use sam2_model as model;
/// Everything about checkpoints: `sam2-weights-convert` in full.
#[cfg(feature = "download")]
#[doc(no_inline)]
pub use sam2_weights_convert as weights;
