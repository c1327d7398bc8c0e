//! Missing or damaged files, and files of another kind, give a typed error or a warning: never a
//! panic, a hang, or a silent shift.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashSet;
use std::error::Error;
use std::path::{Path, PathBuf};

use common::{Workshop, hash, oracle, orders, random, ways};
use sam2_frame_provider::{FrameError, FrameSource, IndexMode, VideoFrames, VideoOptions, open};

const X264: &str = "-c:v libx264 -preset ultrafast -threads 1 -bf 2 -b_strategy 0 -sc_threshold 0 -pix_fmt yuv420p";

fn refused(path: &Path) -> FrameError {
    let error = VideoFrames::open(path).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()), "the message names the file: {text}");
    assert!(!text.contains('\n'), "the message is one line: {text}");
    error
}

#[test]
fn what_is_no_video_is_refused() {
    let workshop = Workshop::new();
    assert!(matches!(refused(&workshop.path("missing.mp4")), FrameError::NotFound { .. }));
    assert!(matches!(refused(&workshop.path(".")), FrameError::IsDirectory { .. }));
    assert!(matches!(refused(&workshop.write("zero.mp4", b"")), FrameError::NotAVideo { .. }));
    assert!(matches!(
        refused(&workshop.write("hello.mp4", b"hello world\n")),
        FrameError::NotAVideo { .. }
    ));
    assert!(matches!(
        refused(&workshop.write("notes.txt", b"hello world\n")),
        FrameError::NotAVideo { .. }
    ));
    let csv = b"frame,x,y\n".repeat(1000);
    assert!(matches!(refused(&workshop.write("track.csv", &csv)), FrameError::NotAVideo { .. }));
    let noise: Vec<u8> = random(256, 200_000).into_iter().map(|value| value as u8).collect();
    let error = refused(&workshop.write("random.mp4", &noise));
    assert!(matches!(error, FrameError::NotAVideo { .. }));
    assert!(error.source().is_some(), "what FFmpeg said is the cause");
    workshop.ffmpeg("-f lavfi -i sine=frequency=440:duration=1 -c:a aac sound.m4a");
    assert!(matches!(refused(&workshop.path("sound.m4a")), FrameError::NoVideoStream { .. }));
    workshop.ffmpeg("-f lavfi -i testsrc=size=64x64 -frames:v 1 cover.png");
    workshop.ffmpeg("-i sound.m4a -i cover.png -map 0 -map 1 -c:a copy -c:v png -disposition:v attached_pic cover.m4a");
    assert!(matches!(refused(&workshop.path("cover.m4a")), FrameError::NoVideoStream { .. }));
}

#[test]
#[cfg(unix)]
fn pipes_and_odd_names_are_refused_or_read() {
    use std::os::unix::ffi::OsStrExt;
    let workshop = Workshop::new();
    let fifo = workshop.path("fifo.mp4");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert!(matches!(refused(&fifo), FrameError::NotAVideo { .. }));
    let film = workshop.film("64x48", 30, 0.5, "-c:v mjpeg", "film.avi");
    // FFmpeg would interpret these as a protocol or a pattern.
    for name in ["rat:1.avi", "http:x.avi", "50%d.avi", "with blank.avi", "ünï.avi", "-i.avi"] {
        std::fs::copy(&film, workshop.path(name)).unwrap();
        assert_eq!(
            VideoFrames::open(workshop.path(name)).unwrap().info().frame_count,
            15,
            "{name}"
        );
    }
    let bytes = std::ffi::OsStr::from_bytes(b"\xff\xfe.avi");
    let path = film.parent().unwrap().join(bytes);
    std::fs::copy(&film, &path).unwrap();
    assert!(matches!(VideoFrames::open(&path), Err(FrameError::Unsupported { .. })));
}

#[test]
fn frames_past_the_end_are_refused() {
    let workshop = Workshop::new();
    let film = workshop.film("64x48", 30, 0.5, "-c:v mjpeg", "film.avi");
    let source = open(&film).unwrap();
    for index in [15, 16, usize::MAX] {
        let error = source.frame(index).unwrap_err();
        assert!(matches!(error, FrameError::IndexOutOfRange { count: 15, .. }), "{error}");
    }
    assert_eq!(&*source.info().description, "film.avi");
    assert!(source.frame(14).is_ok());
}

