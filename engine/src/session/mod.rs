//! Tracking objects through a recording.

mod direction;
mod features;
mod fill_holes;
mod grouping;
mod history;
mod object;
mod options;
mod post_process;
mod prompts;
mod propagation;
mod results;
mod saved;
mod stream_session;
mod tracker;
mod video_session;

pub use direction::Direction;
pub use fill_holes::fill_holes;
pub use options::SessionOptions;
pub use propagation::Propagation;
pub use results::{FrameMasks, ObjectMask};
pub use saved::{FORMAT_VERSION, SessionFileError};
pub use stream_session::{StreamOptions, StreamSession};
pub use video_session::VideoSession;
