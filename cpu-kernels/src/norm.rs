//! Layer normalisation.

#![allow(unsafe_code)]

use std::ops::Range;

use rayon::prelude::*;

use crate::simd::{Simd, per_tier};
use crate::tier::CpuTier;

/// Number of values that are worth a task of their own.
const TASK: usize = 1 << 14;

/// The parameters of a layer norm: `(x - mean) / sqrt(variance + epsilon) * weight + bias`.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// The factor of each channel, `[channels]`.
    pub weight: &'a [f32],
    /// The offset of each channel, `[channels]`.
    pub bias: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

impl Norm<'_> {
    /// Returns true if there are a weight and a bias for each of `channels`.
    pub(crate) fn fits(&self, channels: usize) -> bool {
        self.weight.len() == channels && self.bias.len() == channels
    }
}

/// Normalises each row of `[rows, channels]`, then scales and shifts per channel, in place.
///
/// # Panics
/// If `norm` has more or fewer biases than weights, or the last row is not whole.
pub fn layer_norm(tier: CpuTier, rows: &mut [f32], norm: Norm<'_>) {
    let channels = norm.weight.len();
    assert!(norm.fits(channels), "one bias for each weight");
    if channels == 0 {
        return;
    }
    assert!(rows.len().is_multiple_of(channels), "whole rows of {channels} values");
    let task = (TASK / channels).max(1) * channels;
    rows.par_chunks_mut(task).for_each(|rows| norm_rows(tier, rows, norm));
}

per_tier! {
    fn norm_rows = norm_rows_on(rows: &mut [f32], norm: Norm<'_>)
}

/// # Safety
/// None needed: plain Rust, compiled with `S`'s instructions.
#[inline(always)]
unsafe fn norm_rows_on<S: Simd, const ROWS: usize>(rows: &mut [f32], norm: Norm<'_>) {
    let Norm { weight, bias, epsilon } = norm;
    for row in rows.chunks_exact_mut(weight.len()) {
        let (mean, scale) = moments_of(row, epsilon);
        for (x, (weight, bias)) in row.iter_mut().zip(weight.iter().zip(bias)) {
            *x = (*x - mean) * scale * weight + bias;
        }
    }
}

/// Returns the mean and the reciprocal of the standard deviation.
#[inline(always)]
pub(crate) fn moments_of(row: &[f32], epsilon: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum_of(row, |x| x) / count;
    let variance = sum_of(row, |x| (x - mean) * (x - mean)) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// Sums `f` over a row: sixteen sums side by side, then halved repeatedly. This is accurate enough,
/// fits vectors, and avoids one long chain of additions.
#[inline(always)]
fn sum_of(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (chunks, rest) = row.as_chunks::<16>();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, &x)| *sum += f(x));
    }
    sums.iter_mut().zip(rest).for_each(|(sum, &x)| *sum += f(x));
    for half in [8, 4, 2, 1] {
        let (low, high) = sums.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
    }
    sums[0]
}

/// Number of pixels that are normalised together.
pub(crate) const PIXELS: usize = 64;

/// Normalises each pixel of `[batch, channels, pixels]` over its channels, then scales and shifts
/// per channel, in place.
///
/// # Panics
/// If `norm` has more or fewer biases than weights, or the last map is not whole.
pub fn layer_norm_2d(tier: CpuTier, maps: &mut [f32], pixels: usize, norm: Norm<'_>) {
    let channels = norm.weight.len();
    assert!(norm.fits(channels), "one bias for each weight");
    if channels == 0 || pixels == 0 {
        return;
    }
    let whole = channels.checked_mul(pixels).filter(|map| maps.len().is_multiple_of(*map));
    let Some(map) = whole else { panic!("whole maps of {channels} x {pixels} values") };
    for map in maps.chunks_exact_mut(map) {
        let target = Map { values: map.as_mut_ptr(), pixels, channels };
        (0..pixels.div_ceil(PIXELS)).into_par_iter().with_min_len(8).for_each(|block| {
            let first = block * PIXELS;
            norm_pixels(tier, target, first..(first + PIXELS).min(pixels), norm);
        });
    }
}

