//! A CUDA device in software: a `libcuda.so` whose launches interpret PTX on the CPU and check
//! every access.
//!
//! * [`ptx`] reads the text that NVRTC generates.
//! * `exec` runs it.
//! * [`check`] defines the faults and what is done about them.
//! * [`device`] is the library's own interface, which the tests use; [`driver`] provides the C
//!   functions based on it.

pub mod check;
pub mod device;
pub mod driver;
mod exec;
pub mod ptx;

pub use exec::{Program, Stats};
