//! Pixels into numbers.

use cubecl::prelude::*;

use super::buffer::Buffer;
use super::grid::{UNITS, grid, unit_in_grid};

/// Values of a byte.
const VALUES: usize = 256;

/// Looks the three bytes of each pixel up, each in a table of its own: bytes `[pixels, 3]`, four to a word of 32 bits, the first in its lowest digits, to numbers `[3, pixels]` of `table`
/// `[3, 256]`, both in f32. `false` if buffers and sizes do not belong together, and nothing was done.
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
    // SAFETY: a unit compares its pixel with how many there are, a byte is below 256, and sizes are compared with the buffers above.
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
