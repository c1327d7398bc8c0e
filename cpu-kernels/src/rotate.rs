//! Rotary encoding.

#![allow(unsafe_code)]

use rayon::prelude::*;

use crate::simd::{Simd, per_tier};
use crate::tier::CpuTier;

/// Number of values that are worth a task of their own.
const TASK: usize = 1 << 14;

/// Rotates each pair of adjacent channels of `[rows, channels]` by its angle, in place. `cos` and
/// `sin` are `[tokens, channels / 2]`; they repeat every `tokens` rows. Without angles, nothing is
/// rotated.
///
/// # Panics
/// If `channels` is 0 or odd, the last row of `x` or of the angles is not whole, or `sin` has
/// another length than `cos`.
pub fn rotate(tier: CpuTier, x: &mut [f32], channels: usize, cos: &[f32], sin: &[f32]) {
    assert!(channels > 0 && channels.is_multiple_of(2), "{channels} channels are not pairs");
    assert!(x.len().is_multiple_of(channels), "whole rows of {channels} values");
    let pairs = channels / 2;
    assert!(cos.len() == sin.len() && cos.len().is_multiple_of(pairs), "an angle for each pair");
    let tokens = cos.len() / pairs;
    if tokens == 0 {
        return;
    }
    let rows = (TASK / channels).max(1);
    x.par_chunks_mut(rows * channels).enumerate().for_each(|(task, x)| {
        rotate_rows(tier, x, channels, cos, sin, task * rows % tokens);
    });
}

per_tier! {
    fn rotate_rows = rotate_rows_on(
        x: &mut [f32], channels: usize, cos: &[f32], sin: &[f32], first: usize,
    )
}

/// # Safety
/// None needed: plain Rust, compiled with `S`'s instructions.
#[inline(always)]
unsafe fn rotate_rows_on<S: Simd, const ROWS: usize>(
    x: &mut [f32],
    channels: usize,
    cos: &[f32],
    sin: &[f32],
    first: usize,
) {
    let pairs = channels / 2;
    let tokens = cos.len() / pairs;
    for (at, row) in x.chunks_exact_mut(channels).enumerate() {
        let token = (first + at) % tokens;
        let table = token * pairs..(token + 1) * pairs;
        for (pair, (cos, sin)) in
            row.chunks_exact_mut(2).zip(cos[table.clone()].iter().zip(&sin[table]))
        {
            let (even, odd) = (pair[0], pair[1]);
            pair[0] = even * cos - odd * sin;
            pair[1] = even * sin + odd * cos;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::testing::tiers;

    #[test]
    fn rotation_turns_pairs_and_starts_over() {
        let (channels, tokens, repeats) = (6, 5, 7);
        let angles: Vec<f32> = (0..tokens * channels / 2).map(|i| i as f32 * 0.3).collect();
        let cos: Vec<f32> = angles.iter().map(|a| a.cos()).collect();
        let sin: Vec<f32> = angles.iter().map(|a| a.sin()).collect();
        let x: Vec<f32> = (0..repeats * tokens * channels).map(|i| (i % 13) as f32 - 6.0).collect();
        for tier in tiers() {
            let mut out = x.clone();
            rotate(tier, &mut out, channels, &cos, &sin);
            for (pair, turned) in
                x.chunks(2).zip(out.chunks(2)).enumerate().map(|(i, (a, b))| ((i, a), b))
            {
                let (index, from) = pair;
                let angle = f64::from(angles[index % angles.len()]);
                let (a, b) = (f64::from(from[0]), f64::from(from[1]));
                let expected =
                    [a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()];
                for (got, expected) in turned.iter().zip(expected) {
                    assert!((f64::from(*got) - expected).abs() < 3e-6, "{tier}: {got} {expected}");
                }
            }
        }
    }
}
