//! Depthwise convolution: each channel has its own small kernel.

#![allow(unsafe_code)]

use rayon::prelude::*;

use crate::simd::{Simd, per_tier};
use crate::tier::CpuTier;

/// A convolution in which each channel of the maps has its own filter.
#[derive(Clone, Copy, Debug)]
pub struct Depthwise<'a> {
    /// `[batch, channels, height, width]`.
    pub maps: &'a [f32],
    /// Number of channels.
    pub channels: usize,
    /// Height of the maps.
    pub height: usize,
    /// Width of the maps.
    pub width: usize,
    /// `[channels, size, size]`.
    pub kernels: &'a [f32],
    /// Side of a filter, an odd number.
    pub size: usize,
    /// `[channels]`.
    pub biases: &'a [f32],
}

impl Depthwise<'_> {
    fn fits(&self) -> Option<bool> {
        let Self { maps, channels, height, width, kernels, size, biases } = *self;
        let map = channels.checked_mul(height)?.checked_mul(width)?;
        let weights = channels.checked_mul(size)?.checked_mul(size)?;
        let whole = if map == 0 { maps.is_empty() } else { maps.len().is_multiple_of(map) };
        Some(whole && kernels.len() == weights && size % 2 == 1 && biases.len() == channels)
    }
}

/// Convolves with stride 1 and zero padding. Returns an array of the shape of `maps`, or `None` if
/// the shapes do not fit together.
pub fn convolve_depthwise(tier: CpuTier, input: Depthwise<'_>) -> Option<Vec<f32>> {
    if !input.fits()? {
        return None;
    }
    let pixels = input.height * input.width;
    let mut out = vec![0.0; input.maps.len()];
    if out.is_empty() {
        return Some(out);
    }
    let planes = out.par_chunks_exact_mut(pixels).zip(input.maps.par_chunks_exact(pixels));
    planes.enumerate().for_each_init(Vec::new, |padded, (at, (out, plane))| {
        one_plane(tier, input, at % input.channels, plane, padded, out);
    });
    Some(out)
}

per_tier! {
    fn one_plane = one_plane_on(
        input: Depthwise<'_>, channel: usize, plane: &[f32], padded: &mut Vec<f32>, out: &mut [f32],
    )
}

/// # Safety
/// The processor has `S`'s instructions.
#[inline(always)]
unsafe fn one_plane_on<S: Simd, const ROWS: usize>(
    input: Depthwise<'_>,
    channel: usize,
    plane: &[f32],
    padded: &mut Vec<f32>,
    out: &mut [f32],
) {
    let Depthwise { height, width, size, .. } = input;
    let margin = size / 2;
    // Rows are padded by a whole vector, so that no column needs a special case.
    let stride = width.next_multiple_of(S::LANES) + size;
    padded.clear();
    padded.resize((height + size) * stride, 0.0);
    for (row, from) in plane.chunks_exact(width).enumerate() {
        let start = (row + margin) * stride + margin;
        padded[start..start + width].copy_from_slice(from);
    }
    let kernel = &input.kernels[channel * size * size..(channel + 1) * size * size];
    for (row, to) in out.chunks_exact_mut(width).enumerate() {
        for first in (0..width).step_by(S::LANES) {
            let mut result = [0.0_f32; 16];
            // SAFETY: the last vector read starts at row `row + size - 1 < height + size` and
            // column `first + size - 1`, and ends within the row's `stride`. A vector has at most
            // 16 values.
            unsafe {
                let mut sum = S::splat(input.biases[channel]);
                for (tap, weight) in kernel.iter().enumerate() {
                    let at = (row + tap / size) * stride + first + tap % size;
                    sum = S::mul_add(S::load(padded.as_ptr().add(at)), S::splat(*weight), sum);
                }
                S::store(result.as_mut_ptr(), sum);
            }
            let count = S::LANES.min(width - first);
            to[first..first + count].copy_from_slice(&result[..count]);
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
        fn any_size_on_every_tier(
            (batch, channels) in (1_usize..3, 1_usize..4),
            (height, width) in (1_usize..24, 1_usize..40),
            margin in 0_usize..4,
        ) {
            let size = 2 * margin + 1;
            let value = |i: usize| (i * 7919 % 1013) as f32 / 506.0 - 1.0;
            let maps: Vec<f32> = (0..batch * channels * height * width).map(value).collect();
            let kernels: Vec<f32> = (0..channels * size * size).map(|i| value(i + 5)).collect();
            let biases: Vec<f32> = (0..channels).map(value).collect();
            let at = |plane: usize, y: isize, x: isize| {
                let inside = y >= 0 && x >= 0 && (y as usize) < height && (x as usize) < width;
                if inside { f64::from(maps[(plane * height + y as usize) * width + x as usize]) } else { 0.0 }
            };
            for tier in tiers() {
                let input = Depthwise { maps: &maps, channels, height, width, kernels: &kernels, size, biases: &biases };
                let out = convolve_depthwise(tier, input).unwrap();
                for (index, got) in out.iter().enumerate() {
                    let (plane, y, x) = (index / (height * width), index / width % height, index % width);
                    let channel = plane % channels;
                    let mut exact = f64::from(biases[channel]);
                    for tap in 0..size * size {
                        let (dy, dx) = ((tap / size) as isize, (tap % size) as isize);
                        let margin = margin as isize;
                        let weight = f64::from(kernels[channel * size * size + tap]);
                        exact += weight * at(plane, y as isize + dy - margin, x as isize + dx - margin);
                    }
                    prop_assert!((f64::from(*got) - exact).abs() < 1e-5, "{tier}: {got} {exact}");
                }
            }
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let data = [0.5; 36];
        let (maps, kernels, biases) = (&data[..24], &data[..18], &data[..2]);
        let fitting =
            Depthwise { maps, channels: 2, height: 3, width: 4, kernels, size: 3, biases };
        let tier = CpuTier::current();
        assert_eq!(convolve_depthwise(tier, fitting).unwrap().len(), 24);
        assert_eq!(convolve_depthwise(tier, Depthwise { maps: &[], ..fitting }), Some(Vec::new()));
        let wrong = [
            Depthwise { maps: &data[..23], ..fitting },
            Depthwise { kernels: &data[..8], size: 2, ..fitting },
            Depthwise { kernels: &data[..17], ..fitting },
            Depthwise { biases: &data[..1], ..fitting },
            Depthwise { height: 0, ..fitting },
            Depthwise { width: usize::MAX, ..fitting },
        ];
        for input in wrong {
            assert!(convolve_depthwise(tier, input).is_none());
        }
    }
}
