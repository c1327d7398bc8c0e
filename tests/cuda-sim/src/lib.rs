//! A CUDA device made of software: a `libcuda.so` whose launches interpret PTX on the CPU and check every access.
//!
//! * [`ptx`] reads the text that NVRTC makes.
//! * `exec` runs it.
//! * [`check`] says what counts as a fault and what is done about it.
//! * [`device`] is the library's own interface, which the tests use; [`driver`] puts the C functions on top.

pub mod check;
pub mod device;
pub mod driver;
mod exec;
pub mod ptx;

pub use exec::{Program, Stats};
