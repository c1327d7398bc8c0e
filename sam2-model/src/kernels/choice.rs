//! Mask logits from filters, and the choice of one mask per object.

use burn::tensor::{Int, Tensor};

use super::on_gpu;

/// Logits within this distance of zero count as undecided in the stability score.
pub(super) const STABILITY_DELTA: f64 = 0.05;
/// If the single mask's stability score is below this percentage, the best candidate replaces it.
pub(super) const STABILITY_PERCENT: u32 = 98;

/// The rule that chooses one mask of an object. The first mask is the single mask, the others are
/// the candidates of an ambiguous prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MaskRule {
    /// The candidate with the highest predicted IoU, the first one of equals. For one click or
    /// none. Its own token becomes the object pointer (`use_multimask_token_for_obj_ptr`).
    BestCandidate,
    /// The single mask, or the best candidate if the single mask is unstable. The object pointer is
    /// made from the single mask's token in either case (`_dynamic_multimask_via_stability`).
    SingleIfStable,
}

/// The masks of a batch of objects, from which one per object is chosen.
#[derive(Clone, Copy, Debug)]
pub struct MaskChoice<'a> {
    /// The rule of the choice.
    pub rule: MaskRule,
    /// `[batch, masks, height, width]`, at least two masks.
    pub mask_logits: &'a Tensor<4>,
    /// `[batch, masks]`: the predicted IoU of each mask.
    pub ious: &'a Tensor<2>,
    /// `[batch, masks, dim]`: the tokens from which the masks were made.
    pub tokens: &'a Tensor<3>,
    /// Scores `[batch, 1]`, and the logit that fills the mask of an object whose score is not above 0.
    /// `None`: masks are not changed.
    pub object_scores: Option<(&'a Tensor<2>, f32)>,
}

/// The chosen mask of each object.
#[derive(Clone, Debug)]
pub struct ChosenMask {
    /// `[batch, 1, height, width]`.
    pub mask_logits: Tensor<4>,
    /// `[batch, 1]`: the predicted IoU of that mask.
    pub iou: Tensor<2>,
    /// `[batch, dim]`: the token that becomes the object pointer.
    pub token: Tensor<2>,
}

impl MaskChoice<'_> {
    /// Chooses one mask per object and fills the masks of absent objects.
    pub fn choose(&self) -> ChosenMask {
        on_gpu::choose_mask(self).unwrap_or_else(|| self.choose_on_any_device())
    }

    /// Does the same with burn's operations, on any device.
    pub fn choose_on_any_device(&self) -> ChosenMask {
        let mut chosen = match self.rule {
            MaskRule::BestCandidate => self.best_candidate(),
            MaskRule::SingleIfStable => self.single_if_stable(),
        };
        if let Some((scores, absent_logit)) = self.object_scores {
            let [batch, _, height, width] = chosen.mask_logits.dims();
            let absent = scores.clone().lower_equal_scalar(0.0);
            let absent_plane = absent.reshape([batch, 1, 1, 1]).expand([batch, 1, height, width]);
            chosen.mask_logits = chosen.mask_logits.mask_fill(absent_plane, absent_logit);
        }
        chosen
    }

    fn best_candidate(&self) -> ChosenMask {
        let masks = self.ious.dims()[1];
        // `[batch, 1]`, with values in 1..masks.
        let best = self.ious.clone().slice_dim(1, 1..masks).argmax(1) + 1;
        ChosenMask {
            mask_logits: select_plane(self.mask_logits, &best),
            iou: self.ious.clone().gather(1, best.clone()),
            token: select_token(self.tokens, &best),
        }
    }

    fn single_if_stable(&self) -> ChosenMask {
        let [batch, _, height, width] = self.mask_logits.dims();
        let first = Tensor::<2, Int>::zeros([batch, 1], &self.mask_logits.device());
        let single = select_plane(self.mask_logits, &first);
        let best = self.best_candidate();
        let threshold = f64::from(STABILITY_PERCENT) / 100.0;
        let stable = stability(&single).greater_equal_scalar(threshold);
        let stable_plane =
            stable.clone().reshape([batch, 1, 1, 1]).expand([batch, 1, height, width]);
        ChosenMask {
            mask_logits: best.mask_logits.mask_where(stable_plane, single),
            iou: best.iou.mask_where(stable, self.ious.clone().slice_dim(1, 0..1)),
            token: select_token(self.tokens, &first),
        }
    }
}

/// Computes the stability score `[batch, 1]`: the IoU of the mask `[batch, 1, height, width]` at a
/// slightly raised and a slightly lowered threshold. It is 1 for an empty mask.
pub(crate) fn stability(mask_bchw: &Tensor<4>) -> Tensor<2> {
    let batch = mask_bchw.dims()[0];
    // Sums rows first: otherwise a GPU would give a whole mask to one thread.
    let area = |threshold: f64| -> Tensor<2> {
        let inside = mask_bchw.clone().greater_scalar(threshold).float();
        inside.sum_dim(3).sum_dim(2).reshape([batch, 1])
    };
    let (inner, outer) = (area(STABILITY_DELTA), area(-STABILITY_DELTA));
    let empty = outer.clone().equal_scalar(0.0);
    (inner / outer).mask_fill(empty, 1.0)
}

/// Selects plane `index[b]` of each batch entry: `[batch, 1, height, width]`.
fn select_plane(planes_bchw: &Tensor<4>, index: &Tensor<2, Int>) -> Tensor<4> {
    let [batch, _, height, width] = planes_bchw.dims();
    let index = index.clone().reshape([batch, 1, 1, 1]).expand([batch, 1, height, width]);
    planes_bchw.clone().gather(1, index)
}

/// Selects token `index[b]` of each batch entry: `[batch, dim]`.
fn select_token(tokens: &Tensor<3>, index: &Tensor<2, Int>) -> Tensor<2> {
    let [batch, _, dim] = tokens.dims();
    let index = index.clone().reshape([batch, 1, 1]).expand([batch, 1, dim]);
    tokens.clone().gather(1, index).squeeze_dim(1)
}

/// Computes mask logits from one filter per mask: multiplies `[batch, masks, channels]` by the
/// channels of each pixel of `[batch, channels, height, width]`, to
/// `[batch, masks, height, width]`.
///
/// A GPU reads the maps in either layout, channels first or last.
pub fn mask_product(filters: Tensor<3>, maps_bchw: Tensor<4>) -> Tensor<4> {
    on_gpu::mask_product(&filters, &maps_bchw)
        .unwrap_or_else(|| mask_product_on_any_device(filters, maps_bchw))
}

/// Does the same with burn's operations, on any device.
pub fn mask_product_on_any_device(filters: Tensor<3>, maps_bchw: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = maps_bchw.dims();
    let masks = filters.dims()[1];
    let maps = maps_bchw.reshape([batch, channels, height * width]);
    filters.matmul(maps).reshape([batch, masks, height, width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn an_empty_mask_is_stable() {
        let empty = Tensor::<4>::full([1, 1, 2, 2], -5.0, &Device::flex());
        let stability: Vec<f32> = stability(&empty).into_data().try_to_vec().unwrap();
        assert_eq!(stability, [1.0]);
    }
}
