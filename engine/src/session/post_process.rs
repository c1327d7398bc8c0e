//! From predictions to the masks that are given out.

use std::sync::Arc;

use sam2_mask_writer::{Mask, QualityFlags};
use sam2_model::{DeviceFailure, MaskPrediction, Sam2, Tensor};

use super::cores::on_cores;
use super::options::SessionOptions;
use super::placement::Placement;
use super::results::{FrameMasks, ObjectMask};
use super::small_regions::{fill_holes, remove_islands};
use crate::error::EngineError;
use crate::prompt::ObjectId;

/// What happens to masks between the network and the user.
pub(super) struct PostProcess<'m> {
    model: &'m Sam2,
    options: SessionOptions,
    placement: Placement,
}

impl<'m> PostProcess<'m> {
    pub(super) fn new(model: &'m Sam2, options: SessionOptions, placement: Placement) -> Self {
        Self { model, options, placement }
    }

    /// Fills small holes and removes small islands, if the session is to.
    pub(super) fn clean(
        &self,
        mut prediction: MaskPrediction,
    ) -> Result<MaskPrediction, EngineError> {
        let SessionOptions { fill_hole_area, remove_island_area, .. } = self.options;
        if fill_hole_area > 0 || remove_island_area > 0 {
            let logits = &prediction.low_res_logits;
            let dims = logits.dims();
            let mut values = read(logits.clone())?;
            let changed = fill_holes(&mut values, dims[3], fill_hole_area)
                + remove_islands(&mut values, dims[3], remove_island_area);
            if changed > 0 {
                prediction.low_res_logits =
                    Tensor::<1>::from_floats(&values[..], self.model.device()).reshape(dims);
            }
        }
        Ok(prediction)
    }

    /// Pixels of a mask at the recording's size.
    pub(super) fn area(&self, prediction: &MaskPrediction) -> Result<u64, EngineError> {
        let logits = read(self.placement.logits_of_region(prediction.low_res_logits.clone()))?;
        Ok(logits.iter().filter(|&&logit| logit > 0.0).count() as u64)
    }

    /// Brings logits to the recording's size and reads them back; flags are for those who know the past.
    pub(super) fn to_masks(
        &self,
        frame_index: usize,
        predictions: Vec<(ObjectId, MaskPrediction, bool)>,
    ) -> Result<FrameMasks, EngineError> {
        let low_res = predictions.iter().map(|(_, prediction, _)| &prediction.low_res_logits);
        let mut logits = on_cores(self.model, low_res.cloned().collect(), |low_res| {
            read(self.placement.logits_of_region(low_res))
                .map(|logits| self.placement.paste(logits))
        })?;
        if self.options.non_overlap_masks {
            suppress_overlaps(&mut logits);
        }
        let size = self.placement.recording();
        let one = |((object, prediction, prompted), logits): ((_, MaskPrediction, _), Vec<f32>)| {
            let mask = Mask::from_logits(size.width, size.height, &logits)
                .map_err(|error| EngineError::Device(error.to_string()))?;
            Ok(ObjectMask {
                object,
                mask,
                object_score: read_one(prediction.object_score_logits)?,
                predicted_iou: read_one(prediction.iou)?,
                prompted,
                flags: QualityFlags::NONE,
                video_logits: self.options.keep_video_logits.then(|| Arc::new(logits)),
                low_res_logits: prediction.low_res_logits,
            })
        };
        let with_logits = predictions.into_iter().zip(logits).collect();
        let objects = on_cores(self.model, with_logits, one)?;
        Ok(FrameMasks { frame_index, objects })
    }
}

/// Leaves each pixel to the object with the highest logit there, the first of equals
/// (`_apply_non_overlapping_constraints`).
fn suppress_overlaps(objects: &mut [Vec<f32>]) {
    const SUPPRESSED: f32 = -10.0;
    let pixels = objects.first().map_or(0, Vec::len);
    for pixel in 0..pixels {
        let mut best = 0;
        for index in 1..objects.len() {
            if objects[index][pixel] > objects[best][pixel] {
                best = index;
            }
        }
        for (index, logits) in objects.iter_mut().enumerate() {
            if index != best {
                logits[pixel] = logits[pixel].min(SUPPRESSED);
            }
        }
    }
}

pub(super) fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, EngineError> {
    let read = tensor.try_into_vec_as::<f32>();
    read.map_err(|error| DeviceFailure::from_message(&format!("{error:?}")).into())
}

pub(super) fn read_one(tensor: Tensor<2>) -> Result<f32, EngineError> {
    Ok(read(tensor)?.first().copied().unwrap_or(f32::NAN))
}
