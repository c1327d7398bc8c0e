//! Scores and flags of a frame's result as plain numbers.

use crate::session::QualityFlags;

/// The result of one frame for one object in a few numbers, which quality flags and memory policies
/// read. It is kept as long as the result itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct FrameRecord {
    /// Logit; above 0 = the model sees the object.
    pub object_score: f32,
    /// The model's own estimate of the mask's IoU with the ground truth, 0..1.
    pub predicted_iou: f32,
    /// Pixels of the mask at the recording's size.
    pub area: u64,
    /// Quality flags of the mask.
    pub flags: QualityFlags,
    /// Whether this object was prompted on this frame.
    pub prompted: bool,
    /// Whether another object that the prompt could have meant was in sight; see
    /// [`crate::MemoryPolicy::sees_distractor`].
    pub distractor: bool,
}
