//! What is wrong with a recording as a whole is known, said once and truly, and nothing else is said to be wrong.

mod common;

use std::path::{Path, PathBuf};

use common::Workshop;
use sam2_frame_provider::{
    FrameError, FrameSource, IndexCacheMode, IndexMode, VideoFrames, VideoOptions, probe,
};

const X264: &str = "-c:v libx264 -preset ultrafast -threads 1 -bf 2 -b_strategy 0 -sc_threshold 0 -pix_fmt yuv420p";

fn case(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/cases").join(name)
}

fn assert_size_changes(path: &Path, at: usize, sizes: [&str; 2]) {
    let name = path.display();
    let source = VideoFrames::open(path).unwrap();
    let Some(error) = source.flaws().size_change else { panic!("{name}: not known when opened") };
    let FrameError::SizeChanged { index, expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!(*index, at, "{name}");
    assert_eq!([expected.to_string(), found.to_string()], sizes, "{name}");
    let text = error.to_string();
    let scale = format!("ffmpeg -i '{name}' -vf scale={}", sizes[0].replace('x', ":"));
    for word in [&format!("frame {at}")[..], sizes[0], sizes[1], &scale] {
        assert!(text.contains(word), "{text}");
    }
    // Frames before it can be read; it and those after it cannot.
    assert!(source.frame(at - 1).is_ok(), "{name}");
    assert!(matches!(source.frame(at), Err(FrameError::SizeChanged { .. })), "{name}");
    for verify in [false, true] {
        let report = probe(path, verify).unwrap();
        let issues = report.issues.join("; ");
        assert!(issues.contains(&format!("frame {at} is {}", sizes[1])), "{name}: {issues}");
        assert!(!issues.contains("damaged"), "{name}: {issues}");
        assert_eq!(report.missing_frames, None, "{name}");
        if verify {
            assert_eq!(report.damaged_frames, (at..report.frames).collect::<Vec<_>>(), "{name}");
        }
    }
}

#[test]
fn sizes_that_change_are_known_from_the_start() {
    assert_size_changes(&case("size-change-message/sizechange.h264"), 12, ["256x192", "320x240"]);
    assert_size_changes(&case("size-change-message/sizechange.mp4"), 10, ["256x192", "320x240"]);
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/two_sizes.mp4");
    assert_size_changes(&data, 20, ["64x48", "80x64"]);
}

#[test]
fn sizes_that_change_in_other_codecs_are_known_too() {
    let workshop = Workshop::new();
    for (codec, ending) in [
        ("-c:v mjpeg -q:v 3 -pix_fmt yuvj420p", "mjpeg"),
        (
            "-c:v libx265 -preset ultrafast -x265-params log-level=error:pools=1 -pix_fmt yuv420p",
            "hevc",
        ),
        ("-c:v mpeg2video -g 10 -pix_fmt yuv420p", "m2v"),
    ] {
        let mut joined = Vec::new();
        for (size, name) in [("64x48", "a"), ("96x64", "b")] {
            let path = workshop.film(size, 25, 0.8, codec, &format!("{name}.{ending}"));
            joined.extend(std::fs::read(path).unwrap());
        }
        let path = workshop.write(&format!("joined.{ending}"), &joined);
        let source = VideoFrames::open(&path).unwrap();
        let Some(FrameError::SizeChanged { index, .. }) = source.flaws().size_change else {
            panic!("{ending}: {:?}", source.warnings());
        };
        // FFmpeg loses the last frame of a clip of MPEG-2 that is not the last.
        let lost = usize::from(ending == "m2v");
        assert_eq!((index, source.frame_count()), (20 - lost, 40 - lost), "{ending}");
    }
    for (size, name) in [("64x48", "a"), ("96x64", "b")] {
        for codec in ["libvpx", "libvpx-vp9"] {
            let arguments =
                format!("-c:v {codec} -deadline realtime -cpu-used 8 -b:v 200k -g 10 -f ivf");
            workshop.film(size, 25, 0.8, &arguments, &format!("{codec}_{name}.ivf"));
        }
    }
    for codec in ["libvpx", "libvpx-vp9"] {
        // Each frame after 12 bytes of its size and its time; all after 32 bytes.
        let mut joined = std::fs::read(workshop.path(&format!("{codec}_a.ivf"))).unwrap();
        let frames = std::fs::read(workshop.path(&format!("{codec}_b.ivf"))).unwrap();
        let mut rest = &frames[32..];
        while rest.len() > 12 {
            let size = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            let time = u64::from_le_bytes(rest[4..12].try_into().unwrap()) + 20;
            joined.extend([&rest[..4], &time.to_le_bytes(), &rest[12..12 + size]].concat());
            rest = &rest[12 + size..];
        }
        let path = workshop.write(&format!("{codec}.ivf"), &joined);
        let source = VideoFrames::open(&path).unwrap();
        let Some(FrameError::SizeChanged { index, .. }) = source.flaws().size_change else {
            panic!("{codec}: {:?}", source.warnings());
        };
        assert_eq!(index, 20, "{codec}");
    }
}

#[test]
fn cut_files_miss_frames_and_keep_that_with_their_index() {
    let workshop = Workshop::new();
    workshop.film("160x96", 30, 4.0, &format!("{X264} -g 30"), "film.mkv");
    workshop.ffmpeg("-i film.mkv -c copy film.ts");
    workshop.ffmpeg("-i film.mkv -c copy film.flv");
    workshop.ffmpeg("-i film.mkv -c copy -movflags +faststart fast.mp4");
    workshop.film("160x96", 30, 2.0, "-c:v mjpeg -q:v 3", "mjpeg.avi");
    let options = VideoOptions { index_cache: IndexCacheMode::Beside, ..VideoOptions::default() };
    for name in ["film.mkv", "film.ts", "film.flv", "fast.mp4", "mjpeg.avi"] {
        let whole = VideoFrames::open(workshop.path(name)).unwrap();
        assert!(whole.flaws().missing_frames.is_none(), "{name}");
        let path = workshop.truncate(name, 0.61, &format!("cut_{name}"));
        for _ in 0..2 {
            let cut = VideoFrames::open_with(&path, options.clone()).unwrap();
            assert!(cut.flaws().missing_frames.is_some(), "{name}: {:?}", cut.warnings());
        }
        let report = probe(&path, true).unwrap();
        assert!(report.missing_frames.is_some(), "{name}");
    }
}

#[test]
fn packets_that_give_no_frame_are_missing_frames() {
    let workshop = Workshop::new();
    workshop.film("320x180", 30, 4.0, "-c:v mjpeg -q:v 3", "film.mov");
    let mut bytes = std::fs::read(workshop.path("film.mov")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 60_000].fill(0);
    let path = workshop.write("damaged.mov", &bytes);
    // Also when frames are counted by decoding from the start.
    let options = VideoOptions { index: IndexMode::Decode, ..VideoOptions::default() };
    let counted = VideoFrames::open_with(&path, options).unwrap();
    assert!(counted.flaws().missing_frames.is_some(), "{:?}", counted.warnings());
    let report = probe(&path, true).unwrap();
    assert_eq!(report.frames, counted.frame_count());
    assert!(report.missing_frames.is_some(), "{:?}", report.issues);
    assert!(report.issues.join("; ").contains("the file is damaged"), "{:?}", report.issues);
}

/// Counts and durations that are wrong for good reasons.
#[test]
fn harmless_claims_are_no_flaws() {
    let workshop = Workshop::new();
    workshop.film("160x96", 30, 8.0, &format!("{X264} -g 60"), "film.mp4");
    // Cut without encoding: the header counts what the edit list leaves out, at the beginning or at the end.
    workshop.ffmpeg("-ss 2.33 -i film.mp4 -c copy -t 4 begin.mp4");
    workshop.ffmpeg("-i film.mp4 -c copy film.mkv");
    workshop.ffmpeg("-i film.mp4 -c copy -movflags frag_keyframe+empty_moov fragments.mp4");
    workshop.ffmpeg("-i film.mp4 -c copy -bsf:v h264_mp4toannexb -f h264 raw.h264");
    workshop.ffmpeg("-i film.mp4 -f lavfi -i sine=duration=12 -c:v copy -c:a aac longer_sound.mp4");
    workshop
        .ffmpeg("-i film.mp4 -f lavfi -i sine=duration=12 -c:v copy -c:a flac longer_sound.mkv");
    workshop.ffmpeg("-i film.mp4 -c copy -output_ts_offset 5 late.mp4");
    workshop.film("160x96", 30, 2.0, "-c:v mpeg4 -bf 2 -g 30", "b.avi");
    workshop.film(
        "160x96",
        30,
        2.0,
        "-vf tinterlace=interleave_top -c:v libx264 -flags +ilme+ildct",
        "fields.mp4",
    );
    // Its chunks are twice as many as its frames: each second one is empty.
    workshop.ffmpeg("-i film.mp4 -c copy h264.avi");
    // An edit list that ends before the samples do.
    let mut bytes = std::fs::read(workshop.path("film.mp4")).unwrap();
    let edit = bytes.windows(4).position(|name| name == b"elst").unwrap() + 12;
    bytes[edit..edit + 4].copy_from_slice(&4000_u32.to_be_bytes());
    workshop.write("ends_early.mp4", &bytes);
    let short = VideoFrames::open(workshop.path("ends_early.mp4")).unwrap();
    assert!(short.frame_count() < 130 && short.claimed_frame_count() == Some(240));
    for name in [
        "film.mp4",
        "begin.mp4",
        "film.mkv",
        "fragments.mp4",
        "raw.h264",
        "longer_sound.mp4",
        "longer_sound.mkv",
        "late.mp4",
        "b.avi",
        "h264.avi",
        "fields.mp4",
        "ends_early.mp4",
    ] {
        let report = probe(workshop.path(name), true).unwrap();
        assert_eq!(report.missing_frames, None, "{name}: {:?}", report.issues);
        assert!(report.damaged_frames.is_empty(), "{name}");
        assert!(!report.issues.join("; ").contains("damaged"), "{name}: {:?}", report.issues);
    }
}
