//! Frame indices and pixels are those of OpenCV's sequential reading, so that rows of a DeepLabCut
//! track line up.
//!
//! The table of the bundled clips is checked in. If `PYTHON` names a Python with OpenCV, films of
//! many kinds are compared with it as well.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::Workshop;
use sam2_frame_provider::{FrameSource, Intensity, VideoFrames};

/// Returns the CRC-32 as computed by zlib.
fn crc32(bytes: &[u8]) -> u32 {
    let mut table = [0_u32; 256];
    for (byte, entry) in (0..).zip(table.iter_mut()) {
        *entry = (0..8).fold(byte, |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)));
    }
    !bytes
        .iter()
        .fold(!0, |crc: u32, byte| table[((crc ^ u32::from(*byte)) & 255) as usize] ^ (crc >> 8))
}

/// Compares the frames of one file with lines of `file, number, CRC`.
fn assert_agrees(path: &Path, table: &str) {
    let name = path.file_name().unwrap().to_str().unwrap();
    // OpenCV takes the upper byte of samples of more than 8 bits.
    let video = VideoFrames::open(path).unwrap().with_intensity(Intensity::Full);
    let mut frames = 0;
    for line in table.lines().filter(|line| line.starts_with(&format!("{name}\t"))) {
        let fields: Vec<&str> = line.split('\t').collect();
        let number: usize = fields[1].parse().unwrap();
        let found = format!("{:08x}", crc32(video.frame(number).unwrap().data()));
        assert_eq!(found, fields[2], "{name}: frame {number}");
        frames += 1;
    }
    assert!(frames > 0, "{name} is not in the table");
    assert_eq!(video.info().frame_count, frames, "{name}");
    println!("{name}: {frames} frames equal OpenCV's");
}

#[test]
fn the_bundled_clips() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    let clips = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/clips");
    for name in ["mouse-arena.mp4", "two-crossing.mp4", "worm.mp4"] {
        assert_agrees(&clips.join(name), include_str!("data/opencv.tsv"));
    }
}

#[test]
fn films_of_many_kinds() {
    let Some(python) = std::env::var_os("PYTHON") else {
        println!("PYTHON is not set: only the bundled clips are compared with OpenCV");
        return;
    };
    const X264: &str = "-c:v libx264 -preset ultrafast -threads 1 -bf 3 -b_strategy 0 -sc_threshold 0 -pix_fmt yuv420p";
    let workshop = Workshop::new();
    let film = |arguments: &str, name: &str| workshop.film("320x180", 30, 3.0, arguments, name);
    let vfr = "-vf select='not(eq(mod(n,7),3))*not(between(n,50,70))' -vsync vfr";
    let mut films: Vec<PathBuf> = vec![
        film(&format!("{X264} -g 250"), "long.mp4"),
        film(&format!("{X264} -g 30 -x264-params open-gop=1"), "open.mp4"),
        film(
            "-c:v libx264 -preset ultrafast -x264-params intra-refresh=1:keyint=40:threads=1 -pix_fmt yuv420p",
            "refresh.mp4",
        ),
        film(&format!("{vfr} {X264} -g 30"), "vfr.mp4"),
        film(&format!("{X264} -g 30"), "h264.mkv"),
        film(&format!("{X264} -g 30 -movflags frag_keyframe+empty_moov"), "fragmented.mp4"),
        film("-c:v libx264 -preset ultrafast -g 30 -pix_fmt gray", "gray.mp4"),
        film("-c:v libx264 -preset ultrafast -g 30 -pix_fmt yuv444p10le", "10bit.mp4"),
        film("-c:v mjpeg -q:v 3", "mjpeg.avi"),
        film("-c:v rawvideo -pix_fmt bgr24", "raw_bgr.avi"),
        film("-c:v rawvideo -pix_fmt yuv420p", "raw_i420.avi"),
        film("-c:v rawvideo -pix_fmt gray", "raw_gray.avi"),
        film("-c:v ffv1 -pix_fmt gray16le", "gray16.mkv"),
        film("-c:v mpeg4 -q:v 3 -bf 2 -g 60", "mpeg4.avi"),
        film("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M -g 30", "vp9.webm"),
        film("-c:v mpeg2video -b:v 3M -g 15 -bf 2", "mpeg2.ts"),
    ];
    workshop.ffmpeg("-i h264.mkv -c copy h264.ts");
    workshop.ffmpeg("-ss 1.33 -i long.mp4 -c copy cut.mp4");
    workshop.ffmpeg("-i h264.mkv -c copy -metadata:s:v rotate=90 turned.mp4");
    films.extend(["h264.ts", "cut.mp4", "turned.mp4"].map(|name| workshop.path(name)));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/opencv_frames.py");
    let output = Command::new(python).arg(script).args(&films).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    for path in films {
        assert_agrees(&path, &table);
    }
}
