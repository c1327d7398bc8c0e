//! What a session gives out.

use std::sync::Arc;

use sam2_mask_writer::{LabelledMask, Mask, MaskFacts, QualityFlags};
use sam2_model::Tensor;

use crate::prompt::ObjectId;

/// One object in one frame.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObjectMask {
    /// Whose mask it is.
    pub object: ObjectId,
    /// At the recording's size.
    pub mask: Mask,
    /// Logit; above 0 = the model sees the object in this frame.
    pub object_score: f32,
    /// The model's own estimate of the mask's IoU with the truth, 0..1.
    pub predicted_iou: f32,
    /// Whether this frame is a conditioning frame of this object.
    pub prompted: bool,
    /// What a person should look at: see [`QualityFlag`](sam2_mask_writer::QualityFlag).
    pub flags: QualityFlags,
    /// Mask logits at the recording's size, `[height, width]`; the mask is where they are above 0. Only with
    /// [`super::SessionOptions::keep_video_logits`].
    pub video_logits: Option<Arc<Vec<f32>>>,
    /// Mask logits before they were brought to the recording's size, `[1, 1, S / 4, S / 4]`.
    pub low_res_logits: Tensor<4>,
}

impl ObjectMask {
    /// Pixels of the mask.
    pub fn area(&self) -> u64 {
        self.mask.area()
    }
}

/// All objects in one frame, in the order in which they were first prompted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FrameMasks {
    /// Number of the frame, from 0.
    pub frame_index: usize,
    /// The objects.
    pub objects: Vec<ObjectMask>,
}

impl FrameMasks {
    /// The masks as a [`sam2_mask_writer::MaskSink`] takes them.
    pub fn labelled(&self) -> Vec<LabelledMask> {
        self.objects
            .iter()
            .map(|shown| LabelledMask {
                object: shown.object.0,
                mask: shown.mask.clone(),
                facts: Some(MaskFacts {
                    object_score: shown.object_score,
                    predicted_iou: shown.predicted_iou,
                    prompted: shown.prompted,
                    flags: shown.flags,
                }),
                logits: shown.video_logits.clone(),
            })
            .collect()
    }
}
