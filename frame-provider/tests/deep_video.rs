//! Gray and RGB video of more than 8 bits a sample gives the same result as TIFF and PNG files of
//! the same pixels.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{Workshop, assert_equal_to, hash, oracle};
use sam2_frame_provider::resize::{ResizeMode, Scale, resize};
use sam2_frame_provider::{FrameSize, FrameSource, Intensity, OpenOptions, VideoFrames, open_with};

const INTENSITIES: [&str; 6] = [
    "auto",
    "minmax",
    "percentile:1,99",
    "100,3000",
    "per-frame:minmax",
    "per-frame:percentile:1,99",
];

fn case() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/cases/video-12-bits-in-gray16/12in16_small.mkv")
}

fn open(path: &Path, intensity: &str) -> Box<dyn FrameSource> {
    open_with(path, &OpenOptions::default().intensity(intensity.parse().unwrap())).unwrap()
}

fn assert_same(video: &Path, images: &Path, what: &str) {
    for intensity in INTENSITIES {
        let (film, stack) = (open(video, intensity), open(images, intensity));
        assert_eq!(film.info().frame_count, stack.info().frame_count, "{what}");
        for index in (0..film.info().frame_count).rev().chain([3, 0, 7]) {
            let (film, stack) = (film.frame(index).unwrap(), stack.frame(index).unwrap());
            assert_eq!(film.size(), stack.size());
            assert!(film.data() == stack.data(), "{what}: frame {index}, {intensity}");
        }
    }
}

#[test]
fn twelve_bits_in_sixteen_are_as_bright_as_in_a_tiff_or_png() {
    let workshop = Workshop::new();
    std::fs::copy(case(), workshop.path("film.mkv")).unwrap();
    std::fs::create_dir(workshop.path("png")).unwrap();
    std::fs::create_dir(workshop.path("tiff")).unwrap();
    workshop.ffmpeg("-i film.mkv png/%03d.png -pix_fmt gray16le tiff/%03d.tif");
    assert_same(&case(), &workshop.path("png"), "png");
    assert_same(&case(), &workshop.path("tiff"), "tiff");
    let frame = VideoFrames::open(case()).unwrap().frame(0).unwrap();
    let (darkest, brightest) =
        frame.data().iter().fold((255, 0), |(low, high), &byte| (low.min(byte), high.max(byte)));
    assert!(darkest < 20 && brightest > 200, "{darkest} to {brightest}");
}

#[test]
fn full_is_what_ffmpeg_shows() {
    let expected = oracle(&case(), 256 * 192 * 3);
    let source = VideoFrames::open(case()).unwrap().with_intensity(Intensity::Full);
    for (frame, expected) in expected.iter().enumerate() {
        assert_eq!(hash(&source, frame), *expected, "{frame}");
    }
}

#[test]
fn scaled_frames_are_made_of_mapped_ones_in_every_mode() {
    let source = VideoFrames::open(case()).unwrap();
    let size = FrameSize { width: 100, height: 80 };
    for mode in ResizeMode::ALL {
        assert!(source.info().scales_from_frames(mode));
        let scaled = source.scaled(5, Scale { size, mode }).unwrap().scaled;
        let expected = resize(&source.frame(5).unwrap(), 100, 80, mode).unwrap();
        assert!(scaled.data() == expected.data(), "{mode}");
    }
}

/// Formats of either byte order, packed and planar, with and without alpha; also with a quarter
/// turn.
#[test]
fn every_deep_format_has_its_stored_samples() {
    let workshop = Workshop::new();
    std::fs::copy(case(), workshop.path("film.mkv")).unwrap();
    for (name, arguments, images) in [
        ("le.nut", "-c:v rawvideo -pix_fmt gray16le", "gray16be"),
        ("be.nut", "-c:v rawvideo -pix_fmt gray16be", "gray16be"),
        ("alpha.mov", "-c:v png -pix_fmt ya16be", "gray16be"),
        ("rgb.nut", "-c:v rawvideo -pix_fmt rgb48le", "rgb48be"),
        ("bgr.nut", "-c:v rawvideo -pix_fmt bgr48le", "rgb48be"),
        ("rgba.mov", "-c:v png -pix_fmt rgba64be", "rgb48be"),
        ("gbr.mkv", "-c:v ffv1 -pix_fmt gbrp16le", "rgb48be"),
    ] {
        let folder = format!("{name}.images");
        std::fs::create_dir(workshop.path(&folder)).unwrap();
        workshop.ffmpeg(&format!("-i film.mkv -frames:v 9 {arguments} {name}"));
        workshop.ffmpeg(&format!("-i {name} -pix_fmt {images} {folder}/%03d.png"));
        assert_same(&workshop.path(name), &workshop.path(&folder), name);
    }
    workshop.ffmpeg("-i film.mkv -frames:v 9 -c:v png upright.mov");
    workshop.ffmpeg("-i upright.mov -c copy -metadata:s:v rotate=90 turned.mov");
    std::fs::create_dir(workshop.path("turned")).unwrap();
    workshop.ffmpeg("-i turned.mov turned/%03d.png");
    assert_same(&workshop.path("turned.mov"), &workshop.path("turned"), "turned");
}

/// 10 and 12 bits are stored as such: a range of stored values refers to those.
#[test]
fn ten_bits_have_a_range_of_ten_bits() {
    let workshop = Workshop::new();
    std::fs::copy(case(), workshop.path("film.mkv")).unwrap();
    for (format, most) in [("gray10le", 1023), ("gray12le", 4095)] {
        workshop.ffmpeg(&format!(
            "-i film.mkv -frames:v 5 -c:v ffv1 -strict experimental -vf lutyuv=y=val*16 -pix_fmt {format} {format}.mkv"
        ));
        let path = workshop.path(&format!("{format}.mkv"));
        let film = open(&path, &format!("0,{most}"));
        let full = open(&path, "full");
        let (mine, its) = (film.frame(2).unwrap(), full.frame(2).unwrap());
        let furthest = mine.data().iter().zip(its.data()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(furthest <= Some(2), "{format}: {furthest:?}");
    }
}

/// Luma and chroma of 10 bits, as phones record, are colours and not intensities.
#[test]
fn ten_bit_colour_video_stays_as_ffmpeg_shows_it() {
    let workshop = Workshop::new();
    for (name, arguments) in [
        ("10.mp4", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p10le"),
        ("16.mkv", "-c:v ffv1 -pix_fmt yuv420p16le"),
    ] {
        let path = workshop.film("96x64", 10, 1.0, arguments, name);
        assert_equal_to(&path, &oracle(&path, 96 * 64 * 3));
    }
}
