//! `sam2 inspect`.

use serde_json::Value;

use crate::support::{Workshop, asset_text};

fn inspected(workshop: &Workshop, file: &str) -> Value {
    let outcome = workshop.sam2(&["inspect", file, "--json"]).succeeded();
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// Computed from the file itself: `sha256sum assets/micro/sam2.1_hiera_micro.pt`.
const MICRO_SHA256: &str = "92b5d4dcf4a2088441530ce31f456210d0bdb637fb0b7ad4b0f04490b25a3c42";

#[test]
fn everything_that_is_asked_for() {
    let workshop = Workshop::new();
    let file = asset_text("micro/sam2.1_hiera_micro.pt");
    let outcome = workshop.sam2(&["inspect", &file]).succeeded();
    for line in [
        "variant     micro",
        "version     2.1",
        "image size  256 x 256",
        "dtype       f16",
        "parameters  2628674",
        "bytes       5378712",
        MICRO_SHA256,
        "release     not a known release by its SHA-256",
    ] {
        assert!(outcome.stdout.contains(line), "{line}: {}", outcome.stdout);
    }
}

#[test]
fn what_a_conversion_says_of_itself_is_marked_as_its_claim() {
    let workshop = Workshop::new();
    let file = asset_text("micro/sam2.1_hiera_micro.pt");
    workshop.sam2(&["convert", &file, "f32.safetensors", "--dtype", "f32"]).succeeded();
    workshop
        .sam2(&["convert", "f32.safetensors", "bf16.safetensors", "--dtype", "bf16"])
        .succeeded();
    for (name, dtype) in [("f32.safetensors", "f32"), ("bf16.safetensors", "bf16")] {
        let json = inspected(&workshop, name);
        assert_eq!(json["claimed_source_sha256"], MICRO_SHA256, "{name}");
        assert_eq!((&json["release"], &json["made_from"]), (&Value::Null, &Value::Null));
        let table = workshop.sam2(&["inspect", name]).succeeded().stdout;
        assert!(table.contains(MICRO_SHA256) && table.contains("nothing proves it"), "{table}");
        assert_ne!(json["sha256"], MICRO_SHA256);
        assert_eq!(json["dtypes"], serde_json::json!({ dtype: 395 }));
        assert_eq!((&json["variant"], &json["version"]), (&"micro".into(), &"2.1".into()));
        assert_eq!(json["problem"], Value::Null);
    }
}

#[test]
fn a_file_that_claims_to_be_a_release_is_not_called_one() {
    let workshop = Workshop::new();
    let file = asset_text("micro/sam2.1_hiera_micro.pt");
    workshop.sam2(&["convert", &file, "own.safetensors"]).succeeded();
    // The SHA-256 of sam2.1_hiera_large.pt replaces the file's own; both texts are equally long.
    let large = "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318";
    let mut bytes = workshop.read("own.safetensors");
    let at = bytes.windows(64).position(|part| part == MICRO_SHA256.as_bytes()).unwrap();
    bytes[at..at + 64].copy_from_slice(large.as_bytes());
    workshop.write("false.safetensors", bytes);
    let table = workshop.sam2(&["inspect", "false.safetensors"]).succeeded().stdout;
    assert!(table.contains("release     not a known release"), "{table}");
    let claim =
        format!("claims      to be made from sam2.1_hiera_large.pt with the SHA-256 {large}");
    assert!(table.contains(&claim), "{table}");
    let json = inspected(&workshop, "false.safetensors");
    assert_eq!((&json["release"], &json["made_from"]), (&Value::Null, &Value::Null));
}

#[test]
fn weights_of_something_else() {
    let workshop = Workshop::new();
    // One tensor, `weight`, of two f32 values.
    let header = br#"{"weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header);
    bytes.extend_from_slice(&[0; 8]);
    workshop.write("other.safetensors", bytes);
    let outcome = workshop.refused(1, &["inspect", "other.safetensors"], &["other.safetensors"]);
    assert!(
        outcome.stdout.contains("parameters  2"),
        "what can be said is said: {}",
        outcome.stdout
    );
    let outcome = workshop.sam2(&["inspect", "other.safetensors", "--json"]).failed(1);
    let json: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert!(json["problem"].as_str().unwrap().contains("known SAM 2 variant"));
}

#[test]
fn files_that_are_no_weights() {
    let workshop = Workshop::new();
    workshop.write("empty", "");
    workshop.write("text.txt", "hello");
    for name in ["empty", "text.txt", "missing", "."] {
        workshop.refused(1, &["inspect", name], &[name]);
    }
}

#[test]
fn checkpoints_can_be_used_as_they_are() {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    let point = crate::support::ON_THE_MOUSE;
    let model = asset_text("micro/sam2.1_hiera_micro.pt");
    let outcome =
        workshop.segment_to("pt.btf", "mouse.mkv", &["--point", point, "--model", &model]);
    assert!(outcome.stderr.contains("sam2 convert"), "{}", outcome.stderr);
    workshop.segment_to("built-in.btf", "mouse.mkv", &["--point", point]);
    assert!(workshop.read("pt.btf") == workshop.read("built-in.btf"));
}
