//! Linear layers with the steps before and after them, in one pass over memory: a norm, then for
//! each layer product, bias, activation, scale, and an added tensor.
//!
//! Weights are rearranged in panels of two vectors once per call. A task takes a block of rows
//! through all layers. The values between two layers, up to four times as wide as the input and
//! output, never leave the second-level cache.

#![allow(unsafe_code)]

use std::ops::Range;

use rayon::prelude::*;

use crate::chain::{Chain, Layer, Target, enter, finish};
use crate::simd::{Simd, per_tier};
use crate::tier::CpuTier;
use crate::tile::{MOST_ROWS, multiply};

/// Number of inputs whose products are summed in registers before they are added to the sums.
const DEPTH: usize = 256;
/// Columns per task if there are too few rows for all threads; a multiple of every tier's panel.
const COLUMNS: usize = 256;
/// Largest number of rows per task; a multiple of every tier's tile height.
const ROW_BLOCK: usize = 96;
/// Largest number of values that a task keeps for one layer, so that they stay in the second-level
/// cache. A task takes fewer rows if they are wide.
const BLOCK_FLOATS: usize = 1 << 17;
/// Below this many multiply-adds, waking a second thread costs more than it saves.
/// Miri is slow with large arrays, so it divides smaller jobs too.
const SMALL_JOB: usize = if cfg!(miri) { 1 << 10 } else { 1 << 18 };
/// Below this many weights, rearranging them is not worth a second thread.
const SMALL_WEIGHTS: usize = if cfg!(miri) { 1 << 10 } else { 1 << 16 };

/// Runs the chain. Returns `[rows, outputs of the last layer]`, or `None` if the shapes do not fit
/// together.
pub fn linear(tier: CpuTier, chain: Chain<'_>) -> Option<Vec<f32>> {
    let [rows, outputs] = chain.size()?;
    let layers = chain.layers;
    let weights: Vec<Weights<'_>> =
        layers.iter().map(|layer| Weights::lay_out(layer, 2 * tier.lanes(), rows)).collect();
    let mut out: Vec<f32> = Vec::with_capacity(rows * outputs);
    let target = Target(out.as_mut_ptr());
    let job = Job { chain, weights: &weights, target };
    let products: usize = layers.iter().map(|layer| rows * layer.inputs * layer.outputs).sum();
    if products > SMALL_JOB {
        let threads = rayon::current_num_threads();
        let widest = layers.iter().map(|layer| layer.inputs).max().unwrap_or(1);
        let most = (BLOCK_FLOATS / widest / MOST_ROWS * MOST_ROWS).clamp(MOST_ROWS, ROW_BLOCK);
        let length = rows.div_ceil(3 * threads).next_multiple_of(MOST_ROWS).min(most);
        let blocks = rows.div_ceil(length);
        // A single layer can also be divided by columns.
        let columns = if layers.len() == 1 && blocks < 2 * threads { COLUMNS } else { outputs };
        let columns_count = outputs.div_ceil(columns);
        (0..blocks * columns_count).into_par_iter().for_each_init(
            Scratch::default,
            |scratch, task| {
                let (row, column) = (task / columns_count * length, task % columns_count * columns);
                let columns = column..(column + columns).min(outputs);
                block(tier, job, row..(row + length).min(rows), columns, scratch);
            },
        );
    } else {
        let mut scratch = Scratch::default();
        for row in (0..rows).step_by(ROW_BLOCK) {
            block(tier, job, row..(row + ROW_BLOCK).min(rows), 0..outputs, &mut scratch);
        }
    }
    // SAFETY: the blocks cover all rows and columns, and each has written all of its own values.
    unsafe { out.set_len(rows * outputs) };
    Some(out)
}

/// Weights in the layout that the tiles read.
struct Weights<'a> {
    /// The whole panels in their original row-major layout; `None` if all are rearranged.
    plain: Option<&'a [f32]>,
    outputs: usize,
    inputs: usize,
    panel: usize,
    /// `[panels, inputs, panel]`, zero after the last column: all panels, or only the last one if
    /// it is incomplete.
    panels: Vec<f32>,
}

