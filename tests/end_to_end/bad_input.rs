//! Invalid recordings, weights and outputs.

use std::collections::HashMap;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::support::{ON_THE_MOUSE, Workshop, asset, asset_text};

const POINT: [&str; 2] = ["--point", ON_THE_MOUSE];
const MICRO: &str = "micro/sam2.1_hiera_micro.safetensors";

fn mouse() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    workshop
}

/// Checks that this recording is refused with an error that names it.
fn refuses_recording(workshop: &Workshop, name: &str, told: &[&str]) {
    workshop.refuses(name, &POINT, &[&[name], told].concat());
}

#[test]
fn a_recording_that_is_not_there() {
    refuses_recording(&Workshop::new(), "missing.mp4", &["no such file"]);
}

#[test]
fn a_folder_without_images() {
    let workshop = Workshop::new();
    workshop.folder("recordings");
    workshop.write("recordings/notes.txt", "no image in the folder");
    refuses_recording(&workshop, "recordings", &["no images", ".png"]);
    // A folder of videos is a recording in several files.
    workshop.write("recordings/mouse.avi", "no video in it");
    refuses_recording(&workshop, "recordings", &["recordings/mouse.avi", "not a readable video"]);
}

#[test]
fn files_that_are_no_video() {
    let workshop = Workshop::new();
    workshop.write("empty.mp4", "");
    workshop.write("text.mp4", "hello\n".repeat(1000));
    workshop.write("noise.avi", (0..100_000_u32).map(|n| (n * n / 7) as u8).collect::<Vec<_>>());
    refuses_recording(&workshop, "empty.mp4", &["empty"]);
    refuses_recording(&workshop, "text.mp4", &["not a readable video"]);
    refuses_recording(&workshop, "noise.avi", &["not a readable video"]);
}

#[test]
fn a_sound_recording() {
    let workshop = Workshop::new();
    workshop.ffmpeg("-f lavfi -i sine=duration=1 sound.wav");
    workshop.refuses("sound.wav", &POINT, &["sound.wav", "no video stream"]);
}

#[test]
fn a_video_truncated_before_its_index() {
    let workshop = Workshop::new();
    workshop.cut("mouse-arena", 12, "-c:v libx264", "whole.mp4");
    workshop.truncate("whole.mp4", 0.6, "cut.mp4");
    refuses_recording(&workshop, "cut.mp4", &["complete"]);
}

#[test]
fn a_truncated_video_no_longer_fits_its_track() {
    let workshop = Workshop::new();
    workshop.mouse(9, "whole.mkv").mouse_track(0, 9, "track.csv");
    workshop.truncate("whole.mkv", 0.5, "cut.mkv");
    let told = ["track.csv", "9 rows", "--allow-row-mismatch"];
    workshop.refuses("cut.mkv", &["--keypoints", "track.csv"], &told);
}

#[test]
fn frames_of_different_sizes() {
    let workshop = mouse();
    workshop.folder("frames");
    workshop.ffmpeg("-i mouse.mkv frames/%d.png");
    workshop.ffmpeg("-i mouse.mkv -vf scale=100:100 -frames:v 1 frames/4.png");
    workshop.refuses("frames", &POINT, &["frames/4.png", "100x100", "192x144"]);
}

#[test]
fn a_damaged_image_in_the_middle_leaves_an_older_output_alone() {
    let workshop = mouse();
    workshop.folder("frames");
    workshop.ffmpeg("-i mouse.mkv frames/%d.png");
    workshop.truncate("frames/2.png", 0.5, "frames/2.png");
    workshop.write("masks.btf", "masks of another day");
    let arguments = [&POINT[..], &["--overwrite", "--contact-sheet", "sheet.png"]].concat();
    workshop.refuses("frames", &arguments, &["frames/2.png", "frame 1"]);
}

#[test]
fn outputs_of_unknown_endings() {
    for name in ["masks.jpg", "masks.avi", "masks", "masks.btf.gz", ".btf"] {
        let arguments = ["segment", "mouse.mkv", "--point", ON_THE_MOUSE, "-o", name];
        mouse().refused(1, &arguments, &[&format!("'{name}'"), ".btf"]);
    }
}

