//! `sam2 convert`: official checkpoints to safetensors.

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::support::{ON_THE_MOUSE, Workshop, asset, asset_text};

fn checkpoint() -> String {
    asset_text("micro/sam2.1_hiera_micro.pt")
}

/// Returns names, formats and values of a safetensors file, sorted by name.
fn tensors(bytes: &[u8]) -> Vec<(String, Dtype, Vec<u8>)> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut tensors: Vec<_> = file
        .iter()
        .map(|(name, view)| (name.to_owned(), view.dtype(), view.data().to_vec()))
        .collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

#[test]
fn a_checkpoint_becomes_the_bundled_weights() {
    let workshop = Workshop::new();
    let outcome = workshop.sam2(&["convert", &checkpoint(), "out.safetensors"]).succeeded();
    for part in ["out.safetensors", "micro", "395 tensors", "2.6 M"] {
        assert!(outcome.stdout.contains(part), "{part} in {}", outcome.stdout);
    }
    let bundled = std::fs::read(asset("micro/sam2.1_hiera_micro.safetensors")).unwrap();
    assert!(tensors(&workshop.read("out.safetensors")) == tensors(&bundled));
    assert_eq!(workshop.names(), ["out.safetensors", "tmp"]);
}

#[test]
fn converting_again_gives_the_same_bytes() {
    let workshop = Workshop::new();
    for number in 0..8 {
        workshop.sam2(&["convert", &checkpoint(), &format!("{number}.safetensors")]).succeeded();
    }
    let first = workshop.read("0.safetensors");
    for number in 1..8 {
        assert!(workshop.read(&format!("{number}.safetensors")) == first, "run {number}");
    }
}

#[test]
fn formats_go_there_and_back_and_segment_alike() {
    let workshop = Workshop::new();
    workshop.mouse(4, "mouse.mkv");
    let convert = |from: &str, to: &str, format: &str| {
        workshop.sam2(&["convert", from, to, "--dtype", format]).succeeded();
    };
    convert(&checkpoint(), "kept.safetensors", "keep");
    convert(&checkpoint(), "f32.safetensors", "f32");
    convert("f32.safetensors", "f16.safetensors", "f16");
    convert("f32.safetensors", "bf16.safetensors", "bf16");
    let of = |name: &str| tensors(&workshop.read(name));
    assert!(of("f16.safetensors") == of("kept.safetensors"));
    assert!(of("f32.safetensors").iter().all(|tensor| tensor.1 == Dtype::F32));
    assert!(of("bf16.safetensors").iter().all(|tensor| tensor.1 == Dtype::BF16));
    for name in ["kept", "f32", "f16", "bf16"] {
        let model = format!("{name}.safetensors");
        let arguments = ["--point", ON_THE_MOUSE, "--model", &model];
        workshop.segment_to(&format!("{name}.btf"), "mouse.mkv", &arguments);
    }
    for name in ["f32.btf", "f16.btf"] {
        assert!(workshop.read(name) == workshop.read("kept.btf"), "{name}");
    }
    assert_eq!(workshop.stack("bf16.btf").pages.len(), 4);
}

#[test]
fn an_output_that_exists_needs_overwrite() {
    let workshop = Workshop::new();
    workshop.write("out.safetensors", "weights of another day");
    let arguments = ["convert", &checkpoint(), "out.safetensors"];
    workshop.refused(1, &arguments, &["out.safetensors", "--overwrite"]);
    workshop.sam2(&[&arguments[..], &["--overwrite"]].concat()).succeeded();
    assert_eq!(tensors(&workshop.read("out.safetensors")).len(), 395);
}

#[test]
fn a_failure_leaves_an_older_output_alone() {
    let workshop = Workshop::new();
    workshop.truncate(asset("micro/sam2.1_hiera_micro.pt"), 0.6, "cut.pt");
    workshop.write("out.safetensors", "weights of another day");
    workshop.refused(1, &["convert", "cut.pt", "out.safetensors", "--overwrite"], &["cut.pt"]);
}

#[test]
fn inputs_that_are_no_checkpoints() {
    let workshop = Workshop::new();
    workshop.write("empty.pt", "");
    workshop.write("text.pt", "hello\n".repeat(100));
    workshop.write("zip.pt", b"PK\x03\x04 and then nothing of a zip");
    workshop.truncate(asset("micro/sam2.1_hiera_micro.pt"), 0.6, "cut.pt");
    workshop.truncate(asset("micro/sam2.1_hiera_micro.safetensors"), 0.6, "cut.safetensors");
    for name in ["empty.pt", "text.pt", "zip.pt", "cut.pt", "cut.safetensors"] {
        workshop.refused(1, &["convert", name, "out.safetensors"], &[name]);
    }
}

#[test]
fn an_input_that_is_not_there() {
    let workshop = Workshop::new();
    workshop.refused(1, &["convert", "missing.pt", "out.safetensors"], &["missing.pt"]);
}

#[test]
fn an_input_that_is_a_folder() {
    let workshop = Workshop::new();
    workshop.folder("checkpoints");
    workshop.refused(1, &["convert", "checkpoints", "out.safetensors"], &["checkpoints"]);
}

#[test]
fn outputs_that_cannot_be_written() {
    let workshop = Workshop::new();
    workshop.write("file", "");
    for output in ["no/such/out.safetensors", "file/out.safetensors"] {
        workshop.refused(1, &["convert", &checkpoint(), output], &[output]);
    }
}

#[test]
fn an_output_that_is_a_folder() {
    let workshop = Workshop::new();
    workshop.folder("out");
    workshop.refused(1, &["convert", &checkpoint(), "out", "--overwrite"], &["out"]);
}

#[test]
fn number_formats_that_do_not_exist_are_a_wrong_command_line() {
    let workshop = Workshop::new();
    let arguments = ["convert", &checkpoint(), "out.safetensors", "--dtype", "f64"];
    let outcome = workshop.sam2(&arguments);
    assert_eq!(outcome.code, Some(2), "as documented in --help: {}", outcome.stderr);
    assert!(outcome.error().contains("f64"));
    assert!(outcome.stderr.contains("f16"), "{}", outcome.stderr);
}

#[test]
fn configurations_that_do_not_fit() {
    let workshop = Workshop::new();
    let with = |config| {
        workshop.refused(
            1,
            &["convert", &checkpoint(), "o.safetensors", "--config", config],
            &[config],
        )
    };
    with("tiny");
    with("gigantic");
    with("missing.json");
}
