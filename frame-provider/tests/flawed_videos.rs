//! Flaws of a recording as a whole are found and reported correctly once, and no other flaws are
//! reported.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{Workshop, hash, oracle};
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
    let Some(error) = source.info().flaws.size_change else {
        panic!("{name}: not known when opened")
    };
    let FrameError::SizeChanged { index, expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!(*index, at, "{name}");
    assert_eq!([expected.to_string(), found.to_string()], sizes, "{name}");
    let text = error.to_string();
    let scale = format!("ffmpeg -i '{name}' -vf scale={}", sizes[0].replace('x', ":"));
    for word in [&format!("frame {at}")[..], sizes[0], sizes[1], &scale] {
        assert!(text.contains(word), "{text}");
    }
    // Frames before this one can be read; this one and those after it cannot.
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
        let Some(FrameError::SizeChanged { index, .. }) = source.info().flaws.size_change else {
            panic!("{ending}: {:?}", source.info().warnings);
        };
        // FFmpeg loses the last frame of an MPEG-2 clip that is followed by another clip.
        let lost = usize::from(ending == "m2v");
        assert_eq!((index, source.info().frame_count), (20 - lost, 40 - lost), "{ending}");
    }
    for (size, name) in [("64x48", "a"), ("96x64", "b")] {
        for codec in ["libvpx", "libvpx-vp9"] {
            let arguments =
                format!("-c:v {codec} -deadline realtime -cpu-used 8 -b:v 200k -g 10 -f ivf");
            workshop.film(size, 25, 0.8, &arguments, &format!("{codec}_{name}.ivf"));
        }
    }
    for codec in ["libvpx", "libvpx-vp9"] {
        // Each frame follows 12 bytes with its size and its time; all frames follow 32 bytes.
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
        let Some(FrameError::SizeChanged { index, .. }) = source.info().flaws.size_change else {
            panic!("{codec}: {:?}", source.info().warnings);
        };
        assert_eq!(index, 20, "{codec}");
    }
}

/// A raw stream with B-frames that was copied to an MP4 has time stamps in the order of decoding.
#[test]
fn frames_are_in_order_from_the_first_read_whatever_the_time_stamps_say() {
    let workshop = Workshop::new();
    workshop.film("96x64", 25, 2.0, &format!("{X264} -g 20 -f h264"), "raw.h264");
    workshop.ffmpeg("-r 25 -i raw.h264 -c copy copied.mp4");
    let path = workshop.path("copied.mp4");
    let expected = oracle(&path, 96 * 64 * 3);
    for first in [0, 1, 2, 3, 17, 30] {
        let source = VideoFrames::open(&path).unwrap();
        assert_eq!(hash(&source, first), expected[first], "{first}");
    }
    assert_eq!(VideoFrames::open(&path).unwrap().info().frame_count, expected.len());
}

#[test]
fn cut_files_miss_frames_and_keep_that_with_their_index() {
    let workshop = Workshop::new();
    workshop.film("160x96", 30, 4.0, &format!("{X264} -g 30"), "film.mkv");
    workshop.ffmpeg("-i film.mkv -c copy film.ts");
    workshop.ffmpeg("-i film.mkv -c copy film.flv");
    workshop.ffmpeg("-i film.mkv -c copy -movflags +faststart fast.mp4");
    workshop.film("160x96", 30, 2.0, "-c:v mjpeg -q:v 3", "mjpeg.avi");
    workshop.film("160x96", 30, 2.0, "-c:v wmv2 -q:v 3", "film.wmv");
    workshop.film("160x96", 30, 2.0, "-c:v mpeg2video -q:v 3", "film.mpg");
    workshop.film("160x96", 30, 2.0, "-c:v mpeg1video -q:v 3", "film1.mpeg");
    workshop.film("160x96", 30, 2.0, "-c:v mpeg2video -q:v 3", "film.mxf");
    workshop.film("160x96", 30, 2.0, "-c:v libtheora -q:v 6", "film.ogv");
    workshop.film("160x96", 30, 2.0, "-c:v libvpx -f ivf", "film.ivf");
    workshop.film("160x96", 30, 2.0, "-pix_fmt yuv420p", "film.y4m");
    let names = [
        "film.mkv",
        "film.ts",
        "film.flv",
        "fast.mp4",
        "mjpeg.avi",
        "film.wmv",
        "film.mpg",
        "film1.mpeg",
        "film.mxf",
        "film.ogv",
        "film.ivf",
        "film.y4m",
    ];
    let options = VideoOptions { index_cache: IndexCacheMode::Beside, ..VideoOptions::default() };
    for name in names {
        let whole = VideoFrames::open(workshop.path(name)).unwrap();
        assert!(whole.info().flaws.missing_frames.is_none(), "{name}");
        let path = workshop.truncate(name, 0.61, &format!("cut_{name}"));
        for _ in 0..2 {
            let cut = VideoFrames::open_with(&path, options.clone()).unwrap();
            assert!(cut.info().flaws.missing_frames.is_some(), "{name}: {:?}", cut.info().warnings);
        }
        let report = probe(&path, true).unwrap();
        assert!(report.missing_frames.is_some(), "{name}");
    }
}

