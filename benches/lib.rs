//! Shared parts of the benchmarks: the micro model and its clip.

#![forbid(unsafe_code)]

use std::path::PathBuf;

use sam2_engine::{Device, LazyFrames, LazyOptions, Sam2};

/// Returns the path of a file in the repository.
fn repository_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// Loads the micro model on the CPU.
///
/// # Panics
/// If the repository is incomplete.
pub fn micro_model() -> Sam2 {
    micro_model_on(&Device::flex())
}

/// Loads the micro model on a device.
///
/// # Panics
/// If the repository is incomplete, or the device fails.
pub fn micro_model_on(device: &Device) -> Sam2 {
    let path = repository_file("assets/micro/sam2.1_hiera_micro.safetensors");
    Sam2::load(&path, device).unwrap_or_else(|error| panic!("{error}"))
}

/// Opens the bundled recording of a mouse: 60 frames of 384 x 288.
///
/// # Panics
/// If the repository is incomplete.
pub fn mouse_frames() -> LazyFrames {
    let path = repository_file("assets/clips/mouse-arena.mp4");
    LazyFrames::open(path, LazyOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}
