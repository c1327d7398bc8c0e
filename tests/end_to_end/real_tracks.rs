//! Tracks as programs really write them (`tests/cases`): each prompts the animal that it is about, or is refused by name.
//!
//! `base.mp4` has 24 frames of 256x192, with the animal at (50+4t, 140-t) and a decoy at (200-t, 45+t).

use std::path::{Path, PathBuf};

use crate::support::{Outcome, Workshop, track};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases").join(name)
}

/// A workshop with these files of a case.
fn with(case_name: &str, files: &[&str]) -> Workshop {
    let workshop = Workshop::new();
    for file in files {
        std::fs::copy(case(case_name).join(file), workshop.path(file)).unwrap();
    }
    workshop
}

/// Runs with a track and more arguments.
fn run(workshop: &Workshop, recording: &str, keypoints: &str, more: &[&str]) -> Outcome {
    let before = ["--keypoints", keypoints, "--overwrite"];
    workshop.segment(recording, &[&before[..], more].concat())
}

/// The mask with this value on a frame is on (x, y), rather than on the other animal.
fn is_at(workshop: &Workshop, frame: usize, value: u8, (x, y): (f64, f64)) {
    let stack = workshop.masks();
    let width = stack.width as usize;
    let (mut count, mut sum) = (0.0, (0.0, 0.0));
    for (at, _) in stack.pages[frame].iter().enumerate().filter(|(_, pixel)| **pixel == value) {
        count += 1.0;
        sum = (sum.0 + (at % width) as f64, sum.1 + (at / width) as f64);
    }
    assert!(count > 0.0, "frame {frame} has no mask of {value}");
    let found = (sum.0 / count, sum.1 / count);
    let far = (found.0 - x).hypot(found.1 - y);
    assert!(far < 15.0, "frame {frame}: {value} is at {found:?} instead of ({x}, {y})");
}

/// Where the animal of `base.mp4` is.
fn animal(frame: usize) -> (f64, f64) {
    (50.0 + 4.0 * frame as f64, 140.0 - frame as f64)
}

/// Where its decoy is.
fn decoy(frame: usize) -> (f64, f64) {
    (200.0 - frame as f64, 45.0 + frame as f64)
}

#[test]
fn rows_that_name_images_belong_to_those_images() {
    let name = "track-by-image-name-folder-from-1";
    let workshop = with(name, &["images_onebased.csv", "images_onebased_one.csv"]);
    workshop.folder("frames");
    for number in 1..=24 {
        let image = format!("frames/img{number:04}.png");
        std::fs::copy(case(name).join(&image), workshop.path(&image)).unwrap();
    }
    let outcome = run(&workshop, "frames", "images_onebased_one.csv", &[]);
    assert_eq!(outcome.prompted(), [4]);
    is_at(&workshop, 4, 255, animal(4));
    run(&workshop, "frames", "images_onebased.csv", &[]);
    is_at(&workshop, 23, 255, animal(23));
    // Images that are not there.
    let text = String::from_utf8(workshop.read("images_onebased.csv")).unwrap();
    workshop.write("more.csv", text.replace("img0002.png", "img0099.png"));
    run(&workshop, "frames", "more.csv", &[]).warns(&["1 of 24 images", "'img0099.png'"]);
    workshop.write("none.csv", text.replace("\nimg", "\nother"));
    let told = ["none.csv", "'other0001.png'", "'img0001.png'"];
    std::fs::remove_file(workshop.path("masks.btf")).unwrap();
    workshop.refuses("frames", &["--keypoints", "none.csv"], &told);
}

