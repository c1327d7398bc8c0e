//! CPU kernels: they work on values in memory, in vectors as wide as the processor supports.

#![allow(unsafe_code)]

pub(super) mod attention;
pub(super) mod bf16;
pub(super) mod convolution;
pub(super) mod depthwise;
pub(super) mod heads;
pub(super) mod linear;
pub(super) mod pointwise;
pub(super) mod resample;
pub(super) mod simd;
#[cfg(test)]
pub(super) mod testing;
mod tile;

pub(super) use bf16::{attention_in_bf16, linear_in_bf16};
pub use linear::Activation;
pub use simd::{CpuTier, UnknownTier};
