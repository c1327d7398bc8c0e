//! Linear layers fused with the steps around them.

use burn::backend::flex::FlexTensor;
use burn::nn::Linear;
use burn::tensor::module::linear;
use burn::tensor::{FloatDType, Tensor};
use sam2_cpu_kernels::{self as cpu, Activation, Chain, CpuTier, Layer, Norm};

use super::bridge::{from_values, into_flex, values};
use super::format::{half, to_format};
use super::join::join;
use super::on_gpu;
use super::pointwise::activated_on_any_device;
use super::rotate::rotate_on_any_device;
use super::scope::bf16_wins;
use crate::layer_norm::LayerNorm;

/// A linear layer with the steps around it in a transformer, in this order: layer norm, product and
/// bias, activation, factors of the channels, and the addition of a tensor. On the CPU all of it is
/// one pass over memory.
#[derive(Clone, Copy, Debug)]
pub struct FusedLinear<'a, const D: usize> {
    pub(super) layer: &'a Linear,
    pub(super) norm: Option<&'a LayerNorm>,
    pub(super) activation: Activation,
    pub(super) scale: Option<&'a Tensor<1>>,
    pub(super) add: Option<&'a Tensor<D>>,
    pub(super) half_out: bool,
    pub(super) input: Option<InputTerm<'a, D>>,
    pub(super) rotation: Option<Rotation<'a>>,
}

/// A term that is added to the input of a layer for some of its outputs only: positions are added
/// for queries and keys, but not for values.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputTerm<'a, const D: usize> {
    /// The term, of the input's shape.
    pub term: &'a Tensor<D>,
    /// Number of outputs, from the first on, that include the term.
    pub outputs: usize,
}

/// A rotation of pairs of adjacent outputs by angles, as in [`rotate`](super::rotate).
#[derive(Clone, Copy, Debug)]
pub struct Rotation<'a> {
    /// Cosines, `[1, tokens, channels / 2]`, f32. The table repeats every `tokens` rows and every
    /// `channels` outputs.
    pub cos: &'a Tensor<3>,
    /// Sines, of the same shape.
    pub sin: &'a Tensor<3>,
    /// Number of rows of each batch entry, from the first on, that are rotated: a multiple of
    /// `tokens`.
    pub turned: usize,
    /// Number of outputs in those rows, from the first on, that are rotated: a multiple of
    /// `channels`.
    pub outputs: usize,
}

impl Rotation<'_> {
    /// Rotates with burn's operations, on any device.
    fn on_any_device<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        let shape = x.dims();
        let (batch, all) = (shape[0], shape[D - 1]);
        let rows = shape[1..D - 1].iter().product::<usize>();
        let x = x.reshape([batch, rows, all]);
        let channels = 2 * self.cos.dims()[2];
        let turned = |first: usize| {
            let part = x.clone().slice_dim(2, first..first + channels);
            rotate_on_any_device(part, self.cos.clone(), self.sin.clone(), self.turned)
        };
        let mut parts: Vec<_> = (0..self.outputs).step_by(channels).map(turned).collect();
        if self.outputs < all {
            parts.push(x.clone().slice_dim(2, self.outputs..all));
        }
        join(parts, 2).reshape(shape)
    }
}

impl<'a, const D: usize> FusedLinear<'a, D> {
    /// Returns the layer without any further step.
    pub fn new(layer: &'a Linear) -> Self {
        let activation = Activation::Identity;
        let (norm, scale, add, input, rotation) = (None, None, None, None, None);
        Self { layer, norm, activation, scale, add, half_out: false, input, rotation }
    }

    /// Normalises the input first.
    pub fn after(self, norm: &'a LayerNorm) -> Self {
        Self { norm: Some(norm), ..self }
    }

