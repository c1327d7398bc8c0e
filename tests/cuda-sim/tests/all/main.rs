//! Tests of the software CUDA device: instructions compared with the PTX manual, planted faults
//! that must be found, and the C interface.

mod arithmetic;
mod conversions;
mod faults;
mod harness;
mod interface;
mod matrices;
mod memory;
mod nvrtc;
mod threads;
