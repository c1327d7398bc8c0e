//! All checks that need a GPU, as one program that can be copied to a machine without build tools:
//! `scripts/gpu-check.sh`.

#![allow(missing_docs, clippy::unwrap_used)]

mod clips_as_arrays;
mod full_size;
#[path = "../gpu.rs"]
mod gpu;
#[path = "../gpu_kernels.rs"]
mod gpu_kernels;
#[path = "../parity_blocks.rs"]
mod parity_blocks;
#[path = "../parity_tiny.rs"]
mod parity_tiny;
#[path = "../parity_tracking.rs"]
mod parity_tracking;
mod speed;
mod table;
