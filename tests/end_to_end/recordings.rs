//! The kinds of recordings, and how their frames are read: `sam2 probe`, stacks, frame modes, bad
//! frames.

use serde_json::Value;

use crate::support::{ON_THE_MOUSE, Workshop, asset_text};

const POINT: [&str; 2] = ["--point", ON_THE_MOUSE];

fn probed(workshop: &Workshop, arguments: &[&str], code: i32) -> Value {
    let outcome = workshop.sam2(&[&["probe", "--json"], arguments].concat()).ended(code);
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn probe_says_what_a_video_is() {
    let workshop = Workshop::new();
    workshop.cut(
        "mouse-arena",
        40,
        "-c:v libx264 -g 10 -sc_threshold 0 -bf 0 -pix_fmt yuv420p -r 25",
        "mouse.mp4",
    );
    let outcome = workshop.sam2(&["probe", "mouse.mp4", "--verify"]).succeeded();
    for part in
        ["40, as the file claims", "384 x 288", "h264, yuv420p", "every frame decodes", "none"]
    {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    let json = probed(&workshop, &["mouse.mp4"], 0);
    assert_eq!(json["frames"], 40);
    assert_eq!(json["video"]["groups"]["number"], 4);
    assert_eq!(json["video"]["groups"]["longest"], 10);
    assert_eq!(json["frames_per_second"], 25.0);
    assert_eq!(json["verified"], false);
}

#[test]
fn probe_tells_the_truth_about_a_cut_video() {
    let workshop = Workshop::new();
    workshop.mouse(20, "whole.mkv");
    workshop.truncate(workshop.path("whole.mkv"), 0.6, "cut.mkv");
    assert!(probed(&workshop, &["cut.mkv"], 0)["missing_frames"].is_string());
    let json = probed(&workshop, &["cut.mkv", "--verify"], 3);
    assert!(json["missing_frames"].is_string(), "{json}");
    let frames = json["frames"].as_u64().unwrap();
    assert!((5..20).contains(&frames), "{json}");
    assert!(!json["issues"].as_array().unwrap().is_empty(), "{json}");
}

#[test]
fn probe_finds_a_damaged_image() {
    let workshop = Workshop::new();
    workshop.mouse(4, "mouse.mkv");
    workshop.folder("frames");
    workshop.ffmpeg("-i mouse.mkv frames/%d.png");
    let image = workshop.read("frames/3.png");
    workshop.write("frames/3.png", &image[..image.len() / 2]);
    assert_eq!(probed(&workshop, &["frames"], 0)["frames"], 4);
    let json = probed(&workshop, &["frames", "--verify"], 3);
    assert_eq!(json["damaged_frames"], serde_json::json!([2]));
    assert_eq!(json["kind"], "folder");
}

#[test]
fn probe_takes_several_files_and_images_as_stored_as_segment_does() {
    let workshop = Workshop::new();
    workshop.mouse(3, "m1.mkv").mouse(4, "m2.mkv");
    let json = probed(&workshop, &["m1.mkv", "m2.mkv", "--join"], 0);
    assert_eq!(json["frames"], 7, "{json}");
    assert_eq!(probed(&workshop, &["m*.mkv", "--join"], 0)["frames"], 7);
    workshop.refused(1, &["probe", "m1.mkv", "m2.mkv"], &["'m2.mkv'", "--join"]);
    workshop.refused(1, &["probe", "m1.mkv", "--join"], &["only 'm1.mkv' is given"]);
    workshop.refused(1, &["probe", "m1.mkv", "m3.mkv", "--join"], &["m3.mkv"]);
    // The camera was held upright, so rows and columns of the stored image are exchanged.
    let frames = asset_text("../tests/cases/exif-orientation/frames");
    let size = |json: Value| (json["size"]["width"].clone(), json["size"]["height"].clone());
    let (width, height) = size(probed(&workshop, &[&frames], 0));
    assert_ne!(width, height);
    assert_eq!(size(probed(&workshop, &[&frames, "--no-exif"], 0)), (height, width));
}

#[test]
fn merge_and_report_take_the_files_of_a_joined_recording() {
    let workshop = Workshop::new();
    workshop.folder("day");
    workshop.mouse(3, "day/m1.mkv").mouse(4, "day/m2.mkv");
    let (first, second) = ("day/m1.mkv", "day/m2.mkv");
    let all = ["segment", "--join", first, second, "-o", "j.sam2run", "-o", "j.png"];
    workshop.sam2(&[&all[..], &POINT].concat()).succeeded();
    let merge = ["merge", "j.sam2run", "--overwrite", "-o", "m.png"];
    let report = ["report", "j.sam2run", "--overwrite", "-o", "r.html"];
    let files = ["--recording", first, "--recording", second, "--join"];
    let pattern = ["--recording", "day/m*.mkv", "--join"];
    let folder = ["--recording", "day"];
    for how in [&files[..], &pattern, &folder] {
        workshop.sam2(&[&merge[..], how].concat()).succeeded();
        assert!(workshop.read("m.png") == workshop.read("j.png"), "{how:?}");
        let outcome = workshop.sam2(&[&report[..], how].concat()).succeeded();
        assert!(!outcome.stderr.contains("shown alone"), "{}", outcome.stderr);
    }
    let without = &files[..4];
    let exchanged = ["--recording", second, "--recording", first, "--join"];
    for (how, told) in [(without, "--join"), (&exchanged, "its contents differ")] {
        workshop.refused(1, &[&merge[..], how].concat(), &[told]);
        workshop.refused(1, &[&report[..], how].concat(), &[told]);
    }
    workshop.refused(1, &[&merge[..], &["--recording", first]].concat(), &["3 frames"]);
    // If the run file is in the folder of the files, the report finds all of them.
    workshop.write("day/j.sam2run", workshop.read("j.sam2run"));
    let outcome = workshop.sam2(&["report", "day/j.sam2run", "-o", "found.html"]).succeeded();
    assert!(!outcome.stderr.contains("shown alone"), "{}", outcome.stderr);
}

#[test]
fn merge_and_report_refuse_another_recording_of_the_same_shape() {
    let workshop = Workshop::new();
    workshop.mouse(4, "mouse.mkv");
    workshop.segment_to("m.sam2run", "mouse.mkv", &POINT);
    workshop.cut("mouse-arena", 4, "-vf scale=192:144,hflip -c:v ffv1 -g 1", "other.mkv");
    let told = ["'other.mkv'", "not the recording of the", "its contents differ"];
    let merge = ["merge", "m.sam2run", "-o", "m.png", "--recording"];
    let report = ["report", "m.sam2run", "-o", "r.html", "--recording"];
    for command in [merge, report] {
        workshop.refused(1, &[&command[..], &["other.mkv"]].concat(), &told);
        // Under another name it is still the same recording.
        workshop.write("archived.mkv", workshop.read("mouse.mkv"));
        workshop.sam2(&[&command[..], &["archived.mkv"]].concat()).succeeded();
    }
    // A recording found by its name is not used if its contents differ, and the page says so.
    workshop.write("mouse.mkv", workshop.read("other.mkv"));
    let outcome = workshop.sam2(&["report", "m.sam2run", "-o", "alone.html"]).succeeded();
    outcome.warns(&["'mouse.mkv' is not used", "its contents differ"]);
}

#[test]
fn probe_of_what_is_no_recording() {
    let workshop = Workshop::new();
    workshop.write("text.mp4", "hello");
    workshop.write("empty.tif", "");
    for name in ["text.mp4", "empty.tif", "missing.mp4"] {
        workshop.refused(1, &["probe", name], &[name]);
    }
}

#[test]
fn an_index_is_kept_when_asked() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    assert_eq!(probed(&workshop, &["mouse.mkv"], 0)["video"]["index_from_cache"], false);
    probed(&workshop, &["mouse.mkv", "--index-cache"], 0);
    let again = probed(&workshop, &["mouse.mkv", "--index-cache"], 0);
    assert_eq!(again["video"]["index_from_cache"], true);
    assert_eq!(again["frames"], 6);
    // The index is not used for another file of the same name.
    workshop.mouse(4, "mouse.mkv");
    let other = probed(&workshop, &["mouse.mkv", "--index-cache"], 0);
    assert_eq!((&other["frames"], &other["video"]["index_from_cache"]), (&4.into(), &false.into()));
}

#[test]
fn frames_read_on_demand_and_preloaded_give_the_same_masks() {
    let workshop = Workshop::new();
    workshop.mouse(9, "mouse.mkv");
    workshop.mouse_track(0, 9, "track.csv");
    let track = ["--keypoints", "track.csv", "--batch-size", "4"];
    for mode in ["lazy", "memory", "jpeg"] {
        let arguments = [&track[..], &["--frames-mode", mode]].concat();
        workshop.segment_to(&format!("{mode}.btf"), "mouse.mkv", &arguments);
    }
    assert!(workshop.read("lazy.btf") == workshop.read("memory.btf"));
    assert_eq!(workshop.stack("jpeg.btf").pages.len(), 9);
    assert!(workshop.stack("jpeg.btf").areas().iter().all(|&area| area > 0));
    let left = std::fs::read_dir(workshop.path("tmp")).unwrap().count();
    assert_eq!(left, 0, "extracted frames are removed");
}

#[test]
fn extracted_frames_are_removed_after_a_failure_too() {
    let workshop = Workshop::new();
    workshop.mouse(4, "mouse.mkv");
    workshop.folder("frames");
    workshop.ffmpeg("-i mouse.mkv frames/%d.png");
    workshop.write("frames/4.png", &workshop.read("frames/4.png")[..500]);
    let arguments = [&POINT[..], &["--frames-mode", "jpeg"]].concat();
    workshop.refuses("frames", &arguments, &["4.png"]);
}

#[test]
fn a_stack_of_images_is_a_recording() {
    let workshop = Workshop::new();
    workshop.mouse(5, "mouse.mkv");
    workshop.segment("mouse.mkv", &POINT);
    // Its masks are a grey BigTIFF of five pages, with the mouse in white.
    assert_eq!(probed(&workshop, &["masks.btf", "--verify"], 0)["frames"], 5);
    workshop.segment_to("again.btf", "masks.btf", &POINT);
    let stack = workshop.stack("again.btf");
    assert_eq!((stack.pages.len(), stack.size()), (5, (192, 144)));
    workshop.segment_to(
        "range.btf",
        "masks.btf",
        &[&POINT[..], &["--intensity", "0,128"]].concat(),
    );
    assert_eq!(workshop.stack("range.btf").pages.len(), 5);
}

#[test]
fn a_bad_frame_is_an_error_unless_told_otherwise() {
    let workshop = Workshop::new();
    workshop.mouse(4, "mouse.mkv");
    workshop.folder("frames");
    workshop.ffmpeg("-i mouse.mkv frames/%d.png");
    let image = workshop.read("frames/3.png");
    workshop.write("frames/3.png", &image[..image.len() / 2]);
    workshop.refuses("frames", &POINT, &["3.png"]);
    for policy in ["repeat", "blank"] {
        let arguments = [&POINT[..], &["--on-bad-frame", policy]].concat();
        let outcome = workshop.segment_to(&format!("{policy}.btf"), "frames", &arguments);
        outcome.warns(&["1 damaged frames: 2"]);
        assert_eq!(workshop.stack(&format!("{policy}.btf")).pages.len(), 4);
    }
}

#[test]
fn settings_that_do_not_exist() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    for (flag, value) in
        [("--frames-mode", "fast"), ("--on-bad-frame", "skip"), ("--intensity", "5,1")]
    {
        let arguments =
            [&["segment", "mouse.mkv", "-o", "masks.btf"], &POINT[..], &[flag, value]].concat();
        let outcome = workshop.sam2(&arguments).failed(2);
        assert!(outcome.error().contains(value), "{}", outcome.stderr);
    }
}
