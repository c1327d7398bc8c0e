//! The weights part of `make parity`: converts the files that `tests/parity/hf/check_names.py
//! --save` has written.

use std::collections::BTreeMap;
use std::path::Path;

use sam2_weights_convert::{Checkpoint, CheckpointLayout, StoredPrecision, convert, inspect};

use crate::compare::Report;
use crate::fixture::Fixture;

/// Returns names and values of a converted file.
fn values(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let names: Vec<String> = Checkpoint::read(path).unwrap().tensors.into_keys().collect();
    let file = Fixture::read(path);
    names.into_iter().map(|name| (name.clone(), file.values(&name))).collect()
}

/// Converts one model as stored by either package, in every number format, and compares the values.
///
/// # Panics
/// If a file is missing or cannot be converted.
pub fn compare(out: &Path) -> Report {
    let folder = out.join("hugging-face/micro_2_1");
    let mut report = Report::default();
    let converted = |input: &Path, name: &str, precision| {
        let output = folder.join(name);
        convert(input, &output, precision, None, true).unwrap();
        output
    };
    let official = folder.join("official.pt");
    let theirs = folder.join("model.safetensors");
    assert_eq!(Checkpoint::read(&official).unwrap().layout, CheckpointLayout::PyTorch);
    assert_eq!(Checkpoint::read(&theirs).unwrap().layout, CheckpointLayout::HuggingFace);

    let reference = values(&converted(&official, "official.safetensors", StoredPrecision::F32));
    let mut check = |name: &str, path: &Path, limit: f64| {
        let found = values(path);
        assert!(found.keys().eq(reference.keys()), "{name}: other tensors");
        for (tensor, expected) in &reference {
            report.relative(name, &found[tensor], expected, limit);
        }
    };
    let from_hub = converted(&theirs, "hub.safetensors", StoredPrecision::Keep);
    check("Hugging Face's file", &from_hub, 0.0);
    // Half the distance between neighbouring numbers: 11 and 8 significant bits.
    for (name, precision, limit) in [
        ("there and back through f16", StoredPrecision::F16, 0.5_f64.powi(11)),
        ("there and back through bf16", StoredPrecision::Bf16, 0.5_f64.powi(8)),
    ] {
        let small = converted(&from_hub, "small.safetensors", precision);
        let back = converted(&small, "back.safetensors", StoredPrecision::F32);
        check(name, &back, limit);
        let again = converted(&back, "again.safetensors", precision);
        assert_eq!(
            std::fs::read(small).unwrap(),
            std::fs::read(again).unwrap(),
            "{name}: not exact"
        );
    }
    let found = inspect(&theirs).unwrap();
    assert_eq!(found.config.unwrap(), "micro-2.1".parse().unwrap());
    report
}
