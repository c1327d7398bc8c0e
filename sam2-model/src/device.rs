//! Choice of the device that the model runs on.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, FloatDType};

use crate::cuda::CudaProblem;
use crate::device_failure::{self, DeviceFailure};
#[cfg(feature = "gpu")]
use crate::kernel_cache;
use crate::kernels;
use crate::precision::Precision;

/// A device as the user names it: `auto`, `cpu`, `cuda`, `cuda:N`, `vulkan` or `vulkan:N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first available device that this build supports: CUDA, Vulkan on a real GPU, the CPU.
    #[default]
    Auto,
    /// The CPU, which is always available.
    Cpu,
    /// An NVIDIA GPU by its index among the visible ones (`CUDA_VISIBLE_DEVICES`).
    Cuda(usize),
    /// A Vulkan device by its index. Discrete GPUs come first, then integrated and virtual ones,
    /// then drivers that run on the CPU.
    Vulkan(usize),
}

/// The chosen device cannot be used, or not in this way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The name is not a device name.
    #[error("'{0}' is not a device: use auto, cpu, cuda, cuda:N, vulkan or vulkan:N")]
    Unknown(String),
    /// This build was compiled without CUDA.
    #[error("this build has no CUDA: use --device cpu, or build with `make cuda`")]
    CudaNotBuilt,
    /// This build was compiled without Vulkan.
    #[error(
        "this build has no Vulkan: use --device cpu, or build with `make build FEATURES=sam2-cli/vulkan`"
    )]
    VulkanNotBuilt,
    /// A part that CUDA needs is missing or incompatible.
    #[error(transparent)]
    Cuda(#[from] CudaProblem),
    /// There is a driver, but no GPU with this index.
    #[error(
        "CUDA device {index} is not there ({found} found): check `nvidia-smi` and CUDA_VISIBLE_DEVICES, in a job ask for a GPU, or use --device cpu"
    )]
    NoCudaDevice {
        /// The requested index.
        index: usize,
        /// The number of GPUs that the driver lists.
        found: usize,
    },
    /// There is no driver, or no device with this index.
    #[error(
        "Vulkan device {index} is not there ({found} found): check `vulkaninfo --summary`, set XDG_RUNTIME_DIR if it is not set, or use --device cpu"
    )]
    NoVulkanDevice {
        /// The requested index.
        index: usize,
        /// The number of devices that the drivers list.
        found: usize,
    },
    /// A Vulkan driver that runs on the CPU, in a build that would pass burn's own SPIR-V to it.
    /// Such drivers lack `VK_KHR_workgroup_memory_explicit_layout`. Without it, burn's code for
    /// shared memory is invalid (a pointer to a pointer; `lower_shared_implicit` in cubecl-spirv
    /// 0.11.3), and the driver ends the process or computes nonsense.
    #[error(
        "'{name}' is a driver that runs on the CPU and cannot compile this build's kernels: build with `make build FEATURES=sam2-cli/vulkan-wgsl`, or use --device cpu, which is faster"
    )]
    SoftwareVulkan {
        /// The driver's name for itself.
        name: String,
    },
    /// The device does not compute in this number format.
    #[error(
        "{device} does not compute in {precision}: use --precision auto, or f32, in which every device computes"
    )]
    Precision {
        /// The device.
        device: String,
        /// The requested format.
        precision: Precision,
    },
    /// The driver failed while the device was opened or used; see [`crate::device_failure`].
    #[error(transparent)]
    Failed(#[from] DeviceFailure),
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown(name.to_owned());
        match name.split_once(':') {
            None => match name {
                "auto" => Ok(Self::Auto),
                "cpu" => Ok(Self::Cpu),
                "cuda" => Ok(Self::Cuda(0)),
                "vulkan" => Ok(Self::Vulkan(0)),
                _ => Err(unknown()),
            },
            Some(("cuda", index)) => index.parse().map(Self::Cuda).map_err(|_| unknown()),
            Some(("vulkan", index)) => index.parse().map(Self::Vulkan).map_err(|_| unknown()),
            Some(_) => Err(unknown()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Vulkan(index) => write!(f, "vulkan:{index}"),
        }
    }
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// As [`Self::open_named`].
    pub fn open(self) -> Result<Device, DeviceError> {
        self.open_named().map(|(device, _)| device)
    }

    /// Opens the device and returns it with a name for logs, such as `cuda:0`.
    ///
    /// # Errors
    /// [`DeviceError`] if this build does not support the device or this machine does not have it.
    /// Never panics: burn panics when it opens a GPU that does not exist, so the driver is asked
    /// first.
    pub fn open_named(self) -> Result<(Device, String), DeviceError> {
        match self {
            Self::Cpu => Ok((Device::flex(), "cpu".to_owned())),
            Self::Auto => open_cuda(0)
                .inspect_err(warn_of_unused_gpu)
                .or_else(|_| open_first_vulkan_gpu())
                .or_else(|_| Self::Cpu.open_named()),
            Self::Cuda(index) => open_cuda(index),
            Self::Vulkan(index) => open_vulkan(index),
        }
    }
}

