//! The bundled clips and the micro model.

use std::path::PathBuf;

use sam2_engine::{Device, LazyFrames, LazyOptions, Sam2};
use sam2_mask_writer::{Mask, MaskStackReader};

use crate::repository_file;

/// The micro model's weights.
pub fn micro_weights() -> PathBuf {
    repository_file("assets/micro/sam2.1_hiera_micro.safetensors")
}

/// The micro model on the CPU.
pub fn micro_model() -> Sam2 {
    Sam2::load(micro_weights(), &Device::flex()).unwrap()
}

/// Path of a bundled clip: `mouse-arena`, `worm`, `two-crossing`.
pub fn clip(name: &str) -> PathBuf {
    repository_file(&format!("assets/clips/{name}.mp4"))
}

/// The DeepLabCut track of `mouse-arena`.
pub fn mouse_track() -> PathBuf {
    repository_file("assets/clips/mouse-arenaDLC_synthetic_micro.csv")
}

/// Frames of a bundled clip.
pub fn frames(name: &str) -> LazyFrames {
    LazyFrames::open(clip(name), LazyOptions::default()).unwrap()
}

/// True masks of object `object` in every frame of a bundled clip.
pub fn truth(name: &str, object: u8) -> Vec<Mask> {
    let path = repository_file(&format!("assets/clips/{name}-truth-{object}.tif"));
    MaskStackReader::open(&path).unwrap().map(Result::unwrap).collect()
}
