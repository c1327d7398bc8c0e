//! Rotary encoding at the end of a product.

use cubecl::prelude::*;

use super::buffer::{Buffer, optional};

/// Arguments for rotating pairs of adjacent outputs of a layer by angles.
#[derive(Clone, Copy, Debug)]
pub struct RotationArgs<'a> {
    /// Cosines, `[tokens, channels / 2]`, f32. The table repeats every `tokens` rows and every
    /// `channels` outputs.
    pub cos: &'a Buffer,
    /// Sines, of the same shape.
    pub sin: &'a Buffer,
    /// Number of rows of the tables.
    pub tokens: usize,
    /// Number of outputs after which the tables repeat.
    pub channels: usize,
    /// Number of rows of a batch entry.
    pub length: usize,
    /// Number of these rows, from the first on, that are rotated.
    pub turned: usize,
    /// Number of outputs, from the first on, that are rotated.
    pub outputs: usize,
}

impl<'a> RotationArgs<'a> {
    /// Returns true if the tables have the stated lengths, for layers with `outputs` outputs.
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

/// The device-side form of [`RotationArgs`].
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct RotationOnDevice {
    tokens: u32,
    pairs: u32,
    length: u32,
    turned: u32,
    outputs: u32,
}

/// Returns two adjacent outputs of a row, rotated if required. Without tables they are unchanged.
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
