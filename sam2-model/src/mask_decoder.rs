//! The mask decoder: from conditioned features and prompt tokens to masks (SAM with SAM 2's
//! additions; `modeling/sam/mask_decoder.py`).

use burn::module::Module;
use burn::nn::conv::{ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, activation};

use crate::config::Sam2Config;
use crate::device_failure::DeviceFailure;
use crate::kernels::{self, Activation, ChosenMask, MaskChoice, MaskRule, join};
use crate::layer_norm_2d::LayerNorm2d;
use crate::mlp::{GroupedMlp, Mlp};
use crate::prompt_encoder::{PromptEmbeddings, Token};
use crate::two_way_transformer::{ImagePositions, TwoWayTransformer};

/// Number of mask tokens: one for a single mask and three for the candidates of an ambiguous
/// prompt.
const MASK_TOKENS: usize = 4;
/// Hidden width of the head that predicts IoU.
const IOU_HEAD_DIM: usize = 256;

/// The decoder's view of a frame.
#[derive(Clone, Debug)]
pub struct DecoderImage {
    /// Conditioned stride-16 features, `[batch, n, hidden_dim]`. A batch of 1 is used for every
    /// prompt of a batch.
    pub tokens: Tensor<3>,
    /// `[1, hidden_dim / 8, 4 side, 4 side]`.
    pub stride_4_bchw: Tensor<4>,
    /// `[1, hidden_dim / 4, 2 side, 2 side]`.
    pub stride_8_bchw: Tensor<4>,
}

/// Every output of the decoder's heads, before one mask is chosen.
#[derive(Clone, Debug)]
pub struct DecoderOutputs {
    /// `[batch, 4, 4 side, 4 side]`: logits of the single mask, then of the three candidates.
    pub mask_logits: Tensor<4>,
    /// `[batch, 4]`: predicted IoU of each mask, 0..1.
    pub ious: Tensor<2>,
    /// `[batch, 4, hidden_dim]`: the tokens from which the masks were made.
    pub mask_tokens: Tensor<3>,
    /// `[batch, 1]`: above 0 if the object is in the frame.
    pub object_score_logits: Tensor<2>,
}

/// Learned up-sampling by 4, with the high-resolution features added.
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
    /// On a GPU: the four hypernetworks side by side.
    #[module(skip)]
    hypernetworks: Option<GroupedMlp>,
}

impl MaskDecoder {
    /// Builds the decoder with parameters to be loaded.
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
            hypernetworks: None,
        }
    }

    /// Merges layers for a GPU (see [`crate::packed`]).
    pub(crate) fn pack(&mut self) -> Result<(), DeviceFailure> {
        self.hypernetworks = GroupedMlp::of(&self.output_hypernetworks_mlps);
        self.transformer.pack()
    }

    /// Prepares the dense position encoding `[1, n, hidden_dim]` for [`Self::forward`]. Needed once
    /// per input size.
    pub fn image_positions(&self, dense: Tensor<3>) -> ImagePositions {
        self.transformer.image_positions(dense)
    }

    /// Returns the linear maps of the channels of the stride-4 and the stride-8 map for
    /// [`DecoderImage`] (`conv_s0`, `conv_s1`). The image encoder applies them once per frame.
    pub fn high_res_projections(&self) -> [&Linear; 2] {
        [&self.conv_s0, &self.conv_s1]
    }

    /// Computes all four masks and their scores. `image_positions` is the dense encoding from
    /// [`Self::image_positions`].
    ///
    /// The batch is that of the image, of the prompts, or of both. If one of them is 1, it is used
    /// for every entry of the other (`repeat_image`).
    pub fn forward(
        &self,
        image: &DecoderImage,
        image_positions: &ImagePositions,
        prompts: &PromptEmbeddings,
    ) -> DecoderOutputs {
        let [image_batch, count, dim] = image.tokens.dims();
        let [prompt_batch, _, prompt_height, prompt_width] = prompts.dense.dims();
        let sparse_batch = prompts.sparse.as_ref().map_or(1, |sparse| sparse.dims()[0]);
        let batch = image_batch.max(prompt_batch).max(sparse_batch);
        let side = image.stride_8_bchw.dims()[2] / 2;
        let learned = [&self.obj_score_token, &self.iou_token, &self.mask_tokens];
        let learned = learned.into_iter().map(|token| token.val().unsqueeze::<3>());
        let tokens = join(learned.chain(prompts.sparse.clone()).collect(), 1);
        let token_count = tokens.dims()[1];
        let tokens = tokens.expand([batch, token_count, dim]);

        // The dense prompt is either a single vector for all positions or a whole map.
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
        let filters = match &self.hypernetworks {
            Some(heads) => heads.forward(mask_tokens.clone()),
            None => {
                let heads = self.output_hypernetworks_mlps.iter().enumerate();
                let filters =
                    heads.map(|(i, head)| head.forward(mask_tokens.clone().slice_dim(1, i..i + 1)));
                join::<3>(filters.collect(), 1)
            }
        };
        debug_assert_eq!(count, side * side);
        DecoderOutputs {
            mask_logits: kernels::mask_product(filters, upscaled),
            ious: activation::sigmoid(self.iou_prediction_head.forward(iou_token)),
            mask_tokens,
            object_score_logits: self.pred_obj_score_head.forward(object_token),
        }
    }

    fn upscale(&self, image_tokens: Tensor<3>, image: &DecoderImage, side: usize) -> Tensor<4> {
        let [batch, _, dim] = image_tokens.dims();
        let layers = &self.output_upscaling;
        // In this order, both operations are views on every device.
        let x = image_tokens.reshape([batch, side, side, dim]).permute([0, 3, 1, 2]);
        let (norm, add) = (Some(&layers.norm), &image.stride_8_bchw);
        let x = kernels::transposed_convolution(&layers.conv1, norm, x, add);
        kernels::transposed_convolution(&layers.conv2, None, x, &image.stride_4_bchw)
    }
}

