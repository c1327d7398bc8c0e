//! Linear layers with what surrounds their product.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::super::Activation;
use super::buffer::{Buffer, optional};
use super::linear_mma::linear_mma;

/// Rows and columns of the result that one cube makes.
const TILE: usize = 64;
/// Inputs that are in shared memory at a time.
const DEPTH: usize = 16;
/// Units of a cube; each makes 4 x 4 numbers.
const UNITS: usize = 256;

/// `activation(x · weight + bias) * scale + add`; what is absent is left out.
#[derive(Debug)]
pub struct LinearArgs<'a> {
    /// `[rows, inputs]`, any format.
    pub x: &'a Buffer,
    /// `[inputs, outputs]`, any format.
    pub weight: &'a Buffer,
    /// `[outputs]`, f32.
    pub bias: Option<&'a Buffer>,
    /// What follows the bias.
    pub activation: Activation,
    /// `[outputs]`, f32.
    pub scale: Option<&'a Buffer>,
    /// Rows of `outputs` numbers and how many there are: they are used over and over, as a batch of 1 is for all.
    pub add: Option<(&'a Buffer, usize)>,
    /// `[rows, outputs]`, any format; what f16 does not reach becomes its largest number.
    pub out: &'a Buffer,
    /// How many rows.
    pub rows: usize,
    /// Numbers in a row of `x`.
    pub inputs: usize,
    /// Numbers in a row of `out`.
    pub outputs: usize,
}

/// Multiplies; `false` if buffers and sizes do not belong together, and nothing was done.
pub fn linear(client: &Client, args: &LinearArgs<'_>) -> bool {
    let LinearArgs { x, weight, out, rows, inputs, outputs, .. } = *args;
    let of_columns = |buffer: Option<&Buffer>| buffer.is_none_or(|buffer| buffer.holds(outputs));
    let add_fits =
        args.add.is_none_or(|(add, rows_of)| rows_of > 0 && add.holds(rows_of * outputs));
    let fits = x.holds(rows * inputs)
        && weight.holds(inputs * outputs)
        && out.holds(rows * outputs)
        && of_columns(args.bias)
        && of_columns(args.scale)
        && add_fits;
    if !fits {
        return false;
    }
    if rows * outputs == 0 {
        return true;
    }
    if linear_mma(client, args) {
        return true;
    }
    let (add, rows_of_add) = args.add.unwrap_or((out, 1));
    // SAFETY: the kernel compares each place with rows, inputs and outputs, and those are compared with the buffers above.
    unsafe {
        product::launch_unchecked(
            client,
            CubeCount::Static(outputs.div_ceil(TILE) as u32, rows.div_ceil(TILE) as u32, 1),
            CubeDim::new_1d(UNITS as u32),
            x.argument(1),
            weight.argument(1),
            optional(args.bias),
            optional(args.scale),
            optional(args.add.map(|(add, _)| add)),
            out.argument(1),
            rows as u32,
            inputs as u32,
            outputs as u32,
            rows_of_add as u32,
            args.activation,
            is_f16(out.element),
            [x.element, weight.element, add.element, out.element],
        );
    }
    true
}

/// Whether numbers must be kept below f16's end.
pub(super) fn is_f16(element: ElemType) -> bool {
    element == ElemType::Float(cubecl::ir::FloatKind::F16)
}

type F4 = Vector<f32, Const<4>>;

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn product<X: Float, W: Float, A: Float, O: Float>(
    x: &[X],
    weight: &[W],
    bias: ComptimeOption<&[f32]>,
    scale: ComptimeOption<&[f32]>,
    add: ComptimeOption<&[A]>,
    out: &mut [O],
    rows: u32,
    inputs: u32,
    outputs: u32,
    rows_of_add: u32,
    #[comptime] activation: Activation,
    #[comptime] clamped: bool,
    #[define(X, W, A, O)] _elements: [ElemType; 4],
) {
    let (rows, inputs, outputs) = (rows as usize, inputs as usize, outputs as usize);
    let first_row = CUBE_POS_Y as usize * TILE;
    let first_column = CUBE_POS_X as usize * TILE;
    let unit = UNIT_POS as usize;
    // Four rows, or four columns, of one input together; one more than needed in a line, against conflicts of banks.
    let line = comptime!(TILE / 4 + 1);
    let mut x_tile = Shared::<[F4]>::new_slice(comptime!(DEPTH * (TILE / 4 + 1)));
    let mut w_tile = Shared::<[F4]>::new_slice(comptime!(DEPTH * (TILE / 4 + 1)));
    let (my_row, my_column) = (unit / 16, unit % 16);
    let mut sums = Array::<F4>::new(4usize);
    #[unroll]
    for i in 0..4usize {
        sums[i] = F4::new(0.0);
    }
    // What this unit brings: four rows of one input, and four columns of one input.
    let (x_rows, x_input) = (unit / DEPTH, unit % DEPTH);
    let (w_input, w_columns) = (unit / 16, unit % 16);

    let mut start = 0usize;
    while start < inputs {
        let mut value = F4::new(0.0);
        if start + x_input < inputs {
            #[unroll]
            for i in 0..4usize {
                let row = first_row + x_rows * 4 + i;
                if row < rows {
                    value.insert(i, f32::cast_from(x[row * inputs + start + x_input]));
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
                    value.insert(i, f32::cast_from(weight[(start + w_input) * outputs + column]));
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
            #[unroll]
            for j in 0..4usize {
                let column = first_column + my_column * 4 + j;
                if column < outputs {
                    let mut y = sums[i].extract(j);
                    #[comptime]
                    if let ComptimeOption::Some(bias) = &bias {
                        y += bias[column];
                    }
                    y = activate(y, activation);
                    #[comptime]
                    if let ComptimeOption::Some(scale) = &scale {
                        y *= scale[column];
                    }
                    #[comptime]
                    if let ComptimeOption::Some(add) = &add {
                        let row = row % rows_of_add as usize;
                        y += f32::cast_from(add[row * outputs + column]);
                    }
                    out[row * outputs + column] = O::cast_from(within(y, clamped));
                }
            }
        }
    }
}

/// A non-linearity of one number.
#[cube]
pub(super) fn activate(x: f32, #[comptime] activation: Activation) -> f32 {
    match comptime!(activation) {
        Activation::Identity => x,
        Activation::Relu => max(x, 0.0),
        Activation::Gelu => 0.5f32 * x * (1.0f32 + Erf::erf(x * 0.707_106_77f32)),
    }
}

/// At most f16's largest number where `clamped`.
#[cube]
pub(super) fn within(x: f32, #[comptime] clamped: bool) -> f32 {
    if comptime!(clamped) { clamp(x, -65_504.0f32, 65_504.0f32) } else { x }
}
