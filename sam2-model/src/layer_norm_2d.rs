//! Layer normalisation over the channels of a feature map (`LayerNorm2d` in
//! `modeling/sam2_utils.py`).

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::kernels;

/// Epsilon, added to the variance.
pub const EPSILON: f32 = 1e-6;

/// Layer norm of each pixel of `[batch, channels, height, width]` over its channels.
#[derive(Module, Debug)]
pub struct LayerNorm2d {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

impl LayerNorm2d {
    /// Builds the norm for maps of `channels` channels.
    pub fn init(channels: usize, device: &Device) -> Self {
        Self::new(Tensor::ones([channels], device), Tensor::zeros([channels], device))
    }

    /// Makes a norm with these factors and offsets of the channels, `[channels]`.
    pub fn new(weight: Tensor<1>, bias: Tensor<1>) -> Self {
        Self { weight: Param::from_tensor(weight), bias: Param::from_tensor(bias) }
    }

    /// Returns weight and bias, `[channels]`, and epsilon.
    pub(crate) fn parameters(&self) -> (Tensor<1>, Tensor<1>, f32) {
        (self.weight.val(), self.bias.val(), EPSILON)
    }

    /// Normalises maps. The shape stays the same.
    pub fn forward(&self, x_bchw: Tensor<4>) -> Tensor<4> {
        kernels::layer_norm_2d(x_bchw, self.weight.val(), self.bias.val(), EPSILON)
    }
}
