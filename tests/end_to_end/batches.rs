//! Batches with a DeepLabCut track: which frames are prompted, and that every frame is written
//! once.

use crate::support::{Workshop, asset_text, scaled_track, track};

/// A row of a track of one body part.
const LOW: &str = "122,40,0.5";
const HIGH: &str = "122,40,0.9";

/// Makes a workshop with nine frames of the mouse and their track.
fn nine() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(9, "mouse.mkv").mouse_track(0, 9, "track.csv");
    workshop
}

/// Segments with this track and returns the prompted frames.
fn prompted(workshop: &Workshop, csv: &str, arguments: &[&str]) -> Vec<usize> {
    workshop.write("made.csv", csv);
    let all = [&["--keypoints", "made.csv", "--overwrite"], arguments].concat();
    workshop.segment("mouse.mkv", &all).prompted()
}

#[test]
fn a_batch_size_that_does_not_divide_the_frames_and_a_last_batch_of_one() {
    let workshop = nine();
    // 4 + 4 + 1, 5 + 4, nine of one, one of nine (twice).
    for (size, batches) in [("4", 3), ("5", 2), ("1", 9), ("400", 1), ("0", 1)] {
        let arguments = ["--keypoints", "track.csv", "--batch-size", size, "--overwrite"];
        let outcome = workshop.segment("mouse.mkv", &arguments);
        assert_eq!(outcome.prompted().len(), batches, "batch size {size}");
        let stack = workshop.masks();
        assert_eq!((stack.size(), stack.pages.len()), ((192, 144), 9), "batch size {size}");
        assert_eq!(stack.values(), [0, 255]);
        let areas = stack.areas();
        assert!(areas.iter().all(|&area| area > 0), "batch size {size}: {areas:?}");
    }
}

#[test]
fn a_batch_is_a_recording_of_its_own() {
    let workshop = Workshop::new();
    workshop.folder("all");
    workshop.folder("part");
    workshop.mouse(7, "mouse.mkv").ffmpeg("-i mouse.mkv -start_number 0 all/%d.png");
    for frame in 3..6 {
        let name = format!("{frame}.png");
        let (from, to) = (format!("all/{name}"), format!("part/{name}"));
        std::fs::copy(workshop.path(&from), workshop.path(&to)).unwrap();
    }
    workshop.mouse_track(0, 7, "all.csv").mouse_track(3, 3, "part.csv");
    workshop.segment_to("all.btf", "all", &["--keypoints", "all.csv", "--batch-size", "3"]);
    workshop.segment_to("part.btf", "part", &["--keypoints", "part.csv"]);
    let (all, part) = (workshop.stack("all.btf"), workshop.stack("part.btf"));
    assert_eq!((all.pages.len(), part.pages.len()), (7, 3));
    assert!(all.pages[3..6] == part.pages[..]);
}

#[test]
fn a_track_prompts_as_its_points_would() {
    let workshop = Workshop::new();
    workshop.mouse(5, "mouse.mkv");
    let rows = ["1,1,0.1,2,2,0.1", "1,1,0.1,2,2,0.1", "122.5,42.25,0.9,113,56,0.8"];
    let rows = [&rows[..], &rows[..2]].concat();
    workshop.write("track.csv", track(&["body", "snout"], &rows));
    let by_track = workshop.segment_to("track.btf", "mouse.mkv", &["--keypoints", "track.csv"]);
    assert_eq!(by_track.prompted(), [2]);
    let points = ["--point", "2:122.5,42.25", "--point", "2:113,56"];
    workshop.segment_to("points.btf", "mouse.mkv", &points);
    assert!(workshop.read("track.btf") == workshop.read("points.btf"));
}

#[test]
fn the_frame_of_the_highest_likelihood_is_prompted_and_the_earliest_of_ties() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    let csv = track(&["body"], &[LOW, HIGH, LOW, LOW, HIGH, HIGH]);
    assert_eq!(prompted(&workshop, &csv, &["--batch-size", "3"]), [1, 4]);
}

#[test]
fn equal_means_of_several_parts_are_a_tie() {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    let rows = ["122,40,0.3,120,44,0.4", "122,40,0.7,120,44,0.1", "122,40,0.1,120,44,0.7"];
    let csv = track(&["body", "snout"], &rows);
    assert_eq!(prompted(&workshop, &csv, &["--min-likelihood", "0"]), [1]);
}

#[test]
fn a_frame_that_lacks_a_requested_part_gives_way_to_one_that_has_all() {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    let rows = ["122,40,0.99,NaN,44,0.99", "122,40,0.6,120,44,0.6", "122,40,0.99,,,"];
    let csv = track(&["body", "snout"], &rows);
    assert_eq!(prompted(&workshop, &csv, &[]), [1]);
}

