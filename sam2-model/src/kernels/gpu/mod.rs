//! Our own GPU kernels, written in CubeCL. They work on values in a device's buffers and use
//! nothing of burn.
//!
//! In CubeCL's terms, a unit is a thread, a plane is a warp or subgroup, and a cube is a workgroup.
//!
//! Each kernel does a whole step of the network for which general operations need many launches. On
//! a GPU, launches determine the cost of a frame: each takes the host some ten microseconds. The
//! plain variants need neither matrix units nor operations across a plane, and at most 32 KB of
//! shared memory, so that they run on every device, including Mesa's driver on the CPU.
//!
//! Launches are `unsafe`, because CubeCL does not check that a kernel stays inside its buffers.
//! Each kernel compares its indices with the sizes that it is given, and each function here first
//! compares those sizes with the buffers ([`Buffer::holds`]).

#![allow(unsafe_code)]

mod absence;
mod attention;
mod attention_mma;
mod attention_plan;
mod buffer;
mod choice;
mod convolution;
mod convolution_args;
mod convolution_tiles;
mod depthwise;
mod grid;
mod join;
mod linear;
mod linear_args;
mod linear_few;
mod linear_mma;
mod linear_steps;
mod maps;
mod mask_product;
mod matrix_units;
mod norm;
mod number;
mod pixels;
mod resample;
mod rotation;
mod strided;

pub use absence::{MemoryArgs, finish_memory, mark_absent};
pub use attention::attention;
pub use attention_plan::{AttentionArgs, Places, Windows};
pub use buffer::Buffer;
pub use choice::{ChoiceArgs, StableFirst, choose_mask};
pub use convolution::{convolution, doubling_convolution};
pub use convolution_args::ConvolutionArgs;
pub use join::{MOST as MOST_PARTS, Part, join};
pub use linear::linear;
pub use linear_args::LinearArgs;
pub use maps::{MapNormArgs, map_norm, max_pool, rotate};
pub use mask_product::mask_product;
pub use matrix_units::only_f16_has_matrix_units;
pub use norm::{NormArgs, layer_norm};
pub use pixels::look_up_pixels;
pub use resample::{TapTable, resample};
pub use rotation::RotationArgs;
pub use strided::Maps;