/// Warns once that `auto` passes over an existing NVIDIA GPU, and why: on the CPU the same job
/// takes many times as long.
fn warn_of_unused_gpu(error: &DeviceError) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    if matches!(error, DeviceError::Cuda(problem) if *problem != CudaProblem::NoDriver) {
        ONCE.call_once(|| tracing::warn!("the NVIDIA GPU is not used: {error}"));
    }
}

#[cfg(feature = "nvidia")]
fn open_cuda(index: usize) -> Result<(Device, String), DeviceError> {
    kernel_cache::configure();
    let found = crate::cuda::check()?;
    if index >= found {
        return Err(DeviceError::NoCudaDevice { index, found });
    }
    Ok((Device::cuda(index), format!("cuda:{index}")))
}

#[cfg(not(feature = "nvidia"))]
fn open_cuda(_index: usize) -> Result<(Device, String), DeviceError> {
    Err(DeviceError::CudaNotBuilt)
}

/// Returns the Vulkan device of this kind and number, if there is one. Devices are requested one by
/// one from Vulkan, because burn's own list in `wgpu` contains OpenGL's devices if Vulkan has none.
#[cfg(feature = "vulkan-wgsl")]
fn vulkan_device(kind: burn::backend::WgpuDeviceKind) -> Option<Device> {
    use burn::backend::{CubeDevice, DispatchDevice, WgpuBackend, WgpuDevice};
    let device = CubeDevice::Wgpu(WgpuDevice::new(kind)).on(WgpuBackend::Vulkan).ok()?;
    Some(Device::new(DispatchDevice::Cube(device)))
}

/// Lists discrete GPUs first and drivers that run on the CPU last but one.
#[cfg(feature = "vulkan-wgsl")]
fn vulkan_devices() -> Result<Vec<Device>, DeviceError> {
    use burn::backend::WgpuDeviceKind;
    kernel_cache::configure();
    let all = |kind: fn(usize) -> WgpuDeviceKind| (0..).map(kind).map_while(vulkan_device);
    Ok(device_failure::guard(|| {
        all(WgpuDeviceKind::DiscreteGpu)
            .chain(all(WgpuDeviceKind::IntegratedGpu))
            .chain(all(WgpuDeviceKind::VirtualGpu))
            .chain(vulkan_device(WgpuDeviceKind::Cpu))
            .chain(all(WgpuDeviceKind::Other))
            .collect()
    })?)
}

#[cfg(feature = "vulkan-wgsl")]
fn open_vulkan(index: usize) -> Result<(Device, String), DeviceError> {
    let devices = vulkan_devices()?;
    let found = devices.len();
    let device = devices.into_iter().nth(index);
    let device = device.ok_or(DeviceError::NoVulkanDevice { index, found })?;
    let identity = device_failure::guard(|| device.identity())?;
    let on_the_cpu = identity.as_ref().is_some_and(|identity| identity.physical.is_none());
    let name = identity.map_or_else(|| "unnamed".to_owned(), |identity| identity.name);
    if on_the_cpu && cfg!(feature = "vulkan") {
        return Err(DeviceError::SoftwareVulkan { name });
    }
    Ok((device, format!("vulkan:{index} ({name})")))
}

/// Opens the first real GPU. Drivers that run on the CPU are never chosen by `auto`, because our
/// own CPU kernels are faster. Real GPUs come first in the list, and the kind identifies them
/// without opening one.
#[cfg(feature = "vulkan-wgsl")]
fn open_first_vulkan_gpu() -> Result<(Device, String), DeviceError> {
    use burn::backend::WgpuDeviceKind::{DiscreteGpu, IntegratedGpu, VirtualGpu};
    kernel_cache::configure();
    let kinds = [DiscreteGpu(0), IntegratedGpu(0), VirtualGpu(0)];
    let there =
        device_failure::guard(|| kinds.into_iter().any(|kind| vulkan_device(kind).is_some()))?;
    if there { open_vulkan(0) } else { Err(DeviceError::NoVulkanDevice { index: 0, found: 0 }) }
}

