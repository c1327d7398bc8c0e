//! Single images: encode once, prompt often (`SAM2ImagePredictor`).

use sam2_frame_provider::{FrameSize, RgbFrame};
use sam2_mask_writer::Mask;
use sam2_model::resize::{Interpolation, Resize};
use sam2_model::{ConditionedFeatures, FrameFeatures, ModelPoint, Sam2, Tensor, preprocess};

use crate::error::EngineError;
use crate::on_device::{on_device, read};
use crate::prompt::{BoxPrompt, Point};
use crate::session::replace_small_regions;

/// Low-resolution logits are returned within plus or minus this value, as the official predictor
/// does.
const LOW_RES_LIMIT: f32 = 32.0;
/// Logit of a filled hole's pixels; a removed island's pixels get the negative.
const REPLACED_LOGIT: f32 = 10.0;

/// Segments images from prompts; one encoded image can be prompted many times.
///
/// The image is resized as in the official image predictor: bilinear with antialiasing on float
/// pixels. This differs slightly from the bicubic resize of video frames.
#[derive(Clone, Debug)]
pub struct ImagePredictor {
    model: Sam2,
    max_hole_area: u32,
    max_sprinkle_area: u32,
}

/// An image after the encoder. Cheap to clone; a prompt costs a fraction of the encoding.
#[derive(Clone, Debug)]
pub struct EncodedImage {
    features: FrameFeatures,
    conditioned: ConditionedFeatures,
    size: FrameSize,
    to_image: Resize,
}

impl EncodedImage {
    /// Returns the size of the image and of the masks.
    pub fn size(&self) -> FrameSize {
        self.size
    }
}

/// A prompt for one object in an image.
#[derive(Clone, Debug, Default)]
pub struct ImagePrompt {
    /// Clicks, in the image's pixels.
    pub points: Vec<Point>,
    /// A box, in the image's pixels.
    pub bounds: Option<BoxPrompt>,
    /// Low-resolution logits of an earlier answer, `[1, 1, S / 4, S / 4]`.
    pub mask_logits: Option<Tensor<4>>,
    /// Return three candidates for an ambiguous prompt instead of one mask.
    pub candidates: bool,
}

/// One mask with its scores and logits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageMask {
    /// The mask, at the image's size.
    pub mask: Mask,
    /// The model's own estimate of the mask's IoU with the ground truth, 0..1.
    pub predicted_iou: f32,
    /// Logits at the image's size, `[1, 1, height, width]`; the mask is where they are above 0.
    pub logits: Tensor<4>,
    /// Low-resolution logits, `[1, 1, S / 4, S / 4]`, within -32..32; can be fed back as
    /// [`ImagePrompt::mask_logits`].
    pub low_res_logits: Tensor<4>,
}

/// Results of a batch of single clicks.
#[derive(Clone, Debug)]
pub struct PointPredictions {
    /// Decoder output, `[points, masks, S / 4, S / 4]`, with one or three masks for each point.
    pub low_res_logits: Tensor<4>,
    /// The model's own estimates of the masks' IoU with the ground truth, 0..1: `[points * masks]`,
    /// those of the first point first.
    pub predicted_ious: Vec<f32>,
}

impl PointPredictions {
    /// Returns the number of masks for each point: 3 with candidates, otherwise 1.
    pub fn masks_per_point(&self) -> usize {
        self.low_res_logits.dims()[1]
    }

    /// Returns every mask separately, `[points * masks, 1, S / 4, S / 4]`.
    pub fn planes(&self) -> Tensor<4> {
        let [points, masks, height, width] = self.low_res_logits.dims();
        self.low_res_logits.clone().reshape([points * masks, 1, height, width])
    }

    /// Returns the same as [`Self::planes`], clamped to -32..32; can be fed back as mask prompts.
    pub fn mask_prompts(&self) -> Tensor<4> {
        self.planes().clamp(-LOW_RES_LIMIT, LOW_RES_LIMIT)
    }
}

impl ImagePredictor {
    /// Returns a predictor that uses `model`.
    pub fn new(model: &Sam2) -> Self {
        Self { model: model.clone(), max_hole_area: 0, max_sprinkle_area: 0 }
    }

