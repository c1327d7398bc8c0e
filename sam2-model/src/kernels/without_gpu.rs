//! Stand-ins for the GPU kernels in a build without GPUs: no tensor is ever on a GPU.

use burn::tensor::{DType, Device, Tensor};

use super::choice::{ChosenMask, MaskChoice};
use super::convolution::Convolving;
use super::fused_linear::FusedLinear;
use super::window_attention::WindowAttention;
use super::{Activation, Finish};

pub(super) fn only_f16_has_matrix_units(_: &Device) -> bool {
    false
}

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

pub(super) fn grouped_linear(
    _: &Tensor<3>,
    _: &Tensor<2>,
    _: Activation,
    _: &Tensor<3>,
) -> Option<Tensor<3>> {
    None
}

pub(super) fn join<const D: usize>(_: &[Tensor<D>], _: usize) -> Option<Tensor<D>> {
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
    _: Option<Finish>,
) -> Option<Tensor<4>> {
    None
}

pub(super) fn choose_mask(_: &MaskChoice<'_>) -> Option<ChosenMask> {
    None
}

pub(super) fn mask_product(_: &Tensor<3>, _: &Tensor<4>) -> Option<Tensor<4>> {
    None
}

pub(super) fn mark_absent(_: &Tensor<2>, _: &Tensor<2>, _: &Tensor<2>) -> Option<Tensor<2>> {
    None
}

pub(super) fn finish_memory(
    _: &Tensor<3>,
    _: Option<(&Tensor<2>, &Tensor<2>)>,
) -> Option<Tensor<3>> {
    None
}

pub(super) fn look_up_pixels(_: &[u8], _: &Tensor<2>, _: usize) -> Option<Tensor<4>> {
    None
}
