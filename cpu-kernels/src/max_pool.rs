//! Max pooling.

#![allow(unsafe_code)]

use rayon::prelude::*;

use crate::simd::{Simd, per_tier};
use crate::tier::CpuTier;

/// Computes the maximum of each 2 x 2 block of maps `[batch, height, width, channels]`. `size` is the
/// height, the width and the number of channels. Returns
/// `[batch, height / 2, width / 2, channels]`: an odd last row or column is dropped. Returns `None`
/// if the last map is not whole, or a size is 0.
pub fn max_pool_2x2(tier: CpuTier, maps: &[f32], size: [usize; 3]) -> Option<Vec<f32>> {
    let [height, width, channels] = size;
    let map = height.checked_mul(width)?.checked_mul(channels)?;
    if map == 0 || !maps.len().is_multiple_of(map) {
        return None;
    }
    let (rows, line) = (height / 2, width / 2 * channels);
    let batch = maps.len() / map;
    let mut out = vec![0.0_f32; batch * rows * line];
    let lines = out.par_chunks_exact_mut(line.max(1)).with_min_len(8).enumerate();
    lines.for_each(|(at, to)| {
        let above = (at / rows * height + at % rows * 2) * width * channels;
        let (above, below) = maps[above..above + 2 * width * channels].split_at(width * channels);
        pool_line(tier, to, above, below, channels);
    });
    Some(out)
}

per_tier! {
    fn pool_line = pool_line_on(to: &mut [f32], above: &[f32], below: &[f32], channels: usize)
}

/// # Safety
/// None needed: plain Rust, compiled with `S`'s instructions.
#[inline(always)]
unsafe fn pool_line_on<S: Simd, const ROWS: usize>(
    to: &mut [f32],
    above: &[f32],
    below: &[f32],
    channels: usize,
) {
    let pairs = above.chunks_exact(2 * channels).zip(below.chunks_exact(2 * channels));
    for (to, (above, below)) in to.chunks_exact_mut(channels).zip(pairs) {
        let (a, b) = above.split_at(channels);
        let (c, d) = below.split_at(channels);
        for (channel, to) in to.iter_mut().enumerate() {
            *to = a[channel].max(b[channel]).max(c[channel].max(d[channel]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::testing::{noise, tiers};

    #[test]
    fn blocks_on_every_tier() {
        for [batch, height, width, channels] in [[2, 5, 7, 3], [1, 4, 4, 20], [3, 1, 6, 2]] {
            let maps = noise(batch * height * width * channels, 1);
            let at = |map: usize, y: usize, x: usize, channel: usize| {
                maps[((map * height + y) * width + x) * channels + channel]
            };
            let mut expected = Vec::new();
            for (map, y) in (0..batch).flat_map(|map| (0..height / 2).map(move |y| (map, y))) {
                for (x, channel) in
                    (0..width / 2).flat_map(|x| (0..channels).map(move |channel| (x, channel)))
                {
                    let block = [(0, 0), (0, 1), (1, 0), (1, 1)];
                    let values = block.map(|(dy, dx)| at(map, 2 * y + dy, 2 * x + dx, channel));
                    expected.push(values.into_iter().fold(f32::NEG_INFINITY, f32::max));
                }
            }
            for tier in tiers() {
                let pooled = max_pool_2x2(tier, &maps, [height, width, channels]);
                assert_eq!(pooled.as_ref(), Some(&expected), "{tier}");
            }
        }
    }

    #[test]
    fn parts_of_maps_are_refused() {
        let tier = CpuTier::current();
        for size in [[2, 2, 4], [0, 2, 3], [2, 0, 3], [2, 3, 0], [usize::MAX, 2, 1]] {
            assert_eq!(max_pool_2x2(tier, &[0.0; 12], size), None, "{size:?}");
        }
    }
}
