//! Data that a decoder receives only once - colours, headers, parameter sets - is in force wherever
//! reading begins.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;

use common::{Workshop, assert_equal_to, assert_exact, hash, oracle, orders, ways};
use sam2_frame_provider::{FrameSource, IndexCacheMode, VideoFrames, VideoOptions, probe};

fn case(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/cases").join(name)
}

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Tests with a cached index: all packets come from the file.
fn assert_exact_with_kept_index(workshop: &Workshop, path: &std::path::Path) {
    let size = VideoFrames::open(path).unwrap().info().size;
    let expected = oracle(path, size.rgb_bytes());
    let folder = IndexCacheMode::Folder(workshop.path("kept"));
    let options = VideoOptions { index_cache: folder, ..VideoOptions::default() };
    for (order, frames) in orders(expected.len()) {
        let source = VideoFrames::open_with(path, options.clone()).unwrap();
        for frame in frames {
            assert_eq!(hash(&source, frame), expected[frame], "{}: {order}", path.display());
        }
    }
}

#[test]
fn avi_with_palette_shows_the_disc_whatever_is_read_first() {
    let path = case("avi-with-palette/gray8.avi");
    for first in (0..15).rev() {
        for (way, options) in ways() {
            let source = VideoFrames::open_with(&path, options).unwrap();
            let frame = source.frame(first).unwrap();
            let at = |x: usize, y: usize| frame.data()[(y * 128 + x) * 3];
            // From the README: a disc at (25 + 2 t, 70 - t / 2).
            let disc = at(25 + 2 * first, 70 - first / 2);
            assert!(disc.abs_diff(at(2, 2)) > 40, "{way}: frame {first}: {disc}");
        }
    }
    assert_exact(&path);
    let workshop = Workshop::new();
    assert_exact_with_kept_index(&workshop, &path);
    let report = probe(&path, true).unwrap();
    assert!(report.damaged_frames.is_empty() && report.issues.is_empty(), "{report:?}");
}

#[test]
fn palette_video_of_other_codecs_and_containers() {
    let workshop = Workshop::new();
    for (name, arguments) in [
        ("pal8.avi", "-c:v rawvideo -pix_fmt pal8"),
        ("runs.mov", "-c:v qtrle -pix_fmt gray -g 10"),
        ("gray.mov", "-c:v rawvideo -pix_fmt gray"),
        ("pal8.mov", "-c:v rawvideo -pix_fmt pal8"),
        ("smc.mov", "-c:v smc -pix_fmt pal8 -g 10"),
        ("zmbv.avi", "-c:v zmbv -pix_fmt pal8 -g 10"),
        ("png.mov", "-c:v png -pix_fmt pal8"),
        ("pal8.nut", "-c:v rawvideo -pix_fmt pal8"),
        ("cinepak.avi", "-c:v cinepak -pix_fmt gray -g 10"),
    ] {
        let path = workshop.film("96x64", 25, 1.2, arguments, name);
        assert_exact(&path);
        assert_exact_with_kept_index(&workshop, &path);
    }
    std::fs::copy(case("avi-with-palette/gray8.avi"), workshop.path("gray8.avi")).unwrap();
    workshop.ffmpeg("-i gray8.avi -c copy -allow_raw_vfw 1 gray8.mkv");
    assert_exact(&workshop.path("gray8.mkv"));
}

/// The pictures of an AVI with a palette.
#[derive(Clone, Copy)]
enum Pictures {
    /// Rows of pixels with the given number of bits, from bottom to top.
    Raw(u32),
    /// Runs of equal pixels; every fifth frame is complete, the others change a part of it
    /// (Microsoft RLE).
    Runs,
}

