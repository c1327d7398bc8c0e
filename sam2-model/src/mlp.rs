//! The small perceptron used throughout SAM 2 (`MLP` in `modeling/sam2_utils.py`).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::kernels::{Activation, FusedLinear, fused_linear_chain, grouped_linear, join};
use crate::layer_norm::LayerNorm;

/// Linear layers with an activation between them and none after the last.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
    #[module(skip)]
    activation: Activation,
}

impl Mlp {
    /// Builds the perceptron. `widths` are input, hidden..., output: at least two numbers.
    pub fn init(widths: &[usize], activation: Activation, device: &Device) -> Self {
        let layers = widths
            .windows(2)
            .map(|pair| LinearConfig::new(pair[0], pair[1]).init(device))
            .collect();
        Self { layers, activation }
    }

    /// Maps `[..., input]` to `[..., output]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.run(x, None, None)
    }

    /// Adds to `x` the perceptron's output after a norm: `x + mlp(norm(x))`.
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

/// Perceptrons of the same widths side by side, each with its own input. On a GPU, each layer is
/// one launch.
#[derive(Clone, Debug)]
pub(crate) struct GroupedMlp {
    /// Weights `[groups, input, output]` and biases `[groups, output]`.
    layers: Vec<(Tensor<3>, Tensor<2>)>,
    activation: Activation,
}

impl GroupedMlp {
    /// Returns `None` if their widths differ, or a layer has no bias.
    pub(crate) fn of(mlps: &[Mlp]) -> Option<Self> {
        let first = mlps.first()?;
        let layer = |index: usize| {
            let of_all = mlps.iter().map(|mlp| {
                let layer = mlp.layers.get(index)?;
                let alike = layer.weight.dims() == first.layers[index].weight.dims();
                let parts = (layer.weight.val().unsqueeze(), layer.bias.as_ref()?.val());
                alike.then_some((parts.0, parts.1.unsqueeze()))
            });
            let (weights, biases): (Vec<_>, Vec<_>) =
                of_all.collect::<Option<Vec<_>>>()?.into_iter().unzip();
            Some((join(weights, 0), join(biases, 0)))
        };
        let layers = (0..first.layers.len()).map(layer).collect::<Option<Vec<_>>>()?;
        let alike = mlps.iter().all(|mlp| mlp.layers.len() == layers.len());
        alike.then_some(Self { layers, activation: first.activation })
    }

    /// Maps `[batch, groups, input]` to `[batch, groups, output]`.
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let last = self.layers.len().saturating_sub(1);
        self.layers.iter().enumerate().fold(x, |x, (index, (weight, bias))| {
            let activation = if index < last { self.activation } else { Activation::Identity };
            grouped_linear(weight, bias, activation, x)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    #[test]
    fn perceptrons_side_by_side_give_what_each_gives() {
        let mlps: Vec<_> =
            (0..3).map(|_| Mlp::init(&[8, 12, 12, 5], Activation::Relu, &Device::flex())).collect();
        let x = noise([2, 3, 8]);
        let grouped = GroupedMlp::of(&mlps).unwrap().forward(x.clone());
        for (index, mlp) in mlps.iter().enumerate() {
            let part = |x: &Tensor<3>| x.clone().slice_dim(1, index..index + 1);
            let off = (part(&grouped) - mlp.forward(part(&x))).abs().max();
            assert!(off.into_scalar::<f32>() < 1e-6);
        }
        let other = Mlp::init(&[8, 12, 12, 4], Activation::Relu, &Device::flex());
        assert!(GroupedMlp::of(&[mlps[0].clone(), other]).is_none());
    }
}
