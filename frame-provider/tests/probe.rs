//! Reports about recordings of many kinds.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::Workshop;
use sam2_frame_provider::{
    FrameError, FrameSize, FrameSource, IndexKind, MemoryFrames, ProbeReport, RgbFrame, SourceInfo,
    VideoDetails, probe, probe_source,
};

const X264: &str = "-c:v libx264 -preset ultrafast -threads 1 -bf 2 -b_strategy 0 -sc_threshold 0 -pix_fmt yuv420p";

fn video(report: &ProbeReport) -> &VideoDetails {
    report.video.as_ref().unwrap()
}

#[test]
fn a_video_in_all_details() {
    let workshop = Workshop::new();
    let arguments = format!(
        "-vf scale=out_range=pc:out_color_matrix=bt709 -color_range pc -colorspace bt709 {X264} -g 40 -keyint_min 40"
    );
    workshop.film("320x180", 25, 4.0, &arguments, "film.mp4");
    workshop.ffmpeg("-i film.mp4 -c copy -metadata:s:v rotate=90 turned.mp4");
    let report = probe(workshop.path("turned.mp4"), true).unwrap();
    println!("{}", serde_json::to_string_pretty(&report).unwrap());
    assert_eq!(
        (report.kind.as_str(), report.frames, report.source.as_str()),
        ("video", 100, "turned.mp4")
    );
    assert_eq!((report.size.to_string(), report.frames_per_second), ("180x320".into(), Some(25.0)));
    assert!(report.verified && report.damaged_frames.is_empty() && report.issues.is_empty());
    let details = video(&report);
    assert!(details.container.contains("mp4"));
    assert_eq!(
        (details.codec.as_str(), details.stored_size.to_string()),
        ("h264", "320x180".into())
    );
    // This option of the ffmpeg program counts in the opposite direction. The reference is its own
    // decode, which the exactness tests compare with.
    assert_eq!((details.rotation_degrees, details.mirrored), (270, false));
    assert_eq!((details.colour_matrix.as_str(), details.colour_range.as_str()), ("bt709", "pc"));
    assert!(details.pixel_format.starts_with("yuv"), "{}", details.pixel_format);
    assert_eq!(details.claimed_frames, Some(100));
    assert!((details.duration_seconds.unwrap() - 4.0).abs() < 0.001);
    assert_eq!(details.variable_frame_rate, Some(false));
    assert_eq!(
        (details.groups.number, details.groups.shortest, details.groups.longest),
        (3, 20, 40)
    );
    assert!((details.groups.mean - 100.0 / 3.0).abs() < 1e-9);
    assert_eq!(details.index, IndexKind::TimeStamps);
    let json: serde_json::Value = serde_json::to_value(&report).unwrap();
    assert_eq!(json["video"]["index"], "time-stamps");
    assert_eq!(json["size"]["width"], 180);
}

#[test]
fn variable_rates_and_counts_that_lie() {
    let workshop = Workshop::new();
    let select = "-vf select='not(eq(mod(n,7),3))*not(between(n,50,70))' -vsync vfr";
    for name in ["vfr.mp4", "vfr.mkv"] {
        let path = workshop.film("64x48", 30, 4.0, &format!("{select} {X264} -g 30"), name);
        assert_eq!(video(&probe(path, false).unwrap()).variable_frame_rate, Some(true), "{name}");
    }
    workshop.film("64x48", 30, 8.0, &format!("{X264} -g 100"), "whole.mkv");
    workshop.ffmpeg("-i whole.mkv -c copy whole.mp4");
    for name in ["whole.mkv", "whole.mp4"] {
        let report = probe(workshop.path(name), false).unwrap();
        assert_eq!(video(&report).variable_frame_rate, Some(false), "{name}");
    }
    workshop.ffmpeg("-ss 2.33 -i whole.mp4 -c copy -t 5 cut.mp4");
    let report = probe(workshop.path("cut.mp4"), false).unwrap();
    assert!(video(&report).claimed_frames > Some(report.frames));
    workshop.ffmpeg("-i whole.mp4 -c copy -bsf:v h264_mp4toannexb -f h264 raw.h264");
    let report = probe(workshop.path("raw.h264"), false).unwrap();
    assert_eq!((video(&report).index, video(&report).claimed_frames), (IndexKind::Decoded, None));
    assert_eq!((report.frames, report.issues.len()), (240, 1));
}

#[test]
fn damage_is_found_by_verifying() {
    let workshop = Workshop::new();
    workshop.film("320x180", 30, 3.0, &format!("{X264} -g 30"), "film.mp4");
    let mut bytes = std::fs::read(workshop.path("film.mp4")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 3000].fill(0);
    let path = workshop.write("damaged.mp4", &bytes);
    let quick = probe(&path, false).unwrap();
    assert!(quick.damaged_frames.is_empty() && !quick.verified);
    let full = probe(&path, true).unwrap();
    println!("{:?} {:?}", full.damaged_frames, full.issues);
    assert!(!full.damaged_frames.is_empty() && !full.issues.is_empty());
    assert!(full.damaged_frames.is_sorted());
}

/// A source of frames of one pixel. From frame 70 onwards they are wrong unless the previous frame
/// was read immediately before.
struct Forgetful(std::sync::atomic::AtomicUsize);

impl FrameSource for Forgetful {
    fn info(&self) -> SourceInfo {
        SourceInfo::new(100, FrameSize { width: 1, height: 1 }).with_description("forgetful.avi")
    }
    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        let before = self.0.swap(index + 1, std::sync::atomic::Ordering::Relaxed);
        let value = if index >= 70 && before != index { 0 } else { index as u8 };
        Ok(Arc::new(RgbFrame::new(1, 1, vec![value; 3])?))
    }
}

#[test]
fn frames_that_depend_on_where_reading_begins_are_found_by_verifying() {
    let report = probe_source(&Forgetful(0.into()), true);
    // In reverse from the end, none of these follows the frame before it.
    assert!((70..99).all(|frame| report.damaged_frames.contains(&frame)), "{report:?}");
    assert!(report.damaged_frames.iter().all(|frame| *frame >= 70), "{report:?}");
    assert_eq!(report.issues.len(), 1);
    assert!(report.issues[0].contains("forgetful.avi") && report.issues[0].contains("frame 70"));
    assert!(probe_source(&Forgetful(0.into()), false).issues.is_empty());
}

#[test]
fn other_sources_tell_what_they_can() {
    let workshop = Workshop::new();
    workshop.ffmpeg("-f lavfi -i testsrc2=size=64x48:rate=5:duration=1 %02d.png");
    let report = probe(workshop.path("."), true).unwrap();
    assert_eq!((report.kind.as_str(), report.frames, report.verified), ("folder", 5, true));
    assert!(report.video.is_none());
    let report = probe(workshop.path("03.png"), false).unwrap();
    assert_eq!((report.kind.as_str(), report.frames), ("file", 1));
    let report = probe(workshop.path("0[1-3].png"), false).unwrap();
    assert_eq!((report.kind.as_str(), report.frames), ("folder", 3));
    let clip = MemoryFrames::new(vec![RgbFrame::new(2, 1, vec![0; 6]).unwrap()]).unwrap();
    let report = probe_source(&clip, true);
    assert_eq!((report.kind.as_str(), report.size), ("frames", clip.info().size));
    std::fs::write(workshop.path("02.png"), b"no picture").unwrap();
    assert!(probe(workshop.path("missing.mp4"), false).is_err());
    assert!(matches!(probe(workshop.path("nothing"), false), Err(FrameError::NotFound { .. })));
}