/// Makes an AVI with a palette, byte by byte, with new colours before some of its frames.
fn palette_avi(frames: usize, pictures: Pictures, changes: &[(usize, u8)]) -> Vec<u8> {
    const WIDTH: u32 = 64;
    const HEIGHT: u32 = 48;
    let le = |value: u32| value.to_le_bytes();
    let all = |values: &[u32]| -> Vec<u8> { values.iter().flat_map(|&value| le(value)).collect() };
    let chunk = |name: &[u8], body: &[u8]| {
        let padding = vec![0; body.len() % 2];
        [name, &le(body.len() as u32), body, &padding].concat()
    };
    let (bits, compression) = match pictures {
        Pictures::Raw(bits) => (bits, 0),
        Pictures::Runs => (8, 1),
    };
    let colours = 1_u32 << bits;
    let palette = |tint: u8| -> Vec<u8> {
        let value = |colour: u32| (colour * 255 / (colours - 1)) as u8;
        (0..colours).map(value).flat_map(|v| [v, v ^ tint, v.wrapping_add(tint), 0]).collect()
    };
    let stride = (WIDTH * bits / 8).next_multiple_of(4);
    let bytes = stride * HEIGHT;
    let count = frames as u32;
    let main = all(&[40_000, 0, 0, 16, count, 0, 1, bytes, WIDTH, HEIGHT, 0, 0, 0, 0]);
    let rest = [0, 0, 0, 1, 25, 0, count, bytes, u32::MAX, 0, 0, HEIGHT << 16 | WIDTH];
    let stream = [&b"vidsDIB "[..], &all(&rest)].concat();
    let format = [40, WIDTH, HEIGHT, bits << 16 | 1, compression, bytes, 0, 0, colours, 0];
    let format = [all(&format), palette(0)].concat();
    let list = |name: &[u8], parts: &[Vec<u8>]| chunk(b"LIST", &[name, &parts.concat()].concat());
    let header = list(
        b"hdrl",
        &[
            chunk(b"avih", &main),
            list(b"strl", &[chunk(b"strh", &stream), chunk(b"strf", &format)]),
        ],
    );
    let (mut movie, mut index) = (b"movi".to_vec(), Vec::new());
    let mut add = |name: &[u8], flags: u32, body: &[u8]| {
        index.extend([name, &le(flags), &le(movie.len() as u32), &le(body.len() as u32)].concat());
        movie.extend(chunk(name, body));
    };
    for frame in 0..frames {
        if let Some((_, tint)) = changes.iter().find(|(at, _)| *at == frame) {
            // All colours, starting at 0; a count of 0 stands for 256.
            add(b"00pc", 0x100, &[&[0, colours as u8, 0, 0][..], &palette(*tint)].concat());
        }
        match pictures {
            Pictures::Raw(_) => {
                let picture: Vec<u8> = (0..bytes)
                    .map(|at| (at % stride * 3 + frame as u32 * 5 + at / stride) as u8)
                    .collect();
                add(b"00db", 0x10, &picture);
            }
            Pictures::Runs => {
                let is_whole = frame % 5 == 0;
                let mut picture = Vec::new();
                for row in 0..HEIGHT as u8 {
                    if is_whole || usize::from(row) % 5 == frame % 5 {
                        picture.extend((0..8).flat_map(|run| [8, row * 3 + run * 9 + frame as u8]));
                    }
                    picture.extend([0, 0]);
                }
                picture.extend([0, 1]);
                add(b"00dc", if is_whole { 0x10 } else { 0 }, &picture);
            }
        }
    }
    let body = [b"AVI ".to_vec(), header, chunk(b"LIST", &movie), chunk(b"idx1", &index)].concat();
    chunk(b"RIFF", &body)
}

#[test]
fn a_palette_that_changes_in_mid_stream() {
    let workshop = Workshop::new();
    let changes = [(7, 0x55), (8, 0x1F), (20, 0x03)];
    for (name, pictures) in [
        ("1bit.avi", Pictures::Raw(1)),
        ("4bit.avi", Pictures::Raw(4)),
        ("8bit.avi", Pictures::Raw(8)),
        ("runs.avi", Pictures::Runs),
    ] {
        let plain = workshop.write(name, &palette_avi(30, pictures, &[]));
        let plain_frames = oracle(&plain, 64 * 48 * 3);
        assert_exact(&plain);
        let path = workshop.write(name, &palette_avi(30, pictures, &changes));
        let expected = oracle(&path, 64 * 48 * 3);
        assert_eq!(expected.len(), 30, "{name}");
        // The test is meaningful only if the colours make a difference to FFmpeg itself.
        let same = plain_frames.iter().zip(&expected).filter(|(a, b)| a == b).count();
        assert_eq!(same, 7, "{name}");
        assert_equal_to(&path, &expected);
        assert_exact_with_kept_index(&workshop, &path);
    }
}

#[test]
fn two_sample_descriptions_in_one_track() {
    let workshop = Workshop::new();
    let path = data("two_descriptions.mp4");
    let source = assert_exact(&path);
    assert_eq!(source.info().frame_count, 40);
    assert_exact_with_kept_index(&workshop, &path);
    assert_eq!(probe(&path, true).unwrap().issues, [""; 0]);
}

