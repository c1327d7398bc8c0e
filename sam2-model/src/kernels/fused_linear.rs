//! Linear layers with what surrounds them.

use burn::nn::Linear;
use burn::tensor::module::linear;
use burn::tensor::{FloatDType, Tensor, activation};

use super::bridge::{from_values, into_flex, values};
use super::cpu::linear::{self as cpu, Around, Product};
use super::cpu::{Activation, CpuTier};
use super::format::{half, to_format};
use crate::layer_norm::LayerNorm;

/// A linear layer with what surrounds it in a transformer, in this order: layer norm, product and bias, activation, factors of the channels, and a
/// tensor that is added. On the CPU all of it is one pass over memory.
#[derive(Clone, Copy, Debug)]
pub struct FusedLinear<'a, const D: usize> {
    layer: &'a Linear,
    norm: Option<&'a LayerNorm>,
    activation: Activation,
    scale: Option<&'a Tensor<1>>,
    add: Option<&'a Tensor<D>>,
    half_out: bool,
}

impl<'a, const D: usize> FusedLinear<'a, D> {
    /// The layer alone.
    pub fn new(layer: &'a Linear) -> Self {
        let activation = Activation::Identity;
        Self { layer, norm: None, activation, scale: None, add: None, half_out: false }
    }

    /// Normalises the input first.
    pub fn after(self, norm: &'a LayerNorm) -> Self {
        Self { norm: Some(norm), ..self }
    }

    /// Applies a non-linearity.
    pub fn activated(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Multiplies each channel by its own factor, `[channels]`.
    pub fn scaled(self, scale: &'a Tensor<1>) -> Self {
        Self { scale: Some(scale), ..self }
    }

    /// Adds a tensor of the result's shape, or one with a batch of 1 that serves all.
    pub fn plus(self, add: &'a Tensor<D>) -> Self {
        Self { add: Some(add), ..self }
    }

    /// Leaves the result in half precision where the product is made in it: for results that only go into other products.
    pub fn for_products(self) -> Self {
        Self { half_out: true, ..self }
    }

    /// `[..., inputs]` to `[..., outputs]`; in f32, unless [`Self::for_products`].
    pub fn forward(self, x: Tensor<D>) -> Tensor<D> {
        self.on_cpu(&x).unwrap_or_else(|| self.on_any_device(x.clone()))
    }

    fn on_cpu(&self, x: &Tensor<D>) -> Option<Tensor<D>> {
        let mut shape = x.dims();
        let [inputs, outputs] = self.layer.weight.dims();
        // Repeated from its start, a tensor of the same shape but for the batch is added to each of the batch.
        let alike = |add: &Tensor<D>| {
            let add = add.dims();
            add[1..D - 1] == shape[1..D - 1] && (add[0] == shape[0] || add[0] == 1)
        };
        if self.add.is_some_and(|add| !alike(add)) || shape[D - 1] != inputs {
            return None;
        }
        let input = into_flex(x.clone()).ok()?;
        let weight = into_flex(self.layer.weight.val()).ok()?;
        let bias = self.layer.bias.as_ref().map(|bias| into_flex(bias.val()));
        let bias = bias.transpose().ok()?;
        let norm = match self.norm.map(LayerNorm::parameters) {
            Some((weight, bias, epsilon)) => {
                Some((into_flex(weight).ok()?, into_flex(bias).ok()?, epsilon))
            }
            None => None,
        };
        let scale = self.scale.cloned().map(into_flex).transpose().ok()?;
        let add = self.add.cloned().map(into_flex).transpose().ok()?;
        let around = Around {
            norm: norm
                .as_ref()
                .map(|(weight, bias, epsilon)| (values(weight), values(bias), *epsilon)),
            bias: bias.as_ref().map(values),
            activation: self.activation,
            scale: scale.as_ref().map(values),
            add: add.as_ref().map(values),
        };
        let product =
            Product { x: values(&input), weight: values(&weight), inputs, outputs, around };
        let out = cpu::linear(CpuTier::current(), product)?;
        shape[D - 1] = outputs;
        Some(from_values(out, shape))
    }

    /// The same through burn, on any device. A weight in half precision makes the product in it; everything around the product is in f32.
    pub fn on_any_device(self, mut x: Tensor<D>) -> Tensor<D> {
        if let Some(norm) = self.norm {
            x = norm.forward(x);
        }
        let half = half(self.layer.weight.dtype());
        x = match half {
            None => self.layer.forward(x),
            Some(format) => {
                let weight = self.layer.weight.val();
                let product = linear(to_format(x, format), weight, None).cast(FloatDType::F32);
                match &self.layer.bias {
                    Some(bias) => product + bias.val().unsqueeze(),
                    None => product,
                }
            }
        };
        x = match self.activation {
            Activation::Identity => x,
            Activation::Relu => activation::relu(x),
            Activation::Gelu => activation::gelu(x),
        };
        if let Some(scale) = self.scale {
            x = x * scale.clone().unsqueeze();
        }
        if let Some(add) = self.add {
            x = x + add.clone();
        }
        match half {
            Some(format) if self.half_out => to_format(x, format),
            _ => x,
        }
    }
}
