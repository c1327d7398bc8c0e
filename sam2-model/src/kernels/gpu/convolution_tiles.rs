//! Convolutions as matrix products: the inputs of the taps at each pixel times the filters, with
//! one tile of the result per cube.
//!
//! No intermediate matrix is stored. A cube loads the inputs of its pixels' taps, and the filters,
//! into shared memory a few inputs at a time, from where they lie. A transposed convolution with
//! stride 2 is the same product with four columns per output, one for each of the four pixels that
//! a pixel becomes. If a cube has all outputs of its pixels, it also applies the norm over them.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::super::Activation;
use super::buffer::{Buffer, Given, optional};
use super::convolution_args::ConvolutionArgs;
use super::grid::{cube_in_grid, grid};
use super::number::activate;
use super::strided::{StridesOnDevice, place_in};

/// Units per cube; each computes four values of four pixels.
const UNITS: usize = 256;

type F4 = Vector<f32, Const<4>>;

/// Compile-time parameters of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shape {
    /// Rows and columns that a filter reads; 1 x 1 in a transposed convolution.
    taps: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    transposed: bool,
    /// Number of units along the columns of a tile, a power of two. The cube's other units are
    /// along its pixels.
    across: usize,
    /// True if neighbouring units read neighbouring pixels, because those are adjacent in memory.
    /// Otherwise they read neighbouring products.
    by_place: bool,
    activation: Activation,
}

/// Returns the number of units along the columns of a tile, with four columns each. They cover all
/// columns if a norm needs them in one cube; otherwise 64 or 32 columns, whichever leaves less of
/// the last tile empty.
fn across(columns: usize, normed: bool) -> usize {
    let all = columns.div_ceil(4).next_power_of_two();
    if normed || all < 16 {
        return all;
    }
    if columns.next_multiple_of(32) < columns.next_multiple_of(64) { 8 } else { 16 }
}

/// Returns the number of products that are in shared memory at a time. The tile has
/// `4 * 256 / across` pixels for each product, which must stay within 32 KB.
const fn step(across: usize) -> usize {
    if across < 4 { 4 * across } else { 16 }
}