    /// Applies a non-linearity after the bias.
    pub fn activated(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Multiplies each channel by its own factor, `[channels]`.
    pub fn scaled(self, scale: &'a Tensor<1>) -> Self {
        Self { scale: Some(scale), ..self }
    }

    /// Adds a tensor of the result's shape, or one with a batch of 1, which is added to every batch
    /// entry.
    pub fn plus(self, add: &'a Tensor<D>) -> Self {
        Self { add: Some(add), ..self }
    }

    /// Adds a tensor of the input's shape to the input, for the first `outputs` outputs only.
    pub fn of_sum(self, term: &'a Tensor<D>, outputs: usize) -> Self {
        Self { input: Some(InputTerm { term, outputs }), ..self }
    }

    /// Rotates pairs of outputs by angles as the last step. For tensors `[batch, rows, channels]`.
    pub fn rotated(self, rotation: Rotation<'a>) -> Self {
        Self { rotation: Some(rotation), ..self }
    }

    /// Keeps the result in half precision if the product is made in it: for results that only go
    /// into other products.
    pub fn for_products(self) -> Self {
        Self { half_out: true, ..self }
    }

    /// Maps `[..., inputs]` to `[..., outputs]`. The result is f32, unless [`Self::for_products`]
    /// was called.
    pub fn forward(self, x: Tensor<D>) -> Tensor<D> {
        fused_linear_chain(&[self], x)
    }

    /// Does the same with burn's operations, on any device. With a weight in half precision, the
    /// product is made in half precision, and everything around the product in f32.
    pub fn on_any_device(self, mut x: Tensor<D>) -> Tensor<D> {
        if let Some(norm) = self.norm {
            x = norm.forward(x);
        }
        let half = half(self.layer.weight.dtype());
        let product = |x: Tensor<D>| match half {
            None => linear(x, self.layer.weight.val(), None),
            Some(format) => {
                let weight = self.layer.weight.val();
                linear(to_format(x, format), weight, None).cast(FloatDType::F32)
            }
        };
        x = match self.input {
            None => product(x),
            Some(InputTerm { term, outputs }) => {
                let (with, without) = (product(x.clone() + term.clone()), product(x));
                let rest = outputs..without.dims()[D - 1];
                let parts = [with.slice_dim(D - 1, 0..outputs), without.slice_dim(D - 1, rest)];
                join(parts.into(), D - 1)
            }
        };
        if let Some(bias) = &self.layer.bias {
            x = x + bias.val().unsqueeze();
        }
        x = activated_on_any_device(x, self.activation);
        if let Some(scale) = self.scale {
            x = x * scale.clone().unsqueeze();
        }
        if let Some(add) = self.add {
            x = x + add.clone();
        }
        if let Some(rotation) = self.rotation {
            x = rotation.on_any_device(x);
        }
        match half {
            Some(format) if self.half_out => to_format(x, format),
            _ => x,
        }
    }
}

/// Runs layers one after another. On the CPU the values between them never leave the caches if only
/// the first layer has a norm.
pub fn fused_linear_chain<const D: usize>(
    layers: &[FusedLinear<'_, D>],
    x: Tensor<D>,
) -> Tensor<D> {
    on_cpu(layers, &x).unwrap_or_else(|| {
        let last = layers.len().saturating_sub(1);
        layers.iter().enumerate().fold(x.clone(), |x, (index, layer)| {
            // The input of the next product may already have its format.
            let layer = if index < last { layer.for_products() } else { *layer };
            on_gpu::linear(&layer, &x).unwrap_or_else(|| layer.on_any_device(x))
        })
    })
}

fn on_cpu<const D: usize>(layers: &[FusedLinear<'_, D>], x: &Tensor<D>) -> Option<Tensor<D>> {
    let (first, last) = (layers.first()?, layers.last()?);
    let has_more = |layer: &FusedLinear<'_, D>| layer.input.is_some() || layer.rotation.is_some();
    if layers[1..].iter().any(|layer| layer.norm.is_some()) || layers.iter().any(has_more) {
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
        norm: norm.as_ref().map(|(weight, bias, epsilon)| Norm {
            weight: values(weight),
            bias: values(bias),
            epsilon: *epsilon,
        }),
        layers: &layers,
    };
    let tier = CpuTier::current();
    let rounded = if bf16_wins(tier) { cpu::linear_in_bf16(tier, chain) } else { None };
    let out = rounded.or_else(|| cpu::linear(tier, chain))?;
    shape[D - 1] = last.layer.weight.dims()[1];
    Some(from_values(out, shape))
}

/// The parameters of a layer, in the CPU's memory.
struct Parts {
    size: [usize; 2],
    activation: Activation,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    scale: Option<FlexTensor>,
    add: Option<FlexTensor>,
}

impl Parts {
    /// Returns `None` if a part is not in the CPU's memory, or does not fit rows of a tensor of
    /// `shape`.
    fn of<const D: usize>(fused: &FusedLinear<'_, D>, shape: &[usize; D]) -> Option<Self> {
        // A tensor of the same shape except for its batch is repeated for each batch entry.
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
