//! Convolution of feature maps. Layer norm over the channels and GELU follow while the result is in
//! the cache.
//!
//! A task takes a block of output pixels. It collects the inputs of each tap for these pixels,
//! `[inputs * taps, pixels]`, and multiplies the filters with them, a register tile of filters and
//! two vectors of pixels at a time. The result is stored in planes, as the norm requires.

#![allow(unsafe_code)]

use std::ops::Range;

use rayon::prelude::*;

use crate::activation::gelu_on;
use crate::norm::{Map, Norm, PIXELS, norm_pixels_on};
use crate::simd::{Simd, per_tier};
use crate::tier::CpuTier;
use crate::tile::multiply;

/// Largest number of values in a block's collected inputs: half of a small second-level cache.
const BLOCK_FLOATS: usize = 1 << 16;
/// Number of products that are summed in registers before they are added to the sums.
const DEPTH: usize = 256;
/// Rows of the filters' tiles: a multiple of every tier's tile height.
const FILTERS: usize = 12;

/// A convolution of maps, and the steps that follow it.
#[derive(Clone, Copy, Debug)]
pub struct Convolution<'a> {
    /// `[batch, inputs, height, width]`.
    pub maps: &'a [f32],
    /// Number of channels of the maps.
    pub inputs: usize,
    /// Height and width of the maps.
    pub size: [usize; 2],
    /// `[outputs, inputs, rows, columns]`.
    pub filters: &'a [f32],
    /// Number of filters.
    pub outputs: usize,
    /// Rows and columns of a filter.
    pub taps: [usize; 2],
    /// Steps between pixels, vertical and horizontal, at least 1.
    pub stride: [usize; 2],
    /// Zeros above (and below), and to the left (and right).
    pub padding: [usize; 2],
    /// Added to the products, `[outputs]`.
    pub bias: Option<&'a [f32]>,
    /// A norm over the channels of each pixel, after the bias.
    pub norm: Option<Norm<'a>>,
    /// True if GELU follows last.
    pub gelu: bool,
}

impl Convolution<'_> {
    /// Returns the height and width of the result, or `None` if the shapes do not fit together.
    pub fn output_size(&self) -> Option<[usize; 2]> {
        let Self { maps, inputs, size, filters, outputs, taps, stride, padding, .. } = *self;
        let side = |axis: usize| {
            let padded = padding[axis].checked_mul(2)?.checked_add(size[axis])?;
            padded.checked_sub(taps[axis])?.checked_div(stride[axis])?.checked_add(1)
        };
        let channels = |values: &[f32]| values.len() == outputs;
        let plane = product([inputs, size[0], size[1]])?;
        let weights = product([outputs, inputs, taps[0], taps[1]])?;
        let fits = plane > 0
            && weights > 0
            && maps.len().is_multiple_of(plane)
            && filters.len() == weights
            && self.bias.is_none_or(channels)
            && self.norm.is_none_or(|norm| norm.fits(outputs));
        let [height, width] = [side(0)?, side(1)?];
        product([maps.len() / plane.max(1), outputs, height, width])?;
        fits.then_some([height, width])
    }
}

/// Multiplies sizes. Returns `None` if no array has so many values.
fn product<const N: usize>(sizes: [usize; N]) -> Option<usize> {
    sizes.into_iter().try_fold(1_usize, usize::checked_mul)
}

/// Convolves. Returns `[batch, outputs, height', width']`, whose sizes are
/// [`Convolution::output_size`], or `None` if the shapes do not fit together.
pub fn convolve(tier: CpuTier, convolution: Convolution<'_>) -> Option<Vec<f32>> {
    let [height, width] = convolution.output_size()?;
    let Convolution { maps, inputs, size, outputs, taps, .. } = convolution;
    let (batch, pixels) = (maps.len() / (inputs * size[0] * size[1]), height * width);
    let depth = inputs * taps[0] * taps[1];
    let panel = 2 * tier.lanes();
    let most = (BLOCK_FLOATS / depth / panel * panel).clamp(panel, 4 * PIXELS.max(panel));
    let shares = rayon::current_num_threads().div_ceil(batch.max(1));
    let length = pixels.div_ceil(shares).next_multiple_of(panel).min(most);
    let filters = lay_out(&convolution, depth);
    let mut out: Vec<f32> = Vec::with_capacity(batch * outputs * pixels);
    let target = Target(out.as_mut_ptr());
    let blocks = pixels.div_ceil(length);
    (0..batch * blocks).into_par_iter().for_each_init(
        || vec![0.0_f32; depth * length],
        |seen, task| {
            let (one, first) = (task / blocks, task % blocks * length);
            let range = first..(first + length).min(pixels);
            let job =
                Job { convolution, filters: &filters, length, target, output: [height, width] };
            look(&job, one, range.clone(), seen);
            block(tier, &job, one, range, seen);
        },
    );
    // SAFETY: the blocks cover all pixels of all channels, and each has written all of its pixels.
    unsafe { out.set_len(batch * outputs * pixels) };
    Some(out)
}

