//! Layer norms over the last axis and over the channels of maps.

use burn::backend::Flex;
use burn::tensor::Tensor;
use sam2_cpu_kernels::{self as cpu, Norm};

use super::Activation;
use super::bridge::{in_place, into_flex, values};
use super::on_gpu;

/// Normalises the last axis, then scales and shifts by `weight` and `bias` `[channels]`. Works in
/// place if the tensor has no other owner.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
) -> Tensor<D> {
    let (Ok(weight_flex), Ok(bias_flex)) = (into_flex(weight.clone()), into_flex(bias.clone()))
    else {
        return on_gpu::layer_norm(&x, &weight, &bias, epsilon, x.dtype())
            .unwrap_or_else(|| layer_norm_on_any_device(x, weight, bias, epsilon));
    };
    match into_flex(x) {
        Ok(x) => {
            let (weight, bias) = (values(&weight_flex), values(&bias_flex));
            let norm = Norm { weight, bias, epsilon };
            Tensor::from_primitive::<Flex>(in_place(x, |tier, rows| {
                cpu::layer_norm(tier, rows, norm);
            }))
        }
        Err(x) => layer_norm_on_any_device(*x, weight, bias, epsilon),
    }
}

/// Does the same with burn's operations, on any device.
pub fn layer_norm_on_any_device<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
) -> Tensor<D> {
    burn::tensor::module::layer_norm(x, weight, Some(bias), f64::from(epsilon))
}

/// Normalises each pixel of `[batch, channels, height, width]` over its channels, then scales and
/// shifts by `weight` and `bias` `[channels]` (`LayerNorm2d`). Works in place if the tensor has no
/// other owner.
pub fn layer_norm_2d(
    x_bchw: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
) -> Tensor<4> {
    let (Ok(weight_flex), Ok(bias_flex)) = (into_flex(weight.clone()), into_flex(bias.clone()))
    else {
        return on_gpu::layer_norm_2d(&x_bchw, &weight, &bias, epsilon, Activation::Identity)
            .unwrap_or_else(|| layer_norm_2d_on_any_device(x_bchw, weight, bias, epsilon));
    };
    let [_, _, height, width] = x_bchw.dims();
    match into_flex(x_bchw) {
        Ok(x) => {
            let (weight, bias) = (values(&weight_flex), values(&bias_flex));
            let norm = Norm { weight, bias, epsilon };
            Tensor::from_primitive::<Flex>(in_place(x, |tier, maps| {
                cpu::layer_norm_2d(tier, maps, height * width, norm);
            }))
        }
        Err(x) => layer_norm_2d_on_any_device(*x, weight, bias, epsilon),
    }
}

/// Does the same with burn's operations, on any device.
pub fn layer_norm_2d_on_any_device(
    x_bchw: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
) -> Tensor<4> {
    let channels = x_bchw.dims()[1];
    let mean = x_bchw.clone().mean_dim(1);
    let centered = x_bchw - mean;
    let variance = centered.clone().square().mean_dim(1);
    let normed = centered / (variance + epsilon).sqrt();
    normed * weight.reshape([1, channels, 1, 1]) + bias.reshape([1, channels, 1, 1])
}
