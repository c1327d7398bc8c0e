//! Queries the NVIDIA driver and NVRTC for their versions and GPUs.
#![cfg_attr(feature = "nvidia", allow(unsafe_code))]

use super::problem::CudaProblem;
use super::version::CudaVersion;

/// An NVIDIA GPU, as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaGpu {
    /// Its name.
    pub name: String,
    /// Its memory, in bytes.
    pub memory: u64,
    /// Its compute capability, such as (9, 0).
    pub capability: (u32, u32),
}

/// Returns the version of CUDA that the driver supports, or `None` without a driver and in a build
/// without CUDA.
pub fn driver_version() -> Option<CudaVersion> {
    #[cfg(feature = "nvidia")]
    return ask::driver_version();
    #[cfg(not(feature = "nvidia"))]
    None
}

/// Returns the visible NVIDIA GPUs. The list is empty in a build without CUDA.
///
/// # Errors
/// [`CudaProblem::NoDriver`] or [`CudaProblem::DriverFails`].
pub fn list_gpus() -> Result<Vec<CudaGpu>, CudaProblem> {
    #[cfg(feature = "nvidia")]
    return ask::gpus();
    #[cfg(not(feature = "nvidia"))]
    Ok(Vec::new())
}

#[cfg(feature = "nvidia")]
pub(crate) use ask::check;

#[cfg(feature = "nvidia")]
mod ask {
    use std::path::PathBuf;
    use std::sync::OnceLock;

    use cudarc::driver::result::device;
    use cudarc::driver::sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    use cudarc::driver::sys::{CUresult, cuDriverGetVersion};
    use cudarc::driver::{CudaContext, DriverError};
    use cudarc::nvrtc::sys::nvrtcVersion;

    use super::super::search::{SearchPlaces, find_toolkit, is_complete};
    use super::{CudaGpu, CudaProblem, CudaVersion};
    use crate::device_failure::guard;

    pub fn driver_version() -> Option<CudaVersion> {
        // cudarc panics if it finds no driver.
        let version = guard(|| {
            let mut version = 0;
            // SAFETY: `cuDriverGetVersion` needs no initialisation and writes one `int`, which
            // outlives the call.
            unsafe { cuDriverGetVersion(&mut version) }.result().map(|()| version)
        });
        version.ok()?.ok()?.try_into().ok().map(CudaVersion::from_number)
    }

    /// Returns the version of the NVRTC that cudarc opens.
    fn nvrtc_version() -> Option<CudaVersion> {
        let version = guard(|| {
            let (mut major, mut minor) = (0, 0);
            // SAFETY: `nvrtcVersion` writes two `int`s, which outlive the call.
            unsafe { nvrtcVersion(&mut major, &mut minor) }.result().map(|()| (major, minor))
        });
        let (major, minor) = version.ok()?.ok()?;
        Some(CudaVersion::new(major.try_into().ok()?, minor.try_into().ok()?))
    }

    /// Returns the number of GPUs that the driver lists.
    fn count(driver: CudaVersion) -> Result<usize, CudaProblem> {
        let fails = |reason| CudaProblem::DriverFails { driver, reason };
        match guard(CudaContext::device_count) {
            Ok(Ok(count)) => Ok(count.try_into().unwrap_or(0)),
            Ok(Err(DriverError(CUresult::CUDA_ERROR_NO_DEVICE))) => Ok(0),
            Ok(Err(DriverError(code))) => Err(fails(format!("{code:?}"))),
            Err(failure) => Err(fails(failure.to_string())),
        }
    }

    pub fn gpus() -> Result<Vec<CudaGpu>, CudaProblem> {
        let driver = driver_version().ok_or(CudaProblem::NoDriver)?;
        let count = count(driver)?;
        let gpus: Result<Vec<_>, _> = (0..count).map(gpu).collect();
        gpus.map_err(|DriverError(code)| CudaProblem::DriverFails {
            driver,
            reason: format!("{code:?}"),
        })
    }

    fn gpu(index: usize) -> Result<CudaGpu, DriverError> {
        let device = device::get(index.try_into().unwrap_or(i32::MAX))?;
        // SAFETY: `device` comes from `device::get`, which is all that these functions require.
        let (memory, major, minor) = unsafe {
            let major = device::get_attribute(device, MAJOR)?;
            (device::total_mem(device)?, major, device::get_attribute(device, MINOR)?)
        };
        Ok(CudaGpu {
            name: device::get_name(device)?,
            memory: memory as u64,
            capability: (major.try_into().unwrap_or(0), minor.try_into().unwrap_or(0)),
        })
    }

    /// Checks that GPUs can be opened and kernels compiled, and returns the number of GPUs. A check
    /// that succeeded is not repeated.
    pub fn check() -> Result<usize, CudaProblem> {
        static TOOLKIT: OnceLock<()> = OnceLock::new();
        let driver = driver_version().ok_or(CudaProblem::NoDriver)?;
        let count = count(driver)?;
        // burn's LLVM needs neither NVRTC nor headers.
        if count > 0 && cfg!(feature = "cuda-nvrtc") && TOOLKIT.get().is_none() {
            check_toolkit(driver)?;
            let _ = TOOLKIT.set(());
        }
        Ok(count)
    }

    /// Checks the versions that cudarc and cubecl will use. If they do not work, searches for the
    /// reason.
    fn check_toolkit(driver: CudaVersion) -> Result<(), CudaProblem> {
        let headers = cubecl_cuda::install::cuda_path().map(|root| root.join("include"));
        let has_headers = headers.is_some_and(|folder| is_complete(&[folder]));
        let nvrtc = nvrtc_version();
        if has_headers && nvrtc.is_some_and(|version| version <= driver) {
            return Ok(());
        }
        let found = find_toolkit(&SearchPlaces::here(), Some(driver))?;
        let parent = |path: &PathBuf| path.parent().map(PathBuf::from).unwrap_or_default();
        match nvrtc {
            // The names of its files did not reveal the version.
            Some(nvrtc) if nvrtc > driver && found.is_visible => {
                Err(CudaProblem::DriverTooOld { driver, nvrtc, path: found.nvrtc.path })
            }
            None if found.is_visible => Err(CudaProblem::NvrtcFails { nvrtc: found.nvrtc.path }),
            _ => Err(CudaProblem::NotOnPath {
                library_folder: parent(&found.nvrtc.path),
                cuda_path: found.headers.folders.first().map(parent).unwrap_or_default(),
                nvrtc: found.nvrtc.path,
            }),
        }
    }
}
