//! The generator: runs points through the model in batches and selects the masks to keep.

use std::ops::ControlFlow;

use sam2_frame_provider::{FrameSize, RgbFrame};
use sam2_mask_writer::Mask;
use sam2_model::Sam2;
use sam2_model::kernels::join;

use super::crops::{CropBox, crop_boxes};
use super::nms::non_maximum_suppression;
use super::options::{AutomaticMaskError, AutomaticMaskOptions};
use super::records::{MaskRecord, Segmentation, xywh};
use super::stability::stability_score;
use crate::error::EngineError;
use crate::image_predictor::{EncodedImage, ImagePredictor, PointPredictions};
use crate::on_device::{on_device, read};
use crate::prompt::Point;

/// Logits at the image's size that are held at a time: 64 MB.
const PIXELS_AT_A_TIME: usize = 1 << 24;

/// Finds masks of everything in an image.
///
/// Follows the official `SAM2AutomaticMaskGenerator` step by step. Masks are kept as runs, so
/// memory depends on the number of masks found, not on the number of points.
///
/// ```no_run
/// use sam2_engine::{AutomaticMaskGenerator, AutomaticMaskOptions, DeviceChoice, PointGrids, RgbFrame, Sam2};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = Sam2::load("sam2.1_hiera_tiny.safetensors", &DeviceChoice::Auto.open()?)?;
/// let options = AutomaticMaskOptions {
///     point_grids: PointGrids::PerSide(16),
///     ..AutomaticMaskOptions::default()
/// };
/// let generator = AutomaticMaskGenerator::new(&model, options)?;
/// # let pixels = Vec::new();
/// let image = RgbFrame::new(640, 480, pixels)?;
/// for record in generator.generate(&image)? {
///     println!("{} pixels at {:?}", record.area, record.bbox);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AutomaticMaskGenerator {
    predictor: ImagePredictor,
    options: AutomaticMaskOptions,
    /// Points by layer, as fractions of the crop's width and height.
    grids: Vec<Vec<[f64; 2]>>,
}

/// Progress of a generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerationProgress {
    /// Index of the current crop, from 0; crop 0 is the whole image.
    pub crop: usize,
    /// Number of crops.
    pub crops: usize,
    /// Points that have been through the model.
    pub points_done: usize,
    /// Points in all crops.
    pub points: usize,
}

/// A mask that passed the quality thresholds, in the coordinates of its crop.
struct Candidate {
    mask: Mask,
    /// `[x0, y0, x1, y1]`, inclusive; zeros for an empty mask.
    bounds: [u32; 4],
    predicted_iou: f32,
    stability_score: f32,
    point: Point,
}

/// A crop of the image and its encoder features.
struct EncodedCrop {
    crop: CropBox,
    encoded: EncodedImage,
    image_size: FrameSize,
}

impl AutomaticMaskGenerator {
    /// Returns a generator that uses `model`.
    ///
    /// # Errors
    /// [`EngineError::AutomaticMasks`] for invalid options and for a layer without points.
    pub fn new(model: &Sam2, options: AutomaticMaskOptions) -> Result<Self, EngineError> {
        let grids = options.grids()?;
        let area = options.min_mask_region_area;
        let predictor = ImagePredictor::new(model).with_small_regions(area, area);
        Ok(Self { predictor, options, grids })
    }

    /// Returns the options.
    pub fn options(&self) -> &AutomaticMaskOptions {
        &self.options
    }

    /// Returns masks of everything in `image`, best first: by predicted IoU or, with crops, those
    /// from smaller crops first. The list is empty if no mask is good enough.
    ///
    /// # Errors
    /// [`EngineError::Device`] if the device fails.
    pub fn generate(&self, image: &RgbFrame) -> Result<Vec<MaskRecord>, EngineError> {
        self.generate_observed(image, |_| ControlFlow::Continue(()))
    }

