//! Videos of odd kinds, as cameras and editors write them: the right frames, or a word about them.

use std::path::Path;

use crate::support::{ON_THE_MOUSE, Workshop};

/// A file of `tests/cases`.
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
