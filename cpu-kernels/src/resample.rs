//! Resizing of planes by a few weighted neighbours per axis.

#![allow(unsafe_code)]

use rayon::prelude::*;

use crate::simd::{Simd, per_tier};
use crate::tier::CpuTier;

/// Values of a result that are worth a task of their own.
const TASK: usize = 1 << 15;

/// The inputs of each output position along one axis: a run of neighbours with their weights.
#[derive(Clone, Debug)]
pub struct Taps {
    /// First neighbour of each output position.
    first: Vec<usize>,
    /// `[outputs, width]`, with zeros where a run is shorter.
    weights: Vec<f32>,
    width: usize,
    inputs: usize,
}

impl Taps {
    /// Finds the runs of nonzero weights in a `matrix` `[outputs, inputs]`.
    pub fn of(matrix: &[f32], inputs: usize) -> Self {
        let runs: Vec<(usize, usize)> = matrix
            .chunks_exact(inputs.max(1))
            .map(|row| {
                let first = row.iter().position(|weight| *weight != 0.0).unwrap_or(0);
                let last = row.iter().rposition(|weight| *weight != 0.0).unwrap_or(0);
                (first, last + 1 - first)
            })
            .collect();
        let width = runs.iter().map(|(_, length)| *length).max().unwrap_or(1);
        let mut weights = Vec::with_capacity(runs.len() * width);
        let mut firsts = Vec::with_capacity(runs.len());
        for (row, (first, _)) in matrix.chunks_exact(inputs.max(1)).zip(runs) {
            // All runs have the same length, so that none needs its own bound.
            let first = first.min(inputs.max(1) - width);
            firsts.push(first);
            weights.extend_from_slice(&row[first..first + width]);
        }
        Self { first: firsts, weights, width, inputs }
    }

    fn outputs(&self) -> usize {
        self.first.len()
    }

    /// Returns a table for other devices, and its shape `[outputs, 1 + width]`: the first neighbour
    /// of each output, then the weights of its run.
    pub fn table(&self) -> (Vec<f32>, [usize; 2]) {
        let of = |place: usize| {
            let (first, weights) = self.at(place);
            std::iter::once(first as f32).chain(weights.iter().copied())
        };
        ((0..self.outputs()).flat_map(of).collect(), [self.outputs(), 1 + self.width])
    }

    fn at(&self, place: usize) -> (usize, &[f32]) {
        (self.first[place], &self.weights[place * self.width..(place + 1) * self.width])
    }
}

/// Resizes planes `[planes, height, width]` to `[planes, rows, columns]`. An axis without taps
/// keeps its length. Returns `None` if the sizes do not fit.
pub fn resample(
    tier: CpuTier,
    planes: &[f32],
    size: [usize; 2],
    rows: Option<&Taps>,
    columns: Option<&Taps>,
) -> Option<Vec<f32>> {
    let [height, width] = size;
    let fits = height * width > 0
        && planes.len().is_multiple_of(height * width)
        && rows.is_none_or(|taps| taps.inputs == height)
        && columns.is_none_or(|taps| taps.inputs == width);
    if !fits {
        return None;
    }
    let along_columns = |input: &[f32]| match columns {
        Some(taps) => resample_columns(tier, input, width, taps),
        None => input.to_vec(),
    };
    let along_rows = |input: &[f32], width: usize| match rows {
        Some(taps) => resample_rows(tier, input, [height, width], taps),
        None => input.to_vec(),
    };
    // Chooses the order that makes the intermediate map smaller.
    let grows = rows.is_some_and(|taps| taps.outputs() > height);
    Some(match (grows, rows, columns) {
        (true, _, Some(taps)) => along_rows(&along_columns(planes), taps.outputs()),
        (_, Some(_), None) => along_rows(planes, width),
        (_, None, _) => along_columns(planes),
        (false, Some(_), Some(_)) => along_columns(&along_rows(planes, width)),
    })
}

/// Resizes each line by itself.
fn resample_columns(tier: CpuTier, input: &[f32], width: usize, taps: &Taps) -> Vec<f32> {
    let outputs = taps.outputs();
    let mut out = vec![0.0_f32; input.len() / width * outputs];
    if outputs == 0 {
        return out;
    }
    let lines = (TASK / outputs).max(1);
    let tasks = out.par_chunks_mut(lines * outputs).zip(input.par_chunks(lines * width));
    tasks.for_each(|(out, input)| lines_of(tier, out, input, width, taps));
    out
}

per_tier! {
    fn lines_of = lines_of_on(out: &mut [f32], input: &[f32], width: usize, taps: &Taps)
}

/// # Safety
/// None needed: plain Rust, compiled with `S`'s instructions.
#[inline(always)]
unsafe fn lines_of_on<S: Simd, const ROWS: usize>(
    out: &mut [f32],
    input: &[f32],
    width: usize,
    taps: &Taps,
) {
    for (out, line) in out.chunks_exact_mut(taps.outputs()).zip(input.chunks_exact(width)) {
        if taps.width == 2 {
            // The common case: bilinear enlargement.
            for ((to, first), weights) in
                out.iter_mut().zip(&taps.first).zip(taps.weights.chunks_exact(2))
            {
                *to = line[*first] * weights[0] + line[first + 1] * weights[1];
            }
            continue;
        }
        for (place, to) in out.iter_mut().enumerate() {
            let (first, weights) = taps.at(place);
            let neighbours = &line[first..first + weights.len()];
            *to = neighbours.iter().zip(weights).map(|(value, weight)| value * weight).sum();
        }
    }
}

