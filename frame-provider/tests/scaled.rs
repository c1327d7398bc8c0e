//! Frames at the input size of a model, from whole files. Decord's are those of the `ffmpeg`
//! program and all others those of the resize functions, whatever lies between the file and the
//! reader.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::{Workshop, hash, random};
use sam2_frame_provider::resize::{ResizeMode, Scale, resize};
use sam2_frame_provider::{
    BatchFrames, FrameSize, FrameSource, FramesMode, Intensity, LazyFrames, LazyOptions,
    MappedFrames, OpenOptions, VideoFrames, VideoOptions, open_with,
};
use xxhash_rust::xxh3::xxh3_64;

const X264: &str =
    "-c:v libx264 -preset ultrafast -threads 1 -bf 2 -b_strategy 0 -sc_threshold 0 -g 12";

/// Returns the hash of each frame as `ffmpeg` scales it directly from the file.
fn scaled_by_ffmpeg(path: &Path, size: FrameSize) -> Vec<u64> {
    let FrameSize { width, height } = size;
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "quiet", "-threads", "1", "-i"])
        .arg(path)
        .args(["-map", "0:v:0", "-vf", &format!("scale={width}:{height}:flags=bilinear")])
        .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-vsync", "passthrough", "-"])
        .stdin(Stdio::null())
        .output()
        .expect("the tests need the ffmpeg program");
    assert_eq!(output.stdout.len() % size.rgb_bytes(), 0);
    output.stdout.chunks(size.rgb_bytes()).map(xxh3_64).collect()
}

fn scaled_hash(source: &impl FrameSource, index: usize, scale: Scale) -> u64 {
    let scaled = source.scaled(index, scale).unwrap().scaled;
    assert_eq!(scaled.size(), scale.size);
    xxh3_64(scaled.data())
}

const SIZES: [FrameSize; 2] =
    [FrameSize { width: 1024, height: 1024 }, FrameSize { width: 97, height: 61 }];

/// Compares every frame with that of `ffmpeg`, forward, in reverse and at random, with and without
/// the cache.
fn assert_is_decords(path: &Path) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let mut compared = 0;
    for size in SIZES {
        let scale = Scale { size, mode: ResizeMode::Decord };
        let expected = scaled_by_ffmpeg(path, size);
        let count = expected.len();
        let options = VideoOptions { packet_bytes: 0, ..VideoOptions::default() };
        // Samples of more than 8 bits, converted to 8 bits as in ffmpeg.
        let video = VideoFrames::open_with(path, options).unwrap().with_intensity(Intensity::Full);
        assert!(!video.info().scales_from_frames(ResizeMode::Decord));
        assert_eq!(video.info().frame_count, count, "{name}");
        for index in (0..count).chain(random(count, 10)) {
            let found = scaled_hash(&video, index, scale);
            assert_eq!(found, expected[index], "{name}: frame {index} to {size}");
            compared += 1;
        }
        let full = OpenOptions::default().intensity(Intensity::Full);
        let lazy = LazyFrames::new(open_with(path, &full).unwrap(), LazyOptions::default());
        for index in (0..count).rev() {
            let found = scaled_hash(&lazy, index, scale);
            assert_eq!(found, expected[index], "{name}: frame {index} to {size}, in reverse");
            compared += 1;
        }
    }
    println!("TOTAL {name}: {compared} scaled frames equal ffmpeg's");
}

macro_rules! decords {
    ($($name:ident: $size:literal, $arguments:expr, $file:literal;)*) => {
        $(
            #[test]
            fn $name() {
                let workshop = Workshop::new();
                assert_is_decords(&workshop.film($size, 30, 0.5, &$arguments, $file));
            }
        )*
    };
}