/// Rearranges the filters into tiles, `[tiles, depth, FILTERS]`, zero after the last.
fn lay_out(convolution: &Convolution<'_>, depth: usize) -> Vec<f32> {
    let mut tiles = vec![0.0_f32; convolution.outputs.div_ceil(FILTERS) * depth * FILTERS];
    for (filter, weights) in convolution.filters.chunks_exact(depth).enumerate() {
        let tile = &mut tiles[filter / FILTERS * depth * FILTERS..];
        for (to, weight) in tile[filter % FILTERS..].iter_mut().step_by(FILTERS).zip(weights) {
            *to = *weight;
        }
    }
    tiles
}

/// The result `[batch, outputs, pixels]`. Each task writes its own pixels.
#[derive(Clone, Copy)]
struct Target(*mut f32);

// SAFETY: tasks write disjoint pixels, and read only their own.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

struct Job<'a> {
    convolution: Convolution<'a>,
    filters: &'a [f32],
    /// Pixels of a whole block, which is also the distance between rows of the collected inputs.
    length: usize,
    target: Target,
    /// Height and width.
    output: [usize; 2],
}

/// Collects the inputs of each tap for the pixels of `range`: `[depth, length]`.
fn look(job: &Job<'_>, one: usize, range: Range<usize>, seen: &mut [f32]) {
    let Convolution { maps, inputs, size: [height, width], taps, stride, padding, .. } =
        job.convolution;
    let [_, out_width] = job.output;
    let planes = maps[one * inputs * height * width..].chunks_exact(height * width).take(inputs);
    let taps_of = |plane| (0..taps[0]).flat_map(move |y| (0..taps[1]).map(move |x| (plane, y, x)));
    for (row, (plane, tap_y, tap_x)) in
        seen.chunks_exact_mut(job.length).zip(planes.flat_map(taps_of))
    {
        // Processes one line of the output at a time.
        let mut pixel = range.start;
        while pixel < range.end {
            let (y, x) = (pixel / out_width, pixel % out_width);
            let count = (out_width - x).min(range.end - pixel);
            let to = &mut row[pixel - range.start..pixel - range.start + count];
            let line = (y * stride[0] + tap_y).checked_sub(padding[0]).filter(|y| *y < height);
            match line {
                None => to.fill(0.0),
                Some(y) => {
                    let start = (x * stride[1] + tap_x) as isize - padding[1] as isize;
                    take(to, &plane[y * width..(y + 1) * width], start, stride[1]);
                }
            }
            pixel += count;
        }
    }
}

/// Copies every `step`th value of a line from `start` on, with zeros outside the line.
#[inline]
fn take(to: &mut [f32], line: &[f32], start: isize, step: usize) {
    let before = ((-start).max(0) as usize).div_ceil(step).min(to.len());
    let (outside, to) = to.split_at_mut(before);
    outside.fill(0.0);
    let start = (start + (before * step) as isize) as usize;
    let count = line.len().saturating_sub(start).div_ceil(step).min(to.len());
    let (inside, outside) = to.split_at_mut(count);
    outside.fill(0.0);
    let from = line.get(start..).unwrap_or_default();
    match step {
        1 => inside.copy_from_slice(&from[..count]),
        2 => {
            // Iterates over pairs, so that the compiler sees whole vectors. The last value may have
            // no partner.
            let pairs = from.chunks_exact(2);
            let last = pairs.remainder().first().copied();
            let whole = pairs.len().min(count);
            inside.iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[0]);
            if let (Some(to), Some(last)) = (inside.get_mut(whole), last) {
                *to = last;
            }
        }
        _ => inside.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, from)| *to = *from),
    }
}

