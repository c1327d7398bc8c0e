//! The arguments of the lab's Python scripts.

use crate::support::{Workshop, asset, asset_text};

/// Makes a workshop with the folder that `-SAM2_path` names: that of the official code, with
/// `checkpoints/sam2_hiera_large.pt`.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv").mouse_track(0, 6, "track.csv");
    workshop.folder("code/checkpoints");
    // The program goes by the contents of a file, not by its name.
    let micro = std::fs::read(asset("micro/sam2.1_hiera_micro.safetensors")).unwrap();
    workshop.write("code/checkpoints/sam2_hiera_large.pt", micro);
    workshop
}

fn as_segment(workshop: &Workshop, arguments: &[&str]) -> Vec<u8> {
    let model = asset_text("micro/sam2.1_hiera_micro.safetensors");
    let common = [
        "--keypoints",
        "track.csv",
        "--model",
        &model,
        "--overwrite",
        // As the scripts wrote it.
        "--compression=none",
    ];
    workshop.segment_to("expected.btf", "mouse.mkv", &[&common[..], arguments].concat());
    workshop.read("expected.btf")
}

fn legacy(arguments: &[&str]) -> Vec<String> {
    let common = [
        "legacy-pipeline",
        "-output_file_path",
        "out/masks.btf",
        "-DLC_csv_file_path",
        "track.csv",
    ];
    [&common[..], arguments].concat().iter().map(|argument| argument.to_string()).collect()
}

fn run(workshop: &Workshop, arguments: &[&str]) -> Vec<u8> {
    let all = legacy(arguments);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    workshop.sam2(&all).succeeded();
    workshop.read("out/masks.btf")
}

#[test]
fn the_scripts_arguments_give_the_masks_of_segment() {
    let workshop = workshop();
    let script = [
        "-video_path",
        "mouse.mkv",
        "-column_names",
        "snout",
        "tailbase",
        "-SAM2_path",
        "code",
        "--batch_size",
        "4",
        "--device",
        "0",
        "--use_lazy_video",
    ];
    let masks = run(&workshop, &script);
    let expected = as_segment(&workshop, &["--bodyparts", "snout,tailbase", "--batch-size", "4"]);
    assert!(masks == expected, "the same file, byte for byte");
    // As a workflow passes them: a list as one argument, a number as text; and again while the
    // output exists.
    let script = [
        "-video_path",
        "mouse.mkv",
        "-column_names",
        "snout tailbase",
        "-SAM2_path",
        "code",
        "--batch_size=4",
        "--device",
        "cpu",
        "--downsample_factor",
        "0",
    ];
    assert!(run(&workshop, &script) == expected);
    // Two dashes work as well, and so do the path of a checkpoint and options of `segment` after
    // `--`.
    let model = asset_text("micro/sam2.1_hiera_micro.safetensors");
    let script = [
        "--video_path=mouse.mkv",
        "-column_names=snout,tailbase",
        "-SAM2_path",
        &model,
        "--batch_size",
        "4",
        "--",
        "--contact-sheet",
        "sheet.png",
    ];
    assert!(run(&workshop, &script) == expected);
    assert!(workshop.path("sheet.png").is_file());
}

#[test]
fn a_smaller_videos_track_is_scaled_and_stacks_have_larger_batches() {
    let workshop = workshop();
    workshop.write("track.csv", crate::support::scaled_track(0, 6, 0.25));
    let script = [
        "-video_path",
        "mouse.mkv",
        "-column_names",
        "snout",
        "-SAM2_path",
        "code",
        "--downsample_factor",
        "2",
    ];
    let masks = run(&workshop, &script);
    let expected = as_segment(&workshop, &["--bodyparts", "snout", "--downsample-factor", "2"]);
    assert!(masks == expected);
    workshop.ffmpeg("-i mouse.mkv -pix_fmt gray frames%d.tif");
    workshop.folder("stack");
    for number in 1..=6 {
        let name = format!("frames{number}.tif");
        std::fs::rename(workshop.path(&name), workshop.path(&format!("stack/{name}"))).unwrap();
    }
    let all = legacy(&[
        "-tiff_path",
        "stack",
        "-column_names",
        "snout",
        "-SAM2_path",
        "code",
        "--downsample_factor",
        "2",
    ]);
    let mut all: Vec<&str> = all.iter().map(String::as_str).collect();
    all.insert(0, "-v");
    let outcome = workshop.sam2(&all).succeeded();
    assert!(outcome.stderr.contains("--batch-size=400"), "{}", outcome.stderr);
    assert_eq!(workshop.stack("out/masks.btf").pages.len(), 6);
}

#[test]
fn what_is_missing_or_wrong_is_told_in_one_line() {
    let workshop = workshop();
    let refused = |code: i32, arguments: &[&str], told: &[&str]| {
        let all = legacy(arguments);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        // clap lists missing arguments on separate lines.
        let outcome = workshop.refused(code, &all, &[]);
        for part in told {
            assert!(outcome.stderr.contains(part), "{part} in {}", outcome.stderr);
        }
    };
    let rest = ["-column_names", "snout", "-SAM2_path", "code"];
    refused(2, &rest, &["required", "--video_path"]);
    refused(
        2,
        &["-video_path", "mouse.mkv", "-SAM2_path", "code"],
        &["required", "--column_names"],
    );
    let with = |more: &[&'static str]| {
        [&["-video_path", "mouse.mkv", "-column_names", "snout"], more].concat()
    };
    let nothing = ["no checkpoint in 'tmp'", "checkpoints/sam2_hiera_large.pt"];
    refused(1, &with(&["-SAM2_path", "tmp"]), &nothing);
    refused(2, &with(&["-SAM2_path", "code", "--device", "toaster"]), &["toaster"]);
    refused(2, &with(&["-SAM2_path", "code", "--downsample_factor=-1"]), &["above 0"]);
    refused(2, &with(&["-SAM2_path", "code", "-tiff_path", "x.tif"]), &["cannot be used with"]);
}
