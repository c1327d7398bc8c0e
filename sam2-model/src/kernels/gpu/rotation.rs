//! Rotary encoding at the end of a product.

use cubecl::prelude::*;

use super::buffer::{Buffer, optional};

/// Turns pairs of adjacent outputs of a layer by angles.
#[derive(Clone, Copy, Debug)]
pub struct RotationArgs<'a> {
    /// `[tokens, channels / 2]`, f32; used over and over, for every `tokens` rows and every `channels` outputs.
    pub cos: &'a Buffer,
    /// The same of sines.
    pub sin: &'a Buffer,
    /// Rows of the tables.
    pub tokens: usize,
    /// Outputs after which the tables begin again.
    pub channels: usize,
    /// Rows of a batch entry.
    pub length: usize,
    /// The first so many of them are turned.
    pub turned: usize,
    /// The first so many outputs are.
    pub outputs: usize,
}

impl<'a> RotationArgs<'a> {
    /// Whether the tables are as long as they say, for layers of so many outputs.
    pub(super) fn fits(&self, outputs: usize) -> bool {
        let table = self.tokens * self.channels / 2;
        let sizes = [self.tokens, self.channels, self.length];
        self.cos.holds(table)
            && self.sin.holds(table)
            && !sizes.contains(&0)
            && self.channels.is_multiple_of(2)
            && outputs.is_multiple_of(2)
            && self.outputs <= outputs
    }

    pub(super) fn tables<T: LaunchArg<RuntimeArg = BufferArg>>(
        rotation: Option<Self>,
    ) -> [ComptimeOptionArgs<T>; 2] {
        let part = |part: fn(Self) -> &'a Buffer| optional(rotation.map(part));
        [part(|rotation| rotation.cos), part(|rotation| rotation.sin)]
    }

    pub(super) fn on_device(rotation: Option<Self>) -> RotationOnDeviceLaunch {
        let sizes = rotation.map_or([1, 1, 1, 0, 0], |rotation| {
            let Self { tokens, channels, length, turned, outputs, .. } = rotation;
            [tokens, channels / 2, length, turned, outputs]
        });
        let [tokens, pairs, length, turned, outputs] = sizes.map(|size| size as u32);
        RotationOnDeviceLaunch::new(tokens, pairs, length, turned, outputs)
    }
}

/// [`RotationArgs`], for kernels.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct RotationOnDevice {
    tokens: u32,
    pairs: u32,
    length: u32,
    turned: u32,
    outputs: u32,
}

/// Two adjacent outputs of a row, turned if they are to be; as they are where there are no tables.
#[cube]
pub(super) fn turn(
    even: f32,
    odd: f32,
    row: usize,
    column: usize,
    cos: &ComptimeOption<&[f32]>,
    sin: &ComptimeOption<&[f32]>,
    rotation: &RotationOnDevice,
) -> (f32, f32) {
    let mut a = even;
    let mut b = odd;
    #[comptime]
    if let ComptimeOption::Some(cos) = cos {
        #[comptime]
        if let ComptimeOption::Some(sin) = sin {
            let token = row % rotation.length as usize;
            if token < rotation.turned as usize && column < rotation.outputs as usize {
                let pairs = rotation.pairs as usize;
                let place = token % rotation.tokens as usize * pairs + column / 2 % pairs;
                let (c, s) = (cos[place], sin[place]);
                a = even * c - odd * s;
                b = even * s + odd * c;
            }
        }
    }
    (a, b)
}
