//! What is known of a frame's result in plain numbers.

use crate::session::QualityFlags;

/// The result of one frame for one object in a few numbers: what quality flags and memory policies look at. Kept as long as the
/// result itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct FrameRecord {
    /// Logit; above 0 = the model sees the object.
    pub object_score: f32,
    /// The model's own estimate of the mask's IoU with the truth, 0..1.
    pub predicted_iou: f32,
    /// Pixels of the mask at the recording's size.
    pub area: u64,
    /// What is remarkable about them.
    pub flags: QualityFlags,
    /// Whether somebody said on this frame where the object is.
    pub prompted: bool,
    /// Whether another object that could have been meant was in sight: see [`crate::MemoryPolicy::sees_distractor`].
    pub distractor: bool,
}