    /// Fills holes and removes islands of up to this many low-resolution pixels (a quarter of the
    /// model's side), connected across edges and corners; 0 = off (`max_hole_area`,
    /// `max_sprinkle_area`).
    ///
    /// This changes masks and logits at the image's size, not the returned low-resolution logits.
    /// The official code does this with a CUDA kernel and skips it without one.
    pub fn with_small_regions(self, max_hole_area: u32, max_sprinkle_area: u32) -> Self {
        Self { max_hole_area, max_sprinkle_area, ..self }
    }

    /// Returns the model.
    pub fn model(&self) -> &Sam2 {
        &self.model
    }

    /// Returns the network's input for an image: resized and normalised, `[1, 3, S, S]`
    /// (`SAM2Transforms`).
    pub fn input(&self, image: &RgbFrame) -> Tensor<4> {
        let device = self.model.device();
        let (height, width) = (image.height() as usize, image.width() as usize);
        let side = self.model.config().image_size;
        let pixels = preprocess::to_unit_range(image.data(), height, width, device);
        let resize =
            Resize::new(Interpolation::BilinearAntialias, [height, width], [side, side], device);
        preprocess::normalise_tensor(resize.forward(pixels))
    }

    /// Runs the image encoder (`set_image`).
    ///
    /// # Errors
    /// [`EngineError::DeviceFailure`] if a GPU fails; a CPU does not fail.
    pub fn encode(&self, image: &RgbFrame) -> Result<EncodedImage, EngineError> {
        on_device(&self.model, || {
            let device = self.model.device();
            let size = image.size();
            let (height, width) = (size.height as usize, size.width as usize);
            let low = self.model.config().low_res_mask_size();
            let features = self.model.encode_tensor(self.input(image));
            let conditioned = self.model.condition_without_memory(&features);
            let to_image =
                Resize::new(Interpolation::Bilinear, [low, low], [height, width], device);
            Ok(EncodedImage { features, conditioned, size, to_image })
        })
    }

    /// Answers one prompt (`predict`): three masks with `candidates`, otherwise one.
    ///
    /// # Errors
    /// [`EngineError::NoPrompts`] for an empty prompt, [`EngineError::PointOutside`] and
    /// [`EngineError::EmptyBox`] for invalid coordinates, [`EngineError::Device`] if the device
    /// fails.
    pub fn predict(
        &self,
        image: &EncodedImage,
        prompt: &ImagePrompt,
    ) -> Result<Vec<ImageMask>, EngineError> {
        on_device(&self.model, || self.answer(image, prompt))
    }

    fn answer(
        &self,
        image: &EncodedImage,
        prompt: &ImagePrompt,
    ) -> Result<Vec<ImageMask>, EngineError> {
        let points = self.model_points(image.size, prompt)?;
        let prompts = match (&prompt.mask_logits, points.is_empty()) {
            (None, true) => return Err(EngineError::NoPrompts),
            // A mask without points is embedded without any point token, not even the padding.
            (Some(mask), true) => self.model.embed_mask_only(mask.clone()),
            (mask, false) => self.model.embed_prompts(&points, mask.clone()),
        };
        let outputs = self.model.decode(&image.features, &image.conditioned, &prompts);
        let (logits, ious) = if prompt.candidates {
            (outputs.mask_logits.slice_dim(1, 1..4), outputs.ious.slice_dim(1, 1..4))
        } else {
            let single = outputs.single_mask();
            (single.mask_logits, single.iou)
        };
        let at_size = self.at_image_size(image, logits.clone())?;
        let low_res = logits.clamp(-LOW_RES_LIMIT, LOW_RES_LIMIT);
        let ious = read(ious)?;
        let mut masks = Vec::with_capacity(ious.len());
        for (index, predicted_iou) in ious.into_iter().enumerate() {
            let one = |planes: &Tensor<4>| planes.clone().slice_dim(1, index..index + 1);
            let logits = one(&at_size);
            let mask =
                Mask::from_logits(image.size.width, image.size.height, &read(logits.clone())?)
                    .map_err(|error| EngineError::Device(error.to_string()))?;
            masks.push(ImageMask { mask, predicted_iou, logits, low_res_logits: one(&low_res) });
        }
        Ok(masks)
    }

