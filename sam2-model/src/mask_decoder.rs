//! From conditioned features and prompt tokens to masks (SAM with SAM 2's additions;
//! `modeling/sam/mask_decoder.py`).

use burn::module::Module;
use burn::nn::conv::{ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, activation};

use crate::config::Sam2Config;
use crate::kernels::{self, Activation, join};
use crate::layer_norm_2d::LayerNorm2d;
use crate::mlp::Mlp;
use crate::prompt_encoder::{PromptEmbeddings, Token};
use crate::two_way_transformer::TwoWayTransformer;

/// One token for a single mask and three for the candidates of an ambiguous prompt.
const MASK_TOKENS: usize = 4;
/// Hidden width of the head that predicts IoU.
const IOU_HEAD_DIM: usize = 256;
/// Logits within this distance of zero count as undecided in the stability score.
const STABILITY_DELTA: f64 = 0.05;
/// A single mask less stable than this gives way to the best candidate.
const STABILITY_THRESHOLD: f64 = 0.98;

/// What the decoder sees of a frame.
#[derive(Clone, Debug)]
pub struct DecoderImage {
    /// Conditioned stride-16 features, `[batch, n, hidden_dim]`; a batch of 1 serves a batch of prompts.
    pub tokens: Tensor<3>,
    /// `[1, hidden_dim / 8, 4 side, 4 side]`.
    pub stride_4_bchw: Tensor<4>,
    /// `[1, hidden_dim / 4, 2 side, 2 side]`.
    pub stride_8_bchw: Tensor<4>,
}

/// Every output of the decoder's heads, before one is chosen.
#[derive(Clone, Debug)]
pub struct DecoderOutputs {
    /// `[batch, 4, 4 side, 4 side]`: logits of the single mask, then of the three candidates.
    pub mask_logits: Tensor<4>,
    /// `[batch, 4]`: predicted IoU of each, 0..1.
    pub ious: Tensor<2>,
    /// `[batch, 4, hidden_dim]`: the tokens that the masks were read from.
    pub mask_tokens: Tensor<3>,
    /// `[batch, 1]`: above 0 = the object is in the frame.
    pub object_score_logits: Tensor<2>,
}

/// The decoder's answer.
#[derive(Clone, Debug)]
pub struct ChosenMask {
    /// `[batch, 1, 4 side, 4 side]`.
    pub mask_logits: Tensor<4>,
    /// `[batch, 1]`.
    pub iou: Tensor<2>,
    /// `[batch, hidden_dim]`: becomes the object pointer.
    pub token: Tensor<2>,
}

/// Learned up-sampling by 4 that takes in the high-resolution features.
#[derive(Module, Debug)]
struct OutputUpscaling {
    conv1: ConvTranspose2d,
    norm: LayerNorm2d,
    conv2: ConvTranspose2d,
}

/// The mask decoder.
#[derive(Module, Debug)]
pub struct MaskDecoder {
    transformer: TwoWayTransformer,
    iou_token: Token,
    mask_tokens: Token,
    obj_score_token: Token,
    output_upscaling: OutputUpscaling,
    conv_s0: Linear,
    conv_s1: Linear,
    output_hypernetworks_mlps: Vec<Mlp>,
    iou_prediction_head: Mlp,
    pred_obj_score_head: Mlp,
}

impl MaskDecoder {
    /// Builds the decoder, to be loaded.
    pub fn init(config: &Sam2Config, device: &Device) -> Self {
        let dim = config.hidden_dim;
        let mlp = |widths: &[usize]| Mlp::init(widths, Activation::Relu, device);
        let doubling = |input, output| {
            ConvTranspose2dConfig::new([input, output], [2, 2]).with_stride([2, 2]).init(device)
        };
        Self {
            transformer: TwoWayTransformer::init(dim, device),
            iou_token: Token::init(1, dim, device),
            mask_tokens: Token::init(MASK_TOKENS, dim, device),
            obj_score_token: Token::init(1, dim, device),
            output_upscaling: OutputUpscaling {
                conv1: doubling(dim, dim / 4),
                norm: LayerNorm2d::init(dim / 4, device),
                conv2: doubling(dim / 4, dim / 8),
            },
            conv_s0: LinearConfig::new(dim, dim / 8).init(device),
            conv_s1: LinearConfig::new(dim, dim / 4).init(device),
            output_hypernetworks_mlps: (0..MASK_TOKENS)
                .map(|_| mlp(&[dim, dim, dim, dim / 8]))
                .collect(),
            iou_prediction_head: mlp(&[dim, IOU_HEAD_DIM, IOU_HEAD_DIM, MASK_TOKENS]),
            pred_obj_score_head: mlp(&[dim, dim, dim, 1]),
        }
    }

    /// The linear maps of the channels of the stride-4 and the stride-8 map for [`DecoderImage`] (`conv_s0`, `conv_s1`); applied once per frame, by the image encoder.
    pub fn high_res_projections(&self) -> [&Linear; 2] {
        [&self.conv_s0, &self.conv_s1]
    }

