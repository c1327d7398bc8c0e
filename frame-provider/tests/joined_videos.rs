//! One recording in several video files: listed by name, or in a folder.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;

use common::Workshop;
use sam2_frame_provider::{
    FrameError, FrameSource, Intensity, JoinedFrames, LazyFrames, LazyOptions, OpenOptions,
    VideoFrames, VideoOptions, open, open_with, probe,
};

const X264: &str = "-c:v libx264 -preset ultrafast -threads 1 -bf 2 -pix_fmt yuv420p";

/// Returns the name of part 0, 1, 2.
type Naming = fn(usize) -> String;

/// Makes a film of 3 seconds and the same film in files of a second each, named by `name` for 0, 1,
/// 2.
fn in_parts(workshop: &Workshop, folder: &str, name: Naming) -> PathBuf {
    workshop.film(
        "96x64",
        20,
        3.0,
        &format!("{X264} -g 20 -keyint_min 20 -sc_threshold 0"),
        "whole.mp4",
    );
    std::fs::create_dir_all(workshop.path(folder)).unwrap();
    for part in 0..3 {
        let path = format!("{folder}/{}", name(part));
        workshop.ffmpeg(&format!("-ss {part} -i whole.mp4 -t 1 -c:v ffv1 -f matroska {path}"));
    }
    workshop.path(folder)
}

fn assert_is_whole(workshop: &Workshop, source: &dyn FrameSource) {
    let whole = VideoFrames::open(workshop.path("whole.mp4")).unwrap();
    assert_eq!((source.info().frame_count, source.info().size), (60, whole.info().size));
    for index in (0..60).chain((0..60).rev()).chain([31, 5, 59, 20, 19, 40, 39]) {
        let (joined, alone) = (source.frame(index).unwrap(), whole.frame(index).unwrap());
        assert!(joined.data() == alone.data(), "frame {index}");
        let (joined, alone) =
            (source.info().time(index).unwrap(), whole.info().time(index).unwrap());
        assert!((joined - alone).abs() < 0.002, "frame {index}: {joined} {alone}");
    }
    assert!(matches!(source.frame(60), Err(FrameError::IndexOutOfRange { index: 60, .. })));
}

#[test]
fn folders_of_parts_are_one_recording() {
    let workshop = Workshop::new();
    let cameras: [(&str, Naming); 4] = [
        ("miniscope", |part| format!("{}.avi", part + 9)),
        ("msCam", |part| format!("msCam{}.avi", part + 1)),
        ("avchd", |part| format!("{part:05}.MTS")),
        ("gopro", |part| format!("GX0{}0042.MP4", part + 1)),
    ];
    for (folder, name) in cameras {
        let path = in_parts(&workshop, folder, name);
        // Files that cameras write next to it.
        std::fs::write(path.join("timeStamps.csv"), "Frame Number,Time Stamp (ms)\n").unwrap();
        std::fs::write(path.join("GX010042.LRV"), "a small copy").unwrap();
        let source = open(&path).unwrap();
        let warnings = source.info().warnings.join("; ");
        let order: Vec<String> = (0..3).map(name).collect();
        assert!(warnings.contains(&order.join(", ")), "{folder}: {warnings}");
        assert_is_whole(&workshop, &source);
        let report = probe(&path, true).unwrap();
        assert_eq!((report.frames, report.damaged_frames.len()), (60, 0), "{folder}");
        let seconds = report.video.unwrap().duration_seconds.unwrap();
        assert!((seconds - 3.0).abs() < 0.01, "{folder}: {seconds}");
    }
}

#[test]
fn files_are_joined_in_the_order_given_and_lazily() {
    let workshop = Workshop::new();
    let folder = in_parts(&workshop, "parts", |part| format!("{}.mkv", ["c", "a", "b"][part]));
    let files = ["c.mkv", "a.mkv", "b.mkv"].map(|name| folder.join(name));
    let options = OpenOptions::default().join(files[1..].to_vec());
    let source = open_with(&files[0], &options).unwrap();
    assert_is_whole(&workshop, &source);
    assert_eq!(*source.info().warnings, [""; 0]);
    let lazy = LazyFrames::new(open_with(&files[0], &options).unwrap(), LazyOptions::default());
    assert_is_whole(&workshop, &lazy);
    // One range for all of them.
    let mapped = open_with(&files[0], &options.intensity(Intensity::MinMax)).unwrap();
    let whole = OpenOptions::default().intensity(Intensity::MinMax);
    let whole = open_with(workshop.path("whole.mp4"), &whole).unwrap();
    assert!(mapped.frame(45).unwrap().data() == whole.frame(45).unwrap().data());
    // Their names give no order.
    let error = open(&folder).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("--join") && error.contains("a.mkv, b.mkv, c.mkv"), "{error}");
}

#[test]
fn a_missing_chapter_is_named_and_a_complete_recording_has_none() {
    let workshop = Workshop::new();
    let folder = in_parts(&workshop, "gopro", |part| format!("GX0{}0042.MP4", part + 1));
    let warnings = || open(&folder).unwrap().info().warnings.join("; ");
    assert!(!warnings().contains("there is no file"), "{}", warnings());
    std::fs::remove_file(folder.join("GX020042.MP4")).unwrap();
    assert!(warnings().contains("no file with chapter 2 of recording 0042"), "{}", warnings());
    let files = ["GX010042.MP4", "GX030042.MP4"].map(|name| folder.join(name));
    let joined = OpenOptions::default().join(vec![files[1].clone()]);
    let joined = open_with(&files[0], &joined).unwrap().info().warnings.join("; ");
    assert!(joined.contains("no file with chapter 2 of recording 0042"), "{joined}");
}

#[test]
fn errors_name_the_part() {
    let workshop = Workshop::new();
    let folder = in_parts(&workshop, "parts", |part| format!("{part}.mkv"));
    workshop.film("64x48", 20, 1.0, X264, "parts/3.mkv");
    let error = open(&folder).err().map(|error| error.to_string()).unwrap_or_default();
    for word in ["3.mkv", "64x48", "0.mkv", "96x64"] {
        assert!(error.contains(word), "{error}");
    }
    std::fs::remove_file(folder.join("3.mkv")).unwrap();
    std::fs::remove_file(folder.join("1.mkv")).unwrap();
    let warnings = open(&folder).unwrap().info().warnings.join("; ");
    assert!(warnings.contains("no file with the number 1"), "{warnings}");
    workshop.truncate("parts/2.mkv", 0.7, "parts/2.mkv");
    let source = open(&folder).unwrap();
    let missing = source.info().flaws.missing_frames.unwrap_or_default();
    assert!(missing.starts_with("2.mkv: "), "{missing}");
    let nothing = JoinedFrames::open(Vec::new(), VideoOptions::default());
    assert!(matches!(nothing, Err(FrameError::Empty { .. })));
}