per_tier! {
    fn block = block_on(job: &Job<'_>, one: usize, range: Range<usize>, seen: &[f32])
}

/// # Safety
/// The processor has `S`'s instructions. `seen` is `[depth, length]` with whole panels of pixels.
/// The target is valid for all results, and no other thread touches the pixels of `range`.
#[inline(always)]
unsafe fn block_on<S: Simd, const ROWS: usize>(
    job: &Job<'_>,
    one: usize,
    range: Range<usize>,
    seen: &[f32],
) {
    let Convolution { outputs, inputs, taps, bias, norm, gelu, .. } = job.convolution;
    let (depth, pixels) = (inputs * taps[0] * taps[1], job.output[0] * job.output[1]);
    let panel = 2 * S::LANES;
    let count = range.len();
    debug_assert!(job.length.is_multiple_of(panel) && seen.len() >= depth * job.length);
    debug_assert!(FILTERS.is_multiple_of(ROWS));
    // SAFETY: these are the planes of this batch entry.
    let planes = unsafe { job.target.0.add(one * outputs * pixels) };
    for filter in (0..outputs).step_by(ROWS) {
        let rows = ROWS.min(outputs - filter);
        let tile_of_filters = &job.filters[filter / FILTERS * depth * FILTERS + filter % FILTERS..];
        for at in (0..count).step_by(panel) {
            // SAFETY: filters are in whole tiles. The collected inputs have whole panels, whose
            // pixels after the block are only multiplied. Of the result, only the pixels of this
            // block are written, which belong to this task alone.
            unsafe {
                let mut sums = [[S::splat(0.0); 2]; ROWS];
                for start in (0..depth).step_by(DEPTH) {
                    let mut tile = [[S::splat(0.0); 2]; ROWS];
                    let a = tile_of_filters.as_ptr().add(start * FILTERS);
                    let b = seen.as_ptr().add(start * job.length + at);
                    let depth = DEPTH.min(depth - start);
                    multiply::<S, ROWS, 2>(depth, a, 1, FILTERS, b, job.length, &mut tile);
                    for (sums, tile) in sums.iter_mut().zip(tile) {
                        *sums = [S::add(sums[0], tile[0]), S::add(sums[1], tile[1])];
                    }
                }
                let width = panel.min(count - at);
                for (row, sums) in sums.into_iter().enumerate().take(rows) {
                    let offset = S::splat(bias.map_or(0.0, |bias| bias[filter + row]));
                    let sums = sums.map(|sum| S::add(sum, offset));
                    let to = planes.add((filter + row) * pixels + range.start + at);
                    if width == panel {
                        S::store(to, sums[0]);
                        S::store(to.add(S::LANES), sums[1]);
                    } else {
                        let mut whole = [0.0_f32; 32];
                        S::store(whole.as_mut_ptr(), sums[0]);
                        S::store(whole.as_mut_ptr().add(S::LANES), sums[1]);
                        std::ptr::copy_nonoverlapping(whole.as_ptr(), to, width);
                    }
                }
            }
        }
    }
    // SAFETY: as above; the pixels have been written.
    unsafe {
        if let Some(norm) = norm {
            let map = Map { values: planes, pixels, channels: outputs };
            for first in range.clone().step_by(PIXELS) {
                let part = first..(first + PIXELS).min(range.end);
                norm_pixels_on::<S, ROWS>(map, part, norm);
            }
        }
        if gelu {
            for channel in 0..outputs {
                let row = planes.add(channel * pixels + range.start);
                gelu_on::<S, ROWS>(std::slice::from_raw_parts_mut(row, count));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::testing::{erf, noise, tiers};

    /// Computes the textbook formula in f64.
    fn reference(c: &Convolution<'_>) -> Vec<f64> {
        let [out_height, out_width] = c.output_size().unwrap();
        let [height, width] = c.size;
        let batch = c.maps.len() / (c.inputs * height * width);
        let mut out = vec![0.0; batch * c.outputs * out_height * out_width];
        let at = |one: usize, channel: usize, y: usize, x: usize| {
            ((one * c.outputs + channel) * out_height + y) * out_width + x
        };
        for one in 0..batch {
            for (y, x) in (0..out_height).flat_map(|y| (0..out_width).map(move |x| (y, x))) {
                for channel in 0..c.outputs {
                    let mut sum = c.bias.map_or(0.0, |bias| f64::from(bias[channel]));
                    for input in 0..c.inputs {
                        for (ty, tx) in
                            (0..c.taps[0]).flat_map(|y| (0..c.taps[1]).map(move |x| (y, x)))
                        {
                            let (from_y, from_x) = (y * c.stride[0] + ty, x * c.stride[1] + tx);
                            let inside = (c.padding[0]..c.padding[0] + height).contains(&from_y)
                                && (c.padding[1]..c.padding[1] + width).contains(&from_x);
                            if inside {
                                let (from_y, from_x) =
                                    (from_y - c.padding[0], from_x - c.padding[1]);
                                let map =
                                    ((one * c.inputs + input) * height + from_y) * width + from_x;
                                let tap = ((channel * c.inputs + input) * c.taps[0] + ty)
                                    * c.taps[1]
                                    + tx;
                                sum += f64::from(c.maps[map]) * f64::from(c.filters[tap]);
                            }
                        }
                    }
                    out[at(one, channel, y, x)] = sum;
                }
                if let Some(Norm { weight, bias, epsilon }) = c.norm {
                    let values: Vec<f64> =
                        (0..c.outputs).map(|ch| out[at(one, ch, y, x)]).collect();
                    let mean = values.iter().sum::<f64>() / values.len() as f64;
                    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
                        / values.len() as f64;
                    for channel in 0..c.outputs {
                        let normed =
                            (values[channel] - mean) / (variance + f64::from(epsilon)).sqrt();
                        out[at(one, channel, y, x)] =
                            normed * f64::from(weight[channel]) + f64::from(bias[channel]);
                    }
                }
            }
        }
        if c.gelu {
            out.iter_mut().for_each(|y| *y = *y / 2.0 * (1.0 + erf(*y / 2.0_f64.sqrt())));
        }
        out
    }

    /// Compares a convolution with the reference. `counts` is batch, inputs, outputs.
    fn check(
        counts: [usize; 3],
        size: [usize; 2],
        taps: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        choice: u32,
    ) {
        let [batch, inputs, outputs] = counts;
        let maps = noise(batch * inputs * size[0] * size[1], 1);
        let filters = noise(outputs * inputs * taps[0] * taps[1], 2);
        let (bias, weight, shift) = (noise(outputs, 3), noise(outputs, 4), noise(outputs, 5));
        let convolution = Convolution {
            maps: &maps,
            inputs,
            size,
            filters: &filters,
            outputs,
            taps,
            stride,
            padding,
            bias: (choice & 1 == 1).then_some(&bias),
            norm: (choice & 2 == 2).then_some(Norm {
                weight: &weight,
                bias: &shift,
                epsilon: 1e-2,
            }),
            gelu: choice & 4 == 4,
        };
        let expected = reference(&convolution);
        for tier in tiers() {
            let ours = convolve(tier, convolution).unwrap();
            assert_eq!(ours.len(), expected.len());
            let bar = 2e-6 * ((inputs * taps[0] * taps[1]) as f64).sqrt().max(3.0);
            // A norm divides by the spread of the channels, which is at least the root of epsilon.
            let bar = if choice & 2 == 2 { 10.0 * bar } else { bar };
            for (at, (a, b)) in ours.iter().zip(&expected).enumerate() {
                assert!(
                    (f64::from(*a) - b).abs() < bar,
                    "{tier} {batch} {inputs} {outputs} {size:?} {taps:?} {stride:?} {padding:?} {choice}: {a}, not {b}, at {at}"
                );
            }
        }
    }

    #[test]
    fn sam_2_shapes() {
        // The mask down-sampler's steps and projection, the prompt encoder's convolutions, the
        // patch embedding.
        check([2, 1, 4], [64, 64], [3, 3], [2, 2], [1, 1], 7);
        check([1, 16, 64], [20, 20], [3, 3], [2, 2], [1, 1], 7);
        check([1, 64, 40], [9, 9], [3, 3], [2, 2], [1, 1], 7);
        check([3, 64, 64], [8, 8], [1, 1], [1, 1], [0, 0], 1);
        check([1, 4, 16], [16, 16], [2, 2], [2, 2], [0, 0], 7);
        check([1, 3, 24], [40, 40], [7, 7], [4, 4], [3, 3], 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]
        #[test]
        fn any_shape_on_every_tier(
            (batch, inputs, outputs) in (1_usize..3, 1_usize..8, 1_usize..30),
            (height, width) in (1_usize..24, 1_usize..40),
            (rows, columns) in (1_usize..5, 1_usize..5),
            (down, right) in (1_usize..4, 1_usize..4),
            (above, left) in (0_usize..4, 0_usize..4),
            choice in 0_u32..8,
        ) {
            prop_assume!(rows <= height + 2 * above && columns <= width + 2 * left);
            check([batch, inputs, outputs], [height, width], [rows, columns], [down, right], [above, left], choice);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let data = [0.0; 32];
        let fitting = Convolution {
            maps: &data[..16],
            inputs: 1,
            size: [4, 4],
            filters: &data[..18],
            outputs: 2,
            taps: [3, 3],
            stride: [1, 1],
            padding: [0, 0],
            bias: None,
            norm: None,
            gelu: false,
        };
        let norm = Norm { weight: &data[..2], bias: &data[..2], epsilon: 0.0 };
        let tier = CpuTier::current();
        assert_eq!(convolve(tier, fitting).unwrap().len(), 8);
        let wrong = [
            Convolution { maps: &data[..15], ..fitting },
            Convolution { filters: &data[..17], ..fitting },
            Convolution { taps: [5, 5], filters: &data, ..fitting },
            Convolution { stride: [0, 1], ..fitting },
            Convolution { bias: Some(&data[..3]), ..fitting },
            Convolution { norm: Some(Norm { bias: &data[..1], ..norm }), ..fitting },
            Convolution { inputs: usize::MAX, ..fitting },
            Convolution { padding: [usize::MAX, 0], ..fitting },
            Convolution { padding: [1 << 40, 1 << 40], ..fitting },
            Convolution { outputs: 0, filters: &[], ..fitting },
        ];
        for convolution in wrong {
            assert!(convolve(tier, convolution).is_none());
        }
    }
}
