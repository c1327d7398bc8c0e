//! A cached index gives the same frames, and an index that does not match is not used.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Workshop, hash, oracle, orders};
use sam2_frame_provider::{
    FrameSource, IndexCacheMode, IndexKind, IndexMode, VideoFrames, VideoOptions,
};

const X264: &str = "-c:v libx264 -preset ultrafast -threads 1 -bf 3 -b_strategy 0 -sc_threshold 0 -pix_fmt yuv420p";

fn beside() -> VideoOptions {
    VideoOptions { index_cache: IndexCacheMode::Beside, ..VideoOptions::default() }
}

fn is_cached(video: &VideoFrames) -> bool {
    video.info().video.unwrap().index_from_cache
}

#[test]
fn the_second_opening_gives_the_same_frames_in_any_order() {
    let workshop = Workshop::new();
    workshop.film("160x96", 30, 4.0, &format!("{X264} -g 30"), "film.mp4");
    workshop.ffmpeg("-i film.mp4 -c copy film.ts");
    workshop.ffmpeg("-i film.mp4 -c copy -bsf:v h264_mp4toannexb -f h264 raw.h264");
    workshop.ffmpeg("-ss 1.33 -i film.mp4 -c copy cut.mp4");
    workshop.film("160x96", 30, 2.0, "-c:v mpeg4 -q:v 3 -bf 2 -g 30", "mpeg4.avi");
    let folder = VideoOptions {
        index_cache: IndexCacheMode::Folder(workshop.path("new/folder")),
        ..VideoOptions::default()
    };
    for options in [beside(), folder] {
        for name in ["film.mp4", "film.ts", "raw.h264", "cut.mp4", "mpeg4.avi"] {
            let path = workshop.path(name);
            let expected = oracle(&path, 160 * 96 * 3);
            let first = VideoFrames::open_with(&path, options.clone()).unwrap();
            assert!(!is_cached(&first), "{name}");
            for (order, frames) in orders(expected.len()) {
                let second = VideoFrames::open_with(&path, options.clone()).unwrap();
                assert!(is_cached(&second), "{name}");
                assert_eq!(second.info().frame_count, expected.len(), "{name}");
                assert_eq!(second.info().warnings, first.info().warnings, "{name}");
                for frame in frames {
                    assert_eq!(hash(&second, frame), expected[frame], "{name}, {order}, {frame}");
                }
            }
        }
    }
}

#[test]
fn a_changed_video_or_a_damaged_cache_is_indexed_anew() {
    let workshop = Workshop::new();
    let path = workshop.film("64x48", 30, 2.0, "-c:v mjpeg", "film.avi");
    let cache = workshop.path("film.avi.frameindex");
    assert!(!is_cached(&VideoFrames::open_with(&path, beside()).unwrap()));
    assert!(is_cached(&VideoFrames::open_with(&path, beside()).unwrap()));
    assert!(!is_cached(&VideoFrames::open(&path).unwrap()), "only on request");
    let decode = VideoOptions { index: IndexMode::Decode, ..beside() };
    let decoded = VideoFrames::open_with(&path, decode.clone()).unwrap();
    assert!(!is_cached(&decoded), "what was asked for is a decode");
    let decoded = VideoFrames::open_with(&path, decode).unwrap();
    assert!(is_cached(&decoded));
    assert_eq!(decoded.info().video.unwrap().index, IndexKind::Decoded);
    workshop.film("64x48", 30, 3.0, "-c:v mjpeg", "film.avi");
    let longer = VideoFrames::open_with(&path, beside()).unwrap();
    assert_eq!((is_cached(&longer), longer.info().frame_count), (false, 90));
    for bad in [&b""[..], b"frameidx", &[0xFF; 500]] {
        fs::write(&cache, bad).unwrap();
        let video = VideoFrames::open_with(&path, beside()).unwrap();
        assert_eq!((is_cached(&video), video.info().frame_count), (false, 90));
    }
    // If the cache cannot be written, nothing is stored, and there is no other effect.
    fs::write(workshop.path("file"), "").unwrap();
    let nowhere = IndexCacheMode::Folder(workshop.path("file/below"));
    let nowhere = VideoOptions { index_cache: nowhere, ..VideoOptions::default() };
    assert_eq!(VideoFrames::open_with(&path, nowhere).unwrap().info().frame_count, 90);
}

#[test]
fn what_was_learned_while_reading_is_kept_too() {
    let workshop = Workshop::new();
    workshop.film("320x180", 30, 4.0, "-c:v mjpeg -q:v 3", "film.mov");
    let mut bytes = fs::read(workshop.path("film.mov")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 60_000].fill(0);
    let path = workshop.write("damaged.mov", &bytes);
    let first = VideoFrames::open_with(&path, beside()).unwrap();
    let promised = first.info().frame_count;
    let mut index = 0;
    while index < first.info().frame_count {
        let _ = first.frame(index);
        index += 1;
    }
    assert!(index < promised);
    let second = VideoFrames::open_with(&path, beside()).unwrap();
    assert_eq!((is_cached(&second), second.info().frame_count), (true, index));
    assert!(second.info().warnings.iter().any(|warning| warning.contains("is damaged")));
}
