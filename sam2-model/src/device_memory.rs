//! How much memory a device's allocator holds.

use std::fmt;

use burn::tensor::Device;

use crate::device_failure::{self, DeviceFailure};

/// What burn's allocator holds on a GPU, in bytes. The driver's own share (kernels, contexts: some hundred megabytes) is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceMemory {
    /// In tensors that are alive.
    pub in_use: u64,
    /// Taken from the device: tensors, and what is kept to be used again.
    pub reserved: u64,
}

impl DeviceMemory {
    /// What `device` holds now; `None` on the CPU, whose allocator does not count. Waits for what was launched before.
    ///
    /// # Errors
    /// [`DeviceFailure`] if the device does not answer.
    pub fn of(device: &Device) -> Result<Option<Self>, DeviceFailure> {
        let usage = device_failure::guard(|| device.memory_pool_usage())?;
        Ok(usage.map(|usage| Self { in_use: usage.bytes_in_use, reserved: usage.bytes_reserved }))
    }

    /// Gives back to the device what is kept to be used again: worth its time between two recordings, not between two frames.
    ///
    /// # Errors
    /// [`DeviceFailure`] if the device does not answer.
    pub fn release_unused(device: &Device) -> Result<(), DeviceFailure> {
        device_failure::guard(|| {
            let synced = device.sync();
            device.memory_cleanup();
            synced
        })?
        .map_err(|error| DeviceFailure::from_message(&error.to_string()))
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
