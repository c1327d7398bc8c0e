//! Tracking objects through a recording.

mod branching;
mod builder;
mod cores;
mod direction;
mod distractors;
mod features;
mod flagging;
mod grouping;
mod history;
mod object;
mod options;
mod pathway;
mod placement;
mod post_process;
mod prompts;
mod propagation;
mod quality;
mod read_back;
mod region;
mod results;
mod saved;
mod small_regions;
mod stream_session;
mod tracker;
mod video_session;

pub use builder::{StreamSessionBuilder, VideoSessionBuilder};
pub use direction::{Direction, Passes};
pub use history::FrameRuns;
pub use options::{SessionLimits, SessionOptions};

pub use propagation::Propagation;
pub use quality::QualityOptions;
pub use region::{Fit, ParseRegionError, Region};
pub use results::{FrameMasks, ObjectMask};
pub use sam2_mask_writer::{QualityFlag, QualityFlags};
pub use saved::{FORMAT_VERSION, SessionFileError};
pub use small_regions::{fill_holes, remove_islands};
pub(crate) use small_regions::{for_each_region, replace_small_regions};
pub use stream_session::{StreamOptions, StreamSession};
pub use video_session::VideoSession;
