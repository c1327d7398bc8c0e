//! Linear layers on matrix units: 16-bit factors, sums in f32.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::super::Activation;
use super::buffer::{Given, optional, optional_of};
use super::linear_args::LinearArgs;
use super::linear_steps::finished;
use super::matrix_units::{
    EIGHT, Eight, Half, Sums, Units, load_four, matrix_units, multiply, pack,
};
use super::rotation::{RotationArgs, RotationOnDevice, turn};

/// Inputs that are in shared memory at a time.
const DEPTH: usize = 32;
type F4 = Vector<f32, Const<4>>;
type F2 = Vector<f32, Const<2>>;

/// The division of a cube's part of the result among its planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tile {
    /// Number of planes along rows and along columns.
    planes: [usize; 2],
    /// Number of 16-row and of 8-column tiles per plane; the latter is even.
    tiles: [usize; 2],
}

impl Tile {
    /// For many rows and columns.
    const LARGE: Self = Self { planes: [2, 4], tiles: [4, 4] };
    /// For results where large tiles would leave most of a GPU idle.
    const SMALL: Self = Self { planes: [2, 2], tiles: [2, 4] };

    const fn rows(self) -> usize {
        self.planes[0] * self.tiles[0] * 16
    }

    const fn columns(self) -> usize {
        self.planes[1] * self.tiles[1] * 8
    }

    const fn units(self) -> usize {
        self.planes[0] * self.planes[1] * 32
    }

    fn cubes(self, rows: usize, columns: usize) -> [usize; 2] {
        [columns.div_ceil(self.columns()), rows.div_ceil(self.rows())]
    }
}

/// Compile-time parameters of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shape {
    tile: Tile,
    format: Half,
    /// True if `x` has 16 bits; its format is then `format`.
    half_in: bool,
    /// The format of the result, if it is a 16-bit format.
    half_out: Option<Half>,
    activation: Activation,
    units: Units,
}

/// Number of cubes that keeps a large GPU busy.
const BUSY: usize = 264;

/// Runs a layer as [`super::linear`] on matrix units, with buffers that were compared with the
/// sizes. Returns `false` if the device has no units for these formats, or rows are not whole 16
/// bytes.
pub(super) fn linear_mma(client: &Client, args: &LinearArgs<'_>) -> bool {
    let LinearArgs { x, weight, out, rows, inputs, outputs, .. } = *args;
    let Some(format) = Half::of(weight.element) else { return false };
    let Some(units) = matrix_units(client, format) else { return false };
    let half_in = match Half::of(x.element) {
        Some(other) if other == format => true,
        Some(_) => return false,
        None => false,
    };
    // With several groups or a term, everything is in f32.
    let plain = args.groups == 1 && args.term.is_none();
    if !plain || !inputs.is_multiple_of(EIGHT) || !outputs.is_multiple_of(EIGHT) {
        return false;
    }
    let [across, down] = Tile::LARGE.cubes(rows, outputs);
    let tile = if across * down < BUSY { Tile::SMALL } else { Tile::LARGE };
    let [across, down] = tile.cubes(rows, outputs);
    let half_out = Half::of(out.element);
    let shape = Shape { tile, format, half_in, half_out, activation: args.activation, units };
    let (add, rows_of_add) = args.add.unwrap_or((out, 1));
    let [cos, sin] = RotationArgs::tables(args.rotation);
    let when = |is: bool, buffer, width: usize| is.then_some((buffer, width));
    // SAFETY: the kernel compares each index with rows, inputs and outputs, and those were compared
    // with the buffers.
    unsafe {
        product::launch_unchecked(
            client,
            CubeCount::Static(across as u32, down as u32, 1),
            CubeDim::new_1d(tile.units() as u32),
            optional_of(when(half_in, x, EIGHT)),
            optional_of(when(!half_in, x, 4)),
            weight.argument(EIGHT),
            optional(args.bias),
            optional(args.scale),
            optional(args.add.map(|(add, _)| add)),
            cos,
            sin,
            RotationArgs::on_device(args.rotation),
            optional_of(when(half_out.is_some(), out, 2)),
            optional_of(when(half_out.is_none(), out, 2)),
            rows as u32,
            inputs as u32,
            outputs as u32,
            rows_of_add as u32,
            shape,
            args.given(),
            add.element,
        );
    }
    true
}