#[test]
fn rows_of_other_videos_are_left_out_and_counted() {
    let tables = ["CollectedData_two_videos.csv", "CollectedData_two_videos2.csv"];
    let workshop = with("labelled-data-of-several-videos", &["base.mp4", tables[0], tables[1]]);
    let outcome = run(&workshop, "base.mp4", tables[0], &["--prompt-frames", "every:5"]);
    outcome.warns(&["2 of 4 rows", "'othervideo'"]);
    assert_eq!(outcome.prompted(), [0, 10]);
    is_at(&workshop, 5, 255, animal(5));
    let outcome = run(&workshop, "base.mp4", tables[1], &[]);
    assert_eq!(outcome.prompted(), [12]);
    is_at(&workshop, 12, 255, animal(12));
    std::fs::rename(workshop.path("base.mp4"), workshop.path("renamed.mp4")).unwrap();
    std::fs::remove_file(workshop.path("masks.btf")).unwrap();
    let told = ["'renamed.mp4'", "base, othervideo", "--keypoints-video"];
    workshop.refuses("renamed.mp4", &["--keypoints", tables[0]], &told);
    let outcome = run(&workshop, "renamed.mp4", tables[0], &["--keypoints-video", "base"]);
    assert_eq!(outcome.prompted(), [0]);
}

#[test]
fn coordinates_of_a_cropped_part_are_moved_to_where_it_was() {
    let workshop = with("dlc-analysed-with-cropping", &["crop.mp4", "crop.csv"]);
    let target = |frame: usize| (150.0 + 2.0 * frame as f64, 130.0);
    let offset = ["--keypoints-offset", "100,60"];
    run(&workshop, "crop.mp4", "crop.csv", &offset);
    is_at(&workshop, 6, 255, target(6));
    let region = ["--roi", "100,60,156,132"];
    run(&workshop, "crop.mp4", "crop.csv", &[&offset[..], &region].concat());
    is_at(&workshop, 6, 255, target(6));
    // Beside the region, and nothing says why.
    std::fs::remove_file(workshop.path("masks.btf")).unwrap();
    let told = ["crop.csv", "region 100,60,156,132", "--keypoints-offset"];
    let arguments = [&["--keypoints", "crop.csv"], &region[..]].concat();
    workshop.refuses("crop.mp4", &arguments, &told);
    // DeepLabCut's own note is enough.
    let note = case("../fixtures/tracks/crop_meta.pickle");
    std::fs::copy(note, workshop.path("crop_meta.pickle")).unwrap();
    let outcome = run(&workshop, "crop.mp4", "crop.csv", &[]);
    assert!(outcome.stderr.contains("column 100 and row 60"), "{}", outcome.stderr);
    is_at(&workshop, 6, 255, target(6));
    workshop.write("crop_meta.pickle", "not a pickle");
    run(&workshop, "crop.mp4", "crop.csv", &[]).warns(&["crop_meta.pickle", "--keypoints-offset"]);
}

#[test]
fn a_body_part_that_deeplabcut_did_not_see_is_no_click() {
    let workshop = with("dlc-low-likelihood-default", &["base.mp4", "lowlik.csv"]);
    run(&workshop, "base.mp4", "lowlik.csv", &[]);
    is_at(&workshop, 0, 255, animal(0));
    is_at(&workshop, 20, 255, animal(20));
}

#[test]
fn a_batch_without_a_likely_body_part_takes_the_best_there_is_and_says_so() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    let rows = ["122,40,0.9", "1,1,0.1", "1,1,0.1", "1,1,0.1", "122,42,0.3", "1,1,0.1"];
    workshop.write("track.csv", track(&["body"], &rows));
    let outcome = run(&workshop, "mouse.mkv", "track.csv", &["--batch-size", "3"]);
    assert_eq!(outcome.prompted(), [0, 4]);
    outcome.warns(&["batch 2 of 2 (frames 3 to 5)", "0.6", "0.3", "--min-likelihood"]);
}

#[test]
fn points_outside_are_missing_unless_most_are() {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    let rows = ["250,40,0.99", "122,40,0.9", "122,-3,0.95"];
    workshop.write("most.csv", track(&["body"], &rows));
    let told = ["2 of 3 points", "most.csv", "body (250, 40) on frame 0", "--downsample-factor"];
    workshop.refuses("mouse.mkv", &["--keypoints", "most.csv"], &told);
    workshop.write("one.csv", track(&["body"], &[rows[0], rows[1], "122,41,0.95"]));
    let outcome = run(&workshop, "mouse.mkv", "one.csv", &[]);
    assert_eq!(outcome.prompted(), [2]);
    outcome.warns(&["1 of 3 points", "outside the 192x144 picture", "body (250, 40) on frame 0"]);
}

