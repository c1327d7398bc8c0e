//! Maps with arbitrary strides: permuted, repeated, channels last.

use cubecl::prelude::*;

use super::buffer::Buffer;

/// Maps `[batch, channels, height, width]` in their own layout: the location of a value is the sum
/// of its indices times these strides.
#[derive(Clone, Copy, Debug)]
pub struct Maps<'a> {
    /// The values, from the first one on.
    pub buffer: &'a Buffer,
    /// Distance from one map, channel, row and column to the next; 0 repeats the same values.
    pub strides: [usize; 4],
}

impl Maps<'_> {
    /// Returns true if maps of these lengths end within the buffer.
    pub(super) fn hold(&self, lengths: [usize; 4]) -> bool {
        if lengths.contains(&0) {
            return self.buffer.holds(0);
        }
        let last: usize = lengths.iter().zip(self.strides).map(|(n, by)| (n - 1) * by).sum();
        self.buffer.holds(last + 1)
    }

    /// Returns the strides, with 0 for axes of length one, whose strides are never used.
    pub(super) fn strides_of(&self, lengths: [usize; 4]) -> [usize; 4] {
        std::array::from_fn(|axis| if lengths[axis] == 1 { 0 } else { self.strides[axis] })
    }

    /// Returns the strides of row-major maps with channels last: memory
    /// `[batch, height, width, channels]`.
    pub fn channels_last([_, channels, height, width]: [usize; 4]) -> [usize; 4] {
        [height * width * channels, 1, width * channels, channels]
    }

    pub(super) fn on_device(&self) -> StridesOnDeviceLaunch {
        let [map, channel, row, column] = self.strides.map(|stride| stride as u32);
        StridesOnDeviceLaunch::new(map, channel, row, column)
    }
}

/// The device-side form of the strides of [`Maps`].
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct StridesOnDevice {
    map: u32,
    channel: u32,
    row: u32,
    column: u32,
}

/// Returns the index of a value of the maps.
#[cube]
pub(super) fn place_in(
    strides: &StridesOnDevice,
    map: usize,
    channel: usize,
    row: usize,
    column: usize,
) -> usize {
    map * strides.map as usize
        + channel * strides.channel as usize
        + row * strides.row as usize
        + column * strides.column as usize
}
