//! Convolutions of maps: the choice of the kernel.

use cubecl::prelude::*;

use super::convolution_args::ConvolutionArgs;
use super::convolution_tiles::multiply_tiles;
use super::depthwise::{MOST_TAPS, convolve_channels};

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