impl<'a> Weights<'a> {
    fn lay_out(layer: &Layer<'a>, panel: usize, rows: usize) -> Self {
        let Layer { weight, inputs, outputs, .. } = *layer;
        // For one or two tiles of rows, each weight is read only once or twice. Reading it in place
        // is then as fast as rearranging it.
        let plain = (rows <= 2 * MOST_ROWS).then_some(weight);
        let first = if plain.is_some() { outputs / panel } else { 0 };
        let count = outputs.div_ceil(panel) - first;
        let mut panels = vec![0.0_f32; count * inputs * panel];
        let fill = |(at, values): (usize, &mut [f32])| {
            let start = (first + at) * panel;
            let width = panel.min(outputs - start);
            for (row, values) in values.chunks_exact_mut(panel).enumerate() {
                let from = row * outputs + start;
                copy(&weight[from..from + width], &mut values[..width]);
            }
        };
        if count * inputs * panel > SMALL_WEIGHTS {
            panels.par_chunks_exact_mut(inputs * panel).enumerate().for_each(fill);
        } else {
            panels.chunks_exact_mut(inputs * panel).enumerate().for_each(fill);
        }
        Self { plain, outputs, inputs, panel, panels }
    }

    /// Returns the index of the first weight of the panel at `column` for input `input`, and the
    /// distance between the panel's rows.
    #[inline(always)]
    fn at(&self, column: usize, input: usize) -> (&[f32], usize) {
        match self.plain {
            Some(plain) if column + self.panel <= self.outputs => {
                (&plain[input * self.outputs + column..], self.outputs)
            }
            _ => {
                let panel = if self.plain.is_some() { 0 } else { column / self.panel };
                (&self.panels[(panel * self.inputs + input) * self.panel..], self.panel)
            }
        }
    }
}

/// Copies a panel's row in pieces whose length the compiler knows: a call of `memcpy` takes longer
/// than copying a cache line.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<16>(), to.as_chunks_mut::<16>());
    for (from, to) in from.iter().zip(to) {
        *to = *from;
    }
    to_rest.copy_from_slice(from_rest);
}

#[derive(Clone, Copy)]
struct Job<'a> {
    chain: Chain<'a>,
    /// The weights of each layer.
    weights: &'a [Weights<'a>],
    target: Target,
}

/// The memory of one task: the input and the output of a layer, `[rows, stride]`.
#[derive(Default)]
struct Scratch {
    from: Vec<f32>,
    to: Vec<f32>,
}

/// Returns the distance between rows of `width` values. It is not a power of two, so that rows do
/// not share a cache set.
fn stride(width: usize) -> usize {
    width.next_multiple_of(16) + 16
}

