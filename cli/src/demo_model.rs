//! The model that is built into the binary.

/// Weights of the micro model, f16 safetensors. Trained on synthetic clips: good enough to try the
/// program, not for real work.
pub const WEIGHTS: &[u8] = include_bytes!("../../assets/micro/sam2.1_hiera_micro.safetensors");

/// Message that is logged when the built-in model is used.
pub const NOTICE: &str = "using the built-in demonstration model (micro, trained on synthetic clips only); for real recordings \
     fetch an official checkpoint (`sam2 download large`) and name it (`--model large`)";
