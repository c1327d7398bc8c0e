//! Linear layers and layer norms on a GPU.

use burn::tensor::{DType, Tensor};

use super::super::Activation;
use super::super::fused_linear::FusedLinear;
use super::super::gpu::{self, LinearArgs, NormArgs, RotationArgs};
use super::{buffer, contiguous, empty, optional, tensor, vector};

/// Runs a layer norm over the last axis, with the result in `format`.
pub(in crate::kernels) fn layer_norm<const D: usize>(
    x: &Tensor<D>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    epsilon: f32,
    format: DType,
) -> Option<Tensor<D>> {
    let shape = x.dims();
    let x = contiguous(x)?;
    let out = empty(&x, shape, format);
    let channels = shape[D - 1];
    let args = NormArgs {
        x: &buffer(&x)?,
        weight: &vector(weight)?,
        bias: &vector(bias)?,
        activation: Activation::Identity,
        out: &buffer(&out)?,
        rows: shape[..D - 1].iter().product(),
        channels,
        epsilon,
    };
    gpu::layer_norm(&x.client, &args).then(|| tensor(out))
}

/// Runs a linear layer with the steps around it. The norm before it is a launch of its own.
pub(in crate::kernels) fn linear<const D: usize>(
    fused: &FusedLinear<'_, D>,
    x: &Tensor<D>,
) -> Option<Tensor<D>> {
    let mut shape = x.dims();
    let weight = contiguous(&fused.layer.weight.val())?;
    let normed = match fused.norm.map(|norm| norm.parameters()) {
        Some((scale, bias, epsilon)) => layer_norm(x, &scale, &bias, epsilon, weight.dtype)?,
        None => x.clone(),
    };
    let x = contiguous(&normed)?;
    let [inputs, outputs] = fused.layer.weight.dims();
    let rows: usize = shape[..D - 1].iter().product();
    // A tensor of the same shape except for its batch is repeated for each batch entry.
    let add = optional(fused.add, |add| {
        let of_add = add.dims();
        let alike = of_add[1..D - 1] == shape[1..D - 1] && of_add[D - 1] == outputs;
        if !alike || (of_add[0] != shape[0] && of_add[0] != 1) {
            return None;
        }
        Some((buffer(&contiguous(add)?)?, of_add[..D - 1].iter().product()))
    })?;
    let term = optional(fused.input, |input| {
        let alike = input.term.dims() == shape;
        alike.then(|| Some((buffer(&contiguous(input.term)?)?, input.outputs)))?
    })?;
    let rotation = optional(fused.rotation, |rotation| {
        let [_, tokens, pairs] = rotation.cos.dims();
        let tables = (buffer(&contiguous(rotation.cos)?)?, buffer(&contiguous(rotation.sin)?)?);
        Some((tables, [tokens, 2 * pairs], rotation))
    })?;
    let rotation = rotation.as_ref().map(|((cos, sin), [tokens, channels], rotation)| {
        let (tokens, channels) = (*tokens, *channels);
        let length = rows / shape[0].max(1);
        let (turned, outputs) = (rotation.turned, rotation.outputs);
        RotationArgs { cos, sin, tokens, channels, length, turned, outputs }
    });
    let bias = optional(fused.layer.bias.as_ref(), |bias| vector(&bias.val()))?;
    let scale = optional(fused.scale, vector)?;
    shape[D - 1] = outputs;
    let out = empty(&x, shape, if fused.half_out { weight.dtype } else { DType::F32 });
    let args = LinearArgs {
        x: &buffer(&x)?,
        term: term.as_ref().map(|(term, outputs)| (term, *outputs)),
        weight: &buffer(&weight)?,
        bias: bias.as_ref(),
        activation: fused.activation,
        scale: scale.as_ref(),
        add: add.as_ref().map(|(add, rows)| (add, *rows)),
        rotation,
        out: &buffer(&out)?,
        rows,
        groups: 1,
        inputs,
        outputs,
    };
    gpu::linear(&x.client, &args).then(|| tensor(out))
}

/// Runs layers side by side, `[batch, groups, inputs]` to `[batch, groups, outputs]`, as
/// [`grouped_linear`](crate::kernels::grouped_linear).
pub(in crate::kernels) fn grouped_linear(
    weight: &Tensor<3>,
    bias: &Tensor<2>,
    activation: Activation,
    x: &Tensor<3>,
) -> Option<Tensor<3>> {
    let [groups, inputs, outputs] = weight.dims();
    let [rows, ..] = x.dims();
    let (x, weight, bias) = (contiguous(x)?, contiguous(weight)?, contiguous(bias)?);
    let out = empty(&x, [rows, groups, outputs], DType::F32);
    let args = LinearArgs {
        x: &buffer(&x)?,
        term: None,
        weight: &buffer(&weight)?,
        bias: Some(&buffer(&bias)?),
        activation,
        scale: None,
        add: None,
        rotation: None,
        out: &buffer(&out)?,
        rows,
        groups,
        inputs,
        outputs,
    };
    gpu::linear(&x.client, &args).then(|| tensor(out))
}
