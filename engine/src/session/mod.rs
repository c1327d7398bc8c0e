//! Tracking objects through a recording.

mod direction;
mod fill_holes;
mod object;
mod options;
mod propagation;
mod video_session;

pub use direction::Direction;
pub use fill_holes::fill_holes;
pub use options::SessionOptions;
pub use propagation::Propagation;
pub use video_session::{FrameMasks, ObjectMask, VideoSession};
