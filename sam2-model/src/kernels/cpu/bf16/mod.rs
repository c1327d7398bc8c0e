//! Matrix products of bfloat16 values with sums in `f32`. They need half the bytes, and give two to
//! seven times the products per second if the processor has instructions for them.
//!
//! A kernel is written once, generic over [`Products`], and compiled for AMX's tiles and for
//! AVX-512's pairs. Only the factors of products are rounded; sums, norms, softmax and
//! non-linearities stay `f32`.

#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
#[cfg(target_arch = "x86_64")]
mod dot;
mod linear;
mod portable;
mod products;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) use amx::amx_is_permitted;
pub(in crate::kernels) use attention::attention as attention_in_bf16;
pub(in crate::kernels) use linear::linear as linear_in_bf16;
