//! Small steps over maps and tokens, with one unit per value or pixel.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::super::Activation;
use super::buffer::Buffer;
use super::grid::{UNITS, grid, unit_in_grid};
use super::number::activate;
use super::strided::{Maps, StridesOnDevice, place_in};

/// A norm of each pixel of maps over its channels, with scale and shift, and a non-linearity.
#[derive(Debug)]
pub struct MapNormArgs<'a> {
    /// `[batch, channels, height, width]`, any format.
    pub x: Maps<'a>,
    /// `[channels]`, f32.
    pub weight: &'a Buffer,
    /// `[channels]`, f32.
    pub bias: &'a Buffer,
    /// The non-linearity, applied last.
    pub activation: Activation,
    /// Of `x`'s shape, any format. No value is written twice.
    pub out: Maps<'a>,
    /// Batch, channels, height and width.
    pub size: [usize; 4],
    /// Added to the variance.
    pub epsilon: f32,
}

/// Normalises maps. Returns `false`, without doing anything, if buffers and sizes do not match.
pub fn map_norm(client: &Client, args: &MapNormArgs<'_>) -> bool {
    let [batch, channels, height, width] = args.size;
    let places = batch * height * width;
    let fits = args.x.hold(args.size)
        && args.out.hold(args.size)
        && args.weight.holds(channels)
        && args.bias.holds(channels)
        && u32::try_from(places).is_ok();
    if !fits {
        return false;
    }
    if places * channels == 0 {
        return true;
    }
    // SAFETY: a unit compares its pixel with their number, and the maps' ends are compared with the
    // buffers above.
    unsafe {
        normalise_maps::launch_unchecked(
            client,
            grid(places.div_ceil(UNITS)),
            CubeDim::new_1d(UNITS as u32),
            args.x.buffer.argument(1),
            args.weight.argument(1),
            args.bias.argument(1),
            args.out.buffer.argument(1),
            args.x.on_device(),
            args.out.on_device(),
            places as u32,
            height as u32,
            width as u32,
            args.epsilon,
            channels,
            args.activation,
            [args.x.buffer.element, args.out.buffer.element],
        );
    }
    true
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn normalise_maps<I: Float, O: Float>(
    x: &[I],
    weight: &[f32],
    bias: &[f32],
    out: &mut [O],
    x_strides: StridesOnDevice,
    out_strides: StridesOnDevice,
    count: u32,
    height: u32,
    width: u32,
    epsilon: f32,
    #[comptime] channels: usize,
    #[comptime] activation: Activation,
    #[define(I, O)] _elements: [ElemType; 2],
) {
    let at = unit_in_grid();
    if at < count as usize {
        let (height, width) = (height as usize, width as usize);
        let column = at % width;
        let row = at / width % height;
        let map = at / width / height;
        let mut sum = 0.0f32;
        for channel in 0..channels {
            sum += f32::cast_from(x[place_in(&x_strides, map, channel, row, column)]);
        }
        let mean = sum / comptime!(channels as f32);
        let mut squares = 0.0f32;
        for channel in 0..channels {
            let value = f32::cast_from(x[place_in(&x_strides, map, channel, row, column)]);
            let centred = value - mean;
            squares += centred * centred;
        }
        let scale = 1.0f32 / (squares / comptime!(channels as f32) + epsilon).sqrt();
        for channel in 0..channels {
            let value = f32::cast_from(x[place_in(&x_strides, map, channel, row, column)]);
            let normed = (value - mean) * scale * weight[channel] + bias[channel];
            let place = place_in(&out_strides, map, channel, row, column);
            out[place] = O::cast_from(activate(normed, activation));
        }
    }
}

/// Computes the maximum of each 2 x 2 block of tokens of `[batch, height, width, channels]`, which
/// are read `by_token` values apart from `start` on. An odd last row or column is dropped. Returns
/// `false`, without doing anything, if buffers and sizes do not match.
pub fn max_pool(
    client: &Client,
    x: &Buffer,
    [start, by_token]: [usize; 2],
    [batch, height, width, channels]: [usize; 4],
    out: &Buffer,
) -> bool {
    let numbers = batch * (height / 2) * (width / 2) * channels;
    let tokens = batch * height * width;
    let end = start + tokens.saturating_sub(1) * by_token + channels;
    if !(x.holds(end) && out.holds(numbers)) {
        return false;
    }
    if numbers == 0 {
        return true;
    }
    // SAFETY: a unit compares its index with the number of values, and the last token's end is
    // compared with the buffer above.
    unsafe {
        pool::launch_unchecked(
            client,
            grid(numbers.div_ceil(UNITS)),
            CubeDim::new_1d(UNITS as u32),
            x.argument(1),
            out.argument(1),
            numbers as u32,
            height as u32,
            width as u32,
            start as u32,
            by_token as u32,
            channels as u32,
            [x.element, out.element],
        );
    }
    true
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn pool<I: Float, O: Float>(
    x: &[I],
    out: &mut [O],
    numbers: u32,
    height: u32,
    width: u32,
    start: u32,
    by_token: u32,
    channels: u32,
    #[define(I, O)] _elements: [ElemType; 2],
) {
    let at = unit_in_grid();
    if at < numbers as usize {
        let (channels, by_token) = (channels as usize, by_token as usize);
        let (height, width) = (height as usize, width as usize);
        let channel = at % channels;
        let column = at / channels % (width / 2);
        let row = at / channels / (width / 2) % (height / 2);
        let map = at / channels / (width / 2) / (height / 2);
        let token = (map * height + 2 * row) * width + 2 * column;
        let first = start as usize + token * by_token + channel;
        let below = first + width * by_token;
        let upper = max(x[first], x[first + by_token]);
        let lower = max(x[below], x[below + by_token]);
        out[at] = O::cast_from(max(upper, lower));
    }
}

/// Rotates each pair of adjacent channels of the first `turned` tokens of
/// `[batch, length, channels]` by the angle whose cosine and sine are in `[tokens, channels / 2]`,
/// f32. The tables repeat, and other tokens are copied. Returns `false`, without doing anything, if
/// buffers and sizes do not match.
pub fn rotate(
    client: &Client,
    x: &Buffer,
    [cos, sin]: [&Buffer; 2],
    [batch, length, channels]: [usize; 3],
    [tokens, turned]: [usize; 2],
    out: &Buffer,
) -> bool {
    let numbers = batch * length * channels;
    let table = tokens * channels / 2;
    let fits = x.holds(numbers) && out.holds(numbers) && cos.holds(table) && sin.holds(table);
    if !fits || !channels.is_multiple_of(2) || tokens == 0 || turned > length {
        return false;
    }
    if numbers == 0 {
        return true;
    }
    // SAFETY: a unit compares its pair with the number of pairs, and sizes are compared with the
    // buffers above.
    unsafe {
        turn::launch_unchecked(
            client,
            grid((numbers / 2).div_ceil(UNITS)),
            CubeDim::new_1d(UNITS as u32),
            x.argument(2),
            cos.argument(1),
            sin.argument(1),
            out.argument(2),
            (numbers / 2) as u32,
            length as u32,
            (channels / 2) as u32,
            tokens as u32,
            turned as u32,
            [x.element, out.element],
        );
    }
    true
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn turn<I: Float, O: Float>(
    x: &[Vector<I, Const<2>>],
    cos: &[f32],
    sin: &[f32],
    out: &mut [Vector<O, Const<2>>],
    pairs: u32,
    length: u32,
    pairs_of_token: u32,
    tokens: u32,
    turned: u32,
    #[define(I, O)] _elements: [ElemType; 2],
) {
    let at = unit_in_grid();
    if at < pairs as usize {
        let pair = at % pairs_of_token as usize;
        let token = at / pairs_of_token as usize % length as usize;
        let mut value = Vector::<f32, Const<2>>::cast_from(x[at]);
        if token < turned as usize {
            let place = token % tokens as usize * pairs_of_token as usize + pair;
            let (c, s) = (cos[place], sin[place]);
            let (even, odd) = (value.extract(0usize), value.extract(1usize));
            value.insert(0usize, even * c - odd * s);
            value.insert(1usize, even * s + odd * c);
        }
        out[at] = Vector::cast_from(value);
    }
}