#[test]
fn a_contact_sheet_of_another_ending_than_png() {
    for name in ["sheet.jpg", "sheet.btf", "sheet"] {
        let arguments = [&POINT[..], &["--contact-sheet", name]].concat();
        mouse().refuses("mouse.mkv", &arguments, &[name, ".png"]);
    }
}

#[test]
fn an_output_that_exists() {
    let workshop = mouse();
    workshop.write("masks.btf", "masks of another day");
    workshop.refuses("mouse.mkv", &POINT, &["masks.btf", "--overwrite"]);
}

#[test]
fn a_contact_sheet_that_exists() {
    let workshop = mouse();
    workshop.write("sheet.png", "a sheet of another day");
    let arguments = [&POINT[..], &["--contact-sheet", "sheet.png"]].concat();
    workshop.refuses("mouse.mkv", &arguments, &["sheet.png", "--overwrite"]);
}

#[test]
fn an_output_that_is_a_folder() {
    for overwrite in [&[][..], &["--overwrite"]] {
        let workshop = mouse();
        workshop.folder("masks.btf");
        workshop.refuses("mouse.mkv", &[&POINT[..], overwrite].concat(), &["masks.btf"]);
    }
}

#[test]
fn an_output_in_a_folder_that_is_not_there() {
    let arguments = ["segment", "mouse.mkv", "--point", ON_THE_MOUSE, "-o", "no/such/masks.btf"];
    mouse().refused(1, &arguments, &["no/such/masks.btf", "folder"]);
}

#[test]
fn an_output_under_a_file() {
    let arguments = ["segment", "mouse.mkv", "--point", ON_THE_MOUSE, "-o", "mouse.mkv/masks.btf"];
    mouse().refused(1, &arguments, &["mouse.mkv/masks.btf", "folder"]);
}

#[test]
fn an_output_in_a_read_only_folder() {
    use std::os::unix::fs::PermissionsExt;
    let workshop = mouse();
    let folder = workshop.folder("locked");
    let set = |mode| {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o555);
    if std::fs::write(folder.join("probe"), "").is_ok() {
        return; // Nothing is read-only for root.
    }
    let arguments = ["segment", "mouse.mkv", "--point", ON_THE_MOUSE, "-o", "locked/masks.btf"];
    workshop.refused(1, &arguments, &["locked/masks.btf", "writable"]);
    set(0o755);
}

#[test]
fn a_disk_that_is_full() {
    let workshop = mouse();
    let arguments = [
        "segment",
        "mouse.mkv",
        "--point",
        ON_THE_MOUSE,
        "-o",
        "masks.btf",
        "--compression",
        "none",
    ];
    // There is room for the first page of 27 kB, but not for the second.
    workshop.fails(1, &["masks.btf", "room"], || workshop.sam2_with_room(40, &arguments));
}

#[test]
fn a_contact_sheet_in_a_folder_that_is_not_there_leaves_no_stack() {
    let arguments = [&POINT[..], &["--contact-sheet", "no/sheet.png"]].concat();
    mouse().refuses("mouse.mkv", &arguments, &["no/sheet.png"]);
}

#[test]
fn one_name_for_two_outputs() {
    // A stack must end in .btf or .tif, so a contact sheet with the same name also has the wrong
    // extension.
    for overwrite in [&[][..], &["--overwrite"]] {
        let arguments = [&POINT[..], &["--contact-sheet", "masks.btf"], overwrite].concat();
        mouse().refuses("mouse.mkv", &arguments, &["masks.btf"]);
    }
}

#[test]
fn a_contact_sheet_never_replaces_an_input() {
    let workshop = mouse();
    workshop.mouse_track(0, 3, "track.csv");
    for input in ["mouse.mkv", "track.csv"] {
        let keypoints = ["--keypoints", "track.csv", "--overwrite", "--contact-sheet", input];
        workshop.refuses("mouse.mkv", &keypoints, &[input]);
    }
}

