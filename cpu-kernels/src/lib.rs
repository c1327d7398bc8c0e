//! The steps of Segment Anything 2's network on slices of `f32`, in vectors as wide as the
//! processor supports.
//!
//! | function | step |
//! |---|---|
//! | [`linear`], [`linear_in_bf16`] | linear layers, with norm, bias, non-linearity, scale and sum |
//! | [`attention`], [`attention_in_bf16`] | scaled dot-product attention, also in windows of a map |
//! | [`convolve`], [`convolve_depthwise`] | convolutions of maps |
//! | [`layer_norm`], [`layer_norm_2d`] | layer norms over the last axis and over channels |
//! | [`gelu`], [`scaled_sigmoid`] | non-linearities |
//! | [`max_pool_2x2`], [`resample`] | smaller and larger maps |
//! | [`rotate`] | rotary encoding |
//!
//! Arrays are row-major slices; docs state their shapes, `[rows, columns]`. Functions that make a
//! new array return `None` if the shapes do not fit together. Functions that change values in place
//! panic then, as `copy_from_slice` does. Large arrays are divided among the threads of the rayon
//! pool that the caller runs in.
//!
//! Each kernel is written once, generic over the vector type, and compiled once per [`CpuTier`]. The
//! first argument chooses the tier, usually [`CpuTier::current`]. In place of a tier that the
//! processor lacks, a lower one or plain Rust runs. Results of two tiers differ by rounding.
//!
//! The crate does not know tensors: `sam2-model` passes those of burn to it.

mod activation;
mod amx_permission;
mod attention;
mod bf16;
mod chain;
mod convolution;
mod depthwise;
mod heads;
mod linear;
mod max_pool;
mod norm;
mod query_blocks;
mod resample;
mod rotate;
mod simd;
#[cfg(test)]
mod testing;
mod tier;
mod tile;

// `cargo test` compiles its program.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use activation::{Activation, gelu, scaled_sigmoid};
pub use attention::attention;
pub use bf16::{attention_in_bf16, linear_in_bf16};
pub use chain::{Chain, Layer};
pub use convolution::{Convolution, convolve};
pub use depthwise::{Depthwise, convolve_depthwise};
pub use heads::{HeadsView, WindowGrid};
pub use linear::linear;
pub use max_pool::max_pool_2x2;
pub use norm::{Norm, layer_norm, layer_norm_2d};
pub use resample::{Taps, resample};
pub use rotate::rotate;
pub use tier::{CpuTier, UnknownTier};