#[test]
fn the_mean_is_that_of_the_requested_body_parts() {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    let rows = ["122,40,0.9,1,1,0.1", "122,40,0.2,1,1,1", "122,40,0.6,1,1,0.9"];
    let csv = track(&["body", "tail"], &rows);
    assert_eq!(prompted(&workshop, &csv, &["--bodyparts", "body"]), [0]);
    assert_eq!(prompted(&workshop, &csv, &["--bodyparts", "tail"]), [1]);
    assert_eq!(prompted(&workshop, &csv, &["--bodyparts", "body,tail"]), [2]);
    assert_eq!(prompted(&workshop, &csv, &[]), [2]);
}

#[test]
fn missing_coordinates_are_never_chosen() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    let rows = [",,1", "NaN,40,1", "122,nan,1", "122,,", "inf,40,1", LOW];
    let csv = track(&["body"], &rows);
    assert_eq!(prompted(&workshop, &csv, &[]), [5]);
}

#[test]
fn a_minimum_likelihood_leaves_out_parts_below_it() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    let rows = ["122,40,0.9,20,120,0.1", "122,40,0.6,120,44,0.1"];
    workshop.write("track.csv", track(&["body", "tail"], &rows));
    let arguments = ["--keypoints", "track.csv", "--min-likelihood", "0.5"];
    assert_eq!(workshop.segment("mouse.mkv", &arguments).prompted(), [0]);
    workshop.segment_to("point.btf", "mouse.mkv", &["--point", "0:122,40"]);
    assert!(workshop.read("masks.btf") == workshop.read("point.btf"));
}

#[test]
fn body_parts_are_separated_by_commas_or_spaces() {
    let workshop = nine();
    let ways: [&[&str]; 4] =
        [&["snout,tailbase"], &["snout tailbase"], &["snout", "tailbase"], &["snout, tailbase"]];
    let mut first = None;
    for way in ways {
        let before = ["--keypoints", "track.csv", "--overwrite", "--bodyparts"];
        workshop.segment("mouse.mkv", &[&before[..], way].concat());
        let bytes = workshop.read("masks.btf");
        assert!(first.get_or_insert_with(|| bytes.clone()) == &bytes, "{way:?}");
    }
}

#[test]
fn batches_without_coordinates_are_written_empty_and_reported() {
    let workshop = Workshop::new();
    workshop.mouse(9, "mouse.mkv");
    let rows = [HIGH, LOW, LOW, ",,", "NaN,NaN,0.9", ",,0.9", HIGH, ",,", ",,"];
    workshop.write("track.csv", track(&["body"], &rows));
    let arguments = [
        "segment",
        "mouse.mkv",
        "--keypoints",
        "track.csv",
        "-o",
        "masks.btf",
        "--batch-size",
        "3",
    ];
    let outcome = workshop.sam2(&arguments).ended(3);
    outcome.warns(&["3 to 5"]);
    assert_eq!(outcome.prompted(), [0, 6]);
    let areas = workshop.masks().areas();
    assert_eq!(areas.len(), 9);
    for (frame, &area) in areas.iter().enumerate() {
        assert_eq!(area == 0, (3..6).contains(&frame), "frame {frame}: {areas:?}");
    }
}

#[test]
fn a_track_without_any_coordinates_gives_empty_pages_and_says_so() {
    let workshop = Workshop::new();
    workshop.mouse(4, "mouse.mkv");
    workshop.write("track.csv", track(&["body"], &[",,"; 4]));
    let arguments = ["segment", "mouse.mkv", "--keypoints", "track.csv", "-o", "masks.btf", "-q"];
    let outcome = workshop.sam2(&arguments).ended(3);
    outcome.warns(&["0 to 3"]);
    assert_eq!(workshop.masks().areas(), [0; 4]);
}

#[test]
fn a_minimum_likelihood_that_no_frame_reaches_leaves_batches_empty() {
    let workshop = Workshop::new();
    workshop.mouse(4, "mouse.mkv");
    workshop.write("track.csv", track(&["body"], &[HIGH, LOW, LOW, LOW]));
    let arguments = ["segment", "mouse.mkv", "--keypoints", "track.csv", "-o", "masks.btf"];
    let strict = ["--batch-size", "2", "--min-likelihood", "0.8"];
    let outcome = workshop.sam2(&[&arguments[..], &strict].concat()).ended(3);
    outcome.warns(&["2 to 3"]);
    let areas = workshop.masks().areas();
    assert!(areas[0] > 0 && areas[1] > 0 && areas[2..] == [0, 0], "{areas:?}");
}