#[test]
fn masks_never_replace_the_recording() {
    let workshop = mouse();
    workshop.ffmpeg("-i mouse.mkv -frames:v 1 -pix_fmt rgb24 one.tif");
    let onto_itself = ["segment", "one.tif", "-o", "./one.tif", "--overwrite"];
    workshop.refused(1, &[&onto_itself[..], &POINT].concat(), &["one.tif"]);
}

/// Checks that `weights` with these contents is refused.
fn refuses_weights(contents: impl AsRef<[u8]>, told: &[&str]) {
    let workshop = mouse();
    workshop.write("weights.safetensors", contents);
    let arguments = [&POINT[..], &["--model", "weights.safetensors"]].concat();
    workshop.refuses("mouse.mkv", &arguments, &[&["weights.safetensors"], told].concat());
}

/// Returns the micro model's tensors after a change, as a file.
fn changed_weights(change: impl Fn(&mut HashMap<String, TensorView<'_>>)) -> Vec<u8> {
    let bytes = std::fs::read(asset(MICRO)).unwrap();
    let mut tensors: HashMap<String, TensorView<'_>> =
        SafeTensors::deserialize(&bytes).unwrap().tensors().into_iter().collect();
    change(&mut tensors);
    safetensors::serialize(tensors, None).unwrap()
}

#[test]
fn weights_that_are_not_there() {
    let arguments = [&POINT[..], &["--model", "missing.safetensors"]].concat();
    mouse().refuses("mouse.mkv", &arguments, &["missing.safetensors"]);
}

#[test]
fn a_folder_of_weights() {
    let workshop = mouse();
    workshop.folder("weights");
    workshop.refuses("mouse.mkv", &[&POINT[..], &["--model", "weights"]].concat(), &["weights"]);
}

#[test]
fn weights_of_random_bytes() {
    let noise: Vec<u8> =
        (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    refuses_weights(noise, &["sam2 convert"]);
}

#[test]
fn an_empty_weights_file() {
    refuses_weights("", &["safetensors"]);
}

#[test]
fn truncated_weights() {
    let bytes = std::fs::read(asset(MICRO)).unwrap();
    for share in [4, 2] {
        refuses_weights(&bytes[..bytes.len() / share], &["copy the file again"]);
    }
    refuses_weights(&bytes[..1000], &["copy the file again"]);
}

#[test]
fn weights_without_one_tensor() {
    let name = "memory_encoder.out_proj.weight";
    let weights = changed_weights(|tensors| {
        tensors.remove(name).unwrap();
    });
    refuses_weights(weights, &["missing tensor", name]);
}

#[test]
fn weights_that_are_no_numbers() {
    let bytes = std::fs::read(asset(MICRO)).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let not_a_number = 0x7e00_u16.to_le_bytes();
    let mut weights = bytes;
    for value in weights[header..].chunks_exact_mut(2) {
        value.copy_from_slice(&not_a_number);
    }
    refuses_weights(weights, &[]);
}

#[test]
fn weights_with_one_tensor_of_another_shape() {
    let name = "maskmem_tpos_enc";
    let weights = changed_weights(|tensors| {
        let other = tensors["no_mem_embed"].clone();
        tensors.insert(name.into(), other);
    });
    refuses_weights(weights, &[name, "shape"]);
}

#[test]
fn weights_of_another_network() {
    let weights = changed_weights(|tensors| {
        tensors.retain(|name, _| name.starts_with("sam_mask_decoder."));
    });
    refuses_weights(weights, &["known SAM 2 variant"]);
}

#[test]
fn a_checkpoint_that_is_cut_off() {
    let workshop = mouse();
    workshop.truncate(asset("micro/sam2.1_hiera_micro.pt"), 0.6, "cut.pt");
    let arguments = [&POINT[..], &["--model", "cut.pt"]].concat();
    workshop.refuses("mouse.mkv", &arguments, &["cut.pt"]);
}

#[test]
fn a_configuration_that_does_not_fit_the_weights() {
    let weights = asset_text(MICRO);
    let arguments = [&POINT[..], &["--model", &weights, "--config", "tiny-2.1"]].concat();
    mouse().refuses("mouse.mkv", &arguments, &["sam2.1_hiera_micro.safetensors", "tiny"]);
}

#[test]
fn configurations_that_do_not_exist() {
    let weights = asset_text(MICRO);
    let with = |config| [&POINT[..], &["--model", &weights, "--config", config]].concat();
    let workshop = mouse();
    workshop.refuses("mouse.mkv", &with("gigantic"), &["'gigantic'", "base-plus"]);
    workshop.refuses("mouse.mkv", &with("missing.json"), &["missing.json"]);
    workshop.write("broken.json", "{");
    workshop.refuses("mouse.mkv", &with("broken.json"), &["broken.json"]);
}

#[test]
fn stacks_that_cannot_be_scored() {
    let workshop = mouse();
    workshop.segment("mouse.mkv", &POINT);
    workshop.refused(1, &["score", "masks.btf", "mouse.mkv"], &["mouse.mkv"]);
    workshop.refused(1, &["score", "missing.btf", "masks.btf"], &["missing.btf"]);
}

/// Files of at most a few hundred kilobytes that claim gigabytes of pixels, tensors or names.
#[test]
fn small_files_that_claim_gigabytes_are_refused_at_once() {
    let hostile = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/faults");
        path.join(name).canonicalize().unwrap().display().to_string()
    };
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv").folder("frames");
    std::fs::copy(hostile("hostile-m1.png"), workshop.path("frames/0.png")).unwrap();
    let mask = format!("0:{}", hostile("hostile-m1.png"));
    let segment = ["segment", "mouse.mkv", "-o", "m.btf"];
    let with = |option: &'static str, value: &str| -> Vec<String> {
        segment.iter().copied().chain([option, value]).map(str::to_owned).collect()
    };
    let folder = ["segment", "frames", "-o", "m.btf", "--point", "0:1,1"];
    let cases: [(Vec<String>, &str); 5] = [
        (folder.map(str::to_owned).to_vec(), "8192x8192"),
        (with("--mask", &mask), "8192 x 8192"),
        (with("--keypoints", &hostile("names.h5")), "names.h5"),
        (
            [&with("--model", &hostile("expand.pt"))[..], &["--point".into(), "0:1,1".into()]]
                .concat(),
            "expand.pt",
        ),
        (vec!["inspect".into(), hostile("share.pt")], "compressed"),
    ];
    for (arguments, told) in cases {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let started = std::time::Instant::now();
        workshop.refused(1, &arguments, &[told]);
        let took = started.elapsed().as_secs_f64();
        // Two seconds on an otherwise idle machine.
        assert!(took < 6.0, "{arguments:?} took {took:.1} s");
    }
}

