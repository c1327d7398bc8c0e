//! The C interface: the functions of the CUDA driver that cubecl-cuda and cudarc call.
//!
//! cudarc opens `libcuda.so` and looks up each function by name when it is first called. If a
//! function is not defined here, cudarc reports it as missing, by name.

mod config;
mod context;
mod devices;
mod error;
mod launches;
mod memory;
mod recorder;
mod state;
mod streams;

use config::Mode;
pub use error::{CudaError, Status};
use state::{Driver, call};
