//! Kernels of our own, for the CPU and for GPUs: what a step of the network means, and where its kernels are.
//!
//! Each is plugged in through burn's extension interface: it reads the tensors' own memory, on the CPU backend (`cpu`) or on a GPU (`on_gpu`, `gpu`). `..._on_any_device` is the same step through burn, which
//! the tests compare both with. The files here deal with tensors; `cpu` and `gpu` with numbers in memory. `unsafe` lives in those two rooms only, each block with its argument.

mod absence;
mod attention;
mod bridge;
mod choice;
mod convolution;
mod cpu;
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
#[cfg(test)]
pub(crate) use cpu::testing::noise as uniform_noise;
pub use cpu::{Activation, CpuTier, UnknownTier};
pub use fused_linear::{FusedLinear, Rotation, fused_linear_chain};
pub use grouped_linear::grouped_linear;
pub use join::join;
pub use norm::{layer_norm, layer_norm_2d, layer_norm_2d_on_any_device, layer_norm_on_any_device};
pub(crate) use pixels::look_up_pixels;
pub(crate) use pointwise::max_pool_2x2;
pub use pointwise::{gelu, scaled_sigmoid};
pub use resample::{Curve, Finish};
pub(crate) use resample::{Taps, resample};
pub use rotate::{rotate, rotate_on_any_device};
pub use scope::with_products_in;
pub use window_attention::WindowAttention;

/// Whether kernels of this room run there.
pub(crate) fn is_on_cpu(device: &Device) -> bool {
    *device == Device::flex()
}

/// Whether it is a GPU whose matrix units multiply f16 and not bfloat16.
pub(crate) fn only_f16_has_matrix_units(device: &Device) -> bool {
    on_gpu::only_f16_has_matrix_units(device)
}

/// Runs `work` on a thread of the pool that the kernels use, if they run on `device`: from any other thread each of hundreds of kernels would be
/// handed over and waited for, which costs more than the small ones take. In [`Precision::Bf16`], linear layers and attention multiply in it where the processor is
/// faster so.
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
