//! What a build without GPUs has in the place of their kernels: nothing lies on a GPU.

use burn::tensor::{DType, Tensor};

use super::Activation;
use super::convolution::Convolving;
use super::fused_linear::FusedLinear;
use super::window_attention::WindowAttention;

pub(super) fn layer_norm<const D: usize>(
    _: &Tensor<D>,
    _: &Tensor<1>,
    _: &Tensor<1>,
    _: f32,
    _: DType,
) -> Option<Tensor<D>> {
    None
}

pub(super) fn linear<const D: usize>(_: &FusedLinear<'_, D>, _: &Tensor<D>) -> Option<Tensor<D>> {
    None
}

pub(super) fn attention(_: &Tensor<4>, _: &Tensor<4>, _: &Tensor<4>) -> Option<Tensor<3>> {
    None
}

pub(super) fn window_attention(
    _: WindowAttention,
    _: &Tensor<4>,
    _: Option<&Tensor<4>>,
    _: &Tensor<1>,
) -> Option<Tensor<4>> {
    None
}

pub(super) fn convolution(_: &Convolving<'_>, _: &Tensor<4>) -> Option<Tensor<4>> {
    None
}

pub(super) fn layer_norm_2d(
    _: &Tensor<4>,
    _: &Tensor<1>,
    _: &Tensor<1>,
    _: f32,
    _: Activation,
) -> Option<Tensor<4>> {
    None
}

pub(super) fn max_pool_2x2(_: &Tensor<4>, _: usize) -> Option<Tensor<4>> {
    None
}

pub(super) fn rotate(_: &Tensor<3>, _: &Tensor<3>, _: &Tensor<3>, _: usize) -> Option<Tensor<3>> {
    None
}

pub(super) fn resample(
    _: &Tensor<4>,
    _: [Option<&Tensor<2>>; 2],
    _: [usize; 2],
) -> Option<Tensor<4>> {
    None
}
