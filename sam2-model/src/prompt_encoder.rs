//! The prompt encoder: points, boxes and masks as tokens (SAM, Kirillov et al. 2023;
//! `modeling/sam/prompt_encoder.py`).

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::config::Sam2Config;
use crate::kernels::{self, join};
use crate::layer_norm_2d::LayerNorm2d;
use crate::position_encoding::RandomPositionEncoding;

/// Number of channels inside the mask prompt's down-scaling.
const MASK_CHANNELS: usize = 16;

/// The meaning of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PointLabel {
    /// The point is outside the object (label 0).
    Negative,
    /// The point is on the object (label 1).
    Positive,
    /// The point is the top-left corner of a box (label 2).
    BoxTopLeft,
    /// The point is the bottom-right corner of a box (label 3).
    BoxBottomRight,
}

impl PointLabel {
    /// Returns the row of the learned embedding.
    fn index(self) -> usize {
        match self {
            Self::Negative => 0,
            Self::Positive => 1,
            Self::BoxTopLeft => 2,
            Self::BoxBottomRight => 3,
        }
    }
}

/// A point in the model's own pixels (0..image_size, x to the right, y down).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelPoint {
    /// Column.
    pub x: f32,
    /// Row.
    pub y: f32,
    /// The meaning of the point.
    pub label: PointLabel,
}

/// Prompts in the form that the mask decoder reads.
#[derive(Clone, Debug)]
pub struct PromptEmbeddings {
    /// `[batch or 1, points + 1, hidden_dim]`: the points and one padding token. `None` for a mask
    /// without points, in images.
    pub sparse: Option<Tensor<3>>,
    /// `[batch or 1, hidden_dim, side, side]`, or `[1, hidden_dim, 1, 1]` when there is no mask.
    /// Added to the image.
    pub dense: Tensor<4>,
}

/// A learned vector stored as an embedding table of one row.
#[derive(Module, Debug)]
pub(crate) struct Token {
    weight: Param<Tensor<2>>,
}

impl Token {
    /// Builds an embedding of `rows` vectors of `dim`.
    pub(crate) fn init(rows: usize, dim: usize, device: &Device) -> Self {
        Self { weight: Param::from_tensor(Tensor::zeros([rows, dim], device)) }
    }

    /// Returns the vectors, `[rows, dim]`.
    pub(crate) fn val(&self) -> Tensor<2> {
        self.weight.val()
    }
}

/// Down-scales a mask prompt by 4 into the feature map.
#[derive(Module, Debug)]
struct MaskDownscaling {
    conv1: Conv2d,
    norm1: LayerNorm2d,
    conv2: Conv2d,
    norm2: LayerNorm2d,
    conv3: Conv2d,
}

/// The prompt encoder.
#[derive(Module, Debug)]
pub struct PromptEncoder {
    pe_layer: RandomPositionEncoding,
    point_embeddings: Vec<Token>,
    not_a_point_embed: Token,
    mask_downscaling: MaskDownscaling,
    no_mask_embed: Token,
}

impl PromptEncoder {
    /// Builds the encoder with parameters to be loaded.
    pub fn init(config: &Sam2Config, device: &Device) -> Self {
        let dim = config.hidden_dim;
        let halving = |input, output| {
            Conv2dConfig::new([input, output], [2, 2]).with_stride([2, 2]).init(device)
        };
        Self {
            pe_layer: RandomPositionEncoding::init(dim, device),
            point_embeddings: (0..4).map(|_| Token::init(1, dim, device)).collect(),
            not_a_point_embed: Token::init(1, dim, device),
            mask_downscaling: MaskDownscaling {
                conv1: halving(1, MASK_CHANNELS / 4),
                norm1: LayerNorm2d::init(MASK_CHANNELS / 4, device),
                conv2: halving(MASK_CHANNELS / 4, MASK_CHANNELS),
                norm2: LayerNorm2d::init(MASK_CHANNELS, device),
                conv3: Conv2dConfig::new([MASK_CHANNELS, dim], [1, 1]).init(device),
            },
            no_mask_embed: Token::init(1, dim, device),
        }
    }

