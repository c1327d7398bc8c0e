//! Where the tests run the model.

use sam2_model::{Device, DeviceChoice};

/// The device that `SAM2_TEST_DEVICE` names, as `--device` does; the CPU if it is not set.
///
/// A test that was asked to run on a device and cannot is a failure, never a pass on another one.
pub fn device() -> Device {
    let choice = match std::env::var("SAM2_TEST_DEVICE") {
        Ok(name) => name.parse().unwrap_or_else(|error| panic!("SAM2_TEST_DEVICE: {error}")),
        Err(_) => DeviceChoice::Cpu,
    };
    let (device, _) = choice.open().unwrap_or_else(|error| panic!("SAM2_TEST_DEVICE: {error}"));
    device
}