#[cfg(not(feature = "vulkan-wgsl"))]
fn open_vulkan(_index: usize) -> Result<(Device, String), DeviceError> {
    Err(DeviceError::VulkanNotBuilt)
}

#[cfg(not(feature = "vulkan-wgsl"))]
fn open_first_vulkan_gpu() -> Result<(Device, String), DeviceError> {
    Err(DeviceError::VulkanNotBuilt)
}

impl Precision {
    /// Returns the number format of weights and products on `device`. A GPU whose matrix units
    /// multiply f16 but not bfloat16 (Turing: the T4) does not compute in bfloat16.
    ///
    /// # Errors
    /// [`DeviceError::Precision`] if the device does not compute in this format.
    pub fn on(self, device: &Device) -> Result<FloatDType, DeviceError> {
        if kernels::is_on_cpu(device) {
            return self.on_cpu();
        }
        let refused =
            |precision| DeviceError::Precision { device: format!("{device:?}"), precision };
        // A T4 converts bfloat16 but multiplies f16 only: products in bfloat16 would be made one by
        // one, without its matrix units.
        let has = |format: FloatDType| {
            device_failure::guard(|| {
                let passed_over =
                    format == FloatDType::BF16 && kernels::only_f16_has_matrix_units(device);
                device.supports_dtype(format) && !passed_over
            })
        };
        let wanted = match self {
            Self::F32 => return Ok(FloatDType::F32),
            // f16 has three more bits of precision, every GPU with matrix units multiplies it, and
            // no value becomes infinite: stored values are clamped to its largest number.
            Self::Auto if has(FloatDType::F16)? => return Ok(FloatDType::F16),
            Self::Auto if has(FloatDType::BF16)? => return Ok(FloatDType::BF16),
            Self::Auto => return Ok(FloatDType::F32),
            Self::Bf16 => FloatDType::BF16,
            Self::F16 => FloatDType::F16,
        };
        if has(wanted)? { Ok(wanted) } else { Err(refused(self)) }
    }

    /// Does the same for the CPU's own kernels.
    fn on_cpu(self) -> Result<FloatDType, DeviceError> {
        match self {
            Self::Auto | Self::F32 => Ok(FloatDType::F32),
            Self::Bf16 => Ok(FloatDType::BF16),
            Self::F16 => {
                Err(DeviceError::Precision { device: "the CPU".to_owned(), precision: self })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse() {
        assert_eq!("cuda:3".parse(), Ok(DeviceChoice::Cuda(3)));
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        assert_eq!("vulkan".parse(), Ok(DeviceChoice::Vulkan(0)));
        assert_eq!("vulkan:1".parse(), Ok(DeviceChoice::Vulkan(1)));
        assert_eq!(DeviceChoice::Vulkan(1).to_string(), "vulkan:1");
        for wrong in ["gpu", "cuda:", "cuda:x", "vulkan:-1", "cpu:0", ""] {
            assert!(wrong.parse::<DeviceChoice>().is_err(), "{wrong}");
        }
    }

    #[cfg(not(feature = "nvidia"))]
    #[test]
    fn a_build_without_cuda_says_so_and_auto_falls_back() {
        assert_eq!(DeviceChoice::Cuda(0).open().unwrap_err(), DeviceError::CudaNotBuilt);
        #[cfg(not(feature = "vulkan-wgsl"))]
        assert_eq!(DeviceChoice::Auto.open_named().unwrap().1, "cpu");
    }

    #[cfg(not(feature = "vulkan-wgsl"))]
    #[test]
    fn a_build_without_vulkan_says_so() {
        assert_eq!(DeviceChoice::Vulkan(0).open().unwrap_err(), DeviceError::VulkanNotBuilt);
    }

    #[test]
    fn the_cpu_refuses_f16_by_name() {
        let error = Precision::F16.on(&Device::flex()).unwrap_err().to_string();
        assert_eq!(
            error,
            "the CPU does not compute in f16: use --precision auto, or f32, in which every device computes"
        );
        assert_eq!(Precision::F32.on(&Device::flex()), Ok(FloatDType::F32));
        assert!(Precision::Auto.on(&Device::flex()).is_ok());
    }
}