    /// All four masks and their scores. `image_positions` is the dense encoding as tokens, `[1, n, hidden_dim]`.
    ///
    /// The batch is that of the image, of the prompts or of both: where one of them is 1, it is the same for all (`repeat_image`).
    pub fn forward(
        &self,
        image: &DecoderImage,
        image_positions: Tensor<3>,
        prompts: &PromptEmbeddings,
    ) -> DecoderOutputs {
        let [image_batch, count, dim] = image.tokens.dims();
        let [prompt_batch, _, prompt_height, prompt_width] = prompts.dense.dims();
        let sparse_batch = prompts.sparse.as_ref().map_or(1, |sparse| sparse.dims()[0]);
        let batch = image_batch.max(prompt_batch).max(sparse_batch);
        let side = image.stride_8_bchw.dims()[2] / 2;
        let learned =
            join(vec![self.obj_score_token.val(), self.iou_token.val(), self.mask_tokens.val()], 0);
        let learned = learned.unsqueeze::<3>();
        let learned_count = learned.dims()[1];
        let mut tokens = vec![learned.expand([sparse_batch, learned_count, dim])];
        tokens.extend(prompts.sparse.clone());
        let tokens = join(tokens, 1);
        let token_count = tokens.dims()[1];
        let tokens = tokens.expand([batch, token_count, dim]);

        // The dense prompt is either one vector for all places or a whole map.
        let dense = prompts
            .dense
            .clone()
            .reshape([prompt_batch, dim, prompt_height * prompt_width])
            .swap_dims(1, 2);
        let image_tokens = (image.tokens.clone() + dense).expand([batch, count, dim]);
        let (tokens, image_tokens) =
            self.transformer.forward(image_tokens, image_positions, tokens);

        let object_token: Tensor<2> = tokens.clone().slice_dim(1, 0..1).squeeze_dim(1);
        let iou_token: Tensor<2> = tokens.clone().slice_dim(1, 1..2).squeeze_dim(1);
        let mask_tokens = tokens.slice_dim(1, 2..2 + MASK_TOKENS);

        let upscaled = self.upscale(image_tokens, image, side);
        let [_, channels, height, width] = upscaled.dims();
        let filters = (0..MASK_TOKENS)
            .map(|i| {
                self.output_hypernetworks_mlps[i]
                    .forward(mask_tokens.clone().slice_dim(1, i..i + 1))
            })
            .collect();
        let upscaled = upscaled.reshape([batch, channels, height * width]);
        let mask_logits = kernels::in_full_f32(join::<3>(filters, 1), upscaled, Tensor::matmul)
            .reshape([batch, MASK_TOKENS, height, width]);
        debug_assert_eq!(count, side * side);
        DecoderOutputs {
            mask_logits,
            ious: activation::sigmoid(self.iou_prediction_head.forward(iou_token)),
            mask_tokens,
            object_score_logits: self.pred_obj_score_head.forward(object_token),
        }
    }

    fn upscale(&self, image_tokens: Tensor<3>, image: &DecoderImage, side: usize) -> Tensor<4> {
        let [batch, _, dim] = image_tokens.dims();
        let layers = &self.output_upscaling;
        // In this order both are views on every device.
        let x = image_tokens.reshape([batch, side, side, dim]).permute([0, 3, 1, 2]);
        let (norm, add) = (Some(&layers.norm), &image.stride_8_bchw);
        let x = kernels::transposed_convolution(&layers.conv1, norm, x, add);
        kernels::transposed_convolution(&layers.conv2, None, x, &image.stride_4_bchw)
    }
}

impl DecoderOutputs {
    /// The candidate with the highest predicted IoU: for one click or none.
    ///
    /// Its own token becomes the object pointer (`use_multimask_token_for_obj_ptr`).
    pub fn best_candidate(&self) -> ChosenMask {
        let best = self.best_candidate_index();
        ChosenMask {
            mask_logits: select_plane(&self.mask_logits, &best),
            iou: self.ious.clone().gather(1, best.clone()),
            token: select_token(&self.mask_tokens, &best),
        }
    }

    /// Mask logits `[batch, 3, 4 side, 4 side]` and predicted IoUs `[batch, 3]` of the three candidates.
    pub fn candidates(&self) -> (Tensor<4>, Tensor<2>) {
        (
            self.mask_logits.clone().slice_dim(1, 1..MASK_TOKENS),
            self.ious.clone().slice_dim(1, 1..MASK_TOKENS),
        )
    }

    /// The single mask, or per object the best candidate where the single mask is unstable
    /// (`_dynamic_multimask_via_stability`). The token stays the single mask's either way.
    pub fn single_mask(&self) -> ChosenMask {
        let [batch, _, height, width] = self.mask_logits.dims();
        let first = Tensor::<2, Int>::zeros([batch, 1], &self.mask_logits.device());
        let single = select_plane(&self.mask_logits, &first);
        let best = self.best_candidate();
        let stable = stability(&single).greater_equal_scalar(STABILITY_THRESHOLD);
        let stable_plane =
            stable.clone().reshape([batch, 1, 1, 1]).expand([batch, 1, height, width]);
        ChosenMask {
            mask_logits: best.mask_logits.mask_where(stable_plane, single),
            iou: best.iou.mask_where(stable, self.ious.clone().slice_dim(1, 0..1)),
            token: select_token(&self.mask_tokens, &first),
        }
    }