#[test]
fn fewer_rows_than_frames_need_the_flag() {
    let workshop = nine();
    workshop.mouse_track(0, 5, "short.csv");
    let arguments = ["--keypoints", "short.csv", "--batch-size", "4"];
    let told = ["short.csv", "5 rows", "9 frames", "--allow-row-mismatch"];
    workshop.refuses("mouse.mkv", &arguments, &told);
    let before = ["segment", "mouse.mkv", "-o", "masks.btf", "--allow-row-mismatch"];
    // The last frame has no row: its batch of one has no prompt.
    let outcome = workshop.sam2(&[&before[..], &arguments].concat()).ended(3);
    outcome.warns(&["short.csv", "5 rows", "9 frames"]).warns(&["frame 8 had"]);
    let areas = workshop.masks().areas();
    assert_eq!((areas.len(), areas[8]), (9, 0));
    assert!(areas[..8].iter().all(|&area| area > 0), "{areas:?}");
}

#[test]
fn more_rows_than_frames_need_the_flag() {
    let workshop = nine();
    workshop.mouse_track(0, 20, "long.csv");
    let arguments = ["--keypoints", "long.csv", "--batch-size", "4"];
    let told = ["long.csv", "20 rows", "9 frames", "--allow-row-mismatch"];
    workshop.refuses("mouse.mkv", &arguments, &told);
    let outcome =
        workshop.segment("mouse.mkv", &[&arguments[..], &["--allow-row-mismatch"]].concat());
    outcome.warns(&["long.csv", "20 rows", "9 frames"]);
    assert!(outcome.prompted().iter().all(|&frame| frame < 9));
    workshop.segment_to(
        "fitting.btf",
        "mouse.mkv",
        &["--keypoints", "track.csv", "--batch-size", "4"],
    );
    assert!(workshop.read("masks.btf") == workshop.read("fitting.btf"));
}

#[test]
fn a_track_of_a_video_half_the_size_scales_to_the_same_masks() {
    let workshop = Workshop::new();
    workshop.cut("mouse-arena", 7, "-c:v ffv1", "mouse.mkv");
    workshop.write("full.csv", scaled_track(0, 7, 1.0));
    workshop.write("half.csv", scaled_track(0, 7, 0.5));
    let batches = ["--batch-size", "4", "--keypoints"];
    workshop.segment_to("full.btf", "mouse.mkv", &[&batches[..], &["full.csv"]].concat());
    let scaled = [&batches[..], &["half.csv", "--downsample-factor", "2"]].concat();
    workshop.segment_to("half.btf", "mouse.mkv", &scaled);
    assert!(workshop.read("full.btf") == workshop.read("half.btf"));
}

#[test]
fn windows_line_endings_and_a_byte_order_mark_change_nothing() {
    let workshop = nine();
    let text = String::from_utf8(workshop.read("track.csv")).unwrap();
    let crlf = text.replace('\n', "\r\n");
    workshop.write("windows.csv", format!("\u{feff}{crlf}"));
    workshop.write("spaced.csv", text.replace(',', ", "));
    workshop.write("unended.csv", text.trim_end());
    workshop.segment_to("plain.btf", "mouse.mkv", &["--keypoints", "track.csv"]);
    for name in ["windows.csv", "spaced.csv", "unended.csv"] {
        workshop.segment("mouse.mkv", &["--keypoints", name, "--overwrite"]);
        assert!(workshop.read("masks.btf") == workshop.read("plain.btf"), "{name}");
    }
}

#[test]
fn letters_of_another_encoding_do_no_harm_in_names_that_are_not_asked_for() {
    let workshop = nine();
    let text = String::from_utf8(workshop.read("track.csv")).unwrap();
    let bytes: Vec<u8> = text.replace("tailbase", "schw?nz").replace("synthetic", "?").into();
    let latin_1: Vec<u8> = bytes.into_iter().map(|b| if b == b'?' { 0xe4 } else { b }).collect();
    workshop.write("latin.csv", latin_1);
    let parts = ["--bodyparts", "snout,body"];
    workshop.segment_to(
        "plain.btf",
        "mouse.mkv",
        &[&parts[..], &["--keypoints", "track.csv"]].concat(),
    );
    workshop.segment("mouse.mkv", &[&parts[..], &["--keypoints", "latin.csv"]].concat());
    assert!(workshop.read("masks.btf") == workshop.read("plain.btf"));
}

#[test]
fn the_bundled_clip_and_track_fit() {
    let workshop = Workshop::new();
    let clip = asset_text("clips/mouse-arena.mp4");
    let track = asset_text("clips/mouse-arenaDLC_synthetic_micro.csv");
    let parts = ["--bodyparts", "snout", "tailbase", "--batch-size", "25", "--keypoints", &track];
    workshop.segment(&clip, &parts);
    assert_eq!(workshop.masks().pages.len(), 60);
    let truth = asset_text("clips/mouse-arena-truth-1.tif");
    let score = workshop.sam2(&["score", "masks.btf", &truth]).succeeded().stdout;
    let mean: f64 = score.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(mean > 0.75, "{score}");
}
