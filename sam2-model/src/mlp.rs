//! The small perceptron used throughout SAM 2 (`MLP` in `modeling/sam2_utils.py`).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, activation};

use crate::kernels;

/// Non-linearity between the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Rectified linear unit: decoder and heads.
    Relu,
    /// Gaussian error linear unit, the exact erf form: image encoder.
    Gelu,
}

/// Linear layers with an activation between them, none after the last.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
    #[module(skip)]
    activation: Activation,
}

impl Mlp {
    /// `widths` = input, hidden..., output: at least two numbers.
    pub fn init(widths: &[usize], activation: Activation, device: &Device) -> Self {
        let layers = widths
            .windows(2)
            .map(|pair| LinearConfig::new(pair[0], pair[1]).init(device))
            .collect();
        Self { layers, activation }
    }

    /// `[..., input]` to `[..., output]`.
    pub fn forward<const D: usize>(&self, mut x: Tensor<D>) -> Tensor<D> {
        let last = self.layers.len().saturating_sub(1);
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            if index < last {
                x = match self.activation {
                    Activation::Relu => activation::relu(x),
                    Activation::Gelu => kernels::gelu(x),
                };
            }
        }
        x
    }
}
