//! A CUDA device made of software: a `libcuda.so` whose launches interpret PTX on the CPU and check every access.
//!
//! * [`ptx`] reads the text that NVRTC makes.

pub mod ptx;