    /// Does the same as [`Self::generate`] and calls `observe` before every batch of points and
    /// once at the end. `ControlFlow::Break` from `observe` stops the work.
    ///
    /// # Errors
    /// [`EngineError::Device`] if the device fails, [`AutomaticMaskError::Cancelled`] if `observe`
    /// breaks.
    pub fn generate_observed(
        &self,
        image: &RgbFrame,
        mut observe: impl FnMut(GenerationProgress) -> ControlFlow<()>,
    ) -> Result<Vec<MaskRecord>, EngineError> {
        let AutomaticMaskOptions { crop_n_layers, crop_overlap_ratio, .. } = self.options;
        let crops = crop_boxes(image.size(), crop_n_layers, crop_overlap_ratio);
        let points = crops.iter().map(|(_, layer)| self.grids[*layer].len()).sum();
        let mut progress =
            GenerationProgress { crop: 0, crops: crops.len(), points_done: 0, points };
        let mut step = |progress: GenerationProgress| match observe(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(AutomaticMaskError::Cancelled {
                done: progress.points_done,
                total: progress.points,
            }),
        };
        let mut found = Vec::new();
        for (index, &(crop, layer)) in crops.iter().enumerate() {
            progress.crop = index;
            let crop_candidates = on_device(self.predictor.model(), || {
                self.in_crop(image, crop, layer, &mut |done| {
                    let points_done = progress.points_done + done;
                    step(GenerationProgress { points_done, ..progress })
                })
            })?;
            progress.points_done += self.grids[layer].len();
            found.extend(crop_candidates.into_iter().map(|candidate| (crop, candidate)));
        }
        step(progress)?;
        if crops.len() > 1 {
            found = self.best_of_crops(found);
        }
        Ok(found.into_iter().map(|(crop, found)| self.record(image.size(), crop, found)).collect())
    }

    /// Returns the masks of one crop without duplicate boxes (`_process_crop`). `step` receives the
    /// number of points done before each batch.
    fn in_crop(
        &self,
        image: &RgbFrame,
        crop: CropBox,
        layer: usize,
        step: &mut impl FnMut(usize) -> Result<(), AutomaticMaskError>,
    ) -> Result<Vec<Candidate>, EngineError> {
        step(0)?;
        let encoded = self.predictor.encode(&crop.cut(image)?)?;
        let crop_at_hand = EncodedCrop { crop, encoded, image_size: image.size() };
        let (width, height) = (f64::from(crop.width()), f64::from(crop.height()));
        let points: Vec<Point> = self.grids[layer]
            .iter()
            .map(|[x, y]| Point::positive((x * width) as f32, (y * height) as f32))
            .collect();
        let mut candidates = Vec::new();
        for (batch, points) in points.chunks(self.options.points_per_batch).enumerate() {
            if batch > 0 {
                step(batch * self.options.points_per_batch)?;
            }
            self.in_batch(&crop_at_hand, points, &mut candidates)?;
        }
        let boxes: Vec<[f32; 4]> = candidates.iter().map(|c| c.bounds.map(|e| e as f32)).collect();
        let scores: Vec<f32> = candidates.iter().map(|c| c.predicted_iou).collect();
        Ok(take(candidates, &non_maximum_suppression(&boxes, &scores, self.options.box_nms_thresh)))
    }

    /// Adds the good masks of `points` to `candidates` (`_process_batch`).
    fn in_batch(
        &self,
        crop: &EncodedCrop,
        points: &[Point],
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), EngineError> {
        let multimask = self.options.multimask_output;
        let first = self.predictor.predict_points(&crop.encoded, points, None, multimask)?;
        let each = first.masks_per_point();
        let points: Vec<Point> =
            points.iter().flat_map(|&point| std::iter::repeat_n(point, each)).collect();
        if !self.options.use_m2m {
            return self.keep_good(crop, &points, first, candidates);
        }
        let masks = first.mask_prompts();
        let size = self.options.points_per_batch;
        for (batch, points) in points.chunks(size).enumerate() {
            let start = batch * size;
            let masks = masks.clone().slice_dim(0, start..start + points.len());
            let refined =
                self.predictor.predict_points(&crop.encoded, points, Some(masks), false)?;
            self.keep_good(crop, points, refined, candidates)?;
        }
        Ok(())
    }