#[test]
fn what_cannot_be_clicked_on_is_refused_by_name() {
    let tables = ["trial_DLC_3D.csv", "trial_DLC_3D.h5"];
    let workshop = with("dlc-3d-csv", &["base.mp4", tables[0], tables[1]]);
    for table in tables {
        let told = [table, "3D coordinates", "not pixels"];
        workshop.refuses("base.mp4", &["--keypoints", table], &told);
    }
    let workshop = with("duplicate-bodypart", &["base.mp4", "duplicate_part2.csv"]);
    let track = ["--keypoints", "duplicate_part2.csv"];
    workshop.refuses("base.mp4", &track, &["'left_paw'", "twice", "--bodyparts"]);
    run(&workshop, "base.mp4", "duplicate_part2.csv", &["--bodyparts", "nose"]);
    is_at(&workshop, 20, 255, animal(20));
}

#[test]
fn a_row_of_several_animals_is_several_objects() {
    let workshop = with("sleap-io-frames-csv", &["base.mp4", "s_csv_frames.csv"]);
    let outcome = run(&workshop, "base.mp4", "s_csv_frames.csv", &["--ids"]);
    assert!(outcome.stderr.contains("objects: 1 = a, 2 = b"), "{}", outcome.stderr);
    is_at(&workshop, 10, 1, animal(10));
    is_at(&workshop, 10, 2, decoy(10));
}

#[test]
fn a_blank_likelihood_is_certain() {
    let name = "sleap-io-dlc-csv-blank-likelihood";
    let workshop = with(name, &["base.mp4", "s_csv_dlc.csv"]);
    run(&workshop, "base.mp4", "s_csv_dlc.csv", &["--ids"]);
    is_at(&workshop, 10, 1, animal(10));
    is_at(&workshop, 10, 2, decoy(10));
}

#[test]
fn a_file_that_does_not_say_where_it_starts_is_asked_for() {
    let files = ["base.mp4", "s_part.h5", "s_part_notall.h5"];
    let workshop = with("sleap-h5-not-all-frames", &files);
    let told = ["19 rows", "24 frames", "--keypoints-first-frame 5"];
    workshop.refuses("base.mp4", &["--keypoints", "s_part_notall.h5"], &told);
    let first = run(&workshop, "base.mp4", "s_part.h5", &["--ids", "--prompt-frames", "first"]);
    let whole = workshop.read("masks.btf");
    let more = ["--ids", "--prompt-frames", "first", "--keypoints-first-frame", "5"];
    let moved = run(&workshop, "base.mp4", "s_part_notall.h5", &more);
    assert_eq!((first.prompted(), moved.prompted()), (vec![5], vec![5]));
    assert!(workshop.read("masks.btf") == whole);
    is_at(&workshop, 5, 1, (70.0, 135.0));
}

#[test]
fn a_track_of_another_video_says_so() {
    let workshop = with("sleap-h5-other-video", &["base.mp4", "s_twovideos.h5"]);
    run(&workshop, "base.mp4", "s_twovideos.h5", &[]).warns(&["rot180.mp4", "base.mp4"]);
}

#[test]
fn options_of_tracks_need_one_and_are_checked() {
    let workshop = Workshop::new();
    workshop.mouse(1, "mouse.mkv");
    let click = ["segment", "mouse.mkv", "-o", "m.btf", "--point", "0:1,1"];
    for (option, value) in [
        ("--keypoints-offset", "1,2"),
        ("--keypoints-first-frame", "3"),
        ("--keypoints-video", "a"),
    ] {
        let arguments = [&click[..], &[option, value]].concat();
        workshop.refused(2, &arguments, &[option, "--keypoints TRACK"]);
    }
    let wrong = [&click[..4], &["--keypoints", "t.csv", "--keypoints-offset", "5"]].concat();
    workshop.refused(2, &wrong, &["--keypoints-offset", "X,Y"]);
}
