//! Every error message tells the user what to do.

use crate::support::{ON_THE_MOUSE, Workshop, asset, asset_text, track};

/// Words that tell the user what to do.
const REMEDIES: [&str; 20] = [
    "; it has ",
    "accepted ",
    "add ",
    "allow ",
    "bring ",
    "check ",
    "choose ",
    "convert ",
    "copy ",
    "download ",
    "expected ",
    "export ",
    "give ",
    "make ",
    "numbered from 0",
    "re-encode",
    "run ",
    "scale ",
    "try ",
    "use ",
];

/// Expects each command line to fail with a message that contains a remedy, and lists all that lack
/// one.
fn each_says_what_to_do(workshop: &Workshop, cases: &[&[&str]]) {
    let mut silent = Vec::new();
    for arguments in cases {
        let outcome = workshop.sam2(arguments);
        outcome.did_not_panic();
        assert!(outcome.code.is_some_and(|code| code > 0), "{arguments:?} should fail");
        let message = outcome.error();
        // Only the message itself, without the quoted names.
        let said: String = message.split('\'').step_by(2).collect();
        if !REMEDIES.iter().any(|remedy| said.contains(remedy)) {
            silent.push(message.to_owned());
        }
    }
    assert!(silent.is_empty(), "no remedy is named by\n{}", silent.join("\n"));
}

fn mouse() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv").folder("folder");
    workshop.write("empty", "");
    workshop.write("text", "hello\n".repeat(100));
    workshop
}

#[test]
fn of_tracks() {
    let workshop = mouse();
    let rows = ["122,40,0.9"; 3];
    let good = track(&["body"], &rows);
    workshop.write("good.csv", &good);
    workshop.write("header.csv", track(&["body"], &[]));
    workshop.write("rows.csv", rows.join("\n"));
    workshop.write("short.csv", track(&["body"], &rows[..2]));
    workshop.write("word.csv", good.replacen("122", "oops", 1));
    workshop.write("twice.csv", good.replace("\n2,", "\n1,"));
    workshop.write("outside.csv", good.replace("122", "222"));
    let of = |track| ["segment", "mouse.mkv", "-o", "masks.btf", "--keypoints", track];
    let unknown = [&of("good.csv")[..], &["--bodyparts", "nose"]].concat();
    let cases: [&[&str]; 10] = [
        &of("missing.csv"),
        &of("folder"),
        &of("empty"),
        &of("header.csv"),
        &of("rows.csv"),
        &of("short.csv"),
        &of("word.csv"),
        &of("twice.csv"),
        &of("outside.csv"),
        &unknown,
    ];
    each_says_what_to_do(&workshop, &cases);
}

#[test]
fn of_weights() {
    let workshop = mouse();
    let good = asset_text("micro/sam2.1_hiera_micro.safetensors");
    let bytes = std::fs::read(asset("micro/sam2.1_hiera_micro.safetensors")).unwrap();
    workshop.write("cut.safetensors", &bytes[..bytes.len() / 2]);
    // A renamed tensor: one is missing, and one is unknown.
    let mut renamed = bytes;
    let at = renamed.windows(14).position(|bytes| bytes == b"\"no_mem_embed\"").unwrap();
    renamed[at + 1] = b'N';
    workshop.write("renamed.safetensors", renamed);
    let before = ["segment", "mouse.mkv", "-o", "masks.btf", "--point", ON_THE_MOUSE, "--model"];
    let of = |weights| [&before[..], &[weights]].concat();
    let with = |config| [&before[..], &[&good, "--config", config]].concat();
    let cases: [&[&str]; 9] = [
        &of("missing.safetensors"),
        &of("folder"),
        &of("empty"),
        &of("text"),
        &of("cut.safetensors"),
        &of("renamed.safetensors"),
        &with("tiny"),
        &with("gigantic"),
        &with("missing.json"),
    ];
    each_says_what_to_do(&workshop, &cases);
}

#[test]
fn of_recordings_prompts_and_outputs() {
    let workshop = mouse();
    workshop.write("exists.btf", "");
    let of = |recording, output, prompt: &[&'static str]| {
        [&["segment", recording, "-o", output], prompt].concat()
    };
    let point = &["--point", ON_THE_MOUSE];
    let boxes = ["--box", "0:1,1,9,9", "--box", "0:2,2,9,9"];
    let cases: [&[&str]; 12] = [
        &of("missing.mp4", "masks.btf", point),
        &of("folder", "masks.btf", point),
        &of("empty", "masks.btf", point),
        &of("text", "masks.btf", point),
        &of("mouse.mkv", "masks.btf", &[]),
        &of("mouse.mkv", "masks.btf", &["--point", "0:222,40"]),
        &of("mouse.mkv", "masks.btf", &["--point", "9:122,40"]),
        &of("mouse.mkv", "masks.btf", &["--box", "0:9,9,1,1"]),
        &of("mouse.mkv", "masks.btf", &boxes),
        &of("mouse.mkv", "masks.avi", point),
        &of("mouse.mkv", "exists.btf", point),
        &of("mouse.mkv", "no/such/masks.btf", point),
    ];
    each_says_what_to_do(&workshop, &cases);
}

#[test]
fn of_convert() {
    let workshop = mouse();
    let checkpoint = asset_text("micro/sam2.1_hiera_micro.pt");
    workshop.write("exists.safetensors", "");
    workshop.truncate(asset("micro/sam2.1_hiera_micro.pt"), 0.6, "cut.pt");
    let out = "out.safetensors";
    let cases: [&[&str]; 9] = [
        &["convert", "missing.pt", out],
        &["convert", "folder", out],
        &["convert", "empty", out],
        &["convert", "text", out],
        &["convert", "cut.pt", out],
        &["convert", &checkpoint, "exists.safetensors"],
        &["convert", &checkpoint, "no/such/out.safetensors"],
        &["convert", &checkpoint, "text/out.safetensors"],
        &["convert", &checkpoint, "folder", "--overwrite"],
    ];
    each_says_what_to_do(&workshop, &cases);
}
