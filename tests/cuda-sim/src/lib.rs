//! A CUDA device made of software: a `libcuda.so` whose launches interpret PTX on the CPU and check every access.
//!
//! * [`ptx`] reads the text that NVRTC makes.
//! * `exec` runs it.
//! * [`check`] says what counts as a fault and what is done about it.
//! * [`device`] is the library's own interface, which the tests use.

pub mod check;
pub mod device;
mod exec;
pub mod ptx;

pub use exec::{Program, Stats};
