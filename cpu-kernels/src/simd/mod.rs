//! Vectors of `f32`, as wide as the processor supports.
//!
//! A kernel is written once, generic over [`Simd`], and compiled once per tier inside a function
//! that enables the tier's instructions ([`per_tier`]).

#[cfg(target_arch = "aarch64")]
mod arm;
mod generic;
mod operations;
mod per_tier;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;
pub(crate) use generic::Generic;
pub(crate) use operations::Simd;
pub(crate) use per_tier::per_tier;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};