decords! {
    h264_420: "320x180", format!("{X264} -pix_fmt yuv420p"), "420.mp4";
    h264_422: "320x180", format!("{X264} -pix_fmt yuv422p"), "422.mp4";
    h264_444_odd: "161x97", format!("{X264} -pix_fmt yuv444p"), "444.mp4";
    h264_420_10_bit: "320x180", format!("{X264} -pix_fmt yuv420p10le"), "420p10.mkv";
    h264_gray: "320x180", format!("{X264} -pix_fmt gray"), "gray.mp4";
    h264_rgb: "320x180", "-c:v libx264rgb -preset ultrafast -threads 1 -g 12 -pix_fmt bgr24", "rgb.mp4";
    h264_bt709: "320x180",
        format!("-vf scale=out_color_matrix=bt709 {X264} -pix_fmt yuv420p -colorspace bt709"), "bt709.mp4";
    h264_full_range_bt709: "320x180",
        format!("-vf scale=out_range=pc:out_color_matrix=bt709 {X264} -pix_fmt yuv420p -color_range pc -colorspace bt709"),
        "full.mp4";
    h264_900_by_896: "900x896", format!("{X264} -pix_fmt yuv420p"), "900.mp4";
    h264_hd: "1280x720", format!("{X264} -pix_fmt yuv420p"), "hd.mp4";
    ffv1_odd_size_420: "161x97", "-c:v ffv1 -pix_fmt yuv420p", "odd420.mkv";
    ffv1_gray_16_bit: "160x120", "-c:v ffv1 -pix_fmt gray16le", "gray16.mkv";
    ffv1_alpha: "161x97", "-c:v ffv1 -pix_fmt yuva420p", "alpha.mkv";
    mjpeg: "320x180", "-c:v mjpeg -q:v 3", "mjpeg.avi";
    raw_bgr24_upside_down: "162x120", "-c:v rawvideo -pix_fmt bgr24", "bgr24.avi";
    raw_uyvy: "162x120", "-c:v rawvideo -pix_fmt uyvy422", "uyvy.avi";
    vp9: "320x180", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M -g 12", "vp9.webm";
}

fn turned(workshop: &Workshop, source: &str, degrees: u32) -> PathBuf {
    let name = format!("turned{degrees}_{source}");
    workshop.ffmpeg(&format!("-i {source} -c copy -metadata:s:v rotate={degrees} {name}"));
    workshop.path(&name)
}

/// Frames are turned before scaling, as in decord and `ffmpeg`: in the opposite order, the filter
/// rounds differently.
#[test]
fn rotation() {
    let workshop = Workshop::new();
    for (format, size) in [
        ("yuv420p", "320x180"),
        ("yuv444p", "161x97"),
        ("gray", "320x180"),
        ("yuv420p10le", "64x48"),
    ] {
        let source = format!("{format}.mp4");
        workshop.film(size, 30, 0.3, &format!("{X264} -pix_fmt {format}"), &source);
        for degrees in [90, 180, 270] {
            assert_is_decords(&turned(&workshop, &source, degrees));
        }
    }
    // 4:2:2 cannot be turned by a quarter turn before conversion, but it can by a half turn.
    workshop.film("320x180", 30, 0.3, &format!("{X264} -pix_fmt yuv422p"), "yuv422p.mp4");
    assert_is_decords(&turned(&workshop, "yuv422p.mp4", 180));
}

/// Chroma with different subsampling in columns and rows cannot be transposed; the picture is
/// turned last.
#[test]
fn formats_that_cannot_be_turned_before_they_are_rgb() {
    let workshop = Workshop::new();
    let upright = workshop.film("320x180", 30, 0.3, &format!("{X264} -pix_fmt yuv422p"), "422.mp4");
    let upright = VideoFrames::open(upright).unwrap();
    let video = VideoFrames::open(turned(&workshop, "422.mp4", 90)).unwrap();
    let scaled = |video: &VideoFrames, width, height| {
        let size = FrameSize { width, height };
        video.scaled(3, Scale { size, mode: ResizeMode::Decord }).unwrap().scaled
    };
    let (found, expected) = (scaled(&video, 97, 160), scaled(&upright, 160, 97));
    for (x, y) in (0..97).flat_map(|x| (0..160).map(move |y| (x, y))) {
        assert_eq!(found.pixel(x, y), expected.pixel(159 - y, x), "column {x}, row {y}");
    }
}

