//! What the model can run on, here and in other builds.

use crate::device::DeviceChoice;
use crate::kernels::CpuTier;

/// A device that this build can use on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedDevice {
    /// How to choose it.
    pub choice: DeviceChoice,
    /// Threads that share the work; for the CPU only.
    pub threads: Option<usize>,
    /// Vector instructions in use; for the CPU only.
    pub tier: Option<CpuTier>,
}

/// A kind of device that this build was made without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingFeature {
    /// The feature of this package and of those above it.
    pub feature: &'static str,
    /// What it would run on.
    pub description: &'static str,
}

/// Every device there is: the CPU, and the GPUs that the compiled features find. Never panics, whatever drivers there are.
pub fn list_devices() -> Vec<ListedDevice> {
    let cpu = ListedDevice {
        choice: DeviceChoice::Cpu,
        threads: Some(rayon::current_num_threads()),
        tier: Some(CpuTier::current()),
    };
    let gpu = |choice| ListedDevice { choice, threads: None, tier: None };
    std::iter::once(cpu)
        .chain((0..cuda_devices()).map(|index| gpu(DeviceChoice::Cuda(index))))
        .chain((0..vulkan_devices()).map(|index| gpu(DeviceChoice::Vulkan(index))))
        .collect()
}

/// The features for other devices that this build lacks.
pub fn missing_features() -> Vec<MissingFeature> {
    let all = [
        MissingFeature { feature: "cuda", description: "NVIDIA GPUs" },
        MissingFeature { feature: "vulkan", description: "GPUs with a Vulkan driver" },
    ];
    all.into_iter().filter(|missing| !has_feature(missing.feature)).collect()
}

fn has_feature(name: &str) -> bool {
    match name {
        "cuda" => cfg!(feature = "cuda"),
        "vulkan" => cfg!(feature = "vulkan"),
        _ => false,
    }
}

#[cfg(feature = "cuda")]
fn cuda_devices() -> usize {
    use burn::tensor::{Device, DeviceType};
    Device::enumerate(DeviceType::Cuda).iter().count()
}

#[cfg(not(feature = "cuda"))]
fn cuda_devices() -> usize {
    0
}

#[cfg(feature = "vulkan")]
fn vulkan_devices() -> usize {
    crate::device::vulkan_devices().map_or(0, |devices| devices.len())
}

#[cfg(not(feature = "vulkan"))]
fn vulkan_devices() -> usize {
    0
}
