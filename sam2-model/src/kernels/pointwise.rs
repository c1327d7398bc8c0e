//! Element-wise operations and 2 x 2 max pooling.

use burn::backend::Flex;
use burn::tensor::{Tensor, activation};
use sam2_cpu_kernels::{self as cpu, CpuTier};

use super::Activation;
use super::bridge::{from_values, in_place, into_flex, values};
use super::on_gpu;

/// Computes the exact GELU, x / 2 (1 + erf(x / sqrt 2)). Works in place if the tensor has no other
/// owner.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match into_flex(x) {
        Ok(x) => Tensor::from_primitive::<Flex>(in_place(x, cpu::gelu)),
        Err(x) => activation::gelu(*x),
    }
}

/// Applies a non-linearity with burn's operations, on any device.
pub(super) fn activated_on_any_device<const D: usize>(
    x: Tensor<D>,
    activation: Activation,
) -> Tensor<D> {
    match activation {
        Activation::Identity => x,
        Activation::Relu => activation::relu(x),
        Activation::Gelu => activation::gelu(x),
    }
}

/// Computes `sigmoid(x) * scale + shift`. Works in place if the tensor has no other owner.
pub fn scaled_sigmoid<const D: usize>(x: Tensor<D>, scale: f32, shift: f32) -> Tensor<D> {
    match into_flex(x) {
        Ok(x) => Tensor::from_primitive::<Flex>(in_place(x, |tier, values| {
            cpu::scaled_sigmoid(tier, values, scale, shift);
        })),
        Err(x) => activation::sigmoid(*x) * scale + shift,
    }
}

/// Computes the maximum of each 2 x 2 block of the first `channels` of
/// `[batch, height, width, more channels]`. An odd last row or column is dropped. Gives those
/// channels back if we have no kernel for the device.
pub(crate) fn max_pool_2x2(
    x_bhwc: Tensor<4>,
    channels: usize,
) -> Result<Tensor<4>, Box<Tensor<4>>> {
    let [batch, height, width, all] = x_bhwc.dims();
    // Tried before slicing: a GPU copies a slice unless its start and end are aligned.
    if let Some(pooled) = on_gpu::max_pool_2x2(&x_bhwc, channels) {
        return Ok(pooled);
    }
    let x_bhwc = if channels < all { x_bhwc.slice_dim(3, 0..channels) } else { x_bhwc };
    let channels = channels.min(all);
    let x = into_flex(x_bhwc.clone())?;
    match cpu::max_pool_2x2(CpuTier::current(), values(&x), [height, width, channels]) {
        Some(out) => Ok(from_values(out, [batch, height / 2, width / 2, channels])),
        None => Err(Box::new(x_bhwc)),
    }
}
