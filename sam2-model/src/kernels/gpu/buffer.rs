//! Buffers on the device.

use cubecl::ir::ElemType;
use cubecl::prelude::{BufferArg, ComptimeOptionArgs, LaunchArg};
use cubecl::server::Handle;

/// Values of one type in a device's memory.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// The memory.
    pub handle: Handle,
    /// Number of values.
    pub length: usize,
    /// Type of the values.
    pub element: ElemType,
}

impl Buffer {
    /// Returns true if the buffer holds at least `numbers` values, and they are few enough for the
    /// 32-bit indices of kernels.
    pub fn holds(&self, numbers: usize) -> bool {
        numbers <= self.length && u32::try_from(self.length).is_ok()
    }

    /// Returns a kernel argument that is read `width` values at a time.
    pub(super) fn argument(&self, width: usize) -> BufferArg {
        // SAFETY: the length is that of the memory, in whole vectors.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.length / width) }
    }
}

/// Says which optional arguments of a kernel are given. Every kernel with such arguments also has
/// this among its compile-time parameters, unless another parameter distinguishes the cases.
/// Otherwise CubeCL 0.11.3 would mistake one of two kernels for the other: it keeps compiled
/// kernels under a hash that does not include whether an argument is given (its `CubeLaunch` for
/// enums).
pub(super) type Given<const N: usize> = [bool; N];

/// Returns a kernel argument that may be absent; see [`Given`].
pub(super) fn optional<T: LaunchArg<RuntimeArg = BufferArg>>(
    buffer: Option<&Buffer>,
) -> ComptimeOptionArgs<T> {
    optional_of(buffer.map(|buffer| (buffer, 1)))
}

/// Does the same for an argument that is read `width` values at a time.
pub(super) fn optional_of<T: LaunchArg<RuntimeArg = BufferArg>>(
    buffer: Option<(&Buffer, usize)>,
) -> ComptimeOptionArgs<T> {
    match buffer {
        Some((buffer, width)) => ComptimeOptionArgs::Some(buffer.argument(width)),
        None => ComptimeOptionArgs::None,
    }
}

/// Returns the largest of 4, 2 and 1 that divides all lengths: the number of values that one access
/// takes.
pub(super) fn common_width(lengths: &[usize]) -> usize {
    [4, 2].into_iter().find(|width| lengths.iter().all(|length| length % width == 0)).unwrap_or(1)
}