#[test]
fn truncated_files_are_read_as_far_as_they_go_with_a_warning() {
    let workshop = Workshop::new();
    workshop.film("320x180", 30, 4.0, &format!("{X264} -g 30"), "film.mkv");
    workshop.ffmpeg("-i film.mkv -c copy film.ts");
    workshop.ffmpeg("-i film.mkv -c copy -movflags +faststart fast.mp4");
    workshop.ffmpeg("-i film.mkv -c copy film.mp4");
    workshop.film("320x180", 30, 2.0, "-c:v mjpeg -q:v 3", "mjpeg.avi");
    for name in ["film.mkv", "film.ts", "fast.mp4", "mjpeg.avi"] {
        let path = workshop.truncate(name, 0.6, &format!("cut_{name}"));
        let (source, _) =
            assert_sound_frames_exact(&path, &workshop.path(name), VideoOptions::default());
        assert!(source.info().frame_count > 20, "{name}: {}", source.info().frame_count);
        let warnings = source.info().warnings.join("; ");
        assert!(warnings.contains("truncated"), "{name}: {warnings}");
    }
    let path = workshop.truncate("film.mp4", 0.6, "cut_film.mp4");
    assert!(
        matches!(refused(&path), FrameError::NotAVideo { .. }),
        "the index of an MP4 is at its end"
    );
}

#[test]
fn a_single_missing_byte_is_noticed() {
    let workshop = Workshop::new();
    workshop.film("64x48", 30, 2.0, &format!("{X264} -g 10"), "film.mkv");
    workshop.film("64x48", 30, 2.0, "-c:v libvpx -deadline realtime -cpu-used 8", "film.webm");
    workshop.ffmpeg("-i film.mkv -c copy -movflags +faststart film.mp4");
    workshop.ffmpeg("-i film.mkv -c copy -movflags frag_keyframe+empty_moov fragmented.mp4");
    workshop.film("64x48", 30, 2.0, "-c:v mjpeg", "film.avi");
    for name in ["film.mkv", "film.webm", "film.mp4", "fragmented.mp4", "film.avi"] {
        let whole = std::fs::read(workshop.path(name)).unwrap();
        let source = VideoFrames::open(workshop.path(name)).unwrap();
        assert_eq!(
            (source.info().frame_count, source.info().warnings.to_vec()),
            (60, vec![]),
            "{name}"
        );
        // The last bytes of an AVI are its index; writers disagree on whether a few of them count.
        let cut = if name == "film.avi" { 20 } else { 1 };
        let path = workshop.write(&format!("cut_{name}"), &whole[..whole.len() - cut]);
        let source = VideoFrames::open(&path).unwrap();
        let warnings = source.info().warnings.join("; ");
        assert!(warnings.contains("truncated"), "{name}: {warnings}");
        assert!(source.info().frame_count >= 57, "{name}: {}", source.info().frame_count);
    }
}

#[test]
fn a_file_that_grows_while_it_is_open_keeps_its_frames() {
    let workshop = Workshop::new();
    workshop.film("64x48", 30, 3.0, &format!("{X264} -g 10"), "film.ts");
    let bytes = std::fs::read(workshop.path("film.ts")).unwrap();
    let half = bytes.len() / 2 / 188 * 188;
    let path = workshop.write("growing.ts", &bytes[..half]);
    for packet_bytes in [0, 1 << 30] {
        workshop.write("growing.ts", &bytes[..half]);
        let options = VideoOptions { packet_bytes, ..VideoOptions::default() };
        let source = VideoFrames::open_with(&path, options).unwrap();
        let count = source.info().frame_count;
        let before: Vec<u64> = (0..count).map(|frame| hash(&source, frame)).collect();
        workshop.write("growing.ts", &bytes);
        for frame in (0..count - 5).rev() {
            assert_eq!(hash(&source, frame), before[frame], "frame {frame}");
        }
        // The last frames may have been cut off: an error or a frame, but no hang.
        (count - 5..count).for_each(|frame| drop(source.frame(frame)));
    }
}