    /// Answers many prompts of a single click each, in one pass of the decoder: three masks for
    /// each click with `candidates`, otherwise one. `mask_logits` are low-resolution logits for
    /// each point, `[points, 1, S / 4, S / 4]`.
    ///
    /// # Errors
    /// [`EngineError::NoPrompts`] if there are no points, [`EngineError::PointOutside`] for a point
    /// outside the image, [`EngineError::Device`] if the device fails.
    pub fn predict_points(
        &self,
        image: &EncodedImage,
        points: &[Point],
        mask_logits: Option<Tensor<4>>,
        candidates: bool,
    ) -> Result<PointPredictions, EngineError> {
        if points.is_empty() {
            return Err(EngineError::NoPrompts);
        }
        let prompt = ImagePrompt { points: points.to_vec(), ..ImagePrompt::default() };
        let points = self.model_points(image.size, &prompt)?;
        on_device(&self.model, || {
            let prompts = self.model.embed_prompt_batch(&points, 1, mask_logits);
            let outputs = self.model.decode(&image.features, &image.conditioned, &prompts);
            let (low_res_logits, ious) = if candidates {
                (outputs.mask_logits.slice_dim(1, 1..4), outputs.ious.slice_dim(1, 1..4))
            } else {
                let single = outputs.single_mask();
                (single.mask_logits, single.iou)
            };
            Ok(PointPredictions { low_res_logits, predicted_ious: read(ious)? })
        })
    }

    /// Resizes low-resolution logits, `[batch, masks, S / 4, S / 4]`, to the image's size,
    /// `[batch, masks, height, width]`. Removes small holes and islands first if the predictor is
    /// set to do so (`postprocess_masks`).
    ///
    /// # Errors
    /// [`EngineError::Device`] if the device fails.
    pub fn at_image_size(
        &self,
        image: &EncodedImage,
        low_res_logits: Tensor<4>,
    ) -> Result<Tensor<4>, EngineError> {
        let logits = if self.max_hole_area > 0 || self.max_sprinkle_area > 0 {
            self.without_small_regions(low_res_logits)?
        } else {
            low_res_logits
        };
        Ok(image.to_image.forward(logits))
    }

    /// Fills holes and removes islands. Both steps read the original logits, so that filling a hole
    /// cannot join two islands.
    fn without_small_regions(&self, logits: Tensor<4>) -> Result<Tensor<4>, EngineError> {
        let dims = logits.dims();
        let mut values = read(logits)?;
        for plane in values.chunks_exact_mut((dims[2] * dims[3]).max(1)) {
            let mut filled = plane.to_vec();
            let hole = |logit: f32| logit <= 0.0;
            replace_small_regions(&mut filled, dims[3], self.max_hole_area, hole, REPLACED_LOGIT);
            let island = |logit: f32| logit > 0.0;
            let before = plane.to_vec();
            replace_small_regions(plane, dims[3], self.max_sprinkle_area, island, -REPLACED_LOGIT);
            for ((value, filled), before) in plane.iter_mut().zip(filled).zip(before) {
                if hole(before) {
                    *value = filled;
                }
            }
        }
        Ok(Tensor::<1>::from_floats(&values[..], self.model.device()).reshape(dims))
    }

    fn model_points(
        &self,
        size: FrameSize,
        prompt: &ImagePrompt,
    ) -> Result<Vec<ModelPoint>, EngineError> {
        let mut all = Vec::with_capacity(prompt.points.len() + 2);
        if let Some(bounds) = prompt.bounds {
            let BoxPrompt { x0, y0, x1, y1 } = bounds;
            if !(x0 < x1 && y0 < y1) {
                return Err(EngineError::EmptyBox { x0, y0, x1, y1, frame: 0 });
            }
            all.extend(bounds.corners().map(|corner| ("the box corner".to_owned(), corner)));
        }
        let numbered = prompt.points.iter().enumerate();
        all.extend(numbered.map(|(index, &point)| (format!("point {}", index + 1), point)));
        let side = self.model.config().image_size as f32;
        all.into_iter()
            .map(|(what, Point { x, y, label })| {
                let inside = |value: f32, length: u32| (0.0..=length as f32).contains(&value);
                if !inside(x, size.width) || !inside(y, size.height) {
                    return Err(EngineError::PointOutside { what, x, y, frame: 0, size });
                }
                Ok(ModelPoint {
                    x: x / size.width as f32 * side,
                    y: y / size.height as f32 * side,
                    label,
                })
            })
            .collect()
    }
}
