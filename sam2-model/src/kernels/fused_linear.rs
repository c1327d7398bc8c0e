//! Linear layers with what surrounds them.

use burn::backend::flex::FlexTensor;
use burn::nn::Linear;
use burn::tensor::module::linear;
use burn::tensor::{FloatDType, Tensor, activation};

use super::bridge::{from_values, into_flex, values};
use super::cpu::linear::{Chain, Layer, linear as linear_in_f32};
use super::cpu::{Activation, CpuTier, linear_in_bf16};
use super::format::{half, to_format};
use super::full_f32::in_full_f32;
use super::on_gpu;
use super::scope::bf16_wins;
use crate::layer_norm::LayerNorm;

/// A linear layer with what surrounds it in a transformer, in this order: layer norm, product and bias, activation, factors of the channels, and a
/// tensor that is added. On the CPU all of it is one pass over memory.
#[derive(Clone, Copy, Debug)]
pub struct FusedLinear<'a, const D: usize> {
    pub(super) layer: &'a Linear,
    pub(super) norm: Option<&'a LayerNorm>,
    pub(super) activation: Activation,
    pub(super) scale: Option<&'a Tensor<1>>,
    pub(super) add: Option<&'a Tensor<D>>,
    pub(super) half_out: bool,
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
        fused_linear_chain(&[self], x)
    }

    /// The same through burn, on any device. A weight in half precision makes the product in it; everything around the product is in f32.
    pub fn on_any_device(self, mut x: Tensor<D>) -> Tensor<D> {
        if let Some(norm) = self.norm {
            x = norm.forward(x);
        }
        let half = half(self.layer.weight.dtype());
        x = match half {
            None => in_full_f32(x, self.layer.weight.val(), |x, weight| linear(x, weight, None)),
            Some(format) => {
                let weight = self.layer.weight.val();
                linear(to_format(x, format), weight, None).cast(FloatDType::F32)
            }
        };
        if let Some(bias) = &self.layer.bias {
            x = x + bias.val().unsqueeze();
        }
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

/// Layers one after the other. On the CPU what lies between them never leaves the caches; a norm is for the first layer then.
pub fn fused_linear_chain<const D: usize>(
    layers: &[FusedLinear<'_, D>],
    x: Tensor<D>,
) -> Tensor<D> {
    on_cpu(layers, &x).unwrap_or_else(|| {
        let last = layers.len().saturating_sub(1);
        layers.iter().enumerate().fold(x.clone(), |x, (index, layer)| {
            // What the next layer multiplies may as well lie in its format.
            let layer = if index < last { layer.for_products() } else { *layer };
            on_gpu::linear(&layer, &x).unwrap_or_else(|| layer.on_any_device(x))
        })
    })
}

/// Several layers after the same norm, each as [`FusedLinear::for_products`]. On the CPU each takes the norm along; a GPU normalises once.
pub fn projections<const D: usize, const N: usize>(
    norm: &LayerNorm,
    layers: [&Linear; N],
    x: &Tensor<D>,
) -> [Tensor<D>; N] {
    let (weight, bias, epsilon) = norm.parameters();
    let format = layers.first().map_or(x.dtype(), |layer| layer.weight.dtype());
    match on_gpu::layer_norm(x, &weight, &bias, epsilon, format) {
        Some(normed) => {
            layers.map(|layer| FusedLinear::new(layer).for_products().forward(normed.clone()))
        }
        None => layers
            .map(|layer| FusedLinear::new(layer).after(norm).for_products().forward(x.clone())),
    }
}

fn on_cpu<const D: usize>(layers: &[FusedLinear<'_, D>], x: &Tensor<D>) -> Option<Tensor<D>> {
    let (first, last) = (layers.first()?, layers.last()?);
    if layers[1..].iter().any(|layer| layer.norm.is_some()) {
        return None;
    }
    let mut shape = x.dims();
    let norm = match first.norm.map(LayerNorm::parameters) {
        Some((weight, bias, epsilon)) => {
            Some((into_flex(weight).ok()?, into_flex(bias).ok()?, epsilon))
        }
        None => None,
    };
    let input = into_flex(x.clone()).ok()?;
    let parts = layers.iter().map(|layer| Parts::of(layer, &shape)).collect::<Option<Vec<_>>>()?;
    let layers: Vec<Layer<'_>> = parts.iter().map(Parts::layer).collect();
    let chain = Chain {
        x: values(&input),
        norm: norm.as_ref().map(|(weight, bias, epsilon)| (values(weight), values(bias), *epsilon)),
        layers: &layers,
    };
    let tier = CpuTier::current();
    let rounded = if bf16_wins(tier) { linear_in_bf16(tier, chain) } else { None };
    let out = rounded.or_else(|| linear_in_f32(tier, chain))?;
    shape[D - 1] = last.layer.weight.dims()[1];
    Some(from_values(out, shape))
}

/// What a layer reads, as the CPU's memory.
struct Parts {
    size: [usize; 2],
    activation: Activation,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    scale: Option<FlexTensor>,
    add: Option<FlexTensor>,
}

impl Parts {
    /// `None` if something lies elsewhere, or does not fit rows of a tensor of `shape`.
    fn of<const D: usize>(fused: &FusedLinear<'_, D>, shape: &[usize; D]) -> Option<Self> {
        // Repeated from its start, a tensor of the same shape but for the batch is added to each of the batch.
        let alike = |add: &Tensor<D>| {
            let add = add.dims();
            add[1..D - 1] == shape[1..D - 1] && (add[0] == shape[0] || add[0] == 1)
        };
        if fused.add.is_some_and(|add| !alike(add)) {
            return None;
        }
        let bias = fused.layer.bias.as_ref().map(|bias| into_flex(bias.val()));
        Some(Self {
            size: fused.layer.weight.dims(),
            activation: fused.activation,
            weight: into_flex(fused.layer.weight.val()).ok()?,
            bias: bias.transpose().ok()?,
            scale: fused.scale.cloned().map(into_flex).transpose().ok()?,
            add: fused.add.cloned().map(into_flex).transpose().ok()?,
        })
    }

    fn layer(&self) -> Layer<'_> {
        let [inputs, outputs] = self.size;
        Layer {
            weight: values(&self.weight),
            inputs,
            outputs,
            bias: self.bias.as_ref().map(values),
            activation: self.activation,
            scale: self.scale.as_ref().map(values),
            add: self.add.as_ref().map(values),
        }
    }
}