/// For the other modes, every source gives the resized frame.
fn assert_is_resized(source: &dyn FrameSource, name: &str) {
    for mode in ResizeMode::ALL.into_iter().filter(|&mode| source.info().scales_from_frames(mode)) {
        for index in [0, 3, source.info().frame_count - 1] {
            let scaled = source.scaled(index, Scale::square(100, mode)).unwrap().scaled;
            let expected = resize(&source.frame(index).unwrap(), 100, 100, mode).unwrap();
            assert!(*scaled == expected, "{name}: frame {index}, {mode}");
        }
    }
}

#[test]
fn wrappers_hand_the_scale_on() {
    let workshop = Workshop::new();
    let path = workshop.film("160x96", 30, 0.8, &format!("{X264} -pix_fmt yuv420p"), "film.mp4");
    let video = || VideoFrames::open(&path).unwrap();
    let scale = Scale::square(100, ResizeMode::Decord);
    let straight: Vec<u64> = (0..24).map(|index| scaled_hash(&video(), index, scale)).collect();
    let by_rgb = resize(&video().frame(5).unwrap(), 100, 100, ResizeMode::Decord).unwrap();
    assert_ne!(xxh3_64(by_rgb.data()), straight[5], "the two ways differ, else nothing is tested");

    let boxed: Box<dyn FrameSource> = Box::new(video());
    let unmapped = MappedFrames::new(video(), Intensity::Full);
    let lazy = || LazyFrames::new(video(), LazyOptions::default());
    let sources: Vec<(&str, Box<dyn FrameSource>)> = vec![
        ("box", Box::new(boxed)),
        ("arc", Box::new(Arc::new(video()))),
        ("unmapped", Box::new(unmapped)),
        ("lazy", Box::new(lazy())),
        ("batch", Box::new(BatchFrames::open(video(), 0..24, FramesMode::Lazy).unwrap())),
        ("memory", Box::new(BatchFrames::open(lazy(), 0..24, FramesMode::Memory).unwrap())),
        (
            "scaled memory",
            Box::new(BatchFrames::open_scaled(lazy(), 0..24, FramesMode::Memory, scale).unwrap()),
        ),
    ];
    for (name, source) in &sources {
        assert!(!source.info().scales_from_frames(ResizeMode::Decord), "{name}");
        for index in [5, 6, 23, 0] {
            assert_eq!(scaled_hash(source, index, scale), straight[index], "{name}: frame {index}");
            assert_eq!(hash(source, index), hash(&video(), index), "{name}: frame {index}");
        }
        assert!(source.scaled(24, scale).is_err(), "{name}");
        assert_is_resized(source, name);
    }
    let reference = &video();
    assert_eq!(scaled_hash(&reference, 5, scale), straight[5]);

    // A range applies to stored samples, so the mapping comes first, and scaling is that of RGB.
    let options = OpenOptions::default().intensity(Intensity::Range { low: 40.0, high: 180.0 });
    let mapped = open_with(&path, &options).unwrap();
    assert!(mapped.info().scales_from_frames(ResizeMode::Decord));
    assert_is_resized(&mapped, "mapped");
    assert!(mapped.info().video.is_some(), "a mapped video is still a video");
    let jpeg = BatchFrames::open_scaled(video(), 2..9, FramesMode::Jpeg, scale).unwrap();
    assert_is_resized(&jpeg, "jpeg");
}

#[test]
fn a_preloaded_batch_of_scaled_frames_holds_just_these() {
    let workshop = Workshop::new();
    let path = workshop.film("160x96", 30, 0.8, &format!("{X264} -pix_fmt yuv420p"), "film.mp4");
    let lazy = LazyFrames::open(&path, LazyOptions::default()).unwrap();
    let scale = Scale::square(64, ResizeMode::PillowBicubic);
    let batch = BatchFrames::open_scaled(&lazy, 4..20, FramesMode::Memory, scale).unwrap();
    let decoded = batch.info().decode_stats.frames_decoded;
    for index in (0..16).rev() {
        batch.scaled(index, scale).unwrap();
    }
    assert_eq!(batch.info().decode_stats.frames_decoded, decoded, "nothing is decoded again");
    assert!(batch.info().memory.bytes_held >= 16 * 64 * 64 * 3);
    assert_eq!(batch.mode(), FramesMode::Memory);
    // Any other scale is read from the source.
    let other = Scale::square(64, ResizeMode::Cv2Linear);
    let expected = resize(&lazy.frame(9).unwrap(), 64, 64, other.mode).unwrap();
    assert_eq!(*batch.scaled(5, other).unwrap().scaled, expected);
}

