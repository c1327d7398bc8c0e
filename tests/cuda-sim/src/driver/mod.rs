//! The C interface: the functions of the CUDA driver that cubecl-cuda and cudarc call.
//!
//! cudarc opens `libcuda.so` and looks each function up by name when it is first called. What is not here is missing for it, and it says so by name.

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
