//! Results of a session.

use std::sync::Arc;

use sam2_mask_writer::{LabelledMask, Mask, MaskFacts, QualityFlags};
use sam2_model::Tensor;

use crate::prompt::ObjectId;

/// One object in one frame.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObjectMask {
    /// The object.
    pub object: ObjectId,
    /// The mask, at the recording's size.
    pub mask: Mask,
    /// Logit; above 0 = the model sees the object in this frame.
    pub object_score: f32,
    /// The model's own estimate of the mask's IoU with the ground truth, 0..1.
    pub predicted_iou: f32,
    /// Whether this frame is a conditioning frame of this object.
    pub prompted: bool,
    /// Quality flags, which mark masks to check; see
    /// [`QualityFlag`](sam2_mask_writer::QualityFlag).
    pub flags: QualityFlags,
    /// Mask logits at the recording's size, `[height, width]`; the mask is where they are above 0.
    /// Only with [`super::SessionOptions::keep_video_logits`].
    pub video_logits: Option<Arc<Vec<f32>>>,
    /// Mask logits before resizing to the recording's size, `[1, 1, S / 4, S / 4]`.
    pub low_res_logits: Tensor<4>,
}

impl ObjectMask {
    /// Returns the number of pixels in the mask.
    pub fn area(&self) -> u64 {
        self.mask.area()
    }
}

/// All objects in one frame, in the order in which they were first prompted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FrameMasks {
    /// Index of the frame, from 0.
    pub frame_index: usize,
    /// The objects.
    pub objects: Vec<ObjectMask>,
}

impl FrameMasks {
    /// Returns the result of an object; `None` if the frame has none.
    pub fn get(&self, object: ObjectId) -> Option<&ObjectMask> {
        self.objects.iter().find(|shown| shown.object == object)
    }

    /// Iterates over the objects, in the order in which they were first prompted.
    pub fn iter(&self) -> std::slice::Iter<'_, ObjectMask> {
        self.objects.iter()
    }

    /// Returns the masks in the form that a [`sam2_mask_writer::MaskSink`] takes.
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
                    agreement: None,
                }),
                logits: shown.video_logits.clone(),
            })
            .collect()
    }
}

impl<'a> IntoIterator for &'a FrameMasks {
    type Item = &'a ObjectMask;
    type IntoIter = std::slice::Iter<'a, ObjectMask>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
