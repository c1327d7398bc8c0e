//! Convolutions of maps: their arguments, and the choice of the kernel.

use cubecl::prelude::*;

use super::super::Activation;
use super::buffer::{Buffer, Given};
use super::convolution_tiles::multiply_tiles;
use super::depthwise::{MOST_TAPS, convolve_channels};
use super::strided::Maps;

/// A convolution or transposed convolution of maps with the steps that follow it, in this order:
/// bias, sum with other maps, norm over the channels of each pixel, non-linearity.
#[derive(Debug)]
pub struct ConvolutionArgs<'a> {
    /// `[batch, inputs, height, width]`, any format.
    pub x: Maps<'a>,
    /// `[outputs, inputs of a group, rows, columns]`; transposed:
    /// `[inputs, outputs, rows, columns]`. Row-major, any format.
    pub filters: &'a Buffer,
    /// `[outputs]`, f32.
    pub bias: Option<&'a Buffer>,
    /// Maps that are added, `[batch, outputs, height', width']`, any format.
    pub add: Option<Maps<'a>>,
    /// A norm: weight and bias `[outputs]`, f32, and the epsilon added to the variance. See
    /// [`Self::MOST_NORMED`].
    pub norm: Option<(&'a Buffer, &'a Buffer, f32)>,
    /// The non-linearity, applied last.
    pub activation: Activation,
    /// `[batch, height', width', outputs]`, row-major, any format: channels last.
    pub out: &'a Buffer,
    /// Number of maps in the batch.
    pub batch: usize,
    /// Input and output channels.
    pub channels: [usize; 2],
    /// Number of channels that each filter reads: all, or one in a depthwise convolution.
    pub inputs_of_group: usize,
    /// Height and width of the input, and of the result.
    pub sizes: [[usize; 2]; 2],
    /// Rows and columns of a filter.
    pub taps: [usize; 2],
    /// Step between pixels, vertical and horizontal.
    pub stride: [usize; 2],
    /// Zeros above and to the left.
    pub padding: [usize; 2],
}

impl ConvolutionArgs<'_> {
    /// Largest number of values per pixel if a norm follows in the same launch, because one cube
    /// must have all of them. The number is that of the outputs, or four times that in a transposed
    /// convolution. A depthwise convolution cannot include a norm.
    pub const MOST_NORMED: usize = 256;

    fn fit(&self) -> bool {
        let [inputs, outputs] = self.channels;
        let [[height, width], [rows, columns]] = self.sizes;
        let of_outputs = |buffer: &Buffer| buffer.holds(outputs);
        self.x.hold([self.batch, inputs, height, width])
            && self.out.holds(self.batch * outputs * rows * columns)
            && self.bias.is_none_or(of_outputs)
            && self.norm.is_none_or(|(weight, bias, _)| of_outputs(weight) && of_outputs(bias))
            && self.add.is_none_or(|add| add.hold([self.batch, outputs, rows, columns]))
            && self.taps.iter().chain(&self.stride).all(|&length| length > 0)
    }

    pub(super) fn given(&self) -> Given<3> {
        [self.bias.is_some(), self.add.is_some(), self.norm.is_some()]
    }

    fn is_empty(&self) -> bool {
        let [_, [rows, columns]] = self.sizes;
        self.batch * self.channels[1] * rows * columns == 0
    }
}

/// Convolves; each filter reads all channels, or one channel of its own. Returns `false`, without
/// doing anything, if buffers and sizes do not match.
pub fn convolution(client: &Client, args: &ConvolutionArgs<'_>) -> bool {
    let [inputs, outputs] = args.channels;
    let of_group = args.inputs_of_group;
    let taps = args.taps[0] * args.taps[1];
    if !(args.fit() && args.filters.holds(outputs * of_group * taps)) {
        return false;
    }
    let whole = of_group == inputs && of_group > 0;
    let depthwise = of_group == 1 && inputs == outputs;
    let norm_fits = args.norm.is_none() || (whole && outputs <= ConvolutionArgs::MOST_NORMED);
    if !norm_fits || !(whole || (depthwise && taps <= MOST_TAPS)) {
        return false;
    }
    if args.is_empty() {
        return true;
    }
    if whole {
        multiply_tiles(client, args, false);
    } else {
        convolve_channels(client, args);
    }
    true
}

/// Runs a transposed convolution with filters of 2 x 2 and stride 2: each pixel becomes four.
/// Returns `false`, without doing anything, if buffers and sizes do not match.
pub fn doubling_convolution(client: &Client, args: &ConvolutionArgs<'_>) -> bool {
    let [inputs, outputs] = args.channels;
    let doubled = args.sizes[1] == args.sizes[0].map(|length| 2 * length);
    let fits = args.taps == [2, 2] && args.stride == [2, 2] && args.padding == [0, 0];
    let norm_fits = args.norm.is_none() || outputs * 4 <= ConvolutionArgs::MOST_NORMED;
    let whole = args.filters.holds(inputs * outputs * 4) && inputs > 0;
    if !(args.fit() && doubled && fits && norm_fits && whole) {
        return false;
    }
    if !args.is_empty() {
        multiply_tiles(client, args, true);
    }
    true
}
