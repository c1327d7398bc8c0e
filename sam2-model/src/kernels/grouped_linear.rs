//! Several linear layers of the same shape, each with its own input.

use burn::tensor::Tensor;

use super::pointwise::activated_on_any_device;
use super::{Activation, on_gpu};

/// Runs layers side by side: entry `g` of `x` `[batch, groups, inputs]` goes through its own
/// `weight` `[groups, inputs, outputs]` and `bias` `[groups, outputs]`, to
/// `[batch, groups, outputs]`. One launch on a GPU.
pub fn grouped_linear(
    weight: &Tensor<3>,
    bias: &Tensor<2>,
    activation: Activation,
    x: Tensor<3>,
) -> Tensor<3> {
    on_gpu::grouped_linear(weight, bias, activation, &x).unwrap_or_else(|| {
        let x = x.swap_dims(0, 1).matmul(weight.clone()).swap_dims(0, 1);
        activated_on_any_device(x + bias.clone().unsqueeze(), activation)
    })
}
