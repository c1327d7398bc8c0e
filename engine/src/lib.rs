//! Segment Anything 2 on long recordings.
//!
//! - [`VideoSession`]: prompts for any number of objects on any frame, then [`VideoSession::propagate`] in either
//!   direction as an iterator of masks. It does what the official `SAM2VideoPredictor` does, in memory that does not
//!   grow with the recording.
//! - [`StreamSession`]: the same on frames that come one at a time, without an end.
//! - [`ImagePredictor`]: prompts for single images; [`AutomaticMaskGenerator`]: masks of everything in an image, without prompts.
//! - [`segment`]: the batch job of the command line, from keypoints or clicks to files.
//!
//! ```no_run
//! use sam2_engine::{Device, Direction, LazyFrames, LazyOptions, ObjectId, Point, Sam2, VideoSession};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::default();
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

mod automatic_masks;
mod error;
mod image_predictor;
pub mod job;
pub mod keypoints;
mod memory_bank;
mod prompt;
mod session;

pub use automatic_masks::{
    AutomaticMaskError, AutomaticMaskGenerator, AutomaticMaskOptions, CropBox, GenerationProgress,
    MaskOutput, MaskRecord, PointGrids, Segmentation, crop_boxes, point_grid,
    postprocess_small_regions, remove_small_regions,
};
pub use error::EngineError;
pub use image_predictor::{EncodedImage, ImageMask, ImagePredictor, ImagePrompt, PointPredictions};
pub use job::{
    BatchPlan, CancelFlag, JobObserver, JobOptions, JobPlan, JobPrompt, JobReport, JobStage,
    segment,
};
pub use memory_bank::{MemoryBank, MemoryReach, MemoryRetention, Outcome};
pub use prompt::{BoxPrompt, ObjectId, Point};
pub use sam2_frame_provider::resize::ResizeMode;
pub use sam2_frame_provider::{
    FrameError, FrameSize, FrameSource, FramesMode, LazyFrames, LazyOptions, RgbFrame,
};
pub use sam2_mask_writer::{CocoRle, CocoRleError, Mask, MaskSink};
pub use sam2_model::{Device, DeviceChoice, Sam2, Sam2Config};
pub use session::{
    Direction, FORMAT_VERSION as SESSION_FORMAT_VERSION, Fit, FrameMasks, ObjectMask,
    ParseRegionError, Propagation, Region, SessionFileError, SessionOptions, StreamOptions,
    StreamSession, VideoSession, fill_holes, remove_islands,
};
