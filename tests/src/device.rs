//! The device on which the tests run the model.

use sam2_model::{Device, DeviceChoice};

/// Returns the device that `SAM2_TEST_DEVICE` names, in the syntax of `--device`; the CPU if it is
/// not set.
///
/// A test that cannot run on the requested device fails. It never passes on another device instead.
pub fn device() -> Device {
    let choice = match std::env::var("SAM2_TEST_DEVICE") {
        Ok(name) => name.parse().unwrap_or_else(|error| panic!("SAM2_TEST_DEVICE: {error}")),
        Err(_) => DeviceChoice::Cpu,
    };
    choice.open().unwrap_or_else(|error| panic!("SAM2_TEST_DEVICE: {error}"))
}
