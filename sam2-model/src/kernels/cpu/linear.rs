//! A linear layer with what comes before and after it, in one pass over memory: norm, product, bias, activation, scale, residual.
//!
//! Weights are laid out in panels of two vectors once per call. A task then takes a dozen rows of the input at a time, normed on the way into the
//! first-level cache, through up to [`COLUMNS`] columns, and finishes the row while it is there.

use std::ops::Range;

use rayon::prelude::*;

use super::attention::lanes;
use super::pointwise::{gelu_on, moments_of};
use super::simd::{CpuTier, Simd, per_tier};
use super::tile::{MOST_ROWS, multiply};

/// Inputs whose products are summed in registers before they join the sums.
const DEPTH: usize = 256;
/// Distance of rows in the tile of inputs: not a power of two, so that they do not share a set of the cache.
const ROW_STRIDE: usize = DEPTH + 16;
/// Columns per task at most; a multiple of every tier's panel.
const COLUMNS: usize = 256;
/// Rows per task at most.
const ROW_BLOCK: usize = 96;
/// Products below which one thread is done before another one is awake.
const SMALL_JOB: usize = 1 << 18;
/// Weights below which laying them out is not worth a second thread.
const SMALL_WEIGHTS: usize = 1 << 16;

/// What happens to each row besides the product.
#[derive(Clone, Copy, Default)]
pub(crate) struct Around<'a> {
    /// Weight and bias `[inputs]` and epsilon of a layer norm before the product.
    pub norm: Option<(&'a [f32], &'a [f32], f32)>,
    /// Added to the product, `[outputs]`.
    pub bias: Option<&'a [f32]>,
    pub activation: Activation,
    /// Factors of the columns, `[outputs]`.
    pub scale: Option<&'a [f32]>,
    /// Added last, `[rows, outputs]`; if it has fewer rows they are used over and over.
    pub add: Option<&'a [f32]>,
}

/// The non-linearity after bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// None.
    #[default]
    Identity,
    /// max(x, 0).
    Relu,
    /// x / 2 (1 + erf(x / sqrt 2)).
    Gelu,
}

/// Rows `[rows, inputs]`, weights `[inputs, outputs]`, both row-major.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub x: &'a [f32],
    pub weight: &'a [f32],
    pub inputs: usize,
    pub outputs: usize,
    pub around: Around<'a>,
}

impl Product<'_> {
    fn fits(&self) -> bool {
        let Self { x, weight, inputs, outputs, around } = self;
        let columns = |values: Option<&[f32]>| values.is_none_or(|v| v.len() == *outputs);
        *inputs > 0
            && *outputs > 0
            && x.len().is_multiple_of(*inputs)
            && weight.len() == inputs * outputs
            && columns(around.bias)
            && columns(around.scale)
            && around.norm.is_none_or(|(w, b, _)| w.len() == *inputs && b.len() == *inputs)
            && around.add.is_none_or(|add| {
                let (whole, rows) = (add.len() / outputs, x.len() / inputs);
                add.len().is_multiple_of(*outputs) && whole > 0 && rows.is_multiple_of(whole)
            })
    }
}

/// `[rows, outputs]`, row-major. `None` if the shapes do not fit together.
pub(crate) fn linear(tier: CpuTier, product: Product<'_>) -> Option<Vec<f32>> {
    if !product.fits() {
        return None;
    }
    let Product { x, inputs, outputs, .. } = product;
    let rows = x.len() / inputs;
    let panel = 2 * lanes(tier);
    let parallel = rows * inputs * outputs > SMALL_JOB;
    let weights = Weights::lay_out(&product, panel, rows);
    let mut out: Vec<f32> = Vec::with_capacity(rows * outputs);
    let target = Target(out.as_mut_ptr());
    let job = Job { product, weights: &weights, target };
    if parallel {
        let columns = outputs.div_ceil(COLUMNS);
        let wanted = (3 * rayon::current_num_threads()).div_ceil(columns);
        let length = rows.div_ceil(wanted).next_multiple_of(MOST_ROWS).min(ROW_BLOCK);
        (0..rows.div_ceil(length) * columns).into_par_iter().for_each(|task| {
            let (row, column) = (task / columns * length, task % columns * COLUMNS);
            let rows = row..(row + length).min(rows);
            block(tier, job, rows, column..(column + COLUMNS).min(outputs));
        });
    } else {
        for column in (0..outputs).step_by(COLUMNS) {
            block(tier, job, 0..rows, column..(column + COLUMNS).min(outputs));
        }
    }
    // SAFETY: the blocks cover all rows and columns, and each has written all of its own.
    unsafe { out.set_len(rows * outputs) };
    Some(out)
}