impl DecoderOutputs {
    /// Chooses the mask by [`MaskRule::BestCandidate`], also for absent objects.
    pub fn best_candidate(&self) -> ChosenMask {
        self.choice(MaskRule::BestCandidate).choose()
    }

    /// Returns mask logits `[batch, 3, 4 side, 4 side]` and predicted IoUs `[batch, 3]` of the
    /// three candidates.
    pub fn candidates(&self) -> (Tensor<4>, Tensor<2>) {
        (
            self.mask_logits.clone().slice_dim(1, 1..MASK_TOKENS),
            self.ious.clone().slice_dim(1, 1..MASK_TOKENS),
        )
    }

    /// Returns each of the three candidates as if it had been chosen. The masks of objects that are
    /// not in the frame are filled with `absent_logit`.
    pub fn each_candidate(&self, absent_logit: f32) -> [ChosenMask; 3] {
        std::array::from_fn(|index| {
            // Of two masks, the only candidate is the second one.
            let two = index..index + 2;
            let choice = MaskChoice {
                rule: MaskRule::BestCandidate,
                mask_logits: &self.mask_logits.clone().slice_dim(1, two.clone()),
                ious: &self.ious.clone().slice_dim(1, two.clone()),
                tokens: &self.mask_tokens.clone().slice_dim(1, two),
                object_scores: Some((&self.object_score_logits, absent_logit)),
            };
            choice.choose()
        })
    }

    /// Chooses the mask by [`MaskRule::SingleIfStable`], also for absent objects.
    pub fn single_mask(&self) -> ChosenMask {
        self.choice(MaskRule::SingleIfStable).choose()
    }

    /// Chooses the mask of each object by `rule`. The masks of objects that are not in the frame
    /// are filled with `absent_logit`.
    pub fn choose(&self, rule: MaskRule, absent_logit: f32) -> ChosenMask {
        let object_scores = Some((&self.object_score_logits, absent_logit));
        MaskChoice { object_scores, ..self.choice(rule) }.choose()
    }

    fn choice(&self, rule: MaskRule) -> MaskChoice<'_> {
        MaskChoice {
            rule,
            mask_logits: &self.mask_logits,
            ious: &self.ious,
            tokens: &self.mask_tokens,
            object_scores: None,
        }
    }

    /// Returns the stability score of the single mask, `[batch, 1]`, 0..1. Near 0.98, the threshold
    /// of the fallback, two implementations may choose different masks.
    pub fn single_mask_stability(&self) -> Tensor<2> {
        kernels::stability(&self.mask_logits.clone().slice_dim(1, 0..1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    /// Makes outputs for two objects with 1 x 4 masks: the first one's single mask is stable, the
    /// second one's is not.
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
    fn each_candidate_has_its_own_mask_iou_and_token() {
        let scores = TensorData::new(vec![1.0, -1.0], vec![2, 1]);
        let object_score_logits = Tensor::from_data(scores, &Device::flex());
        let outputs = DecoderOutputs { object_score_logits, ..outputs() };
        let each = outputs.each_candidate(-7.0);
        let (logits, ious) = outputs.candidates();
        for (index, chosen) in each.into_iter().enumerate() {
            let one = index..index + 1;
            let absent = chosen.mask_logits.clone().slice_dim(0, 1..2);
            let (mask, expected) = (chosen.mask_logits, logits.clone().slice_dim(1, one.clone()));
            let first = |logits: Tensor<4>| values(logits.slice_dim(0, 0..1));
            assert_eq!(first(mask), first(expected));
            assert_eq!(values(absent), [-7.0; 4]);
            assert_eq!(values(chosen.iou), values(ious.clone().slice_dim(1, one)));
            let tokens = outputs.mask_tokens.clone().slice_dim(1, index + 1..index + 2);
            assert_eq!(values(chosen.token), values(tokens));
        }
    }

    #[test]
    fn single_mask_falls_back_where_unstable_but_keeps_its_token() {
        let single = outputs().single_mask();
        assert_eq!(values(single.mask_logits), [9.0, 9.0, -9.0, -9.0, 4.0, 4.0, 4.0, 4.0]);
        assert_eq!(values(single.iou), [0.1, 0.7]);
        assert_eq!(values(single.token), [0.0, 4.0]);
    }
}
