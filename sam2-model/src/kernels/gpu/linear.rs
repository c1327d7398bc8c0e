//! Linear layers with the steps around their product.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::super::Activation;
use super::buffer::{Given, optional};
use super::linear_args::LinearArgs;
use super::linear_few::linear_of_few_rows;
use super::linear_mma::linear_mma;
use super::linear_steps::{finished, number_of_sum};
use super::number::{is_f16, within};
use super::rotation::{RotationArgs, RotationOnDevice, turn};

/// Rows and columns of the result that one cube computes.
const TILE: usize = 64;
/// Inputs that are in shared memory at a time.
const DEPTH: usize = 16;
/// Units per cube; each computes 4 x 4 values.
const UNITS: usize = 256;

/// Runs the layer. Returns `false`, without doing anything, if buffers and sizes do not match.
pub fn linear(client: &Client, args: &LinearArgs<'_>) -> bool {
    let LinearArgs { x, weight, out, rows, groups, inputs, outputs, .. } = *args;
    if !args.fit() {
        return false;
    }
    if rows * groups * outputs == 0 {
        return true;
    }
    if linear_mma(client, args) || linear_of_few_rows(client, args) {
        return true;
    }
    if !args.term_ends_between(TILE) {
        return false;
    }
    let (add, rows_of_add) = args.add.unwrap_or((out, 1));
    let (term, outputs_of_term) = args.term.unwrap_or((x, 0));
    let [cos, sin] = RotationArgs::tables(args.rotation);
    let count =
        CubeCount::Static(outputs.div_ceil(TILE) as u32, rows.div_ceil(TILE) as u32, groups as u32);
    // SAFETY: the kernel compares each index with rows, inputs and outputs, and those are compared
    // with the buffers above.
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
            cos,
            sin,
            RotationArgs::on_device(args.rotation),
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
    cos: ComptimeOption<&[f32]>,
    sin: ComptimeOption<&[f32]>,
    rotation: RotationOnDevice,
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
    let first_row = CUBE_POS_Y as usize * TILE;
    let first_column = CUBE_POS_X as usize * TILE;
    let unit = UNIT_POS as usize;
    // Four rows, or four columns, of one input are stored together. Lines are one element longer
    // than needed, to avoid bank conflicts.
    let line = comptime!(TILE / 4 + 1);
    let mut x_tile = Shared::<[F4]>::new_slice(comptime!(DEPTH * (TILE / 4 + 1)));
    let mut w_tile = Shared::<[F4]>::new_slice(comptime!(DEPTH * (TILE / 4 + 1)));
    let (my_row, my_column) = (unit / 16, unit % 16);
    let mut sums = Array::<F4>::new(4usize);
    #[unroll]
    for i in 0..4usize {
        sums[i] = F4::new(0.0);
    }
    // The values that this unit loads: four rows of one input, and four columns of one input.
    let (x_rows, x_input) = (unit / DEPTH, unit % DEPTH);
    let (w_input, w_columns) = (unit / 16, unit % 16);
    let weights = group * inputs * outputs;
    let with_term = first_column < outputs_of_term as usize;

    let mut start = 0usize;
    while start < inputs {
        let mut value = F4::new(0.0);
        if start + x_input < inputs {
            #[unroll]
            for i in 0..4usize {
                let row = first_row + x_rows * 4 + i;
                if row < rows {
                    let place = (row * groups + group) * inputs + start + x_input;
                    value.insert(i, number_of_sum(x, &term, place, with_term));
                }
            }
        }
        x_tile[x_input * line + x_rows] = value;
        let mut value = F4::new(0.0);
        if start + w_input < inputs {
            #[unroll]
            for i in 0..4usize {
                let column = first_column + w_columns * 4 + i;
                if column < outputs {
                    let place = weights + (start + w_input) * outputs + column;
                    value.insert(i, f32::cast_from(weight[place]));
                }
            }
        }
        w_tile[w_input * line + w_columns] = value;
        sync_cube();
        #[unroll]
        for input in 0..DEPTH {
            let of_rows = x_tile[input * line + my_row];
            let of_columns = w_tile[input * line + my_column];
            #[unroll]
            for i in 0..4usize {
                sums[i] += F4::new(of_rows.extract(i)) * of_columns;
            }
        }
        sync_cube();
        start += DEPTH;
    }

    #[unroll]
    for i in 0..4usize {
        let row = first_row + my_row * 4 + i;
        if row < rows {
            let mut four = sums[i];
            #[unroll]
            for j in 0..4usize {
                let column = first_column + my_column * 4 + j;
                if column < outputs {
                    let y = finished(
                        four.extract(j),
                        row,
                        column,
                        outputs,
                        group,
                        &bias,
                        &scale,
                        &add,
                        rows_of_add,
                        activation,
                    );
                    four.insert(j, y);
                }
            }
            #[unroll]
            for pair in 0..2usize {
                let column = first_column + my_column * 4 + pair * 2;
                let (even, odd) = turn(
                    four.extract(comptime!(pair * 2)),
                    four.extract(comptime!(pair * 2 + 1)),
                    row,
                    column,
                    &cos,
                    &sin,
                    &rotation,
                );
                let place = (row * groups + group) * outputs + column;
                if column < outputs {
                    out[place] = O::cast_from(within(even, clamped));
                }
                if column + 1 < outputs {
                    out[place + 1] = O::cast_from(within(odd, clamped));
                }
            }
        }
    }
}