    /// Returns the encoding of the feature map's own grid, `[1, hidden_dim, side, side]`. It never
    /// changes.
    pub fn dense_position_encoding(&self, side: usize) -> Tensor<4> {
        self.pe_layer.encode_grid(side)
    }

    /// Embeds `points` (may be empty) in an image with sides of `image_size` pixels, and an
    /// optional mask prompt: low-resolution logits `[batch, 1, 4 side, 4 side]`.
    pub fn forward(
        &self,
        points: &[ModelPoint],
        image_size: usize,
        mask: Option<Tensor<4>>,
    ) -> PromptEmbeddings {
        PromptEmbeddings {
            sparse: Some(self.embed_points(points, image_size as f32)),
            dense: self.embed_mask(mask),
        }
    }

    /// Embeds a batch of prompts for one pass of the decoder. Each prompt has `per_prompt` points,
    /// at least one. `points` holds those of the first prompt, then those of the second, and so on.
    /// An incomplete last prompt is left out. Without any complete prompt, an absent prompt is
    /// embedded. `mask` has low-resolution logits for each prompt, `[batch, 1, 4 side, 4 side]`.
    pub fn forward_batch(
        &self,
        points: &[ModelPoint],
        per_prompt: usize,
        image_size: usize,
        mask: Option<Tensor<4>>,
    ) -> PromptEmbeddings {
        let (per_prompt, size) = (per_prompt.max(1), image_size as f32);
        let sparse = if points.len() < per_prompt {
            self.embed_points(&[], size)
        } else {
            self.embed_point_batch(points, per_prompt, size)
        };
        PromptEmbeddings { sparse: Some(sparse), dense: self.embed_mask(mask) }
    }

    /// Embeds a mask prompt without any point, as the image predictor does. The mask is
    /// low-resolution logits `[batch, 1, 4 side, 4 side]`.
    pub fn forward_mask(&self, mask: Tensor<4>) -> PromptEmbeddings {
        PromptEmbeddings { sparse: None, dense: self.embed_mask(Some(mask)) }
    }

    fn embed_points(&self, points: &[ModelPoint], size: f32) -> Tensor<3> {
        let padding = self.not_a_point_embed.val().unsqueeze::<3>();
        if points.is_empty() {
            // The official code pads an absent prompt with one such point, and then pads the result
            // again.
            return join(vec![padding.clone(), padding], 1);
        }
        self.embed_point_batch(points, points.len(), size)
    }

    /// Embeds points as `[batch, per_prompt + 1, hidden_dim]`.
    fn embed_point_batch(&self, points: &[ModelPoint], per_prompt: usize, size: f32) -> Tensor<3> {
        let batch = points.len() / per_prompt;
        let points = &points[..batch * per_prompt];
        let padding = self.not_a_point_embed.val().unsqueeze::<3>();
        let (device, dim) = (padding.device(), padding.dims()[2]);
        // +0.5 moves to the centre of the pixel.
        let coordinates =
            points.iter().flat_map(|p| [(p.x + 0.5) / size, (p.y + 0.5) / size]).collect();
        let coordinates =
            Tensor::<3>::from_data(TensorData::new(coordinates, [batch, per_prompt, 2]), &device);
        let labels = points.iter().map(|p| self.point_embeddings[p.label.index()].val()).collect();
        let labels = join::<2>(labels, 0).reshape([batch, per_prompt, dim]);
        let padding = padding.expand([batch, 1, dim]);
        join(vec![self.pe_layer.encode(coordinates) + labels, padding], 1)
    }

    fn embed_mask(&self, mask: Option<Tensor<4>>) -> Tensor<4> {
        let Some(mask) = mask else {
            let embedding = self.no_mask_embed.val();
            let dim = embedding.dims()[1];
            return embedding.reshape([1, dim, 1, 1]);
        };
        let layers = &self.mask_downscaling;
        let x = kernels::convolution(&layers.conv1, Some(&layers.norm1), mask);
        let x = kernels::convolution(&layers.conv2, Some(&layers.norm2), x);
        kernels::convolution(&layers.conv3, None, x)
    }
}
