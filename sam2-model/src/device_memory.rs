//! Reports how much memory a device's allocator holds.

use std::fmt;

use burn::tensor::Device;

use crate::device_failure::{self, DeviceFailure};

/// Memory that burn's allocator holds on a GPU, in bytes. Does not include the driver's own share
/// (kernels, contexts: some hundred megabytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceMemory {
    /// Bytes in tensors that are alive.
    pub in_use: u64,
    /// Bytes taken from the device: tensors, and memory kept for reuse.
    pub reserved: u64,
}

impl DeviceMemory {
    /// Returns the memory that `device` holds now, or `None` on the CPU, whose allocator does not
    /// count. Waits for work that was launched before.
    ///
    /// # Errors
    /// [`DeviceFailure`] if the device does not respond.
    pub fn of(device: &Device) -> Result<Option<Self>, DeviceFailure> {
        let usage = device_failure::guard(|| device.memory_pool_usage())?;
        Ok(usage.map(|usage| Self { in_use: usage.bytes_in_use, reserved: usage.bytes_reserved }))
    }

    /// Returns memory that is kept for reuse to the device. This takes time: it is worth doing
    /// between two recordings, not between two frames.
    ///
    /// # Errors
    /// [`DeviceFailure`] if the device does not respond.
    pub fn release_unused(device: &Device) -> Result<(), DeviceFailure> {
        device_failure::guard(|| {
            let synced = device.sync();
            device.memory_cleanup();
            synced
        })?
        .map_err(|error| DeviceFailure::from_message(&error.to_string()))
    }
}

impl DeviceFailure {
    /// Adds the amount of memory in use, if it is known and relevant.
    #[must_use]
    pub fn with_usage(self, usage: Option<DeviceMemory>) -> Self {
        match (self, usage) {
            (Self::OutOfMemory { reason }, Some(usage)) => {
                Self::OutOfMemory { reason: format!("{reason}; {usage}") }
            }
            (failure, _) => failure,
        }
    }
}

impl fmt::Display for DeviceMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        write!(
            f,
            "{:.2} GB in tensors, {:.2} GB reserved",
            gigabytes(self.in_use),
            gigabytes(self.reserved)
        )
    }
}