    /// Judges the masks one by one; `points` has the point of each mask.
    fn keep_good(
        &self,
        crop: &EncodedCrop,
        points: &[Point],
        predictions: PointPredictions,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), EngineError> {
        let ious = &predictions.predicted_ious;
        let threshold = self.options.pred_iou_thresh;
        let good: Vec<usize> =
            (0..ious.len()).filter(|&i| threshold <= 0.0 || ious[i] > threshold as f32).collect();
        let planes = predictions.planes();
        let size = crop.encoded.size();
        let pixels = size.width as usize * size.height as usize;
        for indices in good.chunks((PIXELS_AT_A_TIME / pixels).max(1)) {
            let chosen = indices.iter().map(|&i| planes.clone().slice_dim(0, i..i + 1)).collect();
            let logits = self.predictor.at_image_size(&crop.encoded, join(chosen, 0))?;
            let logits = read(logits)?;
            for (&index, logits) in indices.iter().zip(logits.chunks_exact(pixels)) {
                let stability = self.stability(logits);
                let Some(stability_score) = stability else { continue };
                let mask = self.binary(size, logits)?;
                let bounds = mask.bounds().unwrap_or_default();
                if !crop.crop.cuts(bounds, crop.image_size) {
                    let (predicted_iou, point) = (ious[index], points[index]);
                    let found = Candidate { mask, bounds, predicted_iou, stability_score, point };
                    candidates.push(found);
                }
            }
        }
        Ok(())
    }

    /// Returns the stability score, or `None` if it is below the threshold.
    fn stability(&self, logits: &[f32]) -> Option<f32> {
        let AutomaticMaskOptions {
            mask_threshold,
            stability_score_offset,
            stability_score_thresh,
            ..
        } = self.options;
        let score = stability_score(logits, mask_threshold, stability_score_offset);
        (stability_score_thresh <= 0.0 || score >= stability_score_thresh as f32).then_some(score)
    }

    fn binary(&self, size: FrameSize, logits: &[f32]) -> Result<Mask, EngineError> {
        let threshold = self.options.mask_threshold as f32;
        let pixels = logits.iter().map(|&logit| logit > threshold);
        Mask::from_pixels(size.width, size.height, pixels)
            .map_err(|error| EngineError::Device(error.to_string()))
    }

    /// Removes duplicate boxes, preferring those from smaller crops.
    fn best_of_crops(&self, found: Vec<(CropBox, Candidate)>) -> Vec<(CropBox, Candidate)> {
        let boxes: Vec<[f32; 4]> =
            found.iter().map(|(c, found)| in_image(*c, found.bounds).map(|e| e as f32)).collect();
        let scores: Vec<f32> = found
            .iter()
            .map(|(crop, _)| 1.0 / (u64::from(crop.width()) * u64::from(crop.height())) as f32)
            .collect();
        take(found, &non_maximum_suppression(&boxes, &scores, self.options.crop_nms_thresh))
    }

    fn record(&self, image: FrameSize, crop: CropBox, found: Candidate) -> MaskRecord {
        let CropBox { x0, y0, x1, y1 } = crop;
        let whole = crop.width() == image.width && crop.height() == image.height;
        let mask =
            if whole { found.mask } else { found.mask.placed(x0, y0, image.width, image.height) };
        MaskRecord {
            area: mask.area(),
            bbox: xywh(in_image(crop, found.bounds)),
            segmentation: Segmentation::new(mask, self.options.output),
            predicted_iou: found.predicted_iou,
            point_coords: [found.point.x + x0 as f32, found.point.y + y0 as f32],
            stability_score: found.stability_score,
            crop_box: xywh([x0, y0, x1, y1]),
        }
    }
}

/// Moves a box from a crop's pixels to the image's pixels.
fn in_image(crop: CropBox, [x0, y0, x1, y1]: [u32; 4]) -> [u32; 4] {
    [x0 + crop.x0, y0 + crop.y0, x1 + crop.x0, y1 + crop.y0]
}

/// Takes the entries at `indices`, in that order; each index must occur only once.
fn take<T>(all: Vec<T>, indices: &[usize]) -> Vec<T> {
    let mut all: Vec<Option<T>> = all.into_iter().map(Some).collect();
    indices.iter().filter_map(|&index| all[index].take()).collect()
}