/// A user who may read everything never meets a forbidden file, so the test runs itself again as
/// the user nobody.
#[test]
#[cfg(unix)]
fn a_forbidden_file_is_an_error_that_says_so() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    std::fs::write(&path, b"some bytes").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&path).is_err() {
        let error = refused(&path);
        assert!(matches!(error, FrameError::Io { .. }), "{error}");
        assert!(error.to_string().contains("permissions"));
        return;
    }
    let mut program = std::process::Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "a_forbidden_file_is_an_error_that_says_so"]).uid(NOBODY);
    match program.status() {
        Ok(status) => assert!(status.success()),
        // The user nobody may lack access to the test program itself.
        Err(error) => println!("not tested, since the test cannot run as nobody: {error}"),
    }
}

/// Compares every sound frame, in every order and way of opening, with a decode from start to end,
/// and the number of frames with that of the `ffmpeg` program. A frame is sound if the undamaged
/// film has it too: the decoder's guess for damaged parts is not defined.
fn assert_sound_frames_exact(
    path: &Path,
    undamaged: &Path,
    options: VideoOptions,
) -> (VideoFrames, Vec<bool>) {
    let whole = VideoFrames::open_with(path, options.clone()).unwrap();
    println!("{path:?}: {} frames, {:?}", whole.info().frame_count, whole.info().warnings.to_vec());
    let expected: Vec<u64> =
        (0..whole.info().frame_count).map(|frame| hash(&whole, frame)).collect();
    assert_eq!(oracle(path, whole.info().size.rgb_bytes()).len(), expected.len(), "{path:?}");
    let sound: HashSet<u64> =
        oracle(undamaged, whole.info().size.rgb_bytes()).into_iter().collect();
    let is_sound: Vec<bool> = expected.iter().map(|hash| sound.contains(hash)).collect();
    let sound_frames = is_sound.iter().filter(|sound| **sound).count();
    let (mut compared, mut guesses) = (0, 0);
    for (way, other) in ways() {
        for (order, frames) in orders(expected.len()) {
            let film = VideoFrames::open_with(
                path,
                VideoOptions { index: options.index, ..other.clone() },
            )
            .unwrap();
            for frame in frames {
                let is_equal = hash(&film, frame) == expected[frame];
                assert!(is_equal || !is_sound[frame], "{path:?}: frame {frame}, {order}, {way}");
                compared += 1;
                guesses += usize::from(!is_equal);
            }
            assert_eq!(film.info().frame_count, expected.len());
        }
    }
    println!(
        "TOTAL {path:?}: {sound_frames} of {} sound, {compared} compared, {guesses} guesses differ",
        expected.len()
    );
    assert!(
        sound_frames * 2 > expected.len(),
        "{sound_frames} of {} frames are sound",
        expected.len()
    );
    (whole, is_sound)
}

/// Overwrites `length` bytes with zeros, starting at the fraction `at` of the file; demuxing cannot
/// detect this.
fn damage(workshop: &Workshop, source: &str, at: f64, length: usize) -> PathBuf {
    let mut bytes = std::fs::read(workshop.path(source)).unwrap();
    let start = (bytes.len() as f64 * at) as usize;
    bytes[start..start + length].fill(0);
    workshop.write(&format!("damaged_{start}_{source}"), &bytes)
}

