//! Choosing where the model runs.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

/// A device as the user names it: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// CUDA if this build has it and a GPU is there, else the CPU.
    #[default]
    Auto,
    /// The CPU, always there.
    Cpu,
    /// An NVIDIA GPU by its index among the visible ones (`CUDA_VISIBLE_DEVICES`).
    Cuda(usize),
}

/// The chosen device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Not a device name.
    #[error("'{0}' is no device: use auto, cpu, cuda or cuda:N")]
    Unknown(String),
    /// Compiled without the feature.
    #[error(
        "this build has no CUDA: use --device cpu, or build with `cargo build --release --features cuda`"
    )]
    CudaNotBuilt,
    /// No driver or no such GPU.
    #[error(
        "CUDA device {index} is not there ({found} found): check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or use --device cpu"
    )]
    NoCudaDevice {
        /// What was asked for.
        index: usize,
        /// How many the driver lists.
        found: usize,
    },
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        match name.split_once(':') {
            None => match name {
                "auto" => Ok(Self::Auto),
                "cpu" => Ok(Self::Cpu),
                "cuda" => Ok(Self::Cuda(0)),
                _ => Err(DeviceError::Unknown(name.to_owned())),
            },
            Some(("cuda", index)) => {
                index.parse().map(Self::Cuda).map_err(|_| DeviceError::Unknown(name.to_owned()))
            }
            Some(_) => Err(DeviceError::Unknown(name.to_owned())),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl DeviceChoice {
    /// Opens the device; returns it with a name for logs.
    ///
    /// # Errors
    /// [`DeviceError`] when the device is not in this build or not in this machine. Never panics: burn panics when it
    /// opens a GPU that is not there, so the driver is asked first.
    pub fn open(self) -> Result<(Device, String), DeviceError> {
        match self {
            Self::Cpu => Ok((Device::flex(), "cpu".to_owned())),
            Self::Auto => match open_cuda(0) {
                Ok(found) => Ok(found),
                Err(_) => Self::Cpu.open(),
            },
            Self::Cuda(index) => open_cuda(index),
        }
    }
}

#[cfg(feature = "cuda")]
fn open_cuda(index: usize) -> Result<(Device, String), DeviceError> {
    use burn::tensor::DeviceType;
    let found = Device::enumerate(DeviceType::Cuda).iter().count();
    if index >= found {
        return Err(DeviceError::NoCudaDevice { index, found });
    }
    Ok((Device::cuda(index), format!("cuda:{index}")))
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(_index: usize) -> Result<(Device, String), DeviceError> {
    Err(DeviceError::CudaNotBuilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse() {
        assert_eq!("cuda:3".parse(), Ok(DeviceChoice::Cuda(3)));
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        for wrong in ["gpu", "cuda:", "cuda:x", "cpu:0", ""] {
            assert!(wrong.parse::<DeviceChoice>().is_err(), "{wrong}");
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_so_and_auto_falls_back() {
        assert_eq!(DeviceChoice::Cuda(0).open().unwrap_err(), DeviceError::CudaNotBuilt);
        assert_eq!(DeviceChoice::Auto.open().unwrap().1, "cpu");
    }
}