#[test]
fn formats_that_end_with_a_mark_or_count_what_they_hold_show_a_cut() {
    let workshop = Workshop::new();
    // The options, the name, and the smallest number of missing bytes that is detected.
    for (arguments, name, least) in [
        ("", "film.gif", 1),
        ("-f apng", "film.apng", 9),
        ("-c:v mjpeg -q:v 3", "film.mjpeg", 1),
        ("-c:v mjpeg -q:v 3", "film.nut", 1),
        ("-c:v flv", "film.swf", 1),
        ("-c:v flv", "film.flv", 1),
        ("-c:v dvvideo -s 720x576 -r 25 -pix_fmt yuv420p", "film.dv", 1),
        ("-c:v libvpx -f ivf", "film.ivf", 1),
    ] {
        let whole = workshop.film("352x288", 25, 2.0, arguments, name);
        let source = VideoFrames::open(&whole).unwrap();
        assert!(
            source.info().flaws.missing_frames.is_none(),
            "{name}: {:?}",
            source.info().warnings
        );
        let bytes = std::fs::read(&whole).unwrap();
        // Frames of DV have one length: do not cut between two of them.
        for kept in [bytes.len() - least, bytes.len() * 9 / 10 - 7, bytes.len() * 6 / 10 - 7] {
            let path = workshop.write(&format!("cut_{name}"), &bytes[..kept]);
            let Ok(cut) = VideoFrames::open(&path) else { continue };
            let warnings = cut.info().warnings.join("; ");
            assert!(cut.info().flaws.missing_frames.is_some(), "{name} to {kept}: {warnings}");
        }
    }
}

