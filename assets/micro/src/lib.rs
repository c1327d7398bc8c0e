//! The demonstration model of the sam2 crates, as bytes that are compiled into a program.
//!
//! It is SAM 2.1 with 2.6 million parameters and an input of 256 x 256 pixels, trained by this
//! project on synthetic clips only: good enough to try a program, not for real recordings.

#![forbid(unsafe_code)]

/// The weights: a safetensors file with the official names, f16, 5.3 MB.
pub const WEIGHTS: &[u8] = include_bytes!("../sam2.1_hiera_micro.safetensors");