/// Multiplies `x` `[rows, inputs]` by `weight` `[inputs, outputs]`. Both are loaded into shared
/// memory in steps of 32 inputs; the next step is loaded while the current one is multiplied.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn product<A: Float>(
    x_half: ComptimeOption<&[Eight]>,
    x_full: ComptimeOption<&[F4]>,
    weight: &[Eight],
    bias: ComptimeOption<&[f32]>,
    scale: ComptimeOption<&[f32]>,
    add: ComptimeOption<&[A]>,
    cos: ComptimeOption<&[f32]>,
    sin: ComptimeOption<&[f32]>,
    rotation: RotationOnDevice,
    mut out_half: ComptimeOption<&mut [u32]>,
    mut out_full: ComptimeOption<&mut [F2]>,
    rows: u32,
    inputs: u32,
    outputs: u32,
    rows_of_add: u32,
    #[comptime] shape: Shape,
    #[comptime] _given: Given<5>,
    #[define(A)] _element: ElemType,
) {
    let units = comptime!(shape.tile.units());
    let (tall, wide) = comptime!((shape.tile.rows(), shape.tile.columns()));
    let [row_tiles, column_tiles] = comptime!(shape.tile.tiles);
    // Number of eights in a line of shared memory plus one, so that eight rows of an `ldmatrix` are
    // in different banks.
    let x_line = comptime!(DEPTH / EIGHT + 1);
    let w_line = comptime!(shape.tile.columns() / EIGHT + 1);
    let x_tile = comptime!(shape.tile.rows() * (DEPTH / EIGHT + 1));
    let w_tile = comptime!(DEPTH * (shape.tile.columns() / EIGHT + 1));
    let mut xs = Shared::<[Eight]>::new_aligned_slice(comptime!(2 * x_tile), 16usize);
    let mut ws = Shared::<[Eight]>::new_aligned_slice(comptime!(2 * w_tile), 16usize);

    let (rows, inputs, outputs) = (rows as usize, inputs as usize, outputs as usize);
    let (input_eights, output_eights) = (inputs / EIGHT, outputs / EIGHT);
    let first_row = CUBE_POS_Y as usize * tall;
    let first_column = CUBE_POS_X as usize * wide;
    let unit = UNIT_POS as usize;
    let lane = unit % 32;
    let plane = unit / 32;
    let plane_row = plane / comptime!(shape.tile.planes[1]);
    let plane_column = plane % comptime!(shape.tile.planes[1]);

    let mut sums = Array::<Sums>::new(comptime!(row_tiles * column_tiles));
    #[unroll]
    for i in 0..comptime!(row_tiles * column_tiles) {
        sums[i] = Sums::new(0.0);
    }
    let x_each = comptime!(tall * DEPTH / EIGHT / units);
    let w_each = comptime!(wide * DEPTH / EIGHT / units);
    let mut x_next = Array::<Eight>::new(x_each);
    let mut w_next = Array::<Eight>::new(w_each);

    let steps = inputs.div_ceil(DEPTH);
    let mut step = 0usize;
    // One iteration more than there are steps: the first only loads what the second multiplies.
    while step <= steps {
        if step < steps {
            #[unroll]
            for i in 0..x_each {
                let at = i * units + unit;
                let row = min(first_row + at / comptime!(DEPTH / EIGHT), rows - 1);
                let eight = step * comptime!(DEPTH / EIGHT) + at % comptime!(DEPTH / EIGHT);
                let mut value = Eight::new(0u32);
                if eight < input_eights {
                    let place = row * input_eights + eight;
                    #[comptime]
                    if let ComptimeOption::Some(x) = &x_half {
                        value = x[place];
                    }
                    #[comptime]
                    if let ComptimeOption::Some(x) = &x_full {
                        let (a, b) = (x[2 * place], x[2 * place + 1]);
                        let (format, on) = comptime!((shape.format, shape.units));
                        value
                            .insert(0usize, pack(a.extract(0usize), a.extract(1usize), format, on));
                        value
                            .insert(1usize, pack(a.extract(2usize), a.extract(3usize), format, on));
                        value
                            .insert(2usize, pack(b.extract(0usize), b.extract(1usize), format, on));
                        value
                            .insert(3usize, pack(b.extract(2usize), b.extract(3usize), format, on));
                    }
                }
                x_next[i] = value;
            }
            #[unroll]
            for i in 0..w_each {
                let at = i * units + unit;
                let input = step * DEPTH + at / comptime!(wide / EIGHT);
                let eight = first_column / EIGHT + at % comptime!(wide / EIGHT);
                let mut value = Eight::new(0u32);
                if input < inputs && eight < output_eights {
                    value = weight[input * output_eights + eight];
                }
                w_next[i] = value;
            }
        }
        if step > 0 {
            let x_base = (step - 1) % 2 * x_tile;
            let w_base = (step - 1) % 2 * w_tile;
            #[unroll]
            for k in 0..comptime!(DEPTH / 16) {
                let mut of_rows = Array::<Eight>::new(row_tiles);
                #[unroll]
                for i in 0..row_tiles {
                    let row = (plane_row * row_tiles + i) * 16 + lane % 16;
                    let at = x_base + row * x_line + k * 2 + lane / 16;
                    of_rows[i] = load_four(&xs[at..at + 1], false);
                }
                #[unroll]
                for j in 0..comptime!(column_tiles / 2) {
                    let input = k * 16 + lane / 8 % 2 * 8 + lane % 8;
                    let column = (plane_column * column_tiles + j * 2) + lane / 16;
                    let at = w_base + input * w_line + column;
                    let of_columns = load_four(&ws[at..at + 1], true);
                    #[unroll]
                    for i in 0..row_tiles {
                        let at = comptime!(i * column_tiles + j * 2);
                        let (format, units) = comptime!((shape.format, shape.units));
                        sums[at] =
                            multiply(of_rows[i], of_columns, 0usize, sums[at], format, units);
                        let at = comptime!(i * column_tiles + j * 2 + 1);
                        sums[at] =
                            multiply(of_rows[i], of_columns, 2usize, sums[at], format, units);
                    }
                }
            }
        }
        if step < steps {
            #[unroll]
            for i in 0..x_each {
                let at = i * units + unit;
                let line = at / comptime!(DEPTH / EIGHT) * x_line;
                xs[step % 2 * x_tile + line + at % comptime!(DEPTH / EIGHT)] = x_next[i];
            }
            #[unroll]
            for i in 0..w_each {
                let at = i * units + unit;
                let line = at / comptime!(wide / EIGHT) * w_line;
                ws[step % 2 * w_tile + line + at % comptime!(wide / EIGHT)] = w_next[i];
            }
        }
        // After this barrier, every unit has read the values that the next iteration overwrites.
        sync_cube();
        step += 1;
    }

    #[unroll]
    for i in 0..row_tiles {
        #[unroll]
        for half in 0..2usize {
            let row = first_row + (plane_row * row_tiles + i) * 16 + half * 8 + lane / 4;
            #[unroll]
            for j in 0..column_tiles {
                let column = first_column + (plane_column * column_tiles + j) * 8 + lane % 4 * 2;
                if row < rows && column < outputs {
                    let both = sums[comptime!(i * column_tiles + j)];
                    let mut two = F2::empty();
                    #[unroll]
                    for e in 0..2usize {
                        let y = finished(
                            both.extract(comptime!(half * 2 + e)),
                            row,
                            column + e,
                            outputs,
                            0usize,
                            &bias,
                            &scale,
                            &add,
                            rows_of_add,
                            comptime!(shape.activation),
                        );
                        two.insert(e, y);
                    }
                    let (even, odd) = turn(
                        two.extract(0usize),
                        two.extract(1usize),
                        row,
                        column,
                        &cos,
                        &sin,
                        &rotation,
                    );
                    let at = (row * outputs + column) / 2;
                    #[comptime]
                    if let ComptimeOption::Some(out) = &mut out_half {
                        let format = comptime!(shape.half_out.unwrap_or(shape.format));
                        let on = comptime!(shape.units);
                        out[at] = pack(even, odd, format, on);
                    }
                    #[comptime]
                    if let ComptimeOption::Some(out) = &mut out_full {
                        let mut both = F2::empty();
                        both.insert(0usize, even);
                        both.insert(1usize, odd);
                        out[at] = both;
                    }
                }
            }
        }
    }
}