/// A map of which each task changes its own pixels.
#[derive(Clone, Copy)]
pub(crate) struct Map {
    pub(crate) values: *mut f32,
    pub(crate) pixels: usize,
    pub(crate) channels: usize,
}

// SAFETY: tasks read and write disjoint ranges of pixels.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

per_tier! {
    fn norm_pixels = norm_pixels_on(map: Map, range: Range<usize>, norm: Norm<'_>)
}

/// # Safety
/// The processor has `S`'s instructions; `map` is valid, and no other thread touches the pixels of
/// `range`, which are at most [`PIXELS`].
#[inline(always)]
pub(crate) unsafe fn norm_pixels_on<S: Simd, const ROWS: usize>(
    map: Map,
    range: Range<usize>,
    norm: Norm<'_>,
) {
    let Norm { weight, bias, epsilon } = norm;
    let count = range.len();
    // SAFETY: this is one channel's pixels of this range, which belongs to this task alone; only
    // one such row is in use at a time.
    let row = |channel: usize| unsafe {
        std::slice::from_raw_parts_mut(map.values.add(channel * map.pixels + range.start), count)
    };
    let (mut mean, mut scale) = ([0.0_f32; PIXELS], [0.0_f32; PIXELS]);
    let (mean, scale) = (&mut mean[..count], &mut scale[..count]);
    for channel in 0..map.channels {
        mean.iter_mut().zip(row(channel).iter()).for_each(|(sum, x)| *sum += x);
    }
    mean.iter_mut().for_each(|sum| *sum /= map.channels as f32);
    for channel in 0..map.channels {
        for ((sum, x), mean) in scale.iter_mut().zip(row(channel).iter()).zip(mean.iter()) {
            let off = x - mean;
            *sum += off * off;
        }
    }
    for sum in scale.iter_mut() {
        *sum = 1.0 / (*sum / map.channels as f32 + epsilon).sqrt();
    }
    for channel in 0..map.channels {
        let (w, b) = (weight[channel], bias[channel]);
        for ((x, mean), scale) in row(channel).iter_mut().zip(mean.iter()).zip(scale.iter()) {
            *x = (*x - mean) * scale * w + b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::testing::tiers;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn the_norm_follows_the_textbook(
            rows in 1_usize..70, width in 1_usize..100, shift in -3.0_f32..3.0,
        ) {
            let value = |i: usize| ((i * 7919 % 1013) as f32 / 506.0 - 1.0) * 2.0 + shift;
            let x: Vec<f32> = (0..rows * width).map(value).collect();
            let weight: Vec<f32> = (0..width).map(|i| 0.5 + i as f32 * 0.01).collect();
            let bias: Vec<f32> = (0..width).map(|i| i as f32 * 0.02 - 0.3).collect();
            let expected: Vec<f64> = x.chunks(width).flat_map(|row| {
                let n = width as f64;
                let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
                let variance = row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
                let scale = 1.0 / (variance + 1e-6).sqrt();
                row.iter().enumerate().map(|(i, &v)| {
                    (f64::from(v) - mean) * scale * f64::from(weight[i]) + f64::from(bias[i])
                }).collect::<Vec<_>>()
            }).collect();
            // The same values with the channels first.
            let planes: Vec<f32> = (0..width).flat_map(|c| (0..rows).map(move |r| (r, c)))
                .map(|(r, c)| x[r * width + c]).collect();
            for tier in tiers() {
                let mut maps = planes.clone();
                let norm = Norm { weight: &weight, bias: &bias, epsilon: 1e-6 };
                layer_norm_2d(tier, &mut maps, rows, norm);
                let mut lines = x.clone();
                layer_norm(tier, &mut lines, norm);
                for r in 0..rows {
                    for c in 0..width {
                        let exact = expected[r * width + c];
                        // A variance near zero magnifies the rounding of the mean.
                        let bar = if width == 1 { 1e-2 } else { 1e-4 };
                        prop_assert!((f64::from(maps[c * rows + r]) - exact).abs() < bar);
                        prop_assert!((f64::from(lines[r * width + c]) - exact).abs() < bar);
                    }
                }
            }
        }
    }
}