/// Returns the units of a raw stream, each without its start code.
fn units(bytes: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        (0..bytes.len() - 3).filter(|&at| bytes[at..at + 3] == [0, 0, 1]).collect();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let unit = |(&start, end): (&usize, usize)| {
        let unit = &bytes[start + 3..end];
        let padding = unit.iter().rev().take_while(|byte| **byte == 0).count();
        &unit[..unit.len() - padding]
    };
    starts.iter().zip(ends).map(unit).collect()
}

/// Tests whether a unit is a parameter set.
type IsSet = fn(&[u8]) -> bool;

/// Returns the same stream with only the first occurrence of each parameter set.
fn sets_once(bytes: &[u8], is_set: IsSet) -> Vec<u8> {
    let mut seen = Vec::new();
    let mut once = Vec::new();
    for unit in units(bytes) {
        if is_set(unit) && seen.contains(&unit) {
            continue;
        }
        if is_set(unit) {
            seen.push(unit);
        }
        once.extend([&[0, 0, 0, 1], unit].concat());
    }
    once
}

#[test]
fn parameter_sets_that_come_once_in_mid_stream() {
    let workshop = Workshop::new();
    let h264 = "-c:v libx264 -preset veryfast -threads 1 -bf 0 -g 8 -pix_fmt yuv420p -f h264";
    let hevc = |log: &str| {
        format!(
            "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -f hevc -x265-params \
             log-level=error:keyint=8:min-keyint=8:scenecut=0:bframes=0:pools=1:repeat-headers=1:open-gop=0:{log}"
        )
    };
    let codecs: [(&str, String, String, IsSet); 2] = [
        ("h264", format!("{h264} -coder 1"), format!("{h264} -coder 0"), |unit| {
            matches!(unit[0] & 31, 7 | 8)
        }),
        ("hevc", hevc("ctu=32:sign-hide=1:qp=30"), hevc("ctu=16:sign-hide=0:qp=20"), |unit| {
            matches!(unit[0] >> 1 & 63, 32..=34)
        }),
    ];
    for (codec, first, second, is_set) in codecs {
        let mut joined = Vec::new();
        for (name, arguments) in [("a", first), ("b", second)] {
            let path = workshop.film("128x96", 25, 1.6, &arguments, &format!("{name}.{codec}"));
            joined.extend(sets_once(&std::fs::read(path).unwrap(), is_set));
        }
        let raw = format!("joined.{codec}");
        workshop.write(&raw, &joined);
        let source = assert_exact(&workshop.path(&raw));
        assert_eq!(source.info().frame_count, 80, "{codec}");
        // Not for transport streams: the ffmpeg program repeats the first sets in them, and such a
        // file is broken.
        for container in ["mkv", "mp4"] {
            let name = format!("joined_{codec}.{container}");
            workshop.ffmpeg(&format!("-fflags +genpts -r 25 -i {raw} -c copy {name}"));
            let source = assert_exact(&workshop.path(&name));
            assert!(source.info().frame_count >= 79, "{name}: {}", source.info().frame_count);
            assert_exact_with_kept_index(&workshop, &workshop.path(&name));
        }
    }
}

/// An FLV stream whose decoder header is a separate packet, followed by another one.
#[test]
fn a_header_that_changes_in_a_flash_video() {
    let workshop = Workshop::new();
    let x264 = "-c:v libx264 -preset veryfast -threads 1 -bf 0 -g 8 -pix_fmt yuv420p";
    workshop.film("128x96", 25, 1.6, &format!("{x264} -coder 1"), "a.flv");
    workshop.film("128x96", 25, 1.6, &format!("{x264} -coder 0"), "b.flv");
    let mut bytes = std::fs::read(workshop.path("a.flv")).unwrap();
    let second = std::fs::read(workshop.path("b.flv")).unwrap();
    // Header and size of the previous tag; then tags: type, size, time, upper byte of the time,
    // stream, body, size of the tag.
    let mut at = 13;
    while at + 11 < second.len() {
        let size = u32::from_be_bytes([0, second[at + 1], second[at + 2], second[at + 3]]) as usize;
        let mut tag = second[at..at + 11 + size + 4].to_vec();
        let time = u32::from_be_bytes([0, tag[4], tag[5], tag[6]]) + 1600;
        tag[4..7].copy_from_slice(&time.to_be_bytes()[1..]);
        if tag[0] == 9 {
            bytes.extend(&tag);
        }
        at += 11 + size + 4;
    }
    let path = workshop.write("joined.flv", &bytes);
    assert_exact(&path);
    assert_exact_with_kept_index(&workshop, &path);
}
