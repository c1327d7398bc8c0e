//! Depthwise convolution: each channel has its own small kernel.

use rayon::prelude::*;

use super::simd::{CpuTier, Simd, per_tier};

/// A `[batch, channels, height, width]` map, its kernels `[channels, size, size]` with an odd
/// `size`, and biases `[channels]`.
#[derive(Clone, Copy)]
pub(crate) struct Depthwise<'a> {
    pub(crate) maps: &'a [f32],
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) kernels: &'a [f32],
    pub(crate) size: usize,
    pub(crate) biases: &'a [f32],
}

/// Convolves with stride 1 and zero padding, so that the size stays the same.
pub(crate) fn convolve(tier: CpuTier, input: Depthwise<'_>) -> Vec<f32> {
    let pixels = input.height * input.width;
    let mut out = vec![0.0; input.maps.len()];
    if pixels == 0 || input.channels == 0 {
        return out;
    }
    let planes = out.par_chunks_exact_mut(pixels).zip(input.maps.par_chunks_exact(pixels));
    planes.enumerate().for_each_init(Vec::new, |padded, (at, (out, plane))| {
        one_plane(tier, input, at % input.channels, plane, padded, out);
    });
    out
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

    use crate::kernels::cpu::testing::tiers;

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
                let out = convolve(tier, input);
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
}
