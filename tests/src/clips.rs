//! Access to the bundled clips and the micro model.

use std::path::PathBuf;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sam2_engine::{Device, FrameSource, LazyFrames, LazyOptions, Sam2};
use sam2_frame_provider::NumpyFrames;
use sam2_mask_writer::{Mask, MaskStackReader};

use crate::device::device;
use crate::repository_file;

/// Returns the path of the micro model's weights.
pub fn micro_weights() -> PathBuf {
    repository_file("assets/micro/sam2.1_hiera_micro.safetensors")
}

/// Loads the micro model on the device of the tests.
pub fn micro_model() -> Sam2 {
    micro_model_on(&device())
}

/// Loads the micro model on a given device.
pub fn micro_model_on(device: &Device) -> Sam2 {
    Sam2::load(micro_weights(), device).unwrap()
}

/// Loads the micro model with `shift` added to every object score: by itself it never reports an
/// absent object.
pub fn micro_model_shifted(shift: f32) -> Sam2 {
    const KEY: &str = "sam_mask_decoder.pred_obj_score_head.layers.2.bias";
    let bytes = std::fs::read(micro_weights()).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let bias = file.tensor(KEY).unwrap();
    let value = half::f16::from_le_bytes(bias.data().try_into().unwrap()).to_f32() + shift;
    let moved = value.to_le_bytes();
    let views: Vec<(String, TensorView<'_>)> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            if name == KEY {
                let view = TensorView::new(Dtype::F32, view.shape().to_vec(), &moved).unwrap();
                (name, view)
            } else {
                (name, view)
            }
        })
        .collect();
    let bytes = safetensors::serialize(views, None).unwrap();
    Sam2::from_bytes(&bytes, "shifted micro weights", None, &device()).unwrap()
}

/// Returns the path of a bundled clip: `mouse-arena`, `worm`, `two-crossing`.
pub fn clip(name: &str) -> PathBuf {
    repository_file(&format!("assets/clips/{name}.mp4"))
}

/// Returns the path of the DeepLabCut track of `mouse-arena`.
pub fn mouse_track() -> PathBuf {
    repository_file("assets/clips/mouse-arenaDLC_synthetic_micro.csv")
}

/// Opens the frames of a bundled clip. On a machine without FFmpeg they come from `NAME.npy` in the
/// folder that `SAM2_TEST_CLIPS` names.
pub fn frames(name: &str) -> Box<dyn FrameSource> {
    match std::env::var_os("SAM2_TEST_CLIPS") {
        Some(folder) => {
            let path = PathBuf::from(folder).join(format!("{name}.npy"));
            Box::new(NumpyFrames::open(path).unwrap())
        }
        None => Box::new(LazyFrames::open(clip(name), LazyOptions::default()).unwrap()),
    }
}

/// Returns the ground-truth masks of object `object` in every frame of a bundled clip.
pub fn truth(name: &str, object: u8) -> Vec<Mask> {
    let path = repository_file(&format!("assets/clips/{name}-truth-{object}.tif"));
    MaskStackReader::open(&path).unwrap().map(Result::unwrap).collect()
}
