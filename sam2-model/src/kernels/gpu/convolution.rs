//! Convolutions of maps, a unit for each number that comes out.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffer::{Buffer, optional};
use super::norm::{cube_in_grid, grid};

/// Units of a cube.
pub(super) const UNITS: usize = 128;

/// A convolution of maps `[batch, inputs, height, width]`, or a transposed one.
#[derive(Debug)]
pub struct ConvolutionArgs<'a> {
    /// The maps, any format.
    pub x: &'a Buffer,
    /// `[outputs, inputs of a group, rows, columns]`; transposed: `[inputs, outputs, rows, columns]`.
    pub filters: &'a Buffer,
    /// `[outputs]`, f32.
    pub bias: Option<&'a Buffer>,
    /// Maps that are added, of the result's shape, and how many of them: they are used over and over, as a batch of 1 is for all.
    pub add: Option<(&'a Buffer, usize)>,
    /// `[batch, outputs, height', width']`, any format.
    pub out: &'a Buffer,
    /// Maps of the batch.
    pub batch: usize,
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Channels that each filter reads: all, or one in a depthwise convolution.
    pub inputs_of_group: usize,
    /// Height and width of the input, and of the result.
    pub sizes: [[usize; 2]; 2],
    /// Rows and columns of a filter.
    pub taps: [usize; 2],
    /// Steps between places.
    pub stride: [usize; 2],
    /// Zeros above and to the left.
    pub padding: [usize; 2],
}

impl ConvolutionArgs<'_> {
    fn fit(&self) -> bool {
        let [inputs, outputs] = self.channels;
        let of = |size: [usize; 2]| size[0] * size[1];
        let taps = of(self.taps);
        let of_out = outputs * of(self.sizes[1]);
        self.x.holds(self.batch * inputs * of(self.sizes[0]))
            && self.out.holds(self.batch * of_out)
            && self.bias.is_none_or(|bias| bias.holds(outputs))
            && self.add.is_none_or(|(add, maps)| maps > 0 && add.holds(maps * of_out))
            && taps > 0
            && self.stride.iter().all(|&stride| stride > 0)
    }
}

/// Convolves; `false` if buffers and sizes do not belong together, and nothing was done.
pub fn convolution(client: &Client, args: &ConvolutionArgs<'_>) -> bool {
    let [inputs, outputs] = args.channels;
    let of_group = args.inputs_of_group;
    let taps = args.taps[0] * args.taps[1];
    let whole = of_group == inputs || (of_group == 1 && inputs == outputs);
    if !(args.fit() && whole && args.filters.holds(outputs * of_group * taps)) {
        return false;
    }
    launch(client, args, false)
}

/// Convolves the other way round, with filters of 2 x 2 in steps of 2: each place becomes four. `false` if buffers and sizes do not belong together, and nothing was done.
pub fn doubling_convolution(client: &Client, args: &ConvolutionArgs<'_>) -> bool {
    let [inputs, outputs] = args.channels;
    let doubled = args.sizes[1] == args.sizes[0].map(|length| 2 * length);
    let fits = args.taps == [2, 2] && args.stride == [2, 2] && args.padding == [0, 0];
    if !(args.fit() && doubled && fits && args.filters.holds(inputs * outputs * 4)) {
        return false;
    }
    launch(client, args, true)
}

fn launch(client: &Client, args: &ConvolutionArgs<'_>, transposed: bool) -> bool {
    let [inputs, outputs] = args.channels;
    let numbers = args.batch * outputs * args.sizes[1][0] * args.sizes[1][1];
    if numbers == 0 {
        return true;
    }
    let add = args.add.map_or(args.out, |(add, _)| add);
    let shape = Shape {
        inputs,
        inputs_of_group: args.inputs_of_group,
        taps: args.taps,
        stride: args.stride,
        padding: args.padding,
        transposed,
    };
    let [[height, width], [rows, columns]] = args.sizes;
    // SAFETY: the kernel compares its number with how many there are, and its places with the map's edges; sizes are compared with the buffers above.
    unsafe {
        convolve::launch_unchecked(
            client,
            grid(numbers.div_ceil(UNITS)),
            CubeDim::new_1d(UNITS as u32),
            args.x.argument(1),
            args.filters.argument(1),
            optional(args.bias),
            optional(args.add.map(|(add, _)| add)),
            args.out.argument(1),
            numbers as u32,
            outputs as u32,
            height as u32,
            width as u32,
            rows as u32,
            columns as u32,
            args.add.map_or(1, |(_, maps)| maps) as u32,
            shape,
            [args.x.element, args.filters.element, add.element, args.out.element],
        );
    }
    true
}

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shape {
    inputs: usize,
    inputs_of_group: usize,
    taps: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    transposed: bool,
}

/// Which of [`grid`]'s units this is.
#[cube]
pub(super) fn unit_in_grid() -> usize {
    cube_in_grid() * UNITS + UNIT_POS as usize
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn convolve<X: Float, W: Float, A: Float, O: Float>(
    x: &[X],
    filters: &[W],
    bias: ComptimeOption<&[f32]>,
    add: ComptimeOption<&[A]>,
    out: &mut [O],
    numbers: u32,
    outputs: u32,
    height: u32,
    width: u32,
    rows: u32,
    columns: u32,
    added_maps: u32,
    #[comptime] shape: Shape,
    #[define(X, W, A, O)] _elements: [ElemType; 4],
) {
    let at = unit_in_grid();
    let of_group = comptime!(shape.inputs_of_group);
    let taps = comptime!(shape.taps[0] * shape.taps[1]);
    let (height, width) = (height as usize, width as usize);
    let (rows, columns, outputs) = (rows as usize, columns as usize, outputs as usize);
    if at < numbers as usize {
        let column = at % columns;
        let row = at / columns % rows;
        let output = at / (columns * rows) % outputs;
        let map = at / (columns * rows * outputs);
        let mut first = map * comptime!(shape.inputs);
        if comptime!(of_group == 1 && shape.inputs > 1 && !shape.transposed) {
            first += output;
        }
        let mut sum = 0.0f32;
        if comptime!(shape.transposed) {
            let from = (first * height + row / 2) * width + column / 2;
            let filter = output * 4 + row % 2 * 2 + column % 2;
            for input in 0..of_group {
                sum += f32::cast_from(x[from + input * height * width])
                    * f32::cast_from(filters[filter + input * outputs * 4]);
            }
        } else {
            for input in 0..of_group {
                let map = (first + input) * height * width;
                let filter = (output * of_group + input) * taps;
                #[unroll(taps <= 16)]
                for tap in 0..taps {
                    // One more than the place, so that nothing is below zero.
                    let y = row * comptime!(shape.stride[0]) + tap / comptime!(shape.taps[1]);
                    let z = column * comptime!(shape.stride[1]) + tap % comptime!(shape.taps[1]);
                    let top = comptime!(shape.padding[0]);
                    let left = comptime!(shape.padding[1]);
                    if y >= top && y < height + top && z >= left && z < width + left {
                        sum += f32::cast_from(x[map + (y - top) * width + z - left])
                            * f32::cast_from(filters[filter + tap]);
                    }
                }
            }
        }
        #[comptime]
        if let ComptimeOption::Some(bias) = &bias {
            sum += bias[output];
        }
        #[comptime]
        if let ComptimeOption::Some(add) = &add {
            let map = map % added_maps as usize;
            let place = ((map * outputs + output) * rows + row) * columns + column;
            sum += f32::cast_from(add[place]);
        }
        out[at] = O::cast_from(sum);
    }
}
