//! Lists the devices that the model can run on, in this build and in others.

use crate::device::{DeviceChoice, DeviceError};
use crate::kernels::CpuTier;

/// Makes a device choice from an index.
type Choose = fn(usize) -> DeviceChoice;

/// Kinds of GPU, best first: the feature that each needs, with its purpose and how to get it, and
/// how to choose one by its index.
const GPUS: [(MissingFeature, Choose); 2] = [
    (
        MissingFeature { feature: "cuda", description: "NVIDIA GPUs", command: "make cuda" },
        DeviceChoice::Cuda,
    ),
    (
        MissingFeature {
            feature: "vulkan",
            description: "GPUs with a Vulkan driver",
            command: "make build FEATURES=sam2-cli/vulkan",
        },
        DeviceChoice::Vulkan,
    ),
];

/// A device that this build can use on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedDevice {
    /// The choice that opens it.
    pub choice: DeviceChoice,
    /// Its name in logs, with the driver's name for it where known.
    pub name: String,
    /// Number of threads that share the work. CPU only.
    pub threads: Option<usize>,
    /// Vector instructions in use. CPU only.
    pub tier: Option<CpuTier>,
}

/// A kind of device that this build does not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingFeature {
    /// The feature of this package and of the packages that depend on it.
    pub feature: &'static str,
    /// The devices that it supports.
    pub description: &'static str,
    /// The command that builds a program with it, run in this project's folder.
    pub command: &'static str,
}

/// Returns all usable devices: the CPU, and the GPUs that the compiled features find. Never panics,
/// whatever drivers are installed.
pub fn list_devices() -> Vec<ListedDevice> {
    let cpu = ListedDevice {
        choice: DeviceChoice::Cpu,
        name: DeviceChoice::Cpu.to_string(),
        threads: Some(rayon::current_num_threads()),
        tier: Some(CpuTier::current()),
    };
    let gpus = GPUS.iter().flat_map(|(_, choose)| (0..).map(choose).map_while(opened));
    std::iter::once(cpu).chain(gpus.flatten()).collect()
}

/// Opens a GPU. Returns `None` if it does not exist and `Some(None)` if it exists but cannot be
/// used.
fn opened(choice: DeviceChoice) -> Option<Option<ListedDevice>> {
    match choice.open_named() {
        Ok((_, name)) => Some(Some(ListedDevice { choice, name, threads: None, tier: None })),
        Err(DeviceError::SoftwareVulkan { .. }) => Some(None),
        Err(_) => None,
    }
}

/// Returns the device features that this build lacks.
pub fn missing_features() -> Vec<MissingFeature> {
    let lacks = |choice: DeviceChoice| {
        let error = choice.open().err();
        matches!(error, Some(DeviceError::CudaNotBuilt | DeviceError::VulkanNotBuilt))
    };
    GPUS.iter().filter(|(_, choose)| lacks(choose(0))).map(|&(missing, _)| missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_the_first_and_what_is_missing_is_not_listed() {
        let devices = list_devices();
        assert_eq!(devices[0].choice, DeviceChoice::Cpu);
        assert!(devices[0].threads.is_some_and(|threads| threads > 0) && devices[0].tier.is_some());
        assert!(devices[1..].iter().all(|device| device.choice.open().is_ok()));
        let lacks_cuda = missing_features().iter().any(|missing| missing.feature == "cuda");
        assert_eq!(lacks_cuda, cfg!(not(feature = "nvidia")));
    }
}