#[test]
fn a_folder_of_videos_and_images_is_refused_with_both() {
    let workshop = Workshop::new();
    workshop.folder("day");
    workshop.mouse(2, "day/0.mkv").mouse(3, "day/1.mkv");
    workshop.cut("mouse-arena", 1, "", "day/snapshot.png");
    refuses_recording(&workshop, "day", &["2 video files", "0.mkv", "snapshot.png", "--join"]);
    std::fs::remove_file(workshop.path("day/snapshot.png")).unwrap();
    workshop.segment("day", &["--point", "0:122,40"]);
    assert_eq!(workshop.masks().pages.len(), 5);
}

#[test]
fn a_stack_that_was_cut_off_ends_with_3() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    workshop.segment("mouse.mkv", &["--point", "0:122,40"]);
    // A stack like any other: 8-bit pages in sequence.
    workshop.truncate("masks.btf", 0.6, "cut.btf");
    let probed = workshop.sam2(&["probe", "cut.btf", "--verify"]).ended(3);
    assert!(probed.stdout.contains("truncated"), "{}", probed.stdout);
    let all = ["segment", "cut.btf", "-o", "m.btf", "--point", "0:122,40"];
    let outcome = workshop.sam2(&all).ended(3);
    outcome.warns(&["cut.btf", "frames are missing"]);
}
