//! The small perceptron used throughout SAM 2 (`MLP` in `modeling/sam2_utils.py`).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::kernels::{Activation, FusedLinear, fused_linear_chain};
use crate::layer_norm::LayerNorm;

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
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.run(x, None, None)
    }

    /// `x` with what the perceptron makes of it after a norm: `x + mlp(norm(x))`.
    pub fn refine<const D: usize>(&self, x: Tensor<D>, norm: Option<&LayerNorm>) -> Tensor<D> {
        self.run(x.clone(), norm, Some(&x))
    }

    fn run<const D: usize>(
        &self,
        x: Tensor<D>,
        norm: Option<&LayerNorm>,
        add: Option<&Tensor<D>>,
    ) -> Tensor<D> {
        let last = self.layers.len().saturating_sub(1);
        let layers: Vec<_> = self
            .layers
            .iter()
            .enumerate()
            .map(|(index, layer)| {
                let mut fused = FusedLinear::new(layer);
                if let Some(norm) = norm.filter(|_| index == 0) {
                    fused = fused.after(norm);
                }
                match add.filter(|_| index == last) {
                    _ if index < last => fused.activated(self.activation),
                    Some(add) => fused.plus(add),
                    None => fused,
                }
            })
            .collect();
        fused_linear_chain(&layers, x)
    }
}