#[test]
fn videos_that_were_written_to_a_pipe_are_whole() {
    let workshop = Workshop::new();
    workshop.film("160x96", 25, 2.0, "-c:v mjpeg -q:v 3", "film.avi");
    workshop.film("160x96", 25, 2.0, "-c:v flv", "film.flv");
    for (format, name) in [("avi", "film.avi"), ("nut", "film.avi"), ("flv", "film.flv")] {
        let piped = format!("piped.{format}");
        let output = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-i", name, "-c", "copy", "-f", format, "pipe:1"])
            .current_dir(workshop.path(""))
            .output()
            .unwrap();
        let path = workshop.write(&piped, &output.stdout);
        let source = VideoFrames::open(&path).unwrap();
        let warnings = source.info().warnings.join("; ");
        assert!(source.info().flaws.missing_frames.is_none(), "{piped}: {warnings}");
        assert_eq!(source.info().frame_count, 50, "{piped}");
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
    assert!(counted.info().flaws.missing_frames.is_some(), "{:?}", counted.info().warnings);
    let report = probe(&path, true).unwrap();
    assert_eq!(report.frames, counted.info().frame_count);
    assert!(report.missing_frames.is_some(), "{:?}", report.issues);
    assert!(report.issues.join("; ").contains("the file is damaged"), "{:?}", report.issues);
}

/// Counts and durations that are wrong for good reasons.
#[test]
fn harmless_claims_are_no_flaws() {
    let workshop = Workshop::new();
    workshop.film("160x96", 30, 8.0, &format!("{X264} -g 60"), "film.mp4");
    // Cut without encoding: the header counts frames that the edit list leaves out, at the
    // beginning or at the end.
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
    // It has twice as many chunks as frames: every second chunk is empty.
    workshop.ffmpeg("-i film.mp4 -c copy h264.avi");
    // An edit list that ends before the samples do.
    let mut bytes = std::fs::read(workshop.path("film.mp4")).unwrap();
    let edit = bytes.windows(4).position(|name| name == b"elst").unwrap() + 12;
    bytes[edit..edit + 4].copy_from_slice(&4000_u32.to_be_bytes());
    workshop.write("ends_early.mp4", &bytes);
    let short = VideoFrames::open(workshop.path("ends_early.mp4")).unwrap();
    assert!(short.info().frame_count < 130 && short.claimed_frame_count() == Some(240));
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

/// The data of a WMV file consists of packets of one size; a cut between two of them leaves only
/// whole packets.
#[test]
fn a_wmv_that_ends_between_two_packets_misses_frames() {
    let workshop = Workshop::new();
    let film = workshop.film("160x96", 30, 2.0, "-c:v wmv2 -q:v 3", "film.wmv");
    let bytes = std::fs::read(film).unwrap();
    let data =
        bytes.windows(16).position(|bytes| bytes.starts_with(b"\x36\x26\xb2\x75\x8e\x66\xcf\x11"));
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let data = data.unwrap();
    let packet = (number(data + 16) - 50) / number(data + 40);
    for packets in [number(data + 40) / 2, number(data + 40) - 1] {
        let cut = workshop.write("cut.wmv", &bytes[..data + 50 + packets * packet]);
        let report = probe(&cut, false).unwrap();
        let missing = report.missing_frames.unwrap_or_else(|| panic!("{:?}", report.issues));
        assert!(missing.contains("bytes are missing at its end"), "{missing}");
    }
}

/// Every third frame of the second half, in slots of a millisecond, most of which are empty.
const SLOTS: &str =
    "-vf select='not(mod(n,3))+lt(n,12)',settb=1/1000 -vsync vfr -enc_time_base 1/1000";

#[test]
fn avi_files_with_empty_slots_are_whole_and_have_their_times() {
    let workshop = Workshop::new();
    let film = workshop.film("96x64", 25, 1.0, &format!("{SLOTS} -c:v mpeg4"), "film.avi");
    let source = VideoFrames::open(&film).unwrap();
    assert!(source.claimed_frame_count().unwrap() > 20 * source.info().frame_count);
    assert!(source.info().warnings.is_empty(), "{:?}", source.info().warnings);
    assert!(source.info().flaws.missing_frames.is_none());
    let time = |frame: usize| source.info().time(frame).unwrap();
    assert_eq!(source.info().frame_count, 17);
    assert!((time(11) - 0.44).abs() < 1e-6 && (time(12) - 0.48).abs() < 1e-6, "{}", time(12));
    assert!((time(16) - 0.96).abs() < 1e-6, "{}", time(16));
    let cut = workshop.truncate("film.avi", 0.7, "cut.avi");
    assert!(VideoFrames::open(cut).unwrap().info().flaws.missing_frames.is_some());
}

#[test]
fn times_of_avi_files_with_reordered_frames_are_known_at_a_steady_rate_only() {
    let workshop = Workshop::new();
    for codec in ["-c:v libx264 -bf 2 -b_strategy 0", "-c:v mpeg4 -bf 2"] {
        let film = workshop.film("96x64", 25, 2.0, &format!("{SLOTS} {codec}"), "variable.avi");
        let source = VideoFrames::open(&film).unwrap();
        let text = source.info().warnings.join("; ");
        assert!(text.contains("the times of its frames cannot be known"), "{codec}: {text}");
        let details = source.info().video.unwrap();
        assert_eq!(details.variable_frame_rate, Some(true), "{codec}");
        // The frames that exist, over the two seconds.
        let rate = source.info().timing.frames_per_second.unwrap();
        let expected = source.info().frame_count as f64 / 2.0;
        assert!((rate / expected - 1.0).abs() < 0.15, "{codec}: {rate} is not {expected}");
        let film = workshop.film("96x64", 25, 2.0, codec, "steady.avi");
        let source = VideoFrames::open(&film).unwrap();
        let text = source.info().warnings.join("; ");
        assert!(!text.contains("times of its frames"), "{codec}: {text}");
        assert!((source.info().time(10).unwrap() - 0.4).abs() < 1e-6, "{codec}");
    }
}
