//! Layer norm over the last axis.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::super::Activation;
use super::buffer::{Buffer, common_width};
use super::grid::{cube_in_grid, grid};
use super::number::activate;

/// Returns the units of a cube, which handles one row at a time: twice as many if otherwise each
/// would keep the values of more than four accesses in its registers.
fn units(vectors: usize) -> usize {
    if vectors > 4 * 64 { 128 } else { 64 }
}

/// A layer norm: normalises each row of `channels` values, then scales and shifts, then applies a
/// non-linearity.
#[derive(Debug)]
pub struct NormArgs<'a> {
    /// `[rows, channels]`.
    pub x: &'a Buffer,
    /// `[channels]`, f32.
    pub weight: &'a Buffer,
    /// `[channels]`, f32.
    pub bias: &'a Buffer,
    /// The non-linearity, applied last.
    pub activation: Activation,
    /// `[rows, channels]`, in any format.
    pub out: &'a Buffer,
    /// Number of rows.
    pub rows: usize,
    /// Number of values in a row.
    pub channels: usize,
    /// Added to the variance.
    pub epsilon: f32,
}

/// Normalises. Returns `false`, without doing anything, if buffers and sizes do not match.
pub fn layer_norm(client: &Client, args: &NormArgs<'_>) -> bool {
    let NormArgs { x, weight, bias, activation, out, rows, channels, epsilon } = *args;
    let numbers = rows * channels;
    if !(x.holds(numbers) && out.holds(numbers) && weight.holds(channels) && bias.holds(channels)) {
        return false;
    }
    if numbers == 0 {
        return true;
    }
    let width = common_width(&[channels]);
    let units = units(channels / width);
    // SAFETY: a cube touches only its own row, and rows are compared with the buffers above.
    unsafe {
        normalise::launch_unchecked(
            client,
            grid(rows),
            CubeDim::new_1d(units as u32),
            width,
            x.argument(width),
            weight.argument(width),
            bias.argument(width),
            out.argument(width),
            rows as u32,
            epsilon,
            channels / width,
            units,
            activation,
            [x.element, out.element],
        );
    }
    true
}

#[cube(launch_unchecked)]
fn normalise<I: Float, O: Float, N: Size>(
    x: &[Vector<I, N>],
    weight: &[Vector<f32, N>],
    bias: &[Vector<f32, N>],
    out: &mut [Vector<O, N>],
    rows: u32,
    epsilon: f32,
    #[comptime] vectors: usize,
    #[comptime] units: usize,
    #[comptime] activation: Activation,
    #[define(I, O)] _elements: [ElemType; 2],
) {
    let row = cube_in_grid();
    let unit = UNIT_POS as usize;
    let each = comptime!(vectors.div_ceil(units));
    let width = x.vector_size();
    let channels = comptime!(vectors * width);
    let mut sums = Shared::<[f32]>::new_slice(units);
    let mut row_of = Array::<Vector<f32, N>>::new(each);
    let base = row * vectors;
    // The last line of a grid may be longer than there are rows. Barriers require every unit of a
    // cube, so the whole cube continues or stops.
    if row < rows as usize {
        let mut sum = 0.0f32;
        #[unroll]
        for i in 0..each {
            let at = i * units + unit;
            let mut value = Vector::new(0.0f32);
            if at < vectors {
                value = Vector::cast_from(x[base + at]);
                #[unroll]
                for lane in 0..width {
                    sum += value.extract(lane);
                }
            }
            row_of[i] = value;
        }
        let mean = sum_of_cube(&mut sums, sum, units) / comptime!(channels as f32);
        let mut squares = 0.0f32;
        #[unroll]
        for i in 0..each {
            let at = i * units + unit;
            let centred = row_of[i] - Vector::new(mean);
            row_of[i] = centred;
            if at < vectors {
                let square = centred * centred;
                #[unroll]
                for lane in 0..width {
                    squares += square.extract(lane);
                }
            }
        }
        let variance = sum_of_cube(&mut sums, squares, units) / comptime!(channels as f32);
        let scale = 1.0f32 / (variance + epsilon).sqrt();
        #[unroll]
        for i in 0..each {
            let at = i * units + unit;
            if at < vectors {
                let mut value = row_of[i] * Vector::new(scale) * weight[at] + bias[at];
                #[unroll]
                for lane in 0..width {
                    value.insert(lane, activate(value.extract(lane), activation));
                }
                out[base + at] = Vector::cast_from(value);
            }
        }
    }
}

/// Returns to all units the sum of one value of each unit.
#[cube]
fn sum_of_cube(sums: &mut Shared<[f32]>, value: f32, #[comptime] units: usize) -> f32 {
    let unit = UNIT_POS as usize;
    sums[unit] = value;
    sync_cube();
    #[unroll]
    for step in 0..comptime!(units.ilog2() as usize) {
        let half = comptime!(units >> (step + 1));
        if unit < half {
            sums[unit] += sums[unit + half];
        }
        sync_cube();
    }
    let sum = sums[0];
    // Waits before the next value is written there.
    sync_cube();
    sum
}