/// Weights as tiles read them.
struct Weights<'a> {
    /// Row-major, for the whole panels; `None` if they are laid out anew.
    plain: Option<&'a [f32]>,
    outputs: usize,
    inputs: usize,
    panel: usize,
    /// `[panels, inputs, panel]`, zero beyond the last column: all panels, or the last one if it is not whole.
    panels: Vec<f32>,
}

impl<'a> Weights<'a> {
    fn lay_out(product: &Product<'a>, panel: usize, rows: usize) -> Self {
        let Product { weight, inputs, outputs, .. } = *product;
        // For a tile or two of rows, each weight is read once or twice: as soon where it lies as to lay it out.
        let plain = (rows <= 2 * MOST_ROWS).then_some(weight);
        let first = if plain.is_some() { outputs / panel } else { 0 };
        let count = outputs.div_ceil(panel) - first;
        let mut panels = vec![0.0_f32; count * inputs * panel];
        let fill = |(at, values): (usize, &mut [f32])| {
            let start = (first + at) * panel;
            let width = panel.min(outputs - start);
            for (row, values) in values.chunks_exact_mut(panel).enumerate() {
                let from = row * outputs + start;
                values[..width].copy_from_slice(&weight[from..from + width]);
            }
        };
        if count * inputs * panel > SMALL_WEIGHTS {
            panels.par_chunks_exact_mut(inputs * panel).enumerate().for_each(fill);
        } else {
            panels.chunks_exact_mut(inputs * panel).enumerate().for_each(fill);
        }
        Self { plain, outputs, inputs, panel, panels }
    }

    /// Where the weights of the panel at `column` begin for input `input`, and how far apart its rows are.
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

#[derive(Clone, Copy)]
struct Job<'a> {
    product: Product<'a>,
    weights: &'a Weights<'a>,
    target: Target,
}

/// Where `[rows, outputs]` go, of which every task writes other places.
#[derive(Clone, Copy)]
struct Target(*mut f32);

// SAFETY: tasks write disjoint places and read none.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

