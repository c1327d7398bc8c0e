//! What the model can run on, here and in other builds.

use crate::device::{DeviceChoice, DeviceError};
use crate::kernels::CpuTier;

/// From an index to the device's choice.
type Choose = fn(usize) -> DeviceChoice;

/// Kinds of GPU, best first: the feature that they need, with what it is for and how to get it, and how one of them is named.
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
    /// How to choose it.
    pub choice: DeviceChoice,
    /// Its name in logs, with what the driver calls it where that is known.
    pub name: String,
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
    /// The command that builds a program with it, in this project's folder.
    pub command: &'static str,
}

/// Every device there is: the CPU, and the GPUs that the compiled features find. Never panics, whatever drivers there are.
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

/// A GPU, if it is there; `Some(None)` if it is, but cannot be used.
fn opened(choice: DeviceChoice) -> Option<Option<ListedDevice>> {
    match choice.open() {
        Ok((_, name)) => Some(Some(ListedDevice { choice, name, threads: None, tier: None })),
        Err(DeviceError::SoftwareVulkan { .. }) => Some(None),
        Err(_) => None,
    }
}

/// The features for other devices that this build lacks.
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
