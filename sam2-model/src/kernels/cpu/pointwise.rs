//! GELU, sigmoid, max pooling, layer normalisation and rotary encoding, each in one pass over
//! memory.

use rayon::prelude::*;

use super::simd::{CpuTier, Simd, per_tier};

/// Number of values that are worth a task of their own.
const TASK: usize = 1 << 14;

/// Computes x / 2 * (1 + erf(x / sqrt 2)) in place.
pub(crate) fn gelu(tier: CpuTier, values: &mut [f32]) {
    values.par_chunks_mut(TASK).for_each(|chunk| gelu_chunk(tier, chunk));
}

per_tier! {
    fn gelu_chunk = gelu_on(values: &mut [f32])
}

/// # Safety
/// The processor has `S`'s instructions.
#[inline(always)]
pub(super) unsafe fn gelu_on<S: Simd, const ROWS: usize>(values: &mut [f32]) {
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
pub(crate) fn scaled_sigmoid(tier: CpuTier, values: &mut [f32], scale: f32, shift: f32) {
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

/// Computes the maximum of each 2 x 2 block of maps of `[height, width, channels]`. An odd last row
/// or column is dropped.
pub(crate) fn max_pool_2x2(tier: CpuTier, maps: &[f32], size: [usize; 3]) -> Vec<f32> {
    let [height, width, channels] = size;
    let (rows, line) = (height / 2, width / 2 * channels);
    let batch = maps.len() / (height * width * channels).max(1);
    let mut out = vec![0.0_f32; batch * rows * line];
    let lines = out.par_chunks_exact_mut(line.max(1)).with_min_len(8).enumerate();
    lines.for_each(|(at, to)| {
        let above = (at / rows * height + at % rows * 2) * width * channels;
        let (above, below) = maps[above..above + 2 * width * channels].split_at(width * channels);
        pool_line(tier, to, above, below, channels);
    });
    out
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

/// Normalises each row of `[rows, channels]`, then scales and shifts per channel, in place.
pub(crate) fn layer_norm(
    tier: CpuTier,
    rows: &mut [f32],
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
) {
    let channels = weight.len();
    if channels == 0 {
        return;
    }
    let task = (TASK / channels).max(1) * channels;
    rows.par_chunks_mut(task).for_each(|rows| norm_rows(tier, rows, weight, bias, epsilon));
}

per_tier! {
    fn norm_rows = norm_rows_on(rows: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32)
}

/// # Safety
/// None needed: plain Rust, compiled with `S`'s instructions.
#[inline(always)]
unsafe fn norm_rows_on<S: Simd, const ROWS: usize>(
    rows: &mut [f32],
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
) {
    for row in rows.chunks_exact_mut(weight.len()) {
        let (mean, scale) = moments_of(row, epsilon);
        for (x, (weight, bias)) in row.iter_mut().zip(weight.iter().zip(bias)) {
            *x = (*x - mean) * scale * weight + bias;
        }
    }
}

/// Returns the mean and the reciprocal of the standard deviation.
#[inline(always)]
pub(super) fn moments_of(row: &[f32], epsilon: f32) -> (f32, f32) {
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
pub(super) const PIXELS: usize = 64;

/// Normalises each pixel of `[batch, channels, pixels]` over its channels, then scales and shifts
/// per channel, in place.
pub(crate) fn layer_norm_2d(
    tier: CpuTier,
    maps: &mut [f32],
    channels: usize,
    pixels: usize,
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
) {
    if channels == 0 || pixels == 0 {
        return;
    }
    for map in maps.chunks_exact_mut(channels * pixels) {
        let target = Map { values: map.as_mut_ptr(), pixels, channels };
        (0..pixels.div_ceil(PIXELS)).into_par_iter().with_min_len(8).for_each(|block| {
            let first = block * PIXELS;
            norm_pixels(tier, target, first..(first + PIXELS).min(pixels), weight, bias, epsilon);
        });
    }
}

/// A map of which each task changes its own pixels.
#[derive(Clone, Copy)]
pub(super) struct Map {
    pub(super) values: *mut f32,
    pub(super) pixels: usize,
    pub(super) channels: usize,
}

// SAFETY: tasks read and write disjoint ranges of pixels.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

per_tier! {
    fn norm_pixels = norm_pixels_on(
        map: Map, range: std::ops::Range<usize>, weight: &[f32], bias: &[f32], epsilon: f32,
    )
}

/// # Safety
/// The processor has `S`'s instructions; `map` is valid, and no other thread touches the pixels of
/// `range`, which are at most [`PIXELS`].
#[inline(always)]
pub(super) unsafe fn norm_pixels_on<S: Simd, const ROWS: usize>(
    map: Map,
    range: std::ops::Range<usize>,
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
) {
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

/// Rotates each pair of channels of `[.., tokens, channels]` by its angle, in place. `cos` and
/// `sin` are `[tokens, channels / 2]`, and repeat.
pub(crate) fn rotate(tier: CpuTier, x: &mut [f32], channels: usize, cos: &[f32], sin: &[f32]) {
    let tokens = cos.len() / (channels / 2).max(1);
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
    use proptest::prelude::*;

    use crate::kernels::cpu::testing::{erf, tiers};

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
                layer_norm_2d(tier, &mut maps, width, rows, &weight, &bias, 1e-6);
                for r in 0..rows {
                    for c in 0..width {
                        let exact = expected[r * width + c];
                        // A variance near zero magnifies the rounding of the mean.
                        let bar = if width == 1 { 1e-2 } else { 1e-4 };
                        prop_assert!((f64::from(maps[c * rows + r]) - exact).abs() < bar);
                    }
                }
            }
        }
    }

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
