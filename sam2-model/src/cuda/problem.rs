//! Reasons why kernels cannot be compiled for an NVIDIA GPU, and how to fix them.

use std::fmt;
use std::path::PathBuf;

use super::version::CudaVersion;

/// The oldest supported driver, by the version of CUDA that came with it.
const OLDEST: CudaVersion = CudaVersion::new(12, 0);

/// A part that CUDA needs is missing or incompatible. Detected before any computation starts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CudaProblem {
    /// There is no driver.
    NoDriver,
    /// The driver is installed but does not work.
    DriverFails {
        /// The version of CUDA that the driver supports.
        driver: CudaVersion,
        /// The driver's name for the error.
        reason: String,
    },
    /// The driver cannot load the output of NVRTC.
    DriverTooOld {
        /// The version of CUDA that the driver supports.
        driver: CudaVersion,
        /// The version of NVRTC.
        nvrtc: CudaVersion,
        /// The NVRTC that was found.
        path: PathBuf,
    },
    /// NVRTC was not found.
    NvrtcMissing {
        /// The version of CUDA that the driver supports, if there is a driver to ask.
        driver: Option<CudaVersion>,
    },
    /// NVRTC is where cudarc looks, but the loader cannot load it.
    NvrtcFails {
        /// The NVRTC that was found.
        nvrtc: PathBuf,
    },
    /// NVRTC was found, but not the headers that kernels include.
    HeadersMissing {
        /// The NVRTC that was found.
        nvrtc: PathBuf,
        /// Its version, if the names of its files contain it.
        version: Option<CudaVersion>,
        /// The version of CUDA that the driver supports, if there is a driver to ask.
        driver: Option<CudaVersion>,
    },
    /// Everything is installed, but not where cudarc and cubecl look.
    NotOnPath {
        /// The NVRTC that was found.
        nvrtc: PathBuf,
        /// The folder that `LD_LIBRARY_PATH` must contain.
        library_folder: PathBuf,
        /// Value that `CUDA_PATH` must have.
        cuda_path: PathBuf,
    },
}

impl CudaProblem {
    /// Describes what was found, with versions and paths.
    pub fn found(&self) -> String {
        match self {
            Self::NoDriver => {
                "there is no NVIDIA driver (the loader does not find libcuda.so.1)".to_owned()
            }
            Self::DriverFails { driver, reason } => {
                format!("the NVIDIA driver for CUDA {driver} does not start ({reason})")
            }
            Self::DriverTooOld { driver, nvrtc, path } => format!(
                "the NVIDIA driver supports CUDA {driver}, too old for NVRTC {nvrtc} ('{}'), whose kernels need a driver for CUDA {nvrtc} or newer",
                path.display()
            ),
            Self::NvrtcMissing { .. } => "NVRTC, which compiles the kernels, was not found in CUDA_PATH, the loader's path, /usr/local/cuda, /opt/cuda or a Python environment".to_owned(),
            Self::NvrtcFails { nvrtc } => {
                format!("NVRTC is there ('{}'), but cannot be loaded", nvrtc.display())
            }
            Self::HeadersMissing { nvrtc, version, .. } => format!(
                "NVRTC{} is there ('{}'), but CUDA's headers of that version are not",
                version.map_or_else(String::new, |version| format!(" {version}")),
                nvrtc.display()
            ),
            Self::NotOnPath { nvrtc, .. } => {
                format!("NVRTC is there ('{}'), but this process does not look there", nvrtc.display())
            }
        }
    }

    /// Describes how to fix the problem.
    pub fn remedy(&self) -> String {
        let update = || format!("update the driver to one for CUDA {OLDEST} or newer");
        match self {
            Self::NoDriver => "install the driver; in a container, start it with its GPUs (docker: --gpus all); in a job, ask for a GPU".to_owned(),
            Self::DriverFails { .. } => {
                "check `nvidia-smi`, and restart the machine if the driver was just updated".to_owned()
            }
            Self::DriverTooOld { driver, .. } => match install_command(Some(*driver)) {
                Some(command) => format!("update the driver, or install an older NVRTC: {command}"),
                None => update(),
            },
            Self::NvrtcMissing { driver } => match install_command(*driver) {
                Some(command) => format!("{command} (or `module load cuda`, or a CUDA toolkit)"),
                None => update(),
            },
            Self::NvrtcFails { .. } => "install it again, for this kind of processor".to_owned(),
            // Headers must match NVRTC rather than the driver.
            Self::HeadersMissing { version, driver, .. } => match install_command(version.or(*driver)) {
                Some(command) => format!("{command} (or set CUDA_PATH to a CUDA toolkit)"),
                None => "set CUDA_PATH to a CUDA toolkit".to_owned(),
            },
            Self::NotOnPath { library_folder, cuda_path, .. } => format!(
                "start it with LD_LIBRARY_PATH={} CUDA_PATH={}",
                library_folder.display(),
                cuda_path.display()
            ),
        }
    }
}

