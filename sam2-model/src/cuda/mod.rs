//! What CUDA needs on the machine that runs the program: a driver, NVRTC and CUDA's headers.
//!
//! Kernels are compiled when they are first used, by NVRTC, which loads CUDA's headers. cudarc opens NVRTC by its name through the loader's path, and cubecl takes the headers from
//! `CUDA_PATH`; neither looks into a Python environment, where most users have them. [`find_toolkit`] looks in all places, [`CudaToolkit::link_into`] makes a folder in which cudarc and
//! cubecl find what was found, and [`CudaProblem`] says what is missing. Nothing here changes the process: its loader reads `LD_LIBRARY_PATH` when it starts, so a program sets both
//! variables and starts itself again, as `sam2` does, or is started with them.
//!
//! All of this but asking the driver works in every build, so that a build without CUDA can tell what a machine has.

mod driver;
mod links;
mod problem;
mod search;
mod version;

pub use driver::{CudaGpu, driver_version, list_gpus};
pub use links::LinkedToolkit;
pub use problem::{CudaProblem, install_command};
pub use search::{
    CudaHeaders, CudaToolkit, NvrtcLibrary, SearchPlaces, ToolkitPlace, find_toolkit,
};
pub use version::CudaVersion;

#[cfg(feature = "nvidia")]
pub(crate) use driver::check;
