//! Matrix products of bfloat16 values with sums in `f32`. They need half the bytes, and give two to
//! seven times the products per second if the processor has instructions for them.
//!
//! A kernel is written once, generic over [`Products`](products::Products), and compiled for AMX's
//! tiles and for AVX-512's pairs. Only the factors of products are rounded; sums, norms, softmax and
//! non-linearities stay `f32`.

#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
#[cfg(target_arch = "x86_64")]
mod dot;
mod linear;
mod per_tier;
mod portable;
mod products;
#[cfg(test)]
mod tests;

pub use attention::attention_in_bf16;
pub use linear::linear_in_bf16;
