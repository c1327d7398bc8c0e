//! A buffer on the device, and what is in it.

use cubecl::ir::ElemType;
use cubecl::prelude::{BufferArg, ComptimeOptionArgs, LaunchArg};
use cubecl::server::Handle;

/// Numbers of one type in a device's memory.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// The memory.
    pub handle: Handle,
    /// How many numbers are in it.
    pub length: usize,
    /// Their type.
    pub element: ElemType,
}

impl Buffer {
    /// Whether `numbers` of them are there, and few enough to be counted in 32 bits, as kernels do.
    pub fn holds(&self, numbers: usize) -> bool {
        numbers <= self.length && u32::try_from(self.length).is_ok()
    }

    /// As a kernel's argument that is read `width` numbers at a time.
    pub(super) fn argument(&self, width: usize) -> BufferArg {
        // SAFETY: the length is that of the memory, in whole vectors.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.length / width) }
    }
}

/// Which of a kernel's arguments are given that may be absent. Every kernel that has such arguments also has this among what it is compiled for, if nothing else there tells them apart: CubeCL 0.11.3
/// keeps compiled kernels under a hash that leaves out whether an argument is given (its `CubeLaunch` for enums), so that of two kernels one would be taken for the other.
pub(super) type Given<const N: usize> = [bool; N];

/// As a kernel's argument that may be absent; see [`Given`].
pub(super) fn optional<T: LaunchArg<RuntimeArg = BufferArg>>(
    buffer: Option<&Buffer>,
) -> ComptimeOptionArgs<T> {
    optional_of(buffer.map(|buffer| (buffer, 1)))
}

/// The same, read so many numbers at a time.
pub(super) fn optional_of<T: LaunchArg<RuntimeArg = BufferArg>>(
    buffer: Option<(&Buffer, usize)>,
) -> ComptimeOptionArgs<T> {
    match buffer {
        Some((buffer, width)) => ComptimeOptionArgs::Some(buffer.argument(width)),
        None => ComptimeOptionArgs::None,
    }
}

/// The largest of 4, 2 and 1 that divides all of them: how many numbers one access takes.
pub(super) fn common_width(lengths: &[usize]) -> usize {
    [4, 2].into_iter().find(|width| lengths.iter().all(|length| length % width == 0)).unwrap_or(1)
}
