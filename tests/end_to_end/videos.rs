//! Unusual videos, as cameras and editors write them: the frames are right, or a message reports
//! the problem.

use std::path::Path;

use crate::support::{ON_THE_MOUSE, Workshop};

/// Returns the path of a file of `tests/cases`.
fn case(name: &str) -> String {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    cases.join(name).canonicalize().unwrap().to_str().unwrap().to_owned()
}

fn segment<'a>(recording: &'a str, point: &'a str) -> [&'a str; 6] {
    ["segment", recording, "--point", point, "-o", "masks.btf"]
}

#[test]
fn the_first_of_two_streams_is_segmented_with_a_warning() {
    let workshop = Workshop::new();
    let film = case("two-video-streams-mp4/twostreams.mp4");
    let outcome = workshop.sam2(&segment(&film, "0:100,100")).succeeded();
    outcome.warns(&["2 video streams", "256x192", "512x384", "--stream"]);
    let second = [&segment(&film, "0:100,100")[..], &["--stream", "1", "--overwrite"]].concat();
    workshop.sam2(&second).succeeded();
    let none = [&segment(&film, "0:100,100")[..], &["--stream", "2", "--overwrite"]].concat();
    workshop.refused(1, &none, &["no video stream 2", "256x192", "512x384"]);
    let probed = workshop.sam2(&["probe", &film]).succeeded();
    assert!(probed.stdout.contains("0: h264, 256x192, 24 frames (read)"), "{}", probed.stdout);
    assert!(probed.stdout.contains("1: h264, 512x384, 24 frames\n"), "{}", probed.stdout);
}

#[test]
fn a_size_that_changes_is_refused_from_the_start() {
    let workshop = Workshop::new();
    for (name, frame) in [("sizechange.h264", "frame 12"), ("sizechange.mp4", "frame 10")] {
        let film = case(&format!("size-change-message/{name}"));
        let arguments = [&segment(&film, "0:100,100")[..], &["--overwrite"]].concat();
        workshop.refused(1, &arguments, &[frame, "256x192", "320x240", "scale=256:192"]);
        let probed = workshop.sam2(&["probe", &film]).succeeded();
        assert!(probed.stdout.contains(frame), "{}", probed.stdout);
        let blank = [&segment(&film, "0:100,100")[..], &["--on-bad-frame", "blank", "--overwrite"]]
            .concat();
        workshop.sam2(&blank).succeeded();
    }
}

#[test]
fn times_in_tables_are_the_frames_own() {
    let workshop = Workshop::new();
    let film = case("vfr-time-column/vfr.mp4");
    workshop.sam2(&["segment", &film, "--point", "0:100,100", "-o", "masks.csv"]).succeeded();
    let table = String::from_utf8(workshop.read("masks.csv")).unwrap();
    let mut rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = rows.next().unwrap();
    let column = |name: &str| header.iter().position(|title| *title == name).unwrap();
    let (frame, time) = (column("frame"), column("time"));
    let times: Vec<(usize, f64)> =
        rows.map(|row| (row[frame].parse().unwrap(), row[time].parse().unwrap())).collect();
    for (frame, expected) in [(0, 0.0), (11, 0.44), (12, 2.48)] {
        let (_, found) = times.iter().find(|(other, _)| *other == frame).unwrap();
        assert!((found - expected).abs() < 0.001, "frame {frame}: {found}");
    }
}

#[test]
fn a_whole_camcorder_file_has_no_warning_and_a_cut_one_ends_with_3() {
    let workshop = Workshop::new();
    let film = case("m2ts-false-truncation/k.m2ts");
    let probed = workshop.sam2(&["probe", &film, "--verify"]).succeeded();
    assert!(probed.stdout.contains("issues    none"), "{}", probed.stdout);
    let bytes = std::fs::read(&film).unwrap();
    workshop.write("cut.m2ts", &bytes[..bytes.len() / 2 + 50]);
    workshop.sam2(&["probe", "cut.m2ts", "--verify"]).ended(3);
    workshop.sam2(&["probe", "cut.m2ts"]).succeeded();
}