/// Launches the product. Sizes were compared with the buffers, and there is at least one value to
/// compute.
pub(super) fn multiply_tiles(client: &Client, args: &ConvolutionArgs<'_>, transposed: bool) {
    let [inputs, outputs] = args.channels;
    let taps = if transposed { [1, 1] } else { args.taps };
    let places = args.sizes[usize::from(!transposed)];
    let columns = if transposed { 4 * outputs } else { outputs };
    let across = across(columns, args.norm.is_some());
    let [_, by_channel, _, by_column] = args.x.strides;
    let shape = Shape {
        taps,
        stride: if transposed { [1, 1] } else { args.stride },
        padding: args.padding,
        transposed,
        across,
        by_place: by_column == 1 && by_channel != 1,
        activation: args.activation,
    };
    let count = args.batch * places[0] * places[1];
    let tiles = columns.div_ceil(4 * across);
    let add = args.add.unwrap_or(args.x);
    let elements = [args.x.buffer, args.filters, add.buffer, args.out].map(|b: &Buffer| b.element);
    let [[height, width], _] = args.sizes;
    // SAFETY: the kernel compares its pixels and columns with their numbers, and the inputs of taps
    // with the map's edges. The highest indices of all of these were compared with the buffers.
    unsafe {
        multiply::launch_unchecked(
            client,
            grid(tiles * count.div_ceil(4 * UNITS / across)),
            CubeDim::new_1d(UNITS as u32),
            args.x.buffer.argument(1),
            args.filters.argument(1),
            optional(args.bias),
            optional(args.add.map(|add| add.buffer)),
            optional(args.norm.map(|(weight, _, _)| weight)),
            optional(args.norm.map(|(_, bias, _)| bias)),
            args.out.argument(1),
            args.x.on_device(),
            add.on_device(),
            (inputs * taps[0] * taps[1]) as u32,
            count as u32,
            places[0] as u32,
            places[1] as u32,
            height as u32,
            width as u32,
            outputs as u32,
            tiles as u32,
            args.norm.map_or(0.0, |(_, _, epsilon)| epsilon),
            shape,
            args.given(),
            elements,
        );
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn multiply<X: Float, W: Float, A: Float, O: Float>(
    x: &[X],
    filters: &[W],
    bias: ComptimeOption<&[f32]>,
    add: ComptimeOption<&[A]>,
    norm_weight: ComptimeOption<&[f32]>,
    norm_bias: ComptimeOption<&[f32]>,
    out: &mut [O],
    x_strides: StridesOnDevice,
    add_strides: StridesOnDevice,
    depth: u32,
    count: u32,
    rows: u32,
    columns: u32,
    height: u32,
    width: u32,
    outputs: u32,
    tiles: u32,
    epsilon: f32,
    #[comptime] shape: Shape,
    #[comptime] _given: Given<3>,
    #[define(X, W, A, O)] _elements: [ElemType; 4],
) {
    let across = comptime!(shape.across);
    let down = comptime!(UNITS / shape.across);
    let step = comptime!(step(shape.across));
    // Number of products in a sum: inputs times taps.
    let depth = depth as usize;
    let (count, outputs) = (count as usize, outputs as usize);
    let (rows, columns) = (rows as usize, columns as usize);
    let cube = cube_in_grid();
    let first_place = cube / tiles as usize * comptime!(4 * UNITS / shape.across);
    let first_column = cube % tiles as usize * comptime!(4 * shape.across);
    let unit = UNIT_POS as usize;
    let (my_row, my_column) = (unit / across, unit % across);
    // Four pixels, or four columns, of one product are stored together. Lines are one element
    // longer than needed, to avoid bank conflicts.
    let x_line = comptime!(down + 1);
    let w_line = comptime!(across + 1);
    let mut x_tile = Shared::<[F4]>::new_slice(comptime!(step * (down + 1)));
    let mut w_tile = Shared::<[F4]>::new_slice(comptime!(step * (across + 1)));
    let mut totals = Shared::<[F4]>::new_slice(UNITS);
    // Four columns of each of four pixels.
    let mut values = Array::<f32>::new(16usize);
    #[unroll]
    for i in 0..16usize {
        values[i] = 0.0f32;
    }
    // The last line of a grid may be longer than there are tiles. Barriers require every unit of a
    // cube, so the whole cube continues or stops.
    if first_place < count {
        let mut start = 0usize;
        while start < depth {
            for i in 0..comptime!((step * down).div_ceil(UNITS)) {
                let entry = i * UNITS + unit;
                if entry < comptime!(step * down) {
                    let mut product = entry % step;
                    let mut four = entry / step;
                    if comptime!(shape.by_place) {
                        product = entry / down;
                        four = entry % down;
                    }
                    x_tile[product * x_line + four] = seen(
                        x,
                        &x_strides,
                        first_place + 4 * four,
                        start + product,
                        depth,
                        count,
                        rows,
                        columns,
                        height as usize,
                        width as usize,
                        shape,
                    );
                }
            }
            for i in 0..comptime!((step * across).div_ceil(UNITS)) {
                let entry = i * UNITS + unit;
                if entry < comptime!(step * across) {
                    // Filters are stored by product, or by column in a transposed convolution.
                    let mut product = entry % step;
                    let mut four = entry / step;
                    if comptime!(shape.transposed) {
                        product = entry / across;
                        four = entry % across;
                    }
                    let mut value = F4::new(0.0);
                    #[unroll]
                    for j in 0..4usize {
                        let mut output = first_column + four + j * across;
                        let mut place = output * depth + start + product;
                        if comptime!(shape.transposed) {
                            output = first_column / 4 + four;
                            place = ((start + product) * outputs + output) * 4 + j;
                        }
                        if start + product < depth && output < outputs {
                            value.insert(j, f32::cast_from(filters[place]));
                        }
                    }
                    w_tile[product * w_line + four] = value;
                }
            }
            sync_cube();
            #[unroll]
            for product in 0..step {
                let of_places = x_tile[product * x_line + my_row];
                let of_columns = w_tile[product * w_line + my_column];
                #[unroll]
                for i in 0..4usize {
                    #[unroll]
                    for j in 0..4usize {
                        values[i * 4 + j] += of_places.extract(i) * of_columns.extract(j);
                    }
                }
            }
            sync_cube();
            start += step;
        }

        let mine = first_place + 4 * my_row;
        let mut column = mine % columns;
        let mut row = mine / columns % rows;
        let mut map = mine / columns / rows;
        #[unroll]
        for i in 0..4usize {
            if mine + i < count {
                #[unroll]
                for j in 0..4usize {
                    let output = output_of(first_column, my_column, j, shape);
                    if output < outputs {
                        #[comptime]
                        if let ComptimeOption::Some(bias) = &bias {
                            values[i * 4 + j] += bias[output];
                        }
                        #[comptime]
                        if let ComptimeOption::Some(add) = &add {
                            let (y, z) = to_place(row, column, j, shape);
                            let place = place_in(&add_strides, map, output, y, z);
                            values[i * 4 + j] += f32::cast_from(add[place]);
                        }
                    }
                }
            }
            let (next_map, next_row, next_column) = place_after(map, row, column, rows, columns);
            map = next_map;
            row = next_row;
            column = next_column;
        }

        #[comptime]
        if let ComptimeOption::Some(weight) = &norm_weight {
            #[comptime]
            if let ComptimeOption::Some(shift) = &norm_bias {
                // The four columns of a unit belong to one pixel, or each to another.
                let alone = comptime!(if shape.transposed { 4usize } else { 1usize });
                let together = comptime!(if shape.transposed { 1usize } else { 4usize });
                #[unroll]
                for group in 0..alone {
                    let mut sums = F4::new(0.0);
                    #[unroll]
                    for i in 0..4usize {
                        let mut sum = 0.0f32;
                        #[unroll]
                        for k in 0..together {
                            let j = comptime!(group * together + k);
                            if output_of(first_column, my_column, j, shape) < outputs {
                                sum += values[i * 4 + j];
                            }
                        }
                        sums.insert(i, sum);
                    }
                    let means = total(&mut totals, sums, across) / F4::new(f32::cast_from(outputs));
                    let mut squares = F4::new(0.0);
                    #[unroll]
                    for i in 0..4usize {
                        let mut sum = 0.0f32;
                        #[unroll]
                        for k in 0..together {
                            let j = comptime!(group * together + k);
                            let centred = values[i * 4 + j] - means.extract(i);
                            values[i * 4 + j] = centred;
                            if output_of(first_column, my_column, j, shape) < outputs {
                                sum += centred * centred;
                            }
                        }
                        squares.insert(i, sum);
                    }
                    let variances =
                        total(&mut totals, squares, across) / F4::new(f32::cast_from(outputs));
                    #[unroll]
                    for i in 0..4usize {
                        let scale = 1.0f32 / (variances.extract(i) + epsilon).sqrt();
                        #[unroll]
                        for k in 0..together {
                            let j = comptime!(group * together + k);
                            let output = output_of(first_column, my_column, j, shape);
                            if output < outputs {
                                values[i * 4 + j] =
                                    values[i * 4 + j] * scale * weight[output] + shift[output];
                            }
                        }
                    }
                }
            }
        }

        column = mine % columns;
        row = mine / columns % rows;
        map = mine / columns / rows;
        #[unroll]
        for i in 0..4usize {
            if mine + i < count {
                #[unroll]
                for j in 0..4usize {
                    let output = output_of(first_column, my_column, j, shape);
                    if output < outputs {
                        let mut place = mine + i;
                        if comptime!(shape.transposed) {
                            let (y, z) = to_place(row, column, j, shape);
                            place = (map * 2 * rows + y) * 2 * columns + z;
                        }
                        let value = activate(values[i * 4 + j], shape.activation);
                        out[place * outputs + output] = O::cast_from(value);
                    }
                }
            }
            let (next_map, next_row, next_column) = place_after(map, row, column, rows, columns);
            map = next_map;
            row = next_row;
            column = next_column;
        }
    }
}

/// Returns the map, row and column of the pixel that follows another, in maps with these numbers of
/// rows and columns.
#[cube]
fn place_after(
    map: usize,
    row: usize,
    column: usize,
    rows: usize,
    columns: usize,
) -> (usize, usize, usize) {
    let ends_row = column + 1 == columns;
    let ends_map = ends_row && row + 1 == rows;
    (
        select(ends_map, map + 1, map),
        select(ends_map, 0usize, select(ends_row, row + 1, row)),
        select(ends_row, 0usize, column + 1),
    )
}

/// Returns the input of one tap, product number `product`, for four consecutive pixels, with zeros
/// beyond the edges.
#[cube]
#[allow(clippy::too_many_arguments)]
fn seen<X: Float>(
    x: &[X],
    strides: &StridesOnDevice,
    first: usize,
    product: usize,
    depth: usize,
    count: usize,
    rows: usize,
    columns: usize,
    height: usize,
    width: usize,
    #[comptime] shape: Shape,
) -> F4 {
    let taps = comptime!(shape.taps[0] * shape.taps[1]);
    let top = comptime!(shape.padding[0]);
    let left = comptime!(shape.padding[1]);
    let input = product / taps;
    let tap = product % taps;
    let mut column = first % columns;
    let mut row = first / columns % rows;
    let mut map = first / columns / rows;
    let mut value = F4::new(0.0);
    if product < depth {
        #[unroll]
        for i in 0..4usize {
            // The padding above and to the left is included, so that no index is negative.
            let y = row * comptime!(shape.stride[0]) + tap / comptime!(shape.taps[1]);
            let z = column * comptime!(shape.stride[1]) + tap % comptime!(shape.taps[1]);
            let inside = y >= top && y < height + top && z >= left && z < width + left;
            if first + i < count && inside {
                let place = place_in(strides, map, input, y - top, z - left);
                value.insert(i, f32::cast_from(x[place]));
            }
            let (next_map, next_row, next_column) = place_after(map, row, column, rows, columns);
            map = next_map;
            row = next_row;
            column = next_column;
        }
    }
    value
}

/// Returns the output of a unit's column `j`. Neighbouring units have neighbouring outputs, which
/// are adjacent in the result. In a transposed convolution, all four columns belong to one output.
#[cube]
fn output_of(first_column: usize, my_column: usize, j: usize, #[comptime] shape: Shape) -> usize {
    if comptime!(shape.transposed) {
        first_column / 4 + my_column
    } else {
        first_column + my_column + j * comptime!(shape.across)
    }
}

/// Returns the pixel of the result: row and column `j` of the 2 x 2 pixels in a transposed
/// convolution, otherwise the pixel itself.
#[cube]
fn to_place(row: usize, column: usize, j: usize, #[comptime] shape: Shape) -> (usize, usize) {
    if comptime!(shape.transposed) { (2 * row + j / 2, 2 * column + j % 2) } else { (row, column) }
}

/// Returns to all units the sum over the units that have the same pixels.
#[cube]
fn total(totals: &mut Shared<[F4]>, value: F4, #[comptime] across: usize) -> F4 {
    let unit = UNIT_POS as usize;
    totals[unit] = value;
    sync_cube();
    #[unroll]
    for step in 0..comptime!(across.ilog2() as usize) {
        let half = comptime!(across >> (step + 1));
        if unit % across < half {
            totals[unit] = totals[unit] + totals[unit + half];
        }
        sync_cube();
    }
    let sum = totals[unit / across * across];
    // Waits before the next value is written there.
    sync_cube();
    sum
}
