//! Linear layers and layer norms.

use burn::tensor::{DType, Tensor};

use super::super::Activation;
use super::super::fused_linear::FusedLinear;
use super::super::gpu::{self, LinearArgs, NormArgs};
use super::{buffer, contiguous, empty, optional, tensor, vector};

/// Layer norm over the last axis, with the result in `format`.
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

/// A linear layer with what surrounds it; the norm before it is a launch of its own.
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
    // Repeated from its start, a tensor of the same shape but for the batch is added to each of the batch.
    let add = optional(fused.add, |add| {
        let of_add = add.dims();
        let alike = of_add[1..D - 1] == shape[1..D - 1] && of_add[D - 1] == outputs;
        if !alike || (of_add[0] != shape[0] && of_add[0] != 1) {
            return None;
        }
        Some((buffer(&contiguous(add)?)?, of_add[..D - 1].iter().product()))
    })?;
    let bias = optional(fused.layer.bias.as_ref(), |bias| vector(&bias.val()))?;
    let scale = optional(fused.scale, vector)?;
    shape[D - 1] = outputs;
    let out = empty(&x, shape, if fused.half_out { weight.dtype } else { DType::F32 });
    let args = LinearArgs {
        x: &buffer(&x)?,
        weight: &buffer(&weight)?,
        bias: bias.as_ref(),
        activation: fused.activation,
        scale: scale.as_ref(),
        add: add.as_ref().map(|(add, rows)| (add, *rows)),
        out: &buffer(&out)?,
        rows,
        inputs,
        outputs,
    };
    gpu::linear(&x.client, &args).then(|| tensor(out))
}
