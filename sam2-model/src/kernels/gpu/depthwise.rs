//! Depthwise convolutions: each channel has its own filter.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::super::Activation;
use super::buffer::{Buffer, Given, optional};
use super::convolution_args::ConvolutionArgs;
use super::grid::{cube_in_grid, grid};
use super::number::activate;
use super::strided::{StridesOnDevice, place_in};

/// Units per cube.
const UNITS: usize = 256;
/// Channels per cube, whose filters are in shared memory. Neighbouring units read and write
/// neighbouring channels, which are adjacent in memory.
const CHANNELS: usize = 64;
/// Pixels per cube: one at a time for each of four groups of units.
const PLACES: usize = 32;
/// Largest number of taps per filter, so that the filters of a cube stay within 32 KB.
pub(super) const MOST_TAPS: usize = 120;

/// Compile-time parameters of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shape {
    taps: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    activation: Activation,
}

/// Launches the convolution. Sizes were compared with the buffers, and there is at least one value
/// to compute.
pub(super) fn convolve_channels(client: &Client, args: &ConvolutionArgs<'_>) {
    let [_, channels] = args.channels;
    let [[height, width], [rows, columns]] = args.sizes;
    let count = args.batch * rows * columns;
    let blocks = channels.div_ceil(CHANNELS);
    let add = args.add.unwrap_or(args.x);
    let elements = [args.x.buffer, args.filters, add.buffer, args.out].map(|b: &Buffer| b.element);
    let ConvolutionArgs { taps, stride, padding, activation, .. } = *args;
    // SAFETY: the kernel compares its channel and pixel with their numbers, and the inputs of taps
    // with the map's edges. The highest indices of all of these were compared with the buffers.
    unsafe {
        convolve::launch_unchecked(
            client,
            grid(blocks * count.div_ceil(PLACES)),
            CubeDim::new_1d(UNITS as u32),
            args.x.buffer.argument(1),
            args.filters.argument(1),
            optional(args.bias),
            optional(args.add.map(|add| add.buffer)),
            args.out.argument(1),
            args.x.on_device(),
            add.on_device(),
            count as u32,
            rows as u32,
            columns as u32,
            height as u32,
            width as u32,
            channels as u32,
            blocks as u32,
            Shape { taps, stride, padding, activation },
            args.given(),
            elements,
        );
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn convolve<X: Float, W: Float, A: Float, O: Float>(
    x: &[X],
    filters: &[W],
    bias: ComptimeOption<&[f32]>,
    add: ComptimeOption<&[A]>,
    out: &mut [O],
    x_strides: StridesOnDevice,
    add_strides: StridesOnDevice,
    count: u32,
    rows: u32,
    columns: u32,
    height: u32,
    width: u32,
    channels: u32,
    blocks: u32,
    #[comptime] shape: Shape,
    #[comptime] _given: Given<3>,
    #[define(X, W, A, O)] _elements: [ElemType; 4],
) {
    let taps = comptime!(shape.taps[0] * shape.taps[1]);
    let top = comptime!(shape.padding[0]);
    let left = comptime!(shape.padding[1]);
    // Lines have an odd length, so that the taps of neighbouring channels are in different banks.
    let line = comptime!((shape.taps[0] * shape.taps[1]) | 1);
    let mut of_cube = Shared::<[f32]>::new_slice(comptime!(CHANNELS * line));
    let (count, channels) = (count as usize, channels as usize);
    let (rows, columns) = (rows as usize, columns as usize);
    let (height, width) = (height as usize, width as usize);
    let cube = cube_in_grid();
    let first_place = cube / blocks as usize * PLACES;
    let first_channel = cube % blocks as usize * CHANNELS;
    let unit = UNIT_POS as usize;
    // In the order in which filters are stored.
    #[unroll]
    for i in 0..comptime!((CHANNELS * taps).div_ceil(UNITS)) {
        let entry = i * UNITS + unit;
        let channel = entry / taps;
        if entry < comptime!(CHANNELS * taps) && first_channel + channel < channels {
            of_cube[channel * line + entry % taps] =
                f32::cast_from(filters[first_channel * taps + entry]);
        }
    }
    sync_cube();
    let mine = unit % CHANNELS;
    let channel = first_channel + mine;
    if channel < channels {
        for i in 0..comptime!(PLACES * CHANNELS / UNITS) {
            let place = first_place + i * comptime!(UNITS / CHANNELS) + unit / CHANNELS;
            if place < count {
                let column = place % columns;
                let row = place / columns % rows;
                let map = place / columns / rows;
                let mut sum = 0.0f32;
                for tap_row in 0..comptime!(shape.taps[0]) {
                    // The padding above and to the left is included, so that no index is negative.
                    let y = row * comptime!(shape.stride[0]) + tap_row;
                    if y >= top && y < height + top {
                        for tap_column in 0..comptime!(shape.taps[1]) {
                            let z = column * comptime!(shape.stride[1]) + tap_column;
                            if z >= left && z < width + left {
                                let from = place_in(&x_strides, map, channel, y - top, z - left);
                                let tap = tap_row * comptime!(shape.taps[1]) + tap_column;
                                sum += f32::cast_from(x[from]) * of_cube[mine * line + tap];
                            }
                        }
                    }
                }
                #[comptime]
                if let ComptimeOption::Some(bias) = &bias {
                    sum += bias[channel];
                }
                #[comptime]
                if let ComptimeOption::Some(add) = &add {
                    let from = place_in(&add_strides, map, channel, row, column);
                    sum += f32::cast_from(add[from]);
                }
                out[place * channels + channel] = O::cast_from(activate(sum, shape.activation));
            }
        }
    }
}