    /// Stability score of the single mask, `[batch, 1]`, 0..1. Near 0.98, the threshold of the fallback, two implementations may
    /// choose differently.
    pub fn single_mask_stability(&self) -> Tensor<2> {
        stability(&self.mask_logits.clone().slice_dim(1, 0..1))
    }

    /// `[batch, 1]` in 1..=3.
    fn best_candidate_index(&self) -> Tensor<2, Int> {
        self.ious.clone().slice_dim(1, 1..MASK_TOKENS).argmax(1) + 1
    }
}

/// IoU between the mask at a slightly raised and a slightly lowered threshold, `[batch, 1]`; 1 for an empty mask.
fn stability(mask_bchw: &Tensor<4>) -> Tensor<2> {
    let batch = mask_bchw.dims()[0];
    // Rows first: a GPU would give all places of a mask to one thread.
    let area = |threshold: f64| -> Tensor<2> {
        let inside = mask_bchw.clone().greater_scalar(threshold).float();
        inside.sum_dim(3).sum_dim(2).reshape([batch, 1])
    };
    let (inner, outer) = (area(STABILITY_DELTA), area(-STABILITY_DELTA));
    let empty = outer.clone().equal_scalar(0.0);
    (inner / outer).mask_fill(empty, 1.0)
}

/// Plane `index[b]` of each batch entry: `[batch, 1, height, width]`.
fn select_plane(planes_bchw: &Tensor<4>, index: &Tensor<2, Int>) -> Tensor<4> {
    let [batch, _, height, width] = planes_bchw.dims();
    let index = index.clone().reshape([batch, 1, 1, 1]).expand([batch, 1, height, width]);
    planes_bchw.clone().gather(1, index)
}

/// Token `index[b]` of each batch entry: `[batch, dim]`.
fn select_token(tokens: &Tensor<3>, index: &Tensor<2, Int>) -> Tensor<2> {
    let [batch, _, dim] = tokens.dims();
    let index = index.clone().reshape([batch, 1, 1]).expand([batch, 1, dim]);
    tokens.clone().gather(1, index).squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    /// Two objects on 1 x 4 masks: the first's single mask is stable, the second's is not.
    fn outputs() -> DecoderOutputs {
        let device = Device::flex();
        let stable = [9.0, 9.0, -9.0, -9.0];
        let unstable = [9.0, 0.01, 0.01, -9.0];
        let candidates = |c: f32| [c, c, c, c];
        let masks: Vec<f32> = [stable, candidates(1.0), candidates(2.0), candidates(3.0)]
            .into_iter()
            .chain([unstable, candidates(4.0), candidates(5.0), candidates(6.0)])
            .flatten()
            .collect();
        let ious = vec![0.1, 0.2, 0.9, 0.3, 0.1, 0.7, 0.6, 0.5];
        let tokens: Vec<f32> = (0..8).map(|i| i as f32).collect();
        let tensor = |data: Vec<f32>, shape: &[usize]| TensorData::new(data, shape.to_vec());
        DecoderOutputs {
            mask_logits: Tensor::from_data(tensor(masks, &[2, 4, 1, 4]), &device),
            ious: Tensor::from_data(tensor(ious, &[2, 4]), &device),
            mask_tokens: Tensor::from_data(tensor(tokens, &[2, 4, 1]), &device),
            object_score_logits: Tensor::from_data(tensor(vec![1.0, 1.0], &[2, 1]), &device),
        }
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn best_candidate_takes_mask_score_and_token_of_the_highest_iou() {
        let best = outputs().best_candidate();
        assert_eq!(values(best.mask_logits), [2.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0, 4.0]);
        assert_eq!(values(best.iou), [0.9, 0.7]);
        assert_eq!(values(best.token), [2.0, 5.0]);
    }

    #[test]
    fn candidates_are_all_but_the_single_mask() {
        let (logits, ious) = outputs().candidates();
        assert_eq!(logits.dims(), [2, 3, 1, 4]);
        assert_eq!(values(logits.slice_dim(1, 1..2))[..4], [2.0; 4]);
        assert_eq!(values(ious), [0.2, 0.9, 0.3, 0.7, 0.6, 0.5]);
    }

    #[test]
    fn single_mask_falls_back_where_unstable_but_keeps_its_token() {
        let single = outputs().single_mask();
        assert_eq!(values(single.mask_logits), [9.0, 9.0, -9.0, -9.0, 4.0, 4.0, 4.0, 4.0]);
        assert_eq!(values(single.iou), [0.1, 0.7]);
        assert_eq!(values(single.token), [0.0, 4.0]);
    }

    #[test]
    fn an_empty_mask_is_stable() {
        let device = Device::flex();
        let empty = Tensor::<4>::full([1, 1, 2, 2], -5.0, &device);
        assert_eq!(values(stability(&empty)), [1.0]);
    }
}
