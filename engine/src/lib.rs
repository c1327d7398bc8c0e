//! Segment Anything 2 on long recordings: clicks, boxes, masks or keypoints in, the mask of every object in every frame out, in memory that
//! does not grow with the recording.
//!
//! This crate is all that a program needs: what it uses of the crates below is here too ([`frames`], [`masks`], [`model`] are those
//! crates, whole). It prints nothing; what a user should know goes to [`tracing`](https://docs.rs/tracing).
//!
//! ```no_run
//! use sam2_engine::{DeviceChoice, Direction, LazyFrames, LazyOptions, ObjectId, Point, Sam2, VideoSession};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (device, _) = DeviceChoice::Auto.open()?;
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
//! | an image, and no prompt: masks of everything | [`AutomaticMaskGenerator`] | `automatic_masks` |
//! | a recording and a click | [`VideoSession`]: prompts on any frame, [`propagate`](VideoSession::propagate) either way | `video_click` |
//! | several objects, or masks to correct | the same session: an [`ObjectId`] each, prompts at any time | `several_objects` |
//! | a camera | [`StreamSession`]: [`push`](StreamSession::push) frame after frame | `streaming` |
//! | a recording and its DeepLabCut track | [`segment`]: a [`JobPlan`] of batches, straight to files | `keypoints` |
//! | frames in your own format | your [`FrameSource`], behind [`LazyFrames`] | `custom_frame_source` |
//!
//! The examples are in `engine/examples/`; each but `automatic_masks` runs without arguments on the bundled recordings:
//! `cargo run --release --workspace --example video_click`.
//!
//! # Coordinates, sizes, units
//!
//! Points, boxes and regions are in pixels of the recording, x to the right, y down, whatever size the network takes. Masks have the
//! recording's size. Frames are RGB8, `[height, width, 3]`, and numbered from 0. Logits are above 0 where the object is. Scores named
//! `predicted_iou` are 0..1; `object_score` is a logit, above 0 where the model sees the object.
//!
//! # Models and devices
//!
//! [`Sam2::load`] takes safetensors files and recognises 2.0 and 2.1, tiny to large, from their tensors. The crate
//! `sam2-weights-convert` makes them from Meta's `.pt` files and Hugging Face's. A [`Sam2`] is shared by reference between any number of
//! sessions and threads. [`DeviceChoice::open`] finds a GPU where the feature `cuda` or `vulkan` is on, and else
//! takes the CPU. (`Device::default` is what burn likes best among the features, whether it is in the machine or not.) [`Sam2::with_precision`] chooses the
//! number format, and [`DeviceMemory`] says what a GPU holds. What CUDA lacks on a machine is a [`cuda::CudaProblem`]. More in `docs/gpu.md`.
//!
//! # Memory
//!
//! With [`MemoryRetention::Bounded`], the default, a session keeps for each object what later frames can read and no more: six memories
//! and fifteen pointers on each side of where it is and of each prompted frame. Results are those of a session that keeps everything, bit for bit; what would need
//! more is refused with [`EngineError::MemoriesReleased`] or [`EngineError::ResultReleased`]. The
//! options say what they cost in bytes: [`SessionOptions::max_conditioning_frames`], [`SessionOptions::correctable_frames`],
//! [`SessionOptions::feature_cache_frames`], [`SessionOptions::objects_per_pass`]; for frames, [`LazyOptions`].
//!
//! # Look-alikes and occlusion
//!
//! [`SessionOptions::memory_policy`] decides which memories a frame looks at: the official predictor's, or, with
//! [`MemoryPolicyChoice::Guarded`], those that can be trusted. A [`MemoryPolicy`] of your own goes to
//! [`VideoSession::with_memory_policy`]. What each is good for is measured in `docs/memory-policies.md`.
//!
//! # A part of the picture
//!
//! [`SessionOptions::region`] cuts a [`Region`] from every frame, which then has the network's whole resolution; prompts and masks keep the
//! recording's coordinates. [`SessionOptions::fit`] keeps proportions. [`Sam2::with_image_size`] gives the same weights another input
//! size.
//!
//! # Progress and cancellation
//!
//! A [`Propagation`] computes one frame for each [`next`](Iterator::next): [`frames_done`](Propagation::frames_done) and
//! [`frames_total`](Propagation::frames_total) are the progress, to stop is to drop it, and [`VideoSession::position`] says where it
//! stood. A job tells its [`JobObserver`] about every batch and frame, and stops after the current frame once its [`CancelFlag`] is
//! raised, from any thread or a signal handler; nothing is left under the names of its outputs then. With a [`Journal`] the same job goes on where it
//! stopped, also after its process was killed.
//!
//! # Saving
//!
//! [`VideoSession::save`] and [`StreamSession::save`] write prompts, memories and position to one file; `restore` continues from it bit
//! for bit, also in another process. Files of other weights, another recording or another format are refused ([`SessionFileError`]).
//!
//! # Writing masks
//!
//! A [`Mask`] is run-length encoded, a few kilobytes for a typical one. [`BigTiffSink`] writes one page a frame, [`ContactSheetSink`] one picture that shows
//! whether it worked; [`masks`] has ten more formats, from COCO to Parquet. All are [`MaskSink`]s, and so is what you implement. A file or folder appears under
//! its name when it is complete, or never.
//!
//! # Errors
//!
//! Everything that fails returns an error: [`EngineError`] for the work, with [`FrameError`], [`WriteError`],
//! [`KeypointError`] and [`SessionFileError`] inside; [`LoadError`] and [`DeviceError`] before it. Each is an
//! enum with a variant per cause, a message of one line that says what to do, and the cause below it as
//! [`source`](std::error::Error::source). A call that is refused leaves the session as it was.
//!
//! # Threads
//!
//! Everything here is [`Send`], and what can be shared is [`Sync`]: models, encoded images, masks, frame sources, errors. A session belongs to one thread at a time; for
//! several recordings at once open a session each on the same model. The CPU backend uses all cores for one session already.
//!
//! # Versions
//!
//! Before 1.0 a minor version may add fields to the option structs (build them with `..Default::default()`) and change what is computed
//! where the official predictor does not say; patch versions do neither. Error enums and the structs that are only read are
//! `#[non_exhaustive]`. The minimum supported Rust version is `rust-version` in `Cargo.toml`; raising it takes a minor version.

