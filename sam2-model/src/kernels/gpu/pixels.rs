//! Conversion of pixels to network input.

use cubecl::prelude::*;

use super::buffer::Buffer;
use super::grid::{UNITS, grid, unit_in_grid};

/// Number of values of a byte.
const VALUES: usize = 256;

/// Looks up the three bytes of each pixel, each in its own table. Turns bytes `[pixels, 3]`, four
/// to a 32-bit word with the first in the lowest bits, into values `[3, pixels]` of `table`
/// `[3, 256]`, both f32. Returns `false`, without doing anything, if buffers and sizes do not
/// match.
pub fn look_up_pixels(
    client: &Client,
    words: &Buffer,
    table: &Buffer,
    pixels: usize,
    out: &Buffer,
) -> bool {
    let bytes = 3 * pixels;
    if !(words.holds(bytes.div_ceil(4)) && table.holds(3 * VALUES) && out.holds(bytes)) {
        return false;
    }
    if pixels == 0 {
        return true;
    }
    // SAFETY: a unit compares its pixel with their number, a byte is below 256, and sizes are
    // compared with the buffers above.
    unsafe {
        look_up::launch_unchecked(
            client,
            grid(pixels.div_ceil(UNITS)),
            CubeDim::new_1d(UNITS as u32),
            words.argument(1),
            table.argument(1),
            out.argument(1),
            pixels as u32,
        );
    }
    true
}

#[cube(launch_unchecked)]
fn look_up(words: &[u32], table: &[f32], out: &mut [f32], pixels: u32) {
    let at = unit_in_grid();
    if at < pixels as usize {
        #[unroll]
        for channel in 0..3usize {
            let byte = at * 3 + channel;
            let value = (words[byte / 4] >> (byte % 4 * 8) as u32) & 255;
            out[channel * pixels as usize + at] = table[channel * VALUES + value as usize];
        }
    }
}