/// Adds whole weighted lines.
fn resample_rows(
    tier: CpuTier,
    input: &[f32],
    [height, width]: [usize; 2],
    taps: &Taps,
) -> Vec<f32> {
    let rows = taps.outputs();
    let mut out = vec![0.0_f32; input.len() / (height * width) * rows * width];
    let lines = (TASK / width).max(1);
    out.par_chunks_mut(lines * width).enumerate().for_each(|(task, out)| {
        for (at, line) in out.chunks_exact_mut(width).enumerate() {
            let (plane, row) = ((task * lines + at) / rows, (task * lines + at) % rows);
            let (first, weights) = taps.at(row);
            let from = &input[(plane * height + first) * width..][..weights.len() * width];
            weigh_lines(tier, line, from, weights);
        }
    });
    out
}

per_tier! {
    fn weigh_lines = weigh_lines_on(out: &mut [f32], lines: &[f32], weights: &[f32])
}

/// # Safety
/// None needed: plain Rust, compiled with `S`'s instructions.
#[inline(always)]
unsafe fn weigh_lines_on<S: Simd, const ROWS: usize>(
    out: &mut [f32],
    lines: &[f32],
    weights: &[f32],
) {
    for (line, weight) in lines.chunks_exact(out.len()).zip(weights) {
        out.iter_mut().zip(line).for_each(|(sum, value)| *sum += value * weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::testing::{noise, tiers};

    /// Makes rows with runs of weights at varying positions.
    fn matrix(outputs: usize, inputs: usize, most: usize) -> Vec<f32> {
        let mut matrix = vec![0.0; outputs * inputs];
        for (place, row) in matrix.chunks_exact_mut(inputs).enumerate() {
            let first = place * 7 % inputs;
            let last = (first + 1 + place % most).min(inputs);
            row[first..last]
                .iter_mut()
                .zip(noise(most, place as u64 + 1))
                .for_each(|(w, x)| *w = x);
        }
        matrix
    }

    /// Computes the result in f64, with all weights.
    fn reference(
        planes: &[f32],
        [height, width]: [usize; 2],
        rows: Option<&[f32]>,
        columns: Option<&[f32]>,
    ) -> Vec<f64> {
        let count =
            |matrix: Option<&[f32]>, length: usize| matrix.map_or(length, |m| m.len() / length);
        let weight = |matrix: Option<&[f32]>, length: usize, to: usize, from: usize| {
            matrix.map_or(f64::from(u8::from(to == from)), |m| f64::from(m[to * length + from]))
        };
        let mut out = Vec::new();
        for plane in planes.chunks_exact(height * width) {
            for y in 0..count(rows, height) {
                for x in 0..count(columns, width) {
                    let mut sum = 0.0;
                    for (at, value) in plane.iter().enumerate() {
                        let (row, column) = (at / width, at % width);
                        sum += weight(rows, height, y, row)
                            * weight(columns, width, x, column)
                            * f64::from(*value);
                    }
                    out.push(sum);
                }
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn any_size_on_every_tier(
            planes in 1_usize..3, (height, width) in (1_usize..12, 1_usize..14), (rows, columns) in (1_usize..16, 1_usize..16),
            most in 1_usize..5, choice in 0_u32..4,
        ) {
            let input = noise(planes * height * width, 9);
            let (by_row, by_column) = (matrix(rows, height, most), matrix(columns, width, most));
            let by_row = (choice & 1 == 0).then_some(&by_row[..]);
            let by_column = (choice & 2 == 0).then_some(&by_column[..]);
            let expected = reference(&input, [height, width], by_row, by_column);
            let row_taps = by_row.map(|m| Taps::of(m, height));
            let column_taps = by_column.map(|m| Taps::of(m, width));
            for tier in tiers() {
                let ours = resample(tier, &input, [height, width], row_taps.as_ref(), column_taps.as_ref()).unwrap();
                prop_assert_eq!(ours.len(), expected.len());
                for (a, b) in ours.iter().zip(&expected) {
                    prop_assert!((f64::from(*a) - b).abs() < 4e-6, "{}: {} {}", tier, a, b);
                }
            }
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let taps = Taps::of(&[1.0, 0.0, 0.0, 1.0], 2);
        let tier = CpuTier::current();
        assert_eq!(resample(tier, &[1.0, 2.0], [1, 2], None, Some(&taps)), Some(vec![1.0, 2.0]));
        assert_eq!(resample(tier, &[1.0, 2.0, 3.0], [1, 3], None, Some(&taps)), None);
        assert_eq!(resample(tier, &[1.0, 2.0, 3.0], [1, 2], None, None), None);
    }
}
