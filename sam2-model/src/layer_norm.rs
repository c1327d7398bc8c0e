//! Layer normalisation over the channels of tokens (`nn.LayerNorm`).

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::kernels;

/// Layer norm over the last axis.
///
/// burn has such a layer too, but this one exposes its epsilon, which [`kernels::FusedLinear`]
/// needs.
#[derive(Module, Debug)]
pub struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f32,
}

impl LayerNorm {
    /// PyTorch's default epsilon, added to the variance.
    pub const EPSILON: f32 = 1e-5;

    /// Builds the norm for vectors of `channels` values.
    pub fn init(channels: usize, epsilon: f32, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::ones([channels], device)),
            bias: Param::from_tensor(Tensor::zeros([channels], device)),
            epsilon,
        }
    }

    /// Returns weight and bias, `[channels]`, and epsilon.
    pub(crate) fn parameters(&self) -> (Tensor<1>, Tensor<1>, f32) {
        (self.weight.val(), self.bias.val(), self.epsilon)
    }

    /// Normalises `[..., channels]`. The shape stays the same.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (weight, bias, epsilon) = self.parameters();
        kernels::layer_norm(x, weight, bias, epsilon)
    }
}
