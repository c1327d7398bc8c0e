//! Our own kernels for the CPU and for GPUs. This module defines each step of the network and
//! selects its kernel.
//!
//! Kernels are plugged in through burn's extension interface: they read the tensors' own memory, on
//! the CPU backend (the crate `sam2-cpu-kernels`) or on a GPU (`on_gpu`, `gpu`). A function named
//! `..._on_any_device` is the same step with burn's operations, with which the tests compare both.
//! The files here work on tensors; that crate and `gpu` work on values in memory. Of these modules,
//! only `gpu` contains `unsafe` code, and each block has its justification.

mod absence;
mod attention;
mod bridge;
mod choice;
mod convolution;
mod format;
mod fused_linear;
#[cfg(feature = "gpu")]
mod gpu;
mod grouped_linear;
mod join;
mod norm;
#[cfg(feature = "gpu")]
mod on_gpu;
#[cfg(not(feature = "gpu"))]
#[path = "without_gpu.rs"]
mod on_gpu;
mod pixels;
mod pointwise;
mod resample;
mod rotate;
mod scope;
#[cfg(test)]
mod tests;
mod window_attention;

use burn::tensor::Device;

use crate::precision::Precision;

pub(crate) use absence::present;
pub use absence::{
    finish_memory, finish_memory_on_any_device, mark_absent, mark_absent_on_any_device,
};
pub use attention::{attention, attention_on_any_device};
pub(crate) use choice::stability;
pub use choice::{ChosenMask, MaskChoice, MaskRule, mask_product, mask_product_on_any_device};
pub use convolution::{
    convolution, convolution_on_any_device, convolution_plus, depthwise_convolution,
    transposed_convolution,
};
pub use fused_linear::{FusedLinear, Rotation, fused_linear_chain};
pub use grouped_linear::grouped_linear;
pub use join::join;
pub use norm::{layer_norm, layer_norm_2d, layer_norm_2d_on_any_device, layer_norm_on_any_device};
pub(crate) use pixels::look_up_pixels;
pub(crate) use pointwise::max_pool_2x2;
pub use pointwise::{gelu, scaled_sigmoid};
pub(crate) use resample::resample;
pub use resample::{Curve, Finish};
pub use rotate::{rotate, rotate_on_any_device};
pub(crate) use sam2_cpu_kernels::Taps;
pub use sam2_cpu_kernels::{Activation, CpuTier, UnknownTier};
pub use scope::with_products_in;
pub use window_attention::WindowAttention;

/// Returns true if the CPU kernels of this module run on `device`.
pub(crate) fn is_on_cpu(device: &Device) -> bool {
    *device == Device::flex()
}

/// Returns true if `device` is a GPU whose matrix units multiply f16 but not bfloat16.
pub(crate) fn only_f16_has_matrix_units(device: &Device) -> bool {
    on_gpu::only_f16_has_matrix_units(device)
}

/// Runs `work` on a thread of the kernels' pool, if they run on `device`. From any other thread,
/// each of hundreds of kernels would be handed over to the pool and waited for, which costs more
/// than the small kernels take. In [`Precision::Bf16`], linear layers and attention multiply in
/// bfloat16 if the processor is faster in it.
pub(crate) fn on_pool<R: Send>(
    device: &Device,
    precision: Precision,
    work: impl FnOnce() -> R + Send,
) -> R {
    if is_on_cpu(device) {
        rayon::scope(|_| scope::with_products_in(precision, work))
    } else {
        work()
    }
}