#[test]
fn damage_inside_packets_is_found_while_reading() {
    let workshop = Workshop::new();
    workshop.film("320x180", 30, 4.0, "-c:v mjpeg -q:v 3", "mjpeg.mov");
    workshop.film("320x180", 30, 4.0, &format!("{X264} -g 30"), "film.mp4");
    workshop.film("320x180", 30, 4.0, "-c:v ffv1 -level 3 -g 1 -slices 4", "ffv1.mov");
    let mut renumbered = 0;
    let damages = [
        ("mjpeg.mov", 0.5, 60_000),
        ("film.mp4", 0.3, 3_000),
        ("film.mp4", 0.5, 30_000),
        ("ffv1.mov", 0.5, 90_000),
    ];
    for (source, at, length) in damages {
        let path = damage(&workshop, source, at, length);
        // Numbered by decoding: correct in every order.
        let decoded = VideoOptions { index: IndexMode::Decode, ..VideoOptions::default() };
        let (whole, is_sound) = assert_sound_frames_exact(&path, &workshop.path(source), decoded);
        // Numbered quickly: the same when read forward, with the true count at the end.
        let film = VideoFrames::open(&path).unwrap();
        let promised = film.info().frame_count;
        let mut frame = 0;
        while frame < film.info().frame_count {
            let is_equal = hash(&film, frame) == hash(&whole, frame);
            assert!(is_equal || !is_sound[frame], "{source} {at}: frame {frame}, quick index");
            frame += 1;
        }
        assert_eq!(frame, whole.info().frame_count, "{source}");
        println!(
            "{source} {at} {length}: promised {promised}, true {frame}: {:?}",
            film.info().warnings
        );
        assert!(!film.info().warnings.is_empty(), "{source} {at}");
        renumbered += usize::from(promised != frame);
    }
    assert!(renumbered > 0, "at least one of the files must put the renumbering to the test");
}

#[test]
fn a_change_of_size_in_mid_stream_is_an_error_for_those_frames() {
    let workshop = Workshop::new();
    workshop.film("64x48", 30, 1.0, &format!("{X264} -g 30 -f h264"), "a.h264");
    workshop.film("96x64", 30, 1.0, &format!("{X264} -g 30 -f h264"), "b.h264");
    let joined = [
        std::fs::read(workshop.path("a.h264")).unwrap(),
        std::fs::read(workshop.path("b.h264")).unwrap(),
    ];
    let source = VideoFrames::open(workshop.write("joined.h264", &joined.concat())).unwrap();
    assert_eq!((source.info().frame_count, source.info().size.to_string()), (60, "64x48".into()));
    assert!(source.frame(29).is_ok());
    let error = source.frame(30).unwrap_err();
    assert!(matches!(error, FrameError::SizeChanged { index: 30, .. }), "{error}");
    assert!(source.frame(29).is_ok());
}

#[test]
fn a_file_that_vanishes_or_changes_is_an_error() {
    let workshop = Workshop::new();
    let path = workshop.film("320x180", 30, 4.0, &format!("{X264} -g 30"), "film.mkv");
    let source =
        VideoFrames::open_with(&path, VideoOptions { packet_bytes: 0, ..Default::default() })
            .unwrap();
    source.frame(100).unwrap();
    workshop.truncate("film.mkv", 0.3, "film.mkv");
    for frame in [10, 119, 60, 0] {
        // Any error or, if it was read before, the right frame; but no panic and no endless loop.
        let _ = source.frame(frame);
    }
    std::fs::remove_file(&path).unwrap();
    let _ = source.frame(119);
}

#[test]
fn shortened_at_any_point_or_peppered_with_errors_nothing_panics() {
    let workshop = Workshop::new();
    workshop.film("64x48", 30, 1.0, &format!("{X264} -g 10"), "film.mp4");
    workshop.ffmpeg("-i film.mp4 -c copy film.mkv");
    workshop.ffmpeg("-i film.mp4 -c copy film.avi");
    workshop.ffmpeg("-i film.mp4 -c copy film.ts");
    let mut opened = 0;
    for name in ["film.mp4", "film.mkv", "film.avi", "film.ts"] {
        let bytes = std::fs::read(workshop.path(name)).unwrap();
        for round in 0..12 {
            let mut bad = bytes.clone();
            if round % 2 == 0 {
                bad.truncate(bytes.len() * (round + 1) / 13);
            } else {
                for place in random(bytes.len() / (round + 1), 40 * round) {
                    bad[place * (round + 1)] ^= 0x55;
                }
            }
            let Ok(source) = VideoFrames::open(workshop.write(name, &bad)) else {
                continue;
            };
            opened += 1;
            for frame in (0..source.info().frame_count).rev().step_by(3) {
                let _ = source.frame(frame);
            }
        }
    }
    assert!(opened > 5, "{opened}");
}
