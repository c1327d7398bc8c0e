//! Masks that a person should check are named at the end of the work.

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::support::{ON_THE_MOUSE, Workshop, asset};

/// Returns the bundled weights with object scores so low that no object is ever detected.
fn blind_weights() -> Vec<u8> {
    const KEY: &str = "sam_mask_decoder.pred_obj_score_head.layers.2.bias";
    /// -512 as f16, little-endian.
    const LOW: [u8; 2] = [0x00, 0xe0];
    let bytes = std::fs::read(asset("micro/sam2.1_hiera_micro.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let changed = file.tensors().into_iter().map(|(name, view)| {
        let low = TensorView::new(view.dtype(), view.shape().to_vec(), &LOW);
        if name == KEY { (name, low.unwrap()) } else { (name, view) }
    });
    safetensors::serialize(changed, None).unwrap()
}

#[test]
fn lost_frames_are_counted_and_named() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv").write("blind.safetensors", blind_weights());
    let click = ON_THE_MOUSE.replacen('0', "2", 1);
    let blind = workshop.segment("mouse.mkv", &["--point", &click, "--model", "blind.safetensors"]);
    assert!(workshop.masks().areas().iter().all(|&area| area == 0));
    blind.warns(&["the object was not found: 6 masks (object 1), frames 0-5"]);
    let lines = blind.stderr.lines().filter(|line| line.contains("not found")).count();
    assert_eq!(lines, 1, "{}", blind.stderr);
}

#[test]
fn nothing_is_said_of_masks_that_are_as_they_should_be() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    let outcome = workshop.segment("mouse.mkv", &["--point", ON_THE_MOUSE]);
    assert!(!outcome.stderr.contains("masks (object"), "{}", outcome.stderr);
}
