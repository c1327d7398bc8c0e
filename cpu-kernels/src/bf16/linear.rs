//! Linear layers in bfloat16. Works as [`linear`](crate::linear()), but rounds both factors of
//! each product.
//!
//! A task takes a block of rows through all layers. Between layers, rows are stored as bfloat16,
//! ready for the next product. A block of sums is finished in `f32` (bias, non-linearity, added
//! tensor) while it is in the first-level cache.

#![allow(unsafe_code)]

use std::ops::Range;

use rayon::prelude::*;

use super::per_tier::per_bf16_tier;
use super::products::{BLOCK, Products};
use crate::chain::{Chain, Layer, Target, enter, finish};
use crate::tier::CpuTier;

/// Largest number of rows per task: a panel of weights is fetched from outer caches once for all of
/// them.
const ROW_BLOCK: usize = 128;
/// With fewer rows, rounding and rearranging the weights costs more than their products save.
const FEWEST_ROWS: usize = 16;

/// Runs the chain with products of bfloat16 values. Returns `[rows, outputs of the last layer]`, or
/// `None` if the shapes do not fit together or there are too few rows to be worth it.
pub fn linear_in_bf16(tier: CpuTier, chain: Chain<'_>) -> Option<Vec<f32>> {
    let [rows, outputs] = chain.size()?;
    if rows < FEWEST_ROWS {
        return None;
    }
    let weights: Vec<Weights> =
        chain.layers.iter().map(|layer| Weights::lay_out(tier, layer)).collect();
    let mut out: Vec<f32> = Vec::with_capacity(rows * outputs);
    let target = Target(out.as_mut_ptr());
    let job = Job { chain, weights: &weights, target };
    let wanted = rows.div_ceil(2 * rayon::current_num_threads());
    let length = wanted.next_multiple_of(BLOCK).min(ROW_BLOCK);
    (0..rows.div_ceil(length)).into_par_iter().for_each_init(Scratch::default, |scratch, task| {
        block(tier, job, task * length..((task + 1) * length).min(rows), scratch);
    });
    // SAFETY: the blocks cover all rows, and each has written all columns of its rows.
    unsafe { out.set_len(rows * outputs) };
    Some(out)
}

/// Weights in the layout that blocks of products read: panels of [`BLOCK`] columns,
/// `[panels, inputs / 2, BLOCK, 2]`, zero after the last input and column.
struct Weights {
    panels: Vec<u16>,
    /// Number of values in a panel.
    panel: usize,
}

impl Weights {
    fn lay_out(tier: CpuTier, layer: &Layer<'_>) -> Self {
        let panel = layer.inputs.next_multiple_of(BLOCK) * BLOCK;
        let mut panels = vec![0_u16; layer.outputs.div_ceil(BLOCK) * panel];
        let few = panels.len() < 1 << 16;
        let fill = |(at, panel): (usize, &mut [u16])| fill_panel(tier, layer, at * BLOCK, panel);
        if few {
            panels.chunks_exact_mut(panel).enumerate().for_each(fill);
        } else {
            panels.par_chunks_exact_mut(panel).enumerate().for_each(fill);
        }
        Self { panels, panel }
    }
}

per_bf16_tier! {
    fn fill_panel = fill_panel_on(layer: &Layer<'_>, column: usize, panel: &mut [u16])
}

/// # Safety
/// The processor has the instructions of `P`. The panel has room for whole blocks of the inputs.
#[inline(always)]
unsafe fn fill_panel_on<P: Products>(layer: &Layer<'_>, column: usize, panel: &mut [u16]) {
    let Layer { weight, inputs, outputs, .. } = *layer;
    let width = BLOCK.min(outputs - column);
    let zeros = [0.0_f32; BLOCK];
    let mut rows = [zeros; 2];
    for (pair, to) in panel.chunks_exact_mut(2 * BLOCK).enumerate().take(inputs.div_ceil(2)) {
        let mut sources = [zeros.as_ptr(); 2];
        for (row, (copy, source)) in rows.iter_mut().zip(&mut sources).enumerate() {
            let input = 2 * pair + row;
            if input < inputs {
                let start = input * outputs + column;
                let values = &weight[start..start + width];
                *source = if width == BLOCK {
                    values.as_ptr()
                } else {
                    copy[..width].copy_from_slice(values);
                    copy.as_ptr()
                };
            }
        }
        // SAFETY: each source has a block of values, and `to` has a block of pairs.
        unsafe {
            P::round_pairs(sources[0], sources[1], to.as_mut_ptr());
            P::round_pairs(sources[0].add(16), sources[1].add(16), to.as_mut_ptr().add(BLOCK));
        }
    }
}

#[derive(Clone, Copy)]
struct Job<'a> {
    chain: Chain<'a>,
    /// The weights of each layer.
    weights: &'a [Weights],
    target: Target,
}

/// The memory of one task.
#[derive(Default)]
struct Scratch {
    /// One row before rounding.
    row: Vec<f32>,
    /// The input and the output of a layer, `[rows, stride]`.
    from: Vec<u16>,
    to: Vec<u16>,
}

/// Returns the distance between rows of `width` values: whole blocks plus one cache line, so that
/// the rows of a block do not share a cache set.
fn stride(width: usize) -> usize {
    width.next_multiple_of(BLOCK) + BLOCK
}

