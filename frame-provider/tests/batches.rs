//! Batches: the three modes, and what they leave on disk.

#![allow(clippy::unwrap_used)]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use common::{Workshop, hash};
use sam2_frame_provider::{
    BatchFrames, FrameError, FrameSize, FrameSource, FramesMode, LazyFrames, LazyOptions, RgbFrame,
    SourceInfo, VideoFrames,
};

fn is_empty(folder: &Path) -> bool {
    folder.read_dir().unwrap().next().is_none()
}

#[test]
fn lazy_and_memory_are_equal_and_jpeg_is_close() {
    let workshop = Workshop::new();
    let path = workshop.film(
        "160x96",
        30,
        3.0,
        "-c:v libx264 -preset ultrafast -g 30 -pix_fmt yuv420p",
        "film.mp4",
    );
    let video = VideoFrames::open(&path).unwrap();
    let lazy = Arc::new(LazyFrames::open(&path, LazyOptions::default()).unwrap());
    let temporary = tempfile::tempdir().unwrap();
    for mode in FramesMode::ALL {
        let batch =
            BatchFrames::open_in(Arc::clone(&lazy), 20..70, mode, temporary.path()).unwrap();
        assert_eq!((batch.mode(), batch.range(), batch.info().frame_count), (mode, 20..70, 50));
        assert_eq!(batch.info().timing, video.info().timing);
        assert!(matches!(batch.frame(50), Err(FrameError::IndexOutOfRange { count: 50, .. })));
        let mut largest = 0.0_f64;
        for index in (30..50).chain((0..30).rev()) {
            if mode == FramesMode::Jpeg {
                let (found, exact) =
                    (batch.frame(index).unwrap(), video.frame(20 + index).unwrap());
                let sum: f64 = found
                    .data()
                    .iter()
                    .zip(exact.data())
                    .map(|(a, b)| f64::from(a.abs_diff(*b)))
                    .sum();
                largest = largest.max(sum / exact.data().len() as f64);
            } else {
                assert_eq!(hash(&batch, index), hash(&video, 20 + index), "{mode}: frame {index}");
            }
        }
        println!("{mode}: mean difference of a frame at most {largest:.2} levels");
        // The test picture consists of edges between pure colours, which 4:2:0 blurs.
        assert!(largest < 8.0, "{largest}");
        assert_eq!(batch.folder().is_some(), mode == FramesMode::Jpeg);
        if let Some(folder) = batch.folder() {
            assert_eq!(folder.read_dir().unwrap().count(), 50);
        }
        batch.close().unwrap();
        assert!(is_empty(temporary.path()), "{mode}");
    }
    let batch = BatchFrames::open_in(&*lazy, 0..5, FramesMode::Jpeg, temporary.path()).unwrap();
    drop(batch);
    assert!(is_empty(temporary.path()), "dropping removes the files as closing does");
}

#[test]
fn impossible_ranges_are_refused() {
    let frames = Troubled { panics: false };
    let open = |range| BatchFrames::open(&frames, range, FramesMode::Lazy).err();
    assert!(matches!(open(3..3), Some(FrameError::Empty { .. })));
    assert!(matches!(open(0..11), Some(FrameError::IndexOutOfRange { index: 10, count: 10, .. })));
    assert!(open(0..10).is_none());
    assert_eq!("jpeg".parse::<FramesMode>().unwrap().to_string(), "jpeg");
    assert!("png".parse::<FramesMode>().is_err());
}

/// A source whose frame 7 is bad, or triggers a bug.
struct Troubled {
    panics: bool,
}

impl FrameSource for Troubled {
    fn info(&self) -> SourceInfo {
        SourceInfo::new(10, FrameSize { width: 8, height: 8 }).with_description("troubled")
    }
    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        assert!(index != 7 || !self.panics, "told to panic");
        if index == 7 {
            return Err(FrameError::Other { message: "told to fail".into(), source: None });
        }
        Ok(Arc::new(RgbFrame::new(8, 8, vec![index as u8; 192])?))
    }
}

#[test]
fn nothing_is_left_behind_after_a_failure_or_a_panic() {
    let temporary = tempfile::tempdir().unwrap();
    for mode in [FramesMode::Memory, FramesMode::Jpeg] {
        let failing =
            BatchFrames::open_in(Troubled { panics: false }, 0..10, mode, temporary.path());
        assert_eq!(failing.unwrap_err().to_string(), "told to fail");
        assert!(is_empty(temporary.path()));
        let panicking = catch_unwind(AssertUnwindSafe(|| {
            BatchFrames::open_in(Troubled { panics: true }, 0..10, mode, temporary.path())
        }));
        assert!(panicking.is_err());
        assert!(is_empty(temporary.path()), "{mode}: after a panic while extracting");
        let used = catch_unwind(AssertUnwindSafe(|| {
            let batch =
                BatchFrames::open_in(Troubled { panics: true }, 0..5, mode, temporary.path())
                    .unwrap();
            batch.frame(4).unwrap();
            panic!("a consumer's bug");
        }));
        assert!(used.is_err());
        assert!(is_empty(temporary.path()), "{mode}: after a panic of the consumer");
    }
    let missing = temporary.path().join("missing");
    let error = BatchFrames::open_in(Troubled { panics: false }, 0..5, FramesMode::Jpeg, &missing);
    assert!(matches!(error, Err(FrameError::NotFound { .. })));
}