per_tier! {
    fn block = block_on(job: Job<'_>, rows: Range<usize>, columns: Range<usize>, scratch: &mut Scratch)
}

/// Takes some rows through all layers, and computes some columns of the last layer.
///
/// # Safety
/// The processor has `S`'s instructions. The target is valid for all rows and outputs. No other
/// thread writes these rows' columns, which begin at a whole panel.
#[inline(always)]
unsafe fn block_on<S: Simd, const ROWS: usize>(
    job: Job<'_>,
    rows: Range<usize>,
    columns: Range<usize>,
    scratch: &mut Scratch,
) {
    let Chain { x, norm, layers } = job.chain;
    let padded = rows.len().next_multiple_of(ROWS);
    let Scratch { from, to } = scratch;
    let inputs = layers[0].inputs;
    // Rows after the last keep earlier values; their results are not written.
    from.resize(padded * stride(inputs), 0.0);
    for (row, at) in rows.clone().enumerate() {
        let (values, to) = (&x[at * inputs..(at + 1) * inputs], row * stride(inputs));
        enter(values, norm, &mut from[to..to + inputs]);
    }
    let last = layers.len() - 1;
    for (index, (layer, weights)) in layers.iter().zip(job.weights).enumerate() {
        let (target, by_row, columns) = if index == last {
            // SAFETY: the rows are within the target.
            (
                unsafe { job.target.0.add(rows.start * layer.outputs) },
                layer.outputs,
                columns.clone(),
            )
        } else {
            to.resize(padded * stride(layer.outputs), 0.0);
            (to.as_mut_ptr(), stride(layer.outputs), 0..layer.outputs)
        };
        // SAFETY: the processor has the instructions. The input has whole tiles of rows, and the
        // rows and columns of the output belong to this task alone.
        unsafe { pass_on::<S, ROWS>(layer, weights, from, rows.clone(), columns, target, by_row) };
        std::mem::swap(from, to);
    }
}

/// Runs one layer on a block of rows.
///
/// # Safety
/// The processor has `S`'s instructions. `from` has whole tiles of rows of `stride(inputs)`.
/// `target` is valid for `rows` rows, `by_row` apart, and no other thread touches these columns of
/// them.
#[inline(always)]
unsafe fn pass_on<S: Simd, const ROWS: usize>(
    layer: &Layer<'_>,
    weights: &Weights<'_>,
    from: &[f32],
    rows: Range<usize>,
    columns: Range<usize>,
    target: *mut f32,
    by_row: usize,
) {
    let panel = 2 * S::LANES;
    let (inputs, stride) = (layer.inputs, stride(layer.inputs));
    debug_assert!(panel == weights.panel && ROWS <= MOST_ROWS);
    debug_assert!(from.len() >= rows.len().next_multiple_of(ROWS) * stride);
    let mut sums = [0.0_f32; MOST_ROWS * 32];
    for column in columns.clone().step_by(panel) {
        let width = panel.min(columns.end - column);
        for first in (0..rows.len()).step_by(ROWS) {
            // SAFETY: the inputs hold `ROWS` rows from `first` on; the weights have `depth` rows of
            // a whole panel; the sums hold `ROWS` rows of a panel.
            unsafe {
                let mut total = [[S::splat(0.0); 2]; ROWS];
                for start in (0..inputs).step_by(DEPTH) {
                    let depth = DEPTH.min(inputs - start);
                    let (panel_weights, by_input) = weights.at(column, start);
                    debug_assert!(panel_weights.len() >= (depth - 1) * by_input + panel);
                    let mut tile = [[S::splat(0.0); 2]; ROWS];
                    let a = from.as_ptr().add(first * stride + start);
                    let b = panel_weights.as_ptr();
                    multiply::<S, ROWS, 2>(depth, a, stride, 1, b, by_input, &mut tile);
                    for (total, tile) in total.iter_mut().zip(tile) {
                        *total = [S::add(total[0], tile[0]), S::add(total[1], tile[1])];
                    }
                }
                for (row, vectors) in total.into_iter().enumerate() {
                    let at = sums.as_mut_ptr().add(row * panel);
                    S::store(at, vectors[0]);
                    S::store(at.add(S::LANES), vectors[1]);
                }
            }
            let count = ROWS.min(rows.len() - first);
            for (row, sums) in sums.chunks_exact_mut(panel).enumerate().take(count) {
                let sums = &mut sums[..width];
                // SAFETY: the processor has the instructions. The columns of this row are within
                // the target and belong to this task alone.
                unsafe {
                    let of_all = rows.start + first + row;
                    finish::<S, ROWS>(sums, layer, column..column + width, of_all);
                    let to = target.add((first + row) * by_row + column);
                    if width == panel {
                        S::store(to, S::load(sums.as_ptr()));
                        S::store(to.add(S::LANES), S::load(sums.as_ptr().add(S::LANES)));
                    } else {
                        std::ptr::copy_nonoverlapping(sums.as_ptr(), to, width);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::activation::Activation;
    use crate::testing::linear::{SAM_2_SHAPES, check};
    use crate::testing::tiers;

    #[test]
    fn sam_2_shapes() {
        for tier in tiers() {
            for (rows, widths) in SAM_2_SHAPES {
                check(|chain| linear(tier, chain), |x| x, 1e-5, rows, widths, 0b11_0111);
                check(|chain| linear(tier, chain), |x| x, 1e-5, rows, widths, 0b10_1010);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]
        #[test]
        fn any_shape_on_every_tier(
            rows in 1_usize..120, widths in prop::collection::vec(1_usize..400, 2..4), choice in 0_u32..64,
        ) {
            for tier in tiers() {
                check(|chain| linear(tier, chain), |x| x, 1e-5, rows, &widths, choice);
            }
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let data = [0.0; 12];
        let layer = Layer {
            weight: &data[..6],
            inputs: 3,
            outputs: 2,
            bias: None,
            activation: Activation::Identity,
            scale: None,
            add: None,
        };
        let tier = CpuTier::current();
        let run = |length: usize, layers: &[Layer<'_>]| {
            linear(tier, Chain { x: &data[..length], norm: None, layers })
        };
        assert!(run(6, &[layer]).is_some());
        assert!(run(5, &[layer]).is_none());
        assert!(run(6, &[Layer { weight: &data[..5], ..layer }]).is_none());
        for length in [0, 1, 3, 6] {
            assert!(run(6, &[Layer { add: Some(&data[..length]), ..layer }]).is_none(), "{length}");
        }
        assert!(run(6, &[Layer { bias: Some(&data[..3]), ..layer }]).is_none());
        assert!(run(6, &[layer, layer]).is_none());
        assert!(run(6, &[layer, Layer { inputs: 2, outputs: 3, ..layer }]).is_some());
        assert!(run(6, &[]).is_none());
        assert_eq!(run(0, &[layer]), Some(Vec::new()));
    }
}
