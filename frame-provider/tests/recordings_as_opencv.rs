//! The stream that is read, its orientation, and the time of each frame agree with OpenCV and
//! ffprobe.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{Workshop, assert_exact};
use sam2_frame_provider::{
    FrameError, FrameSource, IndexCacheMode, OpenOptions, VideoFrames, VideoOptions, open_with,
    probe,
};

const X264: &str = "-c:v libx264 -preset ultrafast -threads 1 -bf 2 -pix_fmt yuv420p";

fn case(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/cases").join(name)
}

fn stream(number: usize) -> VideoOptions {
    VideoOptions { stream: Some(number), ..VideoOptions::default() }
}

fn size(path: &Path, options: VideoOptions) -> String {
    VideoFrames::open_with(path, options).unwrap().info().size.to_string()
}

#[test]
fn the_first_of_two_streams_is_read_in_every_container() {
    let workshop = Workshop::new();
    let films =
        ["two-video-streams-mp4/twostreams.mp4", "two-video-streams-mp4/twostreams.mkv"].map(case);
    std::fs::copy(&films[0], workshop.path("film.mp4")).unwrap();
    let mut files = films.to_vec();
    for container in ["mp4", "mkv", "avi", "ts", "mov"] {
        // The larger stream first, and marked as the default; then the opposite order.
        workshop.ffmpeg(&format!("-i film.mp4 -map 0:1 -map 0:0 -c copy large.{container}"));
        let path = workshop.path(&format!("large.{container}"));
        assert_eq!(size(&path, VideoOptions::default()), "512x384", "{container}");
        assert_eq!(size(&path, stream(1)), "256x192", "{container}");
        let small = format!("small.{container}");
        workshop.ffmpeg(&format!(
            "-i film.mp4 -map 0:0 -map 0:1 -c copy -disposition:v:0 0 -disposition:v:1 default {small}"
        ));
        files.push(workshop.path(&small));
    }
    for path in files {
        let source = VideoFrames::open(&path).unwrap();
        assert_eq!(source.info().size.to_string(), "256x192", "{}", path.display());
        let warnings = source.info().warnings.join("; ");
        assert!(
            warnings.contains("2 video streams") && warnings.contains("stream 0 is read"),
            "{warnings}"
        );
        assert!(warnings.contains("512x384") && warnings.contains("--stream"), "{warnings}");
        assert_eq!(size(&path, stream(1)), "512x384", "{}", path.display());
        let second = VideoFrames::open_with(&path, stream(1)).unwrap();
        let info = second.info();
        let doubts = info.warnings.iter().filter(|warning| !warning.contains("decoded once"));
        assert_eq!(doubts.collect::<Vec<_>>(), [""; 0], "it was asked for");
        assert_eq!(second.info().frame_count, 24);
        let Err(FrameError::NoSuchStream { number: 2, .. }) =
            VideoFrames::open_with(&path, stream(2))
        else {
            panic!("there are two");
        };
        let streams = probe(&path, false).unwrap().video.unwrap().streams;
        let listed: Vec<_> =
            streams.iter().map(|s| (s.number, s.size.to_string(), s.is_read)).collect();
        assert_eq!(listed, [(0, "256x192".into(), true), (1, "512x384".into(), false)]);
    }
}

#[test]
fn each_stream_has_an_index_of_its_own_and_reads_exactly() {
    let workshop = Workshop::new();
    std::fs::copy(case("two-video-streams-mp4/twostreams.mp4"), workshop.path("two.mp4")).unwrap();
    workshop.ffmpeg("-i two.mp4 -map 0:1 -c copy second.mp4");
    let alone = VideoFrames::open(workshop.path("second.mp4")).unwrap();
    let options =
        VideoOptions { index_cache: IndexCacheMode::Beside, packet_bytes: 0, ..stream(1) };
    for _ in 0..2 {
        let first = VideoOptions { stream: None, ..options.clone() };
        assert_eq!(size(&workshop.path("two.mp4"), first), "256x192");
        let second = VideoFrames::open_with(workshop.path("two.mp4"), options.clone()).unwrap();
        for frame in (0..24).rev().chain([5, 20, 3]) {
            assert_eq!(second.frame(frame).unwrap(), alone.frame(frame).unwrap(), "{frame}");
        }
    }
}

#[test]
fn cover_pictures_are_no_streams_and_folders_have_none() {
    let workshop = Workshop::new();
    workshop.film("64x48", 5, 1.0, X264, "film.mp4");
    workshop.ffmpeg("-i film.mp4 -frames:v 1 cover.png");
    workshop.ffmpeg(
        "-i cover.png -i film.mp4 -map 0 -map 1 -c copy -disposition:v:0 attached_pic covered.mp4",
    );
    let source = VideoFrames::open(workshop.path("covered.mp4")).unwrap();
    assert_eq!((source.info().frame_count, source.info().warnings.to_vec()), (5, vec![]));
    let options = OpenOptions::default().video(stream(0));
    assert!(open_with(workshop.path("film.mp4"), &options).is_ok());
    let Err(error) = open_with(workshop.path("cover.png"), &options) else {
        panic!("it is a picture")
    };
    assert!(error.to_string().contains("--stream"), "{error}");
}

/// Writes another display matrix into the header of an MP4's only track.
fn with_matrix(film: &[u8], [a, b, c, d]: [i32; 4]) -> Vec<u8> {
    let mut bytes = film.to_vec();
    let header = bytes.windows(4).position(|name| name == b"tkhd").unwrap() + 4;
    let place = header + 40;
    let values = [a, b, 0, c, d, 0, 0, 0, 1 << 30];
    let matrix: Vec<u8> = values.iter().flat_map(|value: &i32| value.to_be_bytes()).collect();
    bytes[place..place + 36].copy_from_slice(&matrix);
    bytes
}

