//! Linear layers with few rows: tokens of the mask decoder, heads, pointers.
//!
//! Most of a tile of 64 rows would be idle, and one cube would go through all inputs while the rest
//! of the device waits. So a cube takes 16 rows and 16 columns, and its units share the inputs.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::super::Activation;
use super::buffer::{Given, optional};
use super::linear_args::LinearArgs;
use super::linear_steps::{finished, number_of_sum};
use super::number::{is_f16, within};

/// Rows per cube.
const ROWS: usize = 16;
/// Columns per cube.
const COLUMNS: usize = 16;
/// Number of units that share the inputs of a column.
const SLICES: usize = 16;
/// Units per cube.
const UNITS: usize = COLUMNS * SLICES;
/// Inputs that are in shared memory at a time.
const DEPTH: usize = 128;
/// Largest number of rows for this kernel.
const FEW: usize = 128;

/// Runs a layer as [`super::linear`] for few rows, with buffers that were compared with the sizes.
/// Returns `false` if there are too many rows, or pairs are rotated.
pub(super) fn linear_of_few_rows(client: &Client, args: &LinearArgs<'_>) -> bool {
    let LinearArgs { x, weight, out, rows, groups, inputs, outputs, .. } = *args;
    if rows > FEW || args.rotation.is_some() || !args.term_ends_between(COLUMNS) {
        return false;
    }
    let (add, rows_of_add) = args.add.unwrap_or((out, 1));
    let (term, outputs_of_term) = args.term.unwrap_or((x, 0));
    let count = CubeCount::Static(
        outputs.div_ceil(COLUMNS) as u32,
        rows.div_ceil(ROWS) as u32,
        groups as u32,
    );
    // SAFETY: the kernel compares each index with rows, inputs and outputs, and those were compared
    // with the buffers.
    unsafe {
        product::launch_unchecked(
            client,
            count,
            CubeDim::new_1d(UNITS as u32),
            x.argument(1),
            optional(args.term.map(|(term, _)| term)),
            weight.argument(1),
            optional(args.bias),
            optional(args.scale),
            optional(args.add.map(|(add, _)| add)),
            out.argument(1),
            rows as u32,
            groups as u32,
            inputs as u32,
            outputs as u32,
            outputs_of_term as u32,
            rows_of_add as u32,
            args.activation,
            is_f16(out.element),
            args.given(),
            [x.element, term.element, weight.element, add.element, out.element],
        );
    }
    true
}

type F4 = Vector<f32, Const<4>>;

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn product<X: Float, T: Float, W: Float, A: Float, O: Float>(
    x: &[X],
    term: ComptimeOption<&[T]>,
    weight: &[W],
    bias: ComptimeOption<&[f32]>,
    scale: ComptimeOption<&[f32]>,
    add: ComptimeOption<&[A]>,
    out: &mut [O],
    rows: u32,
    groups: u32,
    inputs: u32,
    outputs: u32,
    outputs_of_term: u32,
    rows_of_add: u32,
    #[comptime] activation: Activation,
    #[comptime] clamped: bool,
    #[comptime] _given: Given<5>,
    #[define(X, T, W, A, O)] _elements: [ElemType; 5],
) {
    let (rows, inputs, outputs) = (rows as usize, inputs as usize, outputs as usize);
    let (groups, group) = (groups as usize, CUBE_POS_Z as usize);
    let first_row = CUBE_POS_Y as usize * ROWS;
    let first_column = CUBE_POS_X as usize * COLUMNS;
    let unit = UNIT_POS as usize;
    let (slice, column) = (unit / COLUMNS, first_column + unit % COLUMNS);
    // Four rows of one input are stored together.
    let fours = comptime!(ROWS / 4);
    let mut tile = Shared::<[F4]>::new_slice(comptime!(DEPTH * ROWS / 4));
    let mut parts = Shared::<[f32]>::new_slice(comptime!(SLICES * ROWS * COLUMNS));
    let mut sums = Array::<F4>::new(fours);
    #[unroll]
    for i in 0..fours {
        sums[i] = F4::new(0.0);
    }
    let weights = group * inputs * outputs;
    let with_term = first_column < outputs_of_term as usize;

    let mut start = 0usize;
    while start < inputs {
        #[unroll]
        for i in 0..comptime!(DEPTH * ROWS / 4 / UNITS) {
            let at = i * UNITS + unit;
            let (four, input) = (at / DEPTH, at % DEPTH);
            let mut value = F4::new(0.0);
            if start + input < inputs {
                #[unroll]
                for lane in 0..4usize {
                    let row = first_row + four * 4 + lane;
                    if row < rows {
                        let place = (row * groups + group) * inputs + start + input;
                        value.insert(lane, number_of_sum(x, &term, place, with_term));
                    }
                }
            }
            tile[input * fours + four] = value;
        }
        sync_cube();
        if column < outputs {
            #[unroll]
            for i in 0..comptime!(DEPTH / SLICES) {
                let input = i * SLICES + slice;
                if start + input < inputs {
                    let place = weights + (start + input) * outputs + column;
                    let factor = F4::new(f32::cast_from(weight[place]));
                    #[unroll]
                    for four in 0..fours {
                        sums[four] += tile[input * fours + four] * factor;
                    }
                }
            }
        }
        sync_cube();
        start += DEPTH;
    }

    #[unroll]
    for row in 0..ROWS {
        let number = sums[comptime!(row / 4)].extract(comptime!(row % 4));
        parts[(slice * ROWS + row) * COLUMNS + unit % COLUMNS] = number;
    }
    sync_cube();
    // There are as many units as values: this unit's slice is now its row.
    let row = first_row + slice;
    if row < rows && column < outputs {
        let mut y = 0.0f32;
        #[unroll]
        for part in 0..SLICES {
            y += parts[(part * ROWS + slice) * COLUMNS + unit % COLUMNS];
        }
        y = finished(y, row, column, outputs, group, &bias, &scale, &add, rows_of_add, activation);
        out[(row * groups + group) * outputs + column] = O::cast_from(within(y, clamped));
    }
}
