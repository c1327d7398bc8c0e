//! Tracks as programs really write them (`tests/cases`): each prompts the animal it belongs to, or
//! is refused by name.
//!
//! `base.mp4` has 24 frames of 256x192, with the animal at (50+4t, 140-t) and a decoy at (200-t,
//! 45+t).

use std::path::{Path, PathBuf};

use crate::support::{Outcome, Workshop, track};

pub(super) fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases").join(name)
}

/// Makes a workshop with these files of a case.
pub(super) fn with(case_name: &str, files: &[&str]) -> Workshop {
    let workshop = Workshop::new();
    for file in files {
        std::fs::copy(case(case_name).join(file), workshop.path(file)).unwrap();
    }
    workshop
}

/// Runs with a track and further arguments.
pub(super) fn run(workshop: &Workshop, recording: &str, keypoints: &str, more: &[&str]) -> Outcome {
    let before = ["--keypoints", keypoints, "--overwrite"];
    workshop.segment(recording, &[&before[..], more].concat())
}

/// Checks that the mask with this value on a frame is at (x, y), rather than on the other animal.
pub(super) fn is_at(workshop: &Workshop, frame: usize, value: u8, (x, y): (f64, f64)) {
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

/// Returns the position of the animal of `base.mp4`.
pub(super) fn animal(frame: usize) -> (f64, f64) {
    (50.0 + 4.0 * frame as f64, 140.0 - frame as f64)
}

/// Returns the position of its decoy.
pub(super) fn decoy(frame: usize) -> (f64, f64) {
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
    // Images that do not exist.
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
fn a_plain_table_says_which_recording_its_rows_are_of() {
    let workshop = with("labelled-data-of-several-videos", &["base.mp4"]);
    let table = |here: &str| {
        let rows = (0..12).map(|frame| {
            let ((x, y), video) = match frame < 6 {
                true => ((5.0, 5.0), "other.mp4"),
                false => (animal(frame), here),
            };
            format!("{frame},{x},{y},{video}\n")
        });
        format!("frame,x,y,video\n{}", rows.collect::<String>())
    };
    workshop.write("table.csv", table("base.mp4"));
    let outcome = run(&workshop, "base.mp4", "table.csv", &["--prompt-frames", "first"]);
    outcome.warns(&["6 of 12 rows", "'other"]);
    assert_eq!(outcome.prompted(), [6]);
    is_at(&workshop, 10, 255, animal(10));
    workshop.write("table.csv", table("other.mp4").replace(",5,5,", ",60,130,"));
    run(&workshop, "base.mp4", "table.csv", &[]).warns(&["'other", "is it the right track?"]);
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
    // Outside the region, and nothing explains why.
    std::fs::remove_file(workshop.path("masks.btf")).unwrap();
    let told = ["crop.csv", "region 100,60,156,132", "--keypoints-offset"];
    let arguments = [&["--keypoints", "crop.csv"], &region[..]].concat();
    workshop.refuses("crop.mp4", &arguments, &told);
    // DeepLabCut's own metadata is enough.
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

/// Returns COCO keypoints for these images, each with the animal's nose.
fn coco(images: &[(&str, (f64, f64))]) -> String {
    let (mut listed, mut marked) = (Vec::new(), Vec::new());
    for (id, (name, (x, y))) in images.iter().enumerate() {
        listed.push(format!(r#"{{"id":{id},"file_name":"{name}","width":256,"height":192}}"#));
        marked.push(format!(
            r#"{{"id":{id},"image_id":{id},"category_id":1,"keypoints":[{x},{y},2]}}"#
        ));
    }
    let (listed, marked) = (listed.join(","), marked.join(","));
    format!(
        r#"{{"images":[{listed}],"annotations":[{marked}],"categories":[{{"id":1,"name":"mouse","keypoints":["nose"]}}]}}"#
    )
}

#[test]
fn images_named_after_two_videos_belong_to_theirs() {
    let workshop = with("labelled-data-of-several-videos", &["base.mp4"]);
    let images = [
        ("other_frame_000005.png", decoy(5)),
        ("base_frame_000005.png", animal(5)),
        ("base_frame_000015.png", animal(15)),
    ];
    workshop.write("coco.json", coco(&images));
    let outcome = run(&workshop, "base.mp4", "coco.json", &["--prompt-frames", "every:6"]);
    outcome.warns(&["1 of 3 rows", "'other'"]);
    assert_eq!(outcome.prompted(), [5, 15]);
    is_at(&workshop, 5, 255, animal(5));
    std::fs::remove_file(workshop.path("masks.btf")).unwrap();
    std::fs::rename(workshop.path("base.mp4"), workshop.path("third.mp4")).unwrap();
    let told = ["other, base", "--keypoints-video"];
    workshop.refuses("third.mp4", &["--keypoints", "coco.json"], &told);
    // The same as a prompt document.
    std::fs::rename(workshop.path("third.mp4"), workshop.path("base.mp4")).unwrap();
    workshop.segment("base.mp4", &["--prompts", "coco.json"]).warns(&["1 of 3 rows", "'other'"]);
    is_at(&workshop, 5, 255, animal(5));
}

#[test]
fn images_that_roboflow_has_renamed_are_found() {
    let name = "track-by-image-name-folder-from-1";
    let workshop = with(name, &[]);
    workshop.folder("frames");
    for number in 1..=24 {
        let image = format!("frames/img{number:04}.png");
        std::fs::copy(case(name).join(&image), workshop.path(&image)).unwrap();
    }
    // The hash ends in a number that is also a frame.
    let hashed = "img0010_png.rf.0a1b2c3d4e5f60718293a4b5c6d7e803.jpg";
    workshop.write("coco.json", coco(&[(hashed, animal(9))]));
    assert_eq!(run(&workshop, "frames", "coco.json", &[]).prompted(), [9]);
    is_at(&workshop, 9, 255, animal(9));
}

#[test]
fn two_projects_with_a_video_of_one_name_are_refused_until_one_is_named() {
    let workshop = with("labelled-data-of-several-videos", &["base.mp4"]);
    let (right, wrong) = (animal(5), decoy(15));
    let rows = format!(
        "scorer,me,me\nbodyparts,nose,nose\ncoords,x,y\n/a/labeled-data/base/img005.png,{},{}\n\
         /b/labeled-data/base/img015.png,{},{}\n",
        right.0, right.1, wrong.0, wrong.1
    );
    workshop.write("labels.csv", rows);
    let told = ["/a/labeled-data/base", "/b/labeled-data/base", "--keypoints-video FOLDER/NAME"];
    workshop.refuses("base.mp4", &["--keypoints", "labels.csv"], &told);
    let named = ["--keypoints-video", "a/labeled-data/base"];
    let outcome = run(&workshop, "base.mp4", "labels.csv", &named);
    outcome.warns(&["1 of 2 rows", "left out"]);
    assert_eq!(outcome.prompted(), [5]);
    is_at(&workshop, 15, 255, animal(15));
}

#[test]
fn a_recording_that_is_the_crop_is_left_where_it_is() {
    let workshop = with("dlc-analysed-with-cropping", &["crop.mp4", "crop.csv"]);
    let note = case("../fixtures/tracks/crop_numpy_numbers.pickle");
    std::fs::copy(note, workshop.path("crop_meta.pickle")).unwrap();
    run(&workshop, "crop.mp4", "crop.csv", &[]);
    is_at(&workshop, 6, 255, (162.0, 130.0));
    workshop.ffmpeg("-i crop.mp4 -vf crop=156:132:100:60 -c:v ffv1 part.mkv");
    let outcome = run(&workshop, "part.mkv", "crop.csv", &[]);
    outcome.warns(&["156 x 132", "nothing is added", "--keypoints-offset 100,60"]);
    is_at(&workshop, 6, 255, (62.0, 70.0));
}

#[test]
fn sleap_files_that_were_refused_wrongly_are_read() {
    let workshop = with("labelled-data-of-several-videos", &["base.mp4"]);
    for name in ["sleap-unlinked.slp", "sleap-reversed.h5"] {
        std::fs::copy(case("../fixtures/tracks").join(name), workshop.path(name)).unwrap();
    }
    let first = ["--prompt-frames", "every:1", "--batch-size", "0"];
    let outcome = run(&workshop, "base.mp4", "sleap-unlinked.slp", &first);
    outcome.warns(&["frame 6", "nothing links"]).warns(&["512 x 384", "--downsample-factor"]);
    assert_eq!(outcome.prompted(), [5, 6, 7]);
    is_at(&workshop, 6, 255, animal(6));
    let outcome = run(&workshop, "base.mp4", "sleap-reversed.h5", &["--ids"]);
    assert!(outcome.stderr.contains("objects: 1 = a, 2 = b"), "{}", outcome.stderr);
    is_at(&workshop, 10, 1, animal(10));
    is_at(&workshop, 10, 2, decoy(10));
}

#[test]
fn an_animal_without_a_point_is_no_object() {
    let workshop = with("labelled-data-of-several-videos", &["base.mp4"]);
    let ((x, y), (other_x, other_y)) = (animal(3), decoy(3));
    let text = format!(
        "scorer,s,s,s,s,s,s\nindividuals,a,a,old,old,b,b\nbodyparts,n,n,n,n,n,n\ncoords,x,y,x,y,x,y\n\
         labeled-data/base/img0003.png,{x},{y},,,{other_x},{other_y}\n"
    );
    workshop.write("labels.csv", text);
    let outcome = run(&workshop, "base.mp4", "labels.csv", &["--ids"]);
    outcome.warns(&["no point of 'old'"]);
    assert!(outcome.stderr.contains("objects: 1 = a, 2 = b"), "{}", outcome.stderr);
    is_at(&workshop, 3, 2, decoy(3));
}

#[test]
fn a_track_that_counts_from_one_is_moved_by_minus_one() {
    let workshop = with("labelled-data-of-several-videos", &["base.mp4"]);
    let rows: String = (0..24)
        .map(|frame| format!("{},1,{},{}\n", frame + 1, animal(frame).0, animal(frame).1))
        .collect();
    workshop.write("table.csv", format!("frame,object,x,y\n{rows}"));
    let told = ["numbered from 1 to 24", "--keypoints-first-frame -1"];
    workshop.refuses("base.mp4", &["--keypoints", "table.csv"], &told);
    run(&workshop, "base.mp4", "table.csv", &["--keypoints-first-frame", "-1"]);
    is_at(&workshop, 20, 255, animal(20));
    let wrong = ["segment", "base.mp4", "-o", "m.btf", "--keypoints", "table.csv"];
    let wrong = [&wrong[..], &["--keypoints-first-frame", "x"]].concat();
    workshop.refused(2, &wrong, &["number of a frame", "-1 for a track that counts from 1"]);
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