#[test]
fn cut_files_of_containers_without_an_end_end_with_3() {
    let workshop = Workshop::new();
    for (name, codec) in
        [("film.wmv", "wmv2"), ("film.mpg", "mpeg2video"), ("film.vob", "mpeg2video")]
    {
        workshop.cut(
            "mouse-arena",
            12,
            &format!("-vf scale=192:144 -c:v {codec} -q:v 2 -g 4"),
            name,
        );
        let whole = workshop.sam2(&["probe", name, "--verify"]).succeeded();
        assert!(!whole.stdout.contains("truncated"), "{name}: {}", whole.stdout);
        let cut = format!("cut_{name}");
        workshop.truncate(name, 0.7, &cut);
        workshop.sam2(&["probe", &cut, "--verify"]).ended(3);
        let all = [&segment(&cut, ON_THE_MOUSE)[..], &["--overwrite"]].concat();
        workshop.sam2(&all).ended(3).warns(&[&cut, "frames are missing"]);
    }
}

#[test]
fn avi_files_with_empty_slots_are_whole_and_reordered_ones_have_no_known_times() {
    let workshop = Workshop::new();
    let slots = "-vf scale=192:144,select='not(mod(n,3))+lt(n,6)',settb=1/1000 -vsync vfr -enc_time_base 1/1000";
    workshop.cut("mouse-arena", 10, &format!("{slots} -c:v mpeg4 -q:v 2"), "slots.avi");
    let outcome = workshop.segment("slots.avi", &["--point", ON_THE_MOUSE]);
    assert!(!outcome.stderr.contains("truncated"), "{}", outcome.stderr);
    workshop.cut("mouse-arena", 10, &format!("{slots} -c:v mpeg4 -bf 2 -q:v 2"), "b.avi");
    let outcome = workshop.segment_to("b.btf", "b.avi", &["--point", ON_THE_MOUSE]);
    outcome.warns(&["b.avi", "times of its frames cannot be known"]);
}

#[test]
fn video_files_named_by_the_time_are_one_recording() {
    let workshop = Workshop::new();
    workshop.folder("day");
    workshop.mouse(2, "day/2024-03-01_10-59-00.mkv").mouse(3, "day/2024-03-01_11-04-00.mkv");
    let outcome = workshop.segment("day", &["--point", ON_THE_MOUSE]);
    outcome.warns(&["2 video files", "10-59-00.mkv, 2024-03-01_11-04-00.mkv"]);
    assert_eq!(workshop.masks().pages.len(), 5);
    // One file is the recording, and no message is needed.
    std::fs::remove_file(workshop.path("day/2024-03-01_10-59-00.mkv")).unwrap();
    let outcome = workshop.segment_to("one.btf", "day", &["--point", ON_THE_MOUSE]);
    assert!(!outcome.stderr.contains("video files"), "{}", outcome.stderr);
}

#[test]
fn parts_of_a_recording_are_one_by_folder_or_join() {
    let workshop = Workshop::new();
    workshop.mouse(9, "whole.mkv").folder("day");
    for part in 0..3 {
        let select = format!("-vf select='between(n,{},{})'", part * 3, part * 3 + 2);
        workshop
            .ffmpeg(&format!("-i whole.mkv {select} -vsync passthrough -c:v ffv1 day/{part}.mkv"));
    }
    workshop.segment("whole.mkv", &["--point", ON_THE_MOUSE]);
    let whole = workshop.read("masks.btf");
    let outcome = workshop.segment_to("folder.btf", "day", &["--point", ON_THE_MOUSE]);
    outcome.warns(&["3 video files", "0.mkv, 1.mkv, 2.mkv"]);
    assert!(workshop.read("folder.btf") == whole);
    let join = ["day/1.mkv", "day/2.mkv", "--join", "--point", ON_THE_MOUSE];
    workshop.segment_to("joined.btf", "day/0.mkv", &join);
    assert!(workshop.read("joined.btf") == whole);
}
