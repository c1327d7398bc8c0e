//! Shared by the tests of whole files: makes videos with the `ffmpeg` program, and compares every
//! frame.

#![allow(dead_code, clippy::unwrap_used)] // Each test file uses a part of this.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sam2_frame_provider::{FrameSource, Intensity, RgbFrame, VideoFrames, VideoOptions};
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

/// A folder for the files of one test.
pub struct Workshop {
    folder: TempDir,
}

impl Workshop {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `ffmpeg` in the folder with these arguments, split at blanks.
    pub fn ffmpeg(&self, arguments: &str) -> &Self {
        let status = Command::new("ffmpeg")
            .args(["-y", "-hide_banner", "-loglevel", "error", "-threads", "1"])
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .status()
            .expect("the tests need the ffmpeg program");
        assert!(status.success(), "ffmpeg {arguments}");
        self
    }

    /// Makes `name` from a moving test picture of `size`, for `seconds` at `rate`.
    pub fn film(
        &self,
        size: &str,
        rate: u32,
        seconds: f64,
        arguments: &str,
        name: &str,
    ) -> PathBuf {
        self.ffmpeg(&format!(
            "-f lavfi -i testsrc2=size={size}:rate={rate}:duration={seconds} {arguments} {name}"
        ));
        self.path(name)
    }

    /// Makes `name` from the first `share` (a fraction) of the bytes of `source`.
    pub fn truncate(&self, source: &str, share: f64, name: &str) -> PathBuf {
        let bytes = std::fs::read(self.path(source)).unwrap();
        self.write(name, &bytes[..(bytes.len() as f64 * share) as usize])
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }
}

/// Returns the hash of each frame as the `ffmpeg` program decodes it from start to end.
pub fn oracle(path: &Path, frame_bytes: usize) -> Vec<u64> {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "quiet", "-threads", "1", "-i"])
        .arg(path)
        .args([
            "-map",
            "0:v:0",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-vsync",
            "passthrough",
            "-",
        ])
        .stdin(Stdio::null())
        .output()
        .expect("the tests need the ffmpeg program");
    assert_eq!(output.stdout.len() % frame_bytes, 0, "the oracle's frames have another size");
    output.stdout.chunks(frame_bytes).map(xxh3_64).collect()
}

pub fn hash(source: &impl FrameSource, index: usize) -> u64 {
    xxh3_64(source.frame(index).unwrap_or_else(|error| panic!("frame {index}: {error}")).data())
}

/// Returns orders of access, by name, for `count` frames.
pub fn orders(count: usize) -> Vec<(&'static str, Vec<usize>)> {
    let middle = count * 2 / 3;
    vec![
        ("forward", (0..count).collect()),
        ("reverse", (0..count).rev().collect()),
        ("middle, then reverse", (middle..count).chain((0..middle).rev()).collect()),
        (
            "back and forth",
            (middle..count).chain((count / 3..middle).rev()).chain(count / 3..count).collect(),
        ),
        ("every third, in reverse", (0..count).rev().step_by(3).collect()),
        ("random", random(count, 40)),
    ]
}

/// Returns `length` frame indices below `count`, the same in each run.
pub fn random(count: usize, length: usize) -> Vec<usize> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % count.max(1)
    };
    (0..length).map(|_| next()).collect()
}

/// Returns ways to open a file that exercise different parts of the reader.
pub fn ways() -> Vec<(&'static str, VideoOptions)> {
    let options = VideoOptions::default();
    vec![
        ("packets in memory", options.clone()),
        (
            "seeking, small windows",
            VideoOptions { packet_bytes: 0, reverse_bytes: 2 << 20, ..options.clone() },
        ),
        ("seeking, two threads", VideoOptions { packet_bytes: 0, threads: 2, ..options }),
    ]
}

/// Compares every frame, in every order and way of opening, with the oracle. Returns the source for
/// further checks.
pub fn assert_exact(path: &Path) -> VideoFrames {
    let first = VideoFrames::open(path).unwrap();
    let expected = oracle(path, first.info().size.rgb_bytes());
    assert_equal_to(path, &expected);
    first
}

/// Compares every frame, in every order and way of opening, with these hashes.
pub fn assert_equal_to(path: &Path, expected: &[u64]) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let mut compared = 0;
    for (way, options) in ways() {
        for (order, frames) in orders(expected.len()) {
            let source = VideoFrames::open_with(path, options.clone()).unwrap();
            // The oracle converts gray and RGB of more than 8 bits to 8 bits in this way; for all
            // others this changes nothing.
            let source = source.with_intensity(Intensity::Full);
            assert_eq!(
                source.info().frame_count,
                expected.len(),
                "{name}: number of frames, {way}"
            );
            for &frame in &frames {
                assert_eq!(
                    hash(&source, frame),
                    expected[frame],
                    "{name}: frame {frame}, {order}, {way}"
                );
            }
            compared += frames.len();
            let stats = source.info().decode_stats;
            println!(
                "{name}: {way}, {order}: {} served, {} decoded, {} restarts",
                frames.len(),
                stats.frames_decoded,
                stats.restarts
            );
        }
    }
    println!("TOTAL {name}: {} frames in the file, {compared} compared", expected.len());
}

/// Returns the same bytes as `noise` in `data/make_golden.py` and `data/make_resize.py`.
pub fn noise(width: u32, height: u32, seed: u32) -> RgbFrame {
    let byte = |at: u32| {
        let mut value = at.wrapping_mul(2_654_435_761).wrapping_add(seed);
        value ^= value >> 15;
        value = value.wrapping_mul(2_246_822_519);
        value ^= value >> 13;
        let value = value as u8;
        match (seed % 2, value) {
            (0, _) => value,
            (_, 0..128) => 0,
            _ => 255,
        }
    };
    RgbFrame::new(width, height, (0..width * height * 3).map(byte).collect()).unwrap()
}