#![forbid(unsafe_code)]

mod automatic_masks;
mod benchmark;
mod error;
mod frame_record;
mod image_predictor;
pub mod job;
pub mod keypoints;
mod memory_bank;
mod memory_policy;
mod on_device;
mod plain_text;
mod prompt;
mod prompt_file;
mod session;

// Sessions on recordings and streams, and what they take and give.
pub use frame_record::FrameRecord;
pub use memory_bank::{MemoryBank, MemoryReach, MemoryRetention, Outcome};
pub use memory_policy::{
    Candidate, Candidates, Earlier, GuardedOptions, GuardedPolicy, MemoryPolicy,
    MemoryPolicyChoice, MemoryQuery, MemoryRead, MemoryView, OfficialPolicy, Retained,
};
pub use prompt::{BoxPrompt, ObjectId, Point};
pub use session::{
    Direction, FORMAT_VERSION as SESSION_FORMAT_VERSION, Fit, FrameMasks, ObjectMask,
    ParseRegionError, Propagation, QualityFlag, QualityFlags, QualityOptions, Region,
    SessionFileError, SessionOptions, StreamOptions, StreamSession, VideoSession, fill_holes,
    remove_islands,
};

// Images.
pub use automatic_masks::{
    AutomaticMaskError, AutomaticMaskGenerator, AutomaticMaskOptions, CropBox, GenerationProgress,
    MaskOutput, MaskRecord, PointGrids, Segmentation, crop_boxes, point_grid,
    postprocess_small_regions, remove_small_regions,
};
pub use image_predictor::{EncodedImage, ImageMask, ImagePredictor, ImagePrompt, PointPredictions};

// Batch jobs.
pub use job::{
    BatchPlan, BatchTimings, BoxMargin, COMPUTED_WITH, CancelFlag, FlaggedFrames, FramePart,
    FrameSpan, JobObserver, JobOptions, JobOutputs, JobPlan, JobPrompt, JobReceipt, JobReport,
    JobStage, Journal, KeypointPrompts, KnownObjects, MOST_FRAMES_ABOVE, MOST_NEGATIVES,
    MergeError, PartSink, PromptConflict, PromptFrames, PromptSet, ReceiptMismatch, ReceiptPlace,
    RecordingStamp, RunParts, UnpromptedObject, recording_fingerprint, run_header, segment,
};
pub use keypoints::{
    Individual, KeypointError, KeypointSelection, KeypointTrack, LocatedTrack, TrackKind,
    TrackNotice, TrackedRecording,
};
pub use prompt_file::{
    PROMPT_FILE_VERSION, PromptFileError, parse_prompts, read_mask, read_prompts, read_prompts_for,
};

// How fast it is.
pub use benchmark::{Benchmark, BenchmarkOptions, StepTimes, benchmark};

pub use error::EngineError;

// The model. `cuda` looks for what CUDA needs on this machine.
pub use sam2_model::cuda;
pub use sam2_model::{
    Device, DeviceBudget, DeviceChoice, DeviceError, DeviceFailure, DeviceMemory, LoadError,
    MaskPrediction, MemoryFeatures, MemorySelection, ModelVersion, PointLabel, Precision, Sam2,
    Sam2Config, Tensor, Variant,
};

// Where frames come from.
pub use sam2_frame_provider::resize::{ResizeMode, Scale};
pub use sam2_frame_provider::{
    BadFrames, FrameError, FrameSize, FrameSource, FramesMode, Intensity, LazyFrames, LazyOptions,
    LazyStats, MemoryFrames, OpenOptions, RgbFrame, ScaledFrame, Timing, VideoFrames,
};

// Where masks go.
pub use sam2_mask_writer::{
    BigTiffSink, CocoRle, CocoRleError, CompleteOutput, ContactSheetSink, LabelImage,
    LabelImageError, LabelledMask, Mask, MaskFacts, MaskFrame, MaskSink, MaskSizeError,
    MaskStackReader, PixelValues, RecordingInfo, RunBatch, RunFileError, RunFileSink, RunFrame,
    RunHeader, RunPoint, RunPrompt, RunReader, WriteError,
};

/// Everything about frames: `sam2-frame-provider`, whole.
#[doc(no_inline)]
pub use sam2_frame_provider as frames;
/// Everything about masks and their files: `sam2-mask-writer`, whole.
#[doc(no_inline)]
pub use sam2_mask_writer as masks;
/// The network, its blocks and its weights: `sam2-model`, whole.
#[doc(no_inline)]
pub use sam2_model as model;
