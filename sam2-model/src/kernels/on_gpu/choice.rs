//! Mask logits, and the choice among masks.

use burn::tensor::{DType, Tensor};
use burn_cubecl::kernel::into_contiguous;

use super::super::choice::{ChosenMask, MaskChoice, MaskRule, STABILITY_DELTA, STABILITY_PERCENT};
use super::super::gpu::{self, ChoiceArgs, StableFirst};
use super::{Lying, buffer, empty, on_gpu, optional, tensor, vector};

/// Runs [`mask_product`](crate::kernels::mask_product) on a GPU.
pub(in crate::kernels) fn mask_product(
    filters: &Tensor<3>,
    maps_bchw: &Tensor<4>,
) -> Option<Tensor<4>> {
    let size = maps_bchw.dims();
    let [batch, channels, height, width] = size;
    let count = filters.dims()[1];
    if filters.dims() != [batch, count, channels] {
        return None;
    }
    let filters = vector(filters)?;
    let maps = on_gpu(maps_bchw)?;
    let out = empty(&maps, [batch, count, height, width], DType::F32);
    let (lying, of_out) = (Lying::of(&maps)?, buffer(&out)?);
    gpu::mask_product(&maps.client, (&filters, count), lying.maps(), size, &of_out)
        .then(|| tensor(out))
}

/// Runs [`MaskChoice::choose`](crate::kernels::MaskChoice::choose) on a GPU.
pub(in crate::kernels) fn choose_mask(choice: &MaskChoice<'_>) -> Option<ChosenMask> {
    let [batch, masks, height, width] = choice.mask_logits.dims();
    let dim = choice.tokens.dims()[2];
    let alike = choice.ious.dims() == [batch, masks]
        && choice.tokens.dims() == [batch, masks, dim]
        && choice.object_scores.is_none_or(|(scores, _)| scores.dims() == [batch, 1]);
    if !alike {
        return None;
    }
    let (logits, ious) = (vector(choice.mask_logits)?, vector(choice.ious)?);
    // These tokens are a slice. They are read in place if the values of a token are contiguous.
    let mut tokens = on_gpu(choice.tokens)?;
    if tokens.meta.strides()[2] != 1 {
        tokens = into_contiguous(tokens);
    }
    if tokens.dtype != DType::F32 {
        return None;
    }
    let by = [tokens.meta.strides()[0], tokens.meta.strides()[1]];
    let scores =
        optional(choice.object_scores, |(scores, absent)| Some((vector(scores)?, absent)))?;
    let first = StableFirst { delta: STABILITY_DELTA as f32, percent: STABILITY_PERCENT };
    let mask_logits = empty(&tokens, [batch, 1, height, width], DType::F32);
    let iou = empty(&tokens, [batch, 1], DType::F32);
    let token = empty(&tokens, [batch, dim], DType::F32);
    let args = ChoiceArgs {
        logits: &logits,
        ious: &ious,
        tokens: (&buffer(&tokens)?, by),
        scores: scores.as_ref().map(|(scores, absent)| (scores, *absent)),
        first: (choice.rule == MaskRule::SingleIfStable).then_some(first),
        out_logits: &buffer(&mask_logits)?,
        out_iou: &buffer(&iou)?,
        out_token: &buffer(&token)?,
        size: [batch, masks, height * width, dim],
    };
    gpu::choose_mask(&tokens.client, &args).then(|| ChosenMask {
        mask_logits: tensor(mask_logits),
        iou: tensor(iou),
        token: tensor(token),
    })
}