/// The expected results were observed with `cv2.VideoCapture` of OpenCV 5.0 on exactly these files.
#[test]
fn mirrored_videos_are_shown_as_opencv_shows_them_with_a_warning() {
    const ONE: i32 = 1 << 16;
    let workshop = Workshop::new();
    workshop.film("64x48", 5, 1.0, X264, "film.mp4");
    let film = std::fs::read(workshop.path("film.mp4")).unwrap();
    let shown = |name: &str, matrix| {
        let source = VideoFrames::open(workshop.write(name, &with_matrix(&film, matrix))).unwrap();
        (source.frame(3).unwrap(), source.info().warnings.join("; "))
    };
    let turned = |name: &str, matrix| {
        let (frame, warnings) = shown(name, matrix);
        assert_eq!(warnings, "", "{name}");
        frame
    };
    let upright = turned("0.mp4", [ONE, 0, 0, ONE]);
    let half = turned("180.mp4", [-ONE, 0, 0, -ONE]);
    let right = turned("90.mp4", [0, ONE, -ONE, 0]);
    let left = turned("270.mp4", [0, -ONE, ONE, 0]);
    for (name, matrix, as_opencv) in [
        ("left-right.mp4", [-ONE, 0, 0, ONE], &half),
        ("top-bottom.mp4", [ONE, 0, 0, -ONE], &upright),
        ("transposed.mp4", [0, ONE, ONE, 0], &right),
        ("other diagonal.mp4", [0, -ONE, -ONE, 0], &left),
    ] {
        let (frame, warning) = shown(name, matrix);
        assert!(frame == *as_opencv, "{name}");
        assert!(warning.contains("mirrored") && warning.contains("OpenCV"), "{name}: {warning}");
        assert!(warning.contains("VLC"), "{name}: {warning}");
        let details = probe(workshop.path(name), false).unwrap().video.unwrap();
        assert!(details.mirrored);
    }
}

fn assert_times(path: &Path, expected: &[(usize, f64)]) {
    for options in [VideoOptions::default(), VideoOptions { packet_bytes: 0, ..Default::default() }]
    {
        let source = VideoFrames::open_with(path, options).unwrap();
        for (frame, seconds) in expected {
            let time = source.info().time(*frame).unwrap();
            assert!((time - seconds).abs() < 0.0006, "{}: frame {frame}: {time}", path.display());
        }
    }
}

#[test]
fn times_are_the_frames_own() {
    let path = case("vfr-time-column/vfr.mp4");
    assert_times(&path, &[(0, 0.0), (11, 0.44), (12, 2.48), (13, 2.52), (23, 2.92)]);
    let workshop = Workshop::new();
    std::fs::copy(&path, workshop.path("vfr.mp4")).unwrap();
    for name in ["vfr.mkv", "vfr.mov", "vfr.ts"] {
        workshop.ffmpeg(&format!("-i vfr.mp4 -c copy {name}"));
        // Counted from the first frame, wherever the container's clock begins.
        assert_times(&workshop.path(name), &[(0, 0.0), (11, 0.44), (12, 2.48)]);
    }
    workshop.film("64x48", 25, 1.0, X264, "film.mp4");
    workshop.ffmpeg("-i film.mp4 -c copy -bsf:v h264_mp4toannexb -f h264 raw.h264");
    // Without time stamps, from the frame rate.
    assert_times(&workshop.path("raw.h264"), &[(0, 0.0), (5, 0.2), (24, 0.96)]);
    workshop.film("64x48", 25, 1.0, "-c:v mpeg4 -bf 2", "b.avi");
    workshop.ffmpeg("-i film.mp4 -c copy h264.avi");
    for name in ["b.avi", "h264.avi"] {
        assert_times(&workshop.path(name), &[(0, 0.0), (5, 0.2), (24, 0.96)]);
        let rate = VideoFrames::open(workshop.path(name)).unwrap().info().timing.frames_per_second;
        assert!((rate.unwrap() - 25.0).abs() < 0.01, "{name}: {rate:?}");
    }
}

#[test]
fn transport_streams_of_every_packet_size_are_whole() {
    let path = case("m2ts-false-truncation/k.m2ts");
    let source = assert_exact(&path);
    assert_eq!((source.info().frame_count, source.info().warnings.to_vec()), (120, vec![]));
    assert!(source.info().flaws.missing_frames.is_none());
    let bytes = std::fs::read(&path).unwrap();
    let packets = bytes.chunks(192).map(|packet| &packet[4..]);
    let workshop = Workshop::new();
    let with_checksums: Vec<u8> =
        packets.clone().flat_map(|packet| packet.iter().copied().chain([0; 16])).collect();
    let plain: Vec<u8> = packets.flatten().copied().collect();
    for (name, whole) in
        [("k.MTS", &bytes), ("checksums.ts", &with_checksums), ("plain.ts", &plain)]
    {
        let source = VideoFrames::open(workshop.write(name, whole)).unwrap();
        assert_eq!(
            (source.info().frame_count, source.info().warnings.to_vec()),
            (120, vec![]),
            "{name}"
        );
        let cut = VideoFrames::open(workshop.write(name, &whole[..whole.len() / 2 + 77])).unwrap();
        assert!(cut.info().warnings.join("; ").contains("its last packet is incomplete"), "{name}");
        assert!(cut.info().flaws.missing_frames.is_some(), "{name}");
    }
}
