//! Resizing of planes by a few weighted neighbours, both axes at once.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::super::{Curve, Finish};
use super::buffer::{Buffer, Given, optional};
use super::grid::{UNITS, grid, unit_in_grid};

/// The inputs of each output position along one axis: `[outputs, 1 + taps]` in f32. The first value
/// is the index of the first neighbour, the others are weights.
#[derive(Clone, Copy, Debug)]
pub struct TapTable<'a> {
    /// The table's values.
    pub table: &'a Buffer,
    /// Number of weights per output position.
    pub taps: usize,
}

/// Resizes planes `[planes, height, width]` to `[planes, rows, columns]`, and applies `finish` to
/// each result. An axis without a table keeps its length. Tables must not contain neighbours beyond
/// the edge. Returns `false`, without doing anything, if buffers and sizes do not match.
pub fn resample(
    client: &Client,
    x: &Buffer,
    planes: usize,
    [[height, width], [rows, columns]]: [[usize; 2]; 2],
    [of_rows, of_columns]: [Option<TapTable<'_>>; 2],
    finish: Option<Finish>,
    out: &Buffer,
) -> bool {
    let numbers = planes * rows * columns;
    let table_fits = |table: &Option<TapTable<'_>>, outputs: usize, inputs: usize| match table {
        Some(table) => table.taps <= inputs && table.table.holds(outputs * (1 + table.taps)),
        None => outputs == inputs,
    };
    let fits = x.holds(planes * height * width)
        && out.holds(numbers)
        && table_fits(&of_rows, rows, height)
        && table_fits(&of_columns, columns, width);
    if !fits {
        return false;
    }
    if numbers == 0 {
        return true;
    }
    let taps = |table: &Option<TapTable<'_>>| table.map_or(1, |table| table.taps);
    let (scale, shift) = finish.map_or((1.0, 0.0), |finish| (finish.scale, finish.shift));
    // SAFETY: a unit compares its index with the number of values; neighbours are kept below the
    // edge.
    unsafe {
        resize::launch_unchecked(
            client,
            grid(numbers.div_ceil(UNITS)),
            CubeDim::new_1d(UNITS as u32),
            x.argument(1),
            optional(of_rows.map(|table| table.table)),
            optional(of_columns.map(|table| table.table)),
            out.argument(1),
            numbers as u32,
            height as u32,
            width as u32,
            rows as u32,
            columns as u32,
            scale,
            shift,
            taps(&of_rows),
            taps(&of_columns),
            finish.map(|finish| finish.curve),
            [of_rows.is_some(), of_columns.is_some()],
            [x.element, out.element],
        );
    }
    true
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn resize<I: Float, O: Float>(
    x: &[I],
    of_rows: ComptimeOption<&[f32]>,
    of_columns: ComptimeOption<&[f32]>,
    out: &mut [O],
    numbers: u32,
    height: u32,
    width: u32,
    rows: u32,
    columns: u32,
    scale: f32,
    shift: f32,
    #[comptime] row_taps: usize,
    #[comptime] column_taps: usize,
    #[comptime] curve: Option<Curve>,
    #[comptime] _given: Given<2>,
    #[define(I, O)] _elements: [ElemType; 2],
) {
    let at = unit_in_grid();
    if at < numbers as usize {
        let (height, width) = (height as usize, width as usize);
        let column = at % columns as usize;
        let row = at / columns as usize % rows as usize;
        let plane = at / columns as usize / rows as usize;
        let mut first_row = row;
        #[comptime]
        if let ComptimeOption::Some(table) = &of_rows {
            first_row = usize::cast_from(table[row * comptime!(1 + row_taps)]);
        }
        let mut first_column = column;
        #[comptime]
        if let ComptimeOption::Some(table) = &of_columns {
            first_column = usize::cast_from(table[column * comptime!(1 + column_taps)]);
        }
        let mut sum = 0.0f32;
        for y in 0..row_taps {
            let mut of_row = 0.0f32;
            let from = min(first_row + y, height - 1);
            for z in 0..column_taps {
                let place = (plane * height + from) * width + min(first_column + z, width - 1);
                let mut value = f32::cast_from(x[place]);
                #[comptime]
                if let ComptimeOption::Some(table) = &of_columns {
                    value *= table[column * comptime!(1 + column_taps) + 1 + z];
                }
                of_row += value;
            }
            #[comptime]
            if let ComptimeOption::Some(table) = &of_rows {
                of_row *= table[row * comptime!(1 + row_taps) + 1 + y];
            }
            sum += of_row;
        }
        let value = match comptime!(curve) {
            None => sum,
            Some(Curve::Sigmoid) => sigmoid(sum) * scale + shift,
            Some(Curve::Step) => step(sum) * scale + shift,
        };
        out[at] = O::cast_from(value);
    }
}

/// Computes `1 / (1 + e^-x)` without a power of e that is too large for f32.
#[cube]
fn sigmoid(x: f32) -> f32 {
    let fall = (-x.abs()).exp();
    let of_positive = 1.0f32 / (1.0f32 + fall);
    select(x < 0.0f32, fall * of_positive, of_positive)
}

/// Returns 1 above 0, else 0.
#[cube]
fn step(x: f32) -> f32 {
    select(x > 0.0f32, 1.0f32, 0.0f32)
}