per_tier! {
    fn block = block_on(job: Job<'_>, rows: Range<usize>, columns: Range<usize>)
}

/// # Safety
/// The processor has `S`'s instructions. The target is valid for `[rows, outputs]`, and nobody else writes these rows' columns, of which there
/// are at most [`COLUMNS`], beginning at a whole panel.
#[inline(always)]
unsafe fn block_on<S: Simd, const ROWS: usize>(
    job: Job<'_>,
    rows: Range<usize>,
    columns: Range<usize>,
) {
    let Job { product, weights, target } = job;
    let Product { x, inputs, outputs, around, .. } = product;
    let panel = 2 * S::LANES;
    debug_assert!(panel == weights.panel && ROWS <= MOST_ROWS && columns.len() <= COLUMNS);
    let mut tile_x = [0.0_f32; MOST_ROWS * ROW_STRIDE];
    let mut sums = [0.0_f32; MOST_ROWS * COLUMNS];
    for first in rows.clone().step_by(ROWS) {
        let count = ROWS.min(rows.end - first);
        let row_x = |row: usize| &x[(first + row) * inputs..(first + row + 1) * inputs];
        let mut moments = [(0.0, 1.0); ROWS];
        if let Some((_, _, epsilon)) = around.norm {
            for (row, moments) in moments.iter_mut().enumerate().take(count) {
                *moments = moments_of(row_x(row), epsilon);
            }
        }
        for start in (0..inputs).step_by(DEPTH) {
            let depth = DEPTH.min(inputs - start);
            let part = start..start + depth;
            // Rows beyond the last keep what was there before; their sums are not written.
            for (row, to) in tile_x.chunks_exact_mut(ROW_STRIDE).enumerate().take(count) {
                let (to, from) = (&mut to[..depth], &row_x(row)[part.clone()]);
                match around.norm {
                    None => to.copy_from_slice(from),
                    Some((weight, bias, _)) => {
                        let (mean, scale) = moments[row];
                        let affine = weight[part.clone()].iter().zip(&bias[part.clone()]);
                        for ((to, from), (weight, bias)) in to.iter_mut().zip(from).zip(affine) {
                            *to = (from - mean) * scale * weight + bias;
                        }
                    }
                }
            }
            for column in columns.clone().step_by(panel) {
                let (panel_weights, by_input) = weights.at(column, start);
                debug_assert!(panel_weights.len() >= (depth - 1) * by_input + panel);
                // SAFETY: the tile of inputs holds `ROWS` rows of `depth`; the weights have `depth` rows of a whole panel; the sums hold `ROWS` rows of
                // `COLUMNS`, which whole panels fill.
                unsafe {
                    let mut tile = [[S::splat(0.0); 2]; ROWS];
                    let a = tile_x.as_ptr();
                    let b = panel_weights.as_ptr();
                    multiply::<S, ROWS, 2>(depth, a, ROW_STRIDE, 1, b, by_input, &mut tile);
                    for (row, vectors) in tile.into_iter().enumerate() {
                        for (j, vector) in vectors.into_iter().enumerate() {
                            let at = row * COLUMNS + column - columns.start + j * S::LANES;
                            let at = sums.as_mut_ptr().add(at);
                            let sum = if start == 0 { vector } else { S::add(S::load(at), vector) };
                            S::store(at, sum);
                        }
                    }
                }
            }
        }
        for row in 0..count {
            let sums = &mut sums[row * COLUMNS..row * COLUMNS + columns.len()];
            // SAFETY: the processor has the instructions. The columns of this row lie within the target and are this task's alone.
            unsafe {
                finish::<S, ROWS>(sums, &around, columns.clone(), first + row, outputs);
                let to = target.0.add((first + row) * outputs + columns.start);
                std::ptr::copy_nonoverlapping(sums.as_ptr(), to, sums.len());
            }
        }
    }
}

/// What comes after the product, for some columns of one row.
///
/// # Safety
/// The processor has `S`'s instructions.
#[inline(always)]
unsafe fn finish<S: Simd, const ROWS: usize>(
    sums: &mut [f32],
    around: &Around<'_>,
    columns: Range<usize>,
    row: usize,
    outputs: usize,
) {
    if let Some(bias) = around.bias {
        sums.iter_mut().zip(&bias[columns.clone()]).for_each(|(sum, bias)| *sum += bias);
    }
    match around.activation {
        Activation::Identity => {}
        Activation::Relu => sums.iter_mut().for_each(|sum| *sum = sum.max(0.0)),
        // SAFETY: the caller's promise.
        Activation::Gelu => unsafe { gelu_on::<S, ROWS>(sums) },
    }
    if let Some(scale) = around.scale {
        sums.iter_mut().zip(&scale[columns.clone()]).for_each(|(sum, scale)| *sum *= scale);
    }
    if let Some(add) = around.add {
        let start = row % (add.len() / outputs) * outputs;
        let add = &add[start + columns.start..start + columns.end];
        sums.iter_mut().zip(add).for_each(|(sum, add)| *sum += add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::kernels::cpu::testing::{erf, noise, tiers};

    /// In f64, the textbook way.
    fn reference(product: &Product<'_>) -> Vec<f64> {
        let Product { x, weight, inputs, outputs, around } = *product;
        let rows = x.len() / inputs;
        let mut out = Vec::with_capacity(rows * outputs);
        for row in 0..rows {
            let mut input: Vec<f64> =
                x[row * inputs..(row + 1) * inputs].iter().map(|&x| f64::from(x)).collect();
            if let Some((weight, bias, epsilon)) = around.norm {
                let mean = input.iter().sum::<f64>() / inputs as f64;
                let variance =
                    input.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / inputs as f64;
                for (i, x) in input.iter_mut().enumerate() {
                    let normed = (*x - mean) / (variance + f64::from(epsilon)).sqrt();
                    *x = normed * f64::from(weight[i]) + f64::from(bias[i]);
                }
            }
            for column in 0..outputs {
                let products =
                    (0..inputs).map(|i| input[i] * f64::from(weight[i * outputs + column]));
                let mut y: f64 = products.sum();
                y += around.bias.map_or(0.0, |bias| f64::from(bias[column]));
                y = match around.activation {
                    Activation::Identity => y,
                    Activation::Relu => y.max(0.0),
                    Activation::Gelu => y / 2.0 * (1.0 + erf(y / 2.0_f64.sqrt())),
                };
                y *= around.scale.map_or(1.0, |scale| f64::from(scale[column]));
                y += around
                    .add
                    .map_or(0.0, |add| f64::from(add[(row * outputs + column) % add.len()]));
                out.push(y);
            }
        }
        out
    }

    fn check(tier: CpuTier, rows: usize, inputs: usize, outputs: usize, choice: u32) {
        let (x, weight) = (noise(rows * inputs, 1), noise(inputs * outputs, 2));
        let (norm_weight, norm_bias) = (noise(inputs, 3), noise(inputs, 4));
        let (bias, scale) = (noise(outputs, 5), noise(outputs, 6));
        let repeated = if rows.is_multiple_of(2) { rows / 2 } else { rows };
        let add = noise(repeated * outputs, 7);
        let has = |bit: u32| choice >> bit & 1 == 1;
        let around = Around {
            norm: has(0).then_some((&norm_weight[..], &norm_bias[..], 1e-5)),
            bias: has(1).then_some(&bias),
            activation: [Activation::Identity, Activation::Relu, Activation::Gelu]
                [(choice >> 2) as usize % 3],
            scale: has(4).then_some(&scale),
            add: has(5).then_some(&add),
        };
        let product = Product { x: &x, weight: &weight, inputs, outputs, around };
        let ours = linear(tier, product).unwrap();
        let expected = reference(&product);
        assert_eq!(ours.len(), expected.len());
        // Terms are below one (below three when normed), so sums grow like the root of their number.
        let bar = 2e-6 * (inputs as f64).sqrt() * if has(0) { 3.0 } else { 1.0 };
        for (at, (a, b)) in ours.iter().zip(expected).enumerate() {
            let off = (f64::from(*a) - b).abs();
            assert!(
                off < bar,
                "{tier} {rows} x {inputs} x {outputs}, {choice}: {a}, not {b}, at {at}"
            );
        }
    }

    #[test]
    fn sam_2_shapes() {
        for tier in tiers() {
            for (rows, inputs, outputs) in [
                (256, 64, 256),
                (100, 256, 768),
                (8, 256, 2048),
                (130, 2048, 256),
                (300, 36, 16),
                (1, 1, 1),
            ] {
                check(tier, rows, inputs, outputs, 0b11_0111);
                check(tier, rows, inputs, outputs, 0b10_1010);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]
        #[test]
        fn any_shape_on_every_tier(
            rows in 1_usize..120, inputs in 1_usize..600, outputs in 1_usize..300, choice in 0_u32..64,
        ) {
            for tier in tiers() {
                check(tier, rows, inputs, outputs, choice);
            }
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let data = [0.0; 12];
        let product = |x, weight, around| Product { x, weight, inputs: 3, outputs: 2, around };
        let tier = CpuTier::current();
        assert!(linear(tier, product(&data[..6], &data[..6], Around::default())).is_some());
        assert!(linear(tier, product(&data[..5], &data[..6], Around::default())).is_none());
        assert!(linear(tier, product(&data[..6], &data[..5], Around::default())).is_none());
        for length in [0, 1, 3, 6] {
            let around = Around { add: Some(&data[..length]), ..Around::default() };
            assert!(linear(tier, product(&data[..6], &data[..6], around)).is_none(), "{length}");
        }
        let around = Around { bias: Some(&data[..3]), ..Around::default() };
        assert!(linear(tier, product(&data[..6], &data[..6], around)).is_none());
        assert_eq!(linear(tier, product(&[], &data[..6], Around::default())), Some(Vec::new()));
    }
}