impl fmt::Display for CudaProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; or use --device cpu", self.found(), self.remedy())
    }
}

impl std::error::Error for CudaProblem {}

/// Returns the command that installs NVRTC and the headers from PyPI, in the newest version that a
/// driver for `driver` can load, or in the newest version of all without a driver. Returns `None`
/// for drivers that are too old for every version.
pub fn install_command(driver: Option<CudaVersion>) -> Option<String> {
    let packages: &[&str] = match driver {
        Some(driver) if driver < OLDEST => return None,
        // Before CUDA 13, the names of the packages end in the major version, and the contents of
        // today's nvidia-cuda-crt were part of the compiler's package.
        Some(CudaVersion { major: 12, .. }) => &[
            "nvidia-cuda-nvrtc-cu12",
            "nvidia-cuda-runtime-cu12",
            "nvidia-cuda-nvcc-cu12",
            "nvidia-cuda-cccl-cu12",
        ],
        _ => &["nvidia-cuda-nvrtc", "nvidia-cuda-runtime", "nvidia-cuda-crt", "nvidia-cuda-cccl"],
    };
    let packages = packages.iter().map(|package| match driver {
        // Any version below the next minor one: some versions of CUDA have no packages.
        Some(driver) => format!("'{package}<{}.{}'", driver.major, driver.minor + 1),
        None => (*package).to_owned(),
    });
    Some(format!("pip install {}", packages.collect::<Vec<_>>().join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_fit_the_driver() {
        let command = |major, minor| install_command(Some(CudaVersion::new(major, minor)));
        assert_eq!(
            command(13, 0).unwrap(),
            "pip install 'nvidia-cuda-nvrtc<13.1' 'nvidia-cuda-runtime<13.1' 'nvidia-cuda-crt<13.1' 'nvidia-cuda-cccl<13.1'"
        );
        // PyPI has no packages for CUDA 12.7.
        assert!(command(12, 7).unwrap().contains("'nvidia-cuda-nvrtc-cu12<12.8'"));
        assert!(!command(12, 7).unwrap().contains("crt"));
        assert_eq!(command(11, 8), None);
        assert!(install_command(None).unwrap().starts_with("pip install nvidia-cuda-nvrtc nvidia"));
    }

    #[test]
    fn messages_have_the_numbers_and_the_remedy_in_one_line() {
        let (old, new) = (CudaVersion::new(12, 4), CudaVersion::new(13, 5));
        let nvrtc = PathBuf::from("/x/libnvrtc.so.13");
        let cases: [(CudaProblem, &[&str]); 8] = [
            (CudaProblem::NoDriver, &["libcuda.so.1", "--gpus all", "--device cpu"]),
            (
                CudaProblem::DriverFails { driver: old, reason: "CUDA_ERROR_NO_DEVICE".into() },
                &["12.4", "CUDA_ERROR_NO_DEVICE", "nvidia-smi"],
            ),
            (
                CudaProblem::DriverTooOld { driver: old, nvrtc: new, path: nvrtc.clone() },
                &["supports CUDA 12.4", "NVRTC 13.5 ('/x/libnvrtc.so.13')", "nvrtc-cu12<12.5'"],
            ),
            (
                CudaProblem::DriverTooOld {
                    driver: CudaVersion::new(11, 0),
                    nvrtc: new,
                    path: nvrtc.clone(),
                },
                &["supports CUDA 11.0", "NVRTC 13.5 (", "update the driver to one for CUDA 12.0"],
            ),
            (
                CudaProblem::NvrtcMissing { driver: Some(new) },
                &["CUDA_PATH", "'nvidia-cuda-nvrtc<13.6'", "module load cuda"],
            ),
            (
                CudaProblem::HeadersMissing {
                    nvrtc: nvrtc.clone(),
                    version: Some(CudaVersion::new(13, 0)),
                    driver: Some(new),
                },
                &["NVRTC 13.0 is there ('/x/", "headers", "'nvidia-cuda-runtime<13.1'"],
            ),
            (CudaProblem::NvrtcFails { nvrtc: nvrtc.clone() }, &["/x/", "cannot be loaded"]),
            (
                CudaProblem::NotOnPath {
                    nvrtc,
                    library_folder: "/x".into(),
                    cuda_path: "/y".into(),
                },
                &["LD_LIBRARY_PATH=/x CUDA_PATH=/y"],
            ),
        ];
        for (problem, words) in cases {
            let text = problem.to_string();
            assert!(!text.contains('\n') && text.ends_with("or use --device cpu"), "{text}");
            for word in words {
                assert!(text.contains(word), "{word} in {text}");
            }
        }
    }
}