per_bf16_tier! {
    fn block = block_on(job: Job<'_>, rows: Range<usize>, scratch: &mut Scratch)
}

/// Takes some rows through all layers.
///
/// # Safety
/// The processor has the instructions of `P`. The target is valid for all rows and outputs, and no
/// other thread touches these rows.
#[inline(always)]
unsafe fn block_on<P: Products>(job: Job<'_>, rows: Range<usize>, scratch: &mut Scratch) {
    let Chain { x, norm, layers } = job.chain;
    let padded = rows.len().next_multiple_of(BLOCK);
    let Scratch { row: normed, from, to } = scratch;
    let inputs = layers[0].inputs;
    prepare(from, padded, inputs);
    normed.resize(inputs, 0.0);
    for (row, at) in rows.clone().enumerate() {
        let values = &x[at * inputs..(at + 1) * inputs];
        let source = match norm {
            None => values,
            Some(_) => {
                enter(values, norm, normed);
                &normed[..]
            }
        };
        // SAFETY: the row has room for its inputs.
        unsafe { P::round(source.as_ptr(), from.as_mut_ptr().add(row * stride(inputs)), inputs) };
    }
    let last = layers.len() - 1;
    for (index, (layer, weights)) in layers.iter().zip(job.weights).enumerate() {
        if index < last {
            prepare(to, padded, layer.outputs);
        }
        let (inputs, outputs) = (layer.inputs, layer.outputs);
        let mut sums = [0.0_f32; BLOCK * BLOCK];
        for column in (0..outputs).step_by(BLOCK) {
            let width = BLOCK.min(outputs - column);
            let panel = &weights.panels[column / BLOCK * weights.panel..][..weights.panel];
            for first in (0..rows.len()).step_by(BLOCK) {
                // SAFETY: `from` has whole blocks of rows and inputs, the panel has whole blocks of
                // inputs, and the sums have one block of each.
                unsafe {
                    let (depth, by_row) = (inputs.next_multiple_of(BLOCK), stride(inputs));
                    let a = from.as_ptr().add(first * by_row);
                    P::multiply(depth, a, by_row, panel.as_ptr(), sums.as_mut_ptr(), BLOCK, false);
                }
                let count = BLOCK.min(rows.len() - first);
                for (row, sums) in sums.chunks_exact_mut(BLOCK).enumerate().take(count) {
                    let sums = &mut sums[..width];
                    let of_all = rows.start + first + row;
                    // SAFETY: the processor has the instructions. The row is within the target and
                    // belongs to this task alone, or it is within the memory that `prepare` made.
                    unsafe {
                        finish::<P::Vectors, 12>(sums, layer, column..column + width, of_all);
                        if index < last {
                            let at = (first + row) * stride(outputs) + column;
                            P::round(sums.as_ptr(), to.as_mut_ptr().add(at), width);
                        } else {
                            let to = job.target.0.add(of_all * outputs + column);
                            std::ptr::copy_nonoverlapping(sums.as_ptr(), to, width);
                        }
                    }
                }
            }
        }
        std::mem::swap(from, to);
    }
}

/// Makes room for rows of `width` values, zero after them up to a whole block. Rows that are not
/// written keep values of earlier blocks; their results are not used.
fn prepare(values: &mut Vec<u16>, rows: usize, width: usize) {
    let stride = stride(width);
    values.resize(rows * stride, 0);
    if !width.is_multiple_of(BLOCK) {
        for row in values.chunks_exact_mut(stride) {
            row[width..].fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::testing::linear::{SAM_2_SHAPES, check};
    use crate::testing::tiers;

    fn rounded(x: f64) -> f64 {
        f64::from(half::bf16::from_f32(x as f32).to_f32())
    }

    /// Returns the tolerance. The first layer's products are exact. The inputs of later layers
    /// differ in the last places of `f32`, so that one value in thousands is rounded to the
    /// neighbouring bfloat16: an error of half a percent in one of many terms.
    fn bar(widths: &[usize]) -> f64 {
        if widths.len() == 2 { 4e-5 } else { 4e-3 }
    }

    #[test]
    fn sam_2_shapes() {
        for tier in tiers() {
            for (rows, widths) in SAM_2_SHAPES.into_iter().filter(|(rows, _)| *rows >= FEWEST_ROWS)
            {
                for choice in [0b11_0110, 0b10_1010] {
                    check(
                        |chain| linear_in_bf16(tier, chain),
                        rounded,
                        bar(widths),
                        rows,
                        widths,
                        choice,
                    );
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn any_shape_on_every_tier(
            rows in FEWEST_ROWS..150, widths in prop::collection::vec(1_usize..300, 2..4), choice in 0_u32..32,
        ) {
            for tier in tiers() {
                // Without the norm, because its rounding in f32 would be rounded again.
                check(|chain| linear_in_bf16(tier, chain), rounded, bar(&widths), rows, &widths, choice << 1);
            }
        }

        #[test]
        fn normed_rows_are_close(rows in FEWEST_ROWS..70, width in 2_usize..200, outputs in 1_usize..100) {
            for tier in tiers() {
                check(|chain| linear_in_bf16(tier, chain), rounded, 6e-3, rows, &[width, outputs], 0b11);
            }
        }
    }

    #[test]
    fn few_rows_are_left_to_others() {
        let layer = Layer {
            weight: &[1.0],
            inputs: 1,
            outputs: 1,
            bias: None,
            activation: Default::default(),
            scale: None,
            add: None,
        };
        let x = [0.5; 16];
        let run = |x| linear_in_bf16(CpuTier::current(), Chain { x, norm: None, layers: &[layer] });
        assert_eq!(run(&x[..15]), None);
        assert_eq!(run(&x).map(|out| out.len()), Some(16));
    }
}