/// The model's thread requests scaled frames; everything else happens in the background, and each
/// frame is decoded once.
#[test]
fn each_frame_is_decoded_once_for_a_reader_of_scaled_frames() {
    let workshop = Workshop::new();
    let path = workshop.film("160x96", 30, 4.0, &format!("{X264} -pix_fmt yuv420p"), "film.mp4");
    for mode in ResizeMode::ALL {
        let lazy = LazyFrames::open(&path, LazyOptions::default()).unwrap();
        for index in 0..120 {
            lazy.scaled(index, Scale::square(64, mode)).unwrap();
            if index % 10 == 9 {
                // An overview picture requests a frame now and then. The frame came along with the
                // scaled one, or its decoded picture was kept.
                lazy.frame(index).unwrap();
            }
        }
        let stats = lazy.stats();
        println!("{mode}: {stats:?}");
        assert_eq!(stats.hits + stats.misses, 132);
        assert!(stats.frames_decoded <= 122, "{mode}: {stats:?}");
        assert!(stats.frames_held <= 50 && stats.scaled_held <= 12);
    }
}

#[test]
fn a_frame_that_was_just_scaled_by_the_video_is_not_decoded_again() {
    let workshop = Workshop::new();
    let path = workshop.film("160x96", 30, 2.0, &format!("{X264} -pix_fmt yuv420p"), "film.mp4");
    let scale = Scale::square(64, ResizeMode::Decord);
    let expected = VideoFrames::open(&path).unwrap();
    for forward in [true, false] {
        let video = VideoFrames::open(&path).unwrap();
        let order: Vec<usize> = if forward { (0..=40).collect() } else { (20..60).rev().collect() };
        for &index in &order {
            let scaled = video.scaled(index, scale).unwrap();
            assert_eq!(scaled.frame, None, "nobody has asked for it");
        }
        let decoded = video.info().decode_stats.frames_decoded;
        let last_eight = &order[order.len() - 8..];
        for &index in last_eight {
            assert_eq!(hash(&video, index), hash(&expected, index), "frame {index}");
        }
        if forward {
            // In reverse, coming frames are decoded in the background.
            assert_eq!(video.info().decode_stats.frames_decoded, decoded);
        }
        assert!(video.info().memory.bytes_held > 0);
        video.release_memory();
        assert_eq!(video.frame(last_eight[0]).unwrap().size(), video.info().size);
    }
    // Without memory for them, they are decoded again.
    let video =
        VideoFrames::open_with(&path, VideoOptions { reverse_bytes: 0, ..VideoOptions::default() });
    let video = video.unwrap();
    (0..20).for_each(|index| drop(video.scaled(index, scale).unwrap()));
    let decoded = video.info().decode_stats.frames_decoded;
    assert_eq!(hash(&video, 14), hash(&expected, 14));
    assert!(video.info().decode_stats.frames_decoded > decoded);
}

/// Viewing each frame that the model has processed costs conversions, but no decodes.
#[test]
fn frames_and_decords_scaled_frames_come_from_one_decode() {
    let workshop = Workshop::new();
    let path = workshop.film("160x96", 30, 4.0, &format!("{X264} -pix_fmt yuv420p"), "film.mp4");
    let scale = Scale::square(64, ResizeMode::Decord);
    let expected = VideoFrames::open(&path).unwrap();
    for order in [(0..120).collect::<Vec<_>>(), (0..120).rev().collect()] {
        let lazy = LazyFrames::open(&path, LazyOptions::default()).unwrap();
        for &index in &order {
            lazy.scaled(index, scale).unwrap();
            assert_eq!(hash(&lazy, index), hash(&expected, index), "frame {index}");
        }
        let stats = lazy.stats();
        println!("{stats:?}");
        assert!(stats.frames_decoded <= 124, "{stats:?}");
    }
}
