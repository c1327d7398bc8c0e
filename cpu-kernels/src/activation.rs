//! GELU and sigmoid.

#![allow(unsafe_code)]

use rayon::prelude::*;

use crate::simd::{Simd, per_tier};
use crate::tier::CpuTier;

/// The non-linearity after the bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// No non-linearity.
    #[default]
    Identity,
    /// max(x, 0).
    Relu,
    /// x / 2 (1 + erf(x / sqrt 2)).
    Gelu,
}

/// Number of values that are worth a task of their own.
const TASK: usize = 1 << 14;

/// Computes GELU, x / 2 * (1 + erf(x / sqrt 2)), in place, with an error of at most 6e-7 for values
/// of x between -10 and 10.
pub fn gelu(tier: CpuTier, values: &mut [f32]) {
    values.par_chunks_mut(TASK).for_each(|chunk| gelu_chunk(tier, chunk));
}

per_tier! {
    fn gelu_chunk = gelu_on(values: &mut [f32])
}

/// # Safety
/// The processor has `S`'s instructions.
#[inline(always)]
pub(crate) unsafe fn gelu_on<S: Simd, const ROWS: usize>(values: &mut [f32]) {
    let mut chunks = values.chunks_exact_mut(S::LANES);
    for chunk in &mut chunks {
        // SAFETY: the chunk is a vector long.
        unsafe { S::store(chunk.as_mut_ptr(), gelu_vector::<S>(S::load(chunk.as_ptr()))) };
    }
    let rest = chunks.into_remainder();
    if rest.is_empty() {
        return;
    }
    let mut padded = [0.0_f32; 16];
    padded[..rest.len()].copy_from_slice(rest);
    // SAFETY: a vector has at most 16 values.
    unsafe { S::store(padded.as_mut_ptr(), gelu_vector::<S>(S::load(padded.as_ptr()))) };
    let length = rest.len();
    rest.copy_from_slice(&padded[..length]);
}

/// Computes GELU with erf by Abramowitz and Stegun 7.1.26 (error below 1.5e-7), which PyTorch's
/// vector code also uses.
///
/// # Safety
/// The processor has `S`'s instructions.
#[inline(always)]
unsafe fn gelu_vector<S: Simd>(x: S::F32) -> S::F32 {
    const P: f32 = 0.327_591_1;
    const TERMS: [f32; 5] = [1.061_405_4, -1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6];
    // SAFETY: guaranteed by the caller.
    unsafe {
        let zero = S::splat(0.0);
        let z = S::mul(x, S::splat(std::f32::consts::FRAC_1_SQRT_2));
        let magnitude = S::max(z, S::sub(zero, z));
        let t = S::div(S::splat(1.0), S::mul_add(S::splat(P), magnitude, S::splat(1.0)));
        let mut sum = S::splat(TERMS[0]);
        for term in &TERMS[1..] {
            sum = S::mul_add(sum, t, S::splat(*term));
        }
        let square = S::mul(magnitude, magnitude);
        let fall = S::exp2(S::mul(square, S::splat(-std::f32::consts::LOG2_E)));
        // 1 - erf(|z|), between 0 and 1.
        let tail = S::mul(S::mul(sum, t), fall);
        // For x >= 0: x - x / 2 * tail; for x < 0: x / 2 * tail.
        let half_tail = S::mul(S::mul(S::splat(0.5), tail), x);
        let (positive, negative) = (S::max(x, zero), S::min(half_tail, zero));
        S::add(S::sub(positive, S::max(half_tail, zero)), negative)
    }
}

/// Computes `scale / (1 + e^-x) + shift` in place.
pub fn scaled_sigmoid(tier: CpuTier, values: &mut [f32], scale: f32, shift: f32) {
    values.par_chunks_mut(TASK).for_each(|chunk| sigmoid_chunk(tier, chunk, scale, shift));
}

per_tier! {
    fn sigmoid_chunk = sigmoid_on(values: &mut [f32], scale: f32, shift: f32)
}

/// # Safety
/// The processor has `S`'s instructions.
#[inline(always)]
unsafe fn sigmoid_on<S: Simd, const ROWS: usize>(values: &mut [f32], scale: f32, shift: f32) {
    let mut chunks = values.chunks_exact_mut(S::LANES);
    for chunk in &mut chunks {
        // SAFETY: the chunk is a vector long.
        unsafe {
            S::store(chunk.as_mut_ptr(), sigmoid_vector::<S>(S::load(chunk.as_ptr()), scale, shift))
        };
    }
    let rest = chunks.into_remainder();
    if rest.is_empty() {
        return;
    }
    let mut padded = [0.0_f32; 16];
    padded[..rest.len()].copy_from_slice(rest);
    // SAFETY: a vector has at most 16 values.
    unsafe {
        S::store(padded.as_mut_ptr(), sigmoid_vector::<S>(S::load(padded.as_ptr()), scale, shift))
    };
    let length = rest.len();
    rest.copy_from_slice(&padded[..length]);
}

/// Computes one vector. This is a function because a closure would not be compiled with the tier's
/// instructions.
///
/// # Safety
/// The processor has `S`'s instructions.
#[inline(always)]
unsafe fn sigmoid_vector<S: Simd>(x: S::F32, scale: f32, shift: f32) -> S::F32 {
    // SAFETY: guaranteed by the caller.
    unsafe {
        // e^-x = 2^(-x log2 e). Beyond 2^126 the sum is practically infinite.
        let power = S::min(S::mul(x, S::splat(-std::f32::consts::LOG2_E)), S::splat(126.0));
        let sum = S::add(S::splat(1.0), S::exp2(power));
        S::add(S::mul(S::div(S::splat(1.0), sum), S::splat(scale)), S::splat(shift))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::testing::{erf, tiers};

    #[test]
    fn gelu_follows_the_exact_function() {
        let values: Vec<f32> = (0..20_011).map(|i| (i as f32 - 10_000.0) * 1e-3).collect();
        for tier in tiers() {
            let mut out = values.clone();
            gelu(tier, &mut out);
            for (x, y) in values.iter().zip(&out) {
                let x = f64::from(*x);
                let exact = x / 2.0 * (1.0 + erf(x / 2.0_f64.sqrt()));
                assert!((f64::from(*y) - exact).abs() < 6e-7, "{tier}: gelu({x}) = {y}, {exact}");
            }
        }
    }

    #[test]
    fn sigmoid_follows_the_exact_function() {
        let logits: Vec<f32> = (0..20_011).map(|i| (i as f32 - 10_000.0) * 1e-2).collect();
        for tier in tiers() {
            let mut out = logits.clone();
            scaled_sigmoid(tier, &mut out, 20.0, -10.0);
            for (x, y) in logits.iter().zip(&out) {
                let exact = 20.0 / (1.0 + (-f64::from(*x)).exp()) - 10.0;
                assert!((f64::from(*y) - exact).abs() < 3e-6, "{tier}: {x} gives {y}, not {exact}");
            }
        }
    }
}
