//! CUDA's requirements on the machine that runs the program: a driver, NVRTC and CUDA's headers.
//!
//! NVRTC compiles kernels when they are first used, and loads CUDA's headers for it. cudarc opens
//! NVRTC by its name through the loader's path, and cubecl takes the headers from `CUDA_PATH`.
//! Neither searches a Python environment, where most users have both. [`find_toolkit`] searches all
//! places, [`CudaToolkit::link_into`] makes a folder in which cudarc and cubecl find the result,
//! and [`CudaProblem`] names what is missing.
//!
//! This module does not change the process. Its loader reads `LD_LIBRARY_PATH` when the process
//! starts, so a program must be started with both variables, or set them and start itself again, as
//! `sam2` does.
//!
//! All of this except the driver query works in every build, so that a build without CUDA can
//! report what a machine has.

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
