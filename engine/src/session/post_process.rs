//! Conversion of predictions to the masks that are returned.

use std::sync::Arc;

use sam2_frame_provider::FrameSize;
use sam2_mask_writer::{Mask, QualityFlags};
use sam2_model::{Device, MaskPrediction, Sam2, Tensor};

use super::cores::on_cores;
use super::options::SessionOptions;
use super::placement::Placement;
use super::quality::Found;
use super::read_back::{Answer, ReadBack, Reading, answers};
use super::results::{FrameMasks, ObjectMask};
use super::small_regions::{fill_holes, remove_islands};
use crate::error::EngineError;
use crate::on_device::read;
use crate::prompt::ObjectId;

/// Turns the network's predictions into masks for the user. All of this runs on the CPU: the data
/// for a frame's masks are small, and the device has the next frame to work on.
pub(super) struct PostProcess {
    model: Sam2,
    options: SessionOptions,
    placement: Placement,
    read_back: ReadBack,
}

/// A prediction to be shown.
pub(super) struct Shown {
    pub(super) object: ObjectId,
    pub(super) prediction: MaskPrediction,
    /// Whether the frame is a conditioning frame of the object.
    pub(super) prompted: bool,
    /// Whether it comes directly from the network, so that small holes and islands must still be
    /// cleaned if the session does so.
    pub(super) raw: bool,
}

/// The result of a pathway that is remembered but not shown.
pub(super) struct Unshown {
    /// Mask logits for the session's memory, `[1, 1, S / 4, S / 4]`.
    pub(super) low_res_logits: Tensor<4>,
    pub(super) found: Found,
}

/// Predictions that are being read back.
pub(super) struct Showing {
    shown: Vec<Shown>,
    reading: Reading,
}

impl PostProcess {
    /// # Errors
    /// [`EngineError::RegionOutside`] if the region is not within the frame.
    pub(super) fn new(
        model: &Sam2,
        options: SessionOptions,
        recording: FrameSize,
    ) -> Result<Self, EngineError> {
        let side = model.config().image_size;
        let placement = Placement::new(recording, &options, side, &Device::flex())?;
        Ok(Self { model: model.clone(), options, placement, read_back: ReadBack::new(model) })
    }

    /// Replaces the options.
    pub(super) fn set_options(&mut self, options: SessionOptions) {
        self.options = options;
    }

    /// Returns the area of a mask in pixels at the recording's size.
    pub(super) fn area(&self, low_res_logits: &[f32]) -> Result<u64, EngineError> {
        let logits = self.at_size_of_region(low_res_logits)?;
        Ok(logits.iter().filter(|&&logit| logit > 0.0).count() as u64)
    }

    /// Reads back one prediction.
    pub(super) fn read(&self, prediction: MaskPrediction) -> Result<Answer, EngineError> {
        let answer = answers(vec![prediction])?.pop();
        answer.ok_or_else(|| EngineError::Device("nothing was read".to_owned()))
    }

    /// Starts reading predictions back; the device may get other work until [`Self::finish`].
    pub(super) fn begin(&self, shown: Vec<Shown>) -> Showing {
        let reading =
            self.read_back.begin(shown.iter().map(|shown| shown.prediction.clone()).collect());
        Showing { shown, reading }
    }

    /// Runs [`Self::begin`] and [`Self::finish`].
    pub(super) fn to_masks(
        &self,
        frame_index: usize,
        shown: Vec<Shown>,
    ) -> Result<FrameMasks, EngineError> {
        self.finish(frame_index, self.begin(shown))
    }

    /// Cleans raw logits and resizes them to the recording's size. The caller, which knows earlier
    /// frames, sets the flags. The logits for the session's memory are in
    /// [`ObjectMask::low_res_logits`].
    pub(super) fn finish(
        &self,
        frame_index: usize,
        Showing { shown, reading }: Showing,
    ) -> Result<FrameMasks, EngineError> {
        let pairs = shown.into_iter().zip(reading.finish()?).collect();
        let at_size = |(mut shown, mut answer): (Shown, Answer)| {
            if shown.raw {
                self.clean(&mut shown.prediction, &mut answer.low_res_logits);
            }
            let logits = self.at_size_of_region(&answer.low_res_logits)?;
            Ok((shown, answer, self.placement.paste(logits)))
        };
        let mut pairs = on_cores(&self.model, pairs, at_size)?;
        if self.options.non_overlap_masks {
            suppress_overlaps(pairs.iter_mut().map(|(_, _, logits)| &mut logits[..]).collect());
        }
        let size = self.placement.recording();
        let one = |(shown, answer, logits): (Shown, Answer, Vec<f32>)| {
            let mask = Mask::from_logits(size.width, size.height, &logits)
                .map_err(|error| EngineError::Device(error.to_string()))?;
            Ok(ObjectMask {
                object: shown.object,
                mask,
                object_score: answer.object_score,
                predicted_iou: answer.predicted_iou,
                prompted: shown.prompted,
                flags: QualityFlags::NONE,
                video_logits: self.options.limits.keep_video_logits.then(|| Arc::new(logits)),
                low_res_logits: shown.prediction.low_res_logits,
            })
        };
        let objects = on_cores(&self.model, pairs, one)?;
        Ok(FrameMasks { frame_index, objects })
    }

    /// Cleans raw logits of pathways that are not shown, and measures their masks. Other objects do
    /// not take pixels from them.
    pub(super) fn finish_unshown(
        &self,
        Showing { shown, reading }: Showing,
    ) -> Result<Vec<Unshown>, EngineError> {
        let pairs = shown.into_iter().zip(reading.finish()?).collect();
        on_cores(&self.model, pairs, |(mut shown, mut answer): (Shown, Answer)| {
            self.clean(&mut shown.prediction, &mut answer.low_res_logits);
            let area = self.area(&answer.low_res_logits)?;
            let Answer { object_score, predicted_iou, .. } = answer;
            let low_res_logits = shown.prediction.low_res_logits;
            let found = Found { area, object_score, predicted_iou, prompted: false };
            Ok(Unshown { low_res_logits, found })
        })
    }

    /// Fills small holes and removes small islands, if the session's options say so.
    fn clean(&self, prediction: &mut MaskPrediction, logits: &mut [f32]) {
        let SessionOptions { fill_hole_area, remove_island_area, .. } = self.options;
        let dims = prediction.low_res_logits.dims();
        let changed = fill_holes(logits, dims[3], fill_hole_area)
            + remove_islands(logits, dims[3], remove_island_area);
        if changed > 0 {
            prediction.low_res_logits =
                Tensor::<1>::from_floats(&*logits, self.model.device()).reshape(dims);
        }
    }

    /// Resizes logits `[S / 4, S / 4]` to the region's size.
    fn at_size_of_region(&self, low_res_logits: &[f32]) -> Result<Vec<f32>, EngineError> {
        let side = low_res_logits.len().isqrt();
        let low_res = Tensor::<1>::from_floats(low_res_logits, &Device::flex());
        read(self.placement.logits_of_region(low_res.reshape([1, 1, side, side])))
    }
}

/// Leaves each pixel to the object with the highest logit there, the first of equals
/// (`_apply_non_overlapping_constraints`).
fn suppress_overlaps(mut objects: Vec<&mut [f32]>) {
    const SUPPRESSED: f32 = -10.0;
    let pixels = objects.first().map_or(0, |logits| logits.len());
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
