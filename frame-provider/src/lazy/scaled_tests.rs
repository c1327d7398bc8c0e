//! Tests of scaled frames: made ahead in the background, from the same decode, within the same
//! limits.

use std::sync::Mutex;

use super::*;
use crate::resize::{ResizeMode, resize};
use crate::size::FrameSize;

/// A source of frames of 4x2 pixels. Records the requests; some frames are bad.
struct Source {
    /// True if it scales by itself, as a video does for decord.
    by_itself: bool,
    asked: Mutex<Vec<(usize, bool)>>,
    bad: Vec<usize>,
}

impl Source {
    fn new(by_itself: bool) -> Arc<Self> {
        Arc::new(Self { by_itself, asked: Mutex::default(), bad: Vec::new() })
    }

    /// Returns the indices of the requested frames, and whether each was scaled.
    fn asked(&self) -> Vec<(usize, bool)> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits for `length` requests, and a little longer so that one too many would show. Returns
    /// the same as [`Source::asked`].
    fn settle(&self, length: usize) -> Vec<(usize, bool)> {
        for _ in 0..500 {
            if self.asked().len() >= length {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        std::thread::sleep(std::time::Duration::from_millis(30));
        self.asked()
    }

    fn picture(index: usize) -> RgbFrame {
        RgbFrame::new(4, 2, (0..24).map(|at| (at * 9 + index * 31) as u8).collect()).unwrap()
    }

    /// Returns the result of scaling by itself: one gray level.
    fn own(index: usize, scale: Scale) -> RgbFrame {
        RgbFrame::from_parts(scale.size, vec![index as u8; scale.size.rgb_bytes()])
    }

    fn note(&self, index: usize, scaled: bool) -> Result<(), FrameError> {
        self.asked.lock().unwrap().push((index, scaled));
        match self.bad.contains(&index) {
            true => Err(FrameError::decode("source".as_ref(), index, "torn")),
            false => Ok(()),
        }
    }
}

impl FrameSource for Source {
    fn info(&self) -> SourceInfo {
        let own: &[ResizeMode] = if self.by_itself { &ResizeMode::ALL } else { &[] };
        SourceInfo::new(100, FrameSize { width: 4, height: 2 }).with_own_scaling(own)
    }
    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        self.note(index, false)?;
        Ok(Arc::new(Self::picture(index)))
    }
    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        self.note(index, true)?;
        if self.by_itself {
            return Ok(ScaledFrame { scaled: Arc::new(Self::own(index, scale)), frame: None });
        }
        ScaledFrame::of(Arc::new(Self::picture(index)), scale)
    }
}

const SCALE: Scale =
    Scale { size: FrameSize { width: 8, height: 8 }, mode: ResizeMode::PillowBicubic };

fn options(cache_frames: usize, prefetch: usize) -> LazyOptions {
    LazyOptions { cache_frames, prefetch, ..LazyOptions::default() }
}

fn scaled(lazy: &LazyFrames, index: usize) -> Arc<RgbFrame> {
    lazy.scaled(index, SCALE).unwrap().scaled
}

#[test]
fn scaled_frames_are_made_ahead_and_the_frames_come_along() {
    let source = Source::new(false);
    let lazy = LazyFrames::new(Arc::clone(&source), options(20, 3));
    for index in [50, 51, 52] {
        let expected = resize(&Source::picture(index), 8, 8, SCALE.mode).unwrap();
        assert_eq!(*scaled(&lazy, index), expected);
        source.settle(index - 50 + 4);
    }
    let asked: Vec<_> = (50..=55).map(|index| (index, true)).collect();
    assert_eq!(source.asked(), asked, "each was made once, three ahead");
    assert_eq!(*lazy.frame(51).unwrap(), Source::picture(51));
    assert_eq!(source.settle(7), asked, "the frame was there, and looking at one is no travel");
    let stats = lazy.stats();
    assert_eq!((stats.hits, stats.misses, stats.prefetched, stats.wasted), (3, 1, 5, 0));
    assert_eq!((stats.frames_held, stats.scaled_held), (6, 6));
    assert_eq!(stats.bytes_held, 6 * 24 + 6 * 192);
    lazy.clear();
    let stats = lazy.stats();
    assert_eq!((stats.frames_held, stats.scaled_held, stats.bytes_held), (0, 0, 0));
    assert_eq!(stats.wasted, 3, "the three ahead; the frames that came along do not count");
}

#[test]
fn who_reads_frames_only_pays_for_no_scaling() {
    let source = Source::new(false);
    let lazy = LazyFrames::new(Arc::clone(&source), options(20, 3));
    scaled(&lazy, 10);
    source.settle(4);
    for index in 40..60 {
        lazy.frame(index).unwrap();
    }
    let asked = source.settle(27);
    let of_reader: Vec<_> = asked.iter().filter(|(index, _)| *index >= 40).collect();
    assert_eq!(of_reader.len(), 23, "{asked:?}");
    assert!(of_reader.iter().all(|(_, scaled)| !scaled), "{asked:?}");
}

#[test]
fn a_frame_at_hand_is_scaled_without_decoding_it_again() {
    for by_itself in [false, true] {
        let source = Source::new(by_itself);
        let lazy = LazyFrames::new(Arc::clone(&source), options(20, 0));
        lazy.frame(7).unwrap();
        let found = scaled(&lazy, 7);
        if by_itself {
            assert_eq!(source.asked(), [(7, false), (7, true)]);
            assert_eq!(*found, Source::own(7, SCALE));
            assert_eq!(lazy.stats().frames_held, 1, "no frame came along");
        } else {
            assert_eq!(source.asked(), [(7, false)]);
            assert_eq!(*found, resize(&Source::picture(7), 8, 8, SCALE.mode).unwrap());
        }
    }
}

#[test]
fn two_scales_do_not_mix() {
    let lazy = LazyFrames::new(Source::new(false), options(20, 0));
    let other = Scale::square(8, ResizeMode::Cv2Linear);
    for _ in 0..2 {
        let picture = Source::picture(3);
        let pillow = resize(&picture, 8, 8, ResizeMode::PillowBicubic).unwrap();
        let linear = resize(&picture, 8, 8, ResizeMode::Cv2Linear).unwrap();
        assert_ne!(pillow, linear);
        assert_eq!(*scaled(&lazy, 3), pillow);
        assert_eq!(*lazy.scaled(3, other).unwrap().scaled, linear);
    }
    assert_eq!((lazy.stats().hits, lazy.stats().misses), (2, 2));
}

#[test]
fn both_kinds_share_the_bytes() {
    // Room for 25 frames; or for a scaled one and 17 frames.
    let bytes = 600;
    let source = Source::new(false);
    let lazy = LazyFrames::new(
        Arc::clone(&source),
        LazyOptions { cache_bytes: Some(bytes), ..options(50, 5) },
    );
    assert_eq!(lazy.capacity(), 25);
    for index in 0..30 {
        lazy.frame(index).unwrap();
    }
    assert_eq!(lazy.stats().frames_held, 25);
    for index in (0..90).chain((0..90).rev()) {
        scaled(&lazy, index);
        assert!(lazy.stats().bytes_held <= bytes, "{:?}", lazy.stats());
    }
    let stats = lazy.stats();
    assert!(stats.peak_bytes <= bytes, "{stats:?}");
    assert_eq!((lazy.capacity(), stats.scaled_held), (17, 1));
}

#[test]
fn a_reader_of_scaled_frames_in_a_tiny_cache_makes_none_twice() {
    for cache_frames in [1, 2, 3] {
        let source = Source::new(false);
        let lazy = LazyFrames::new(Arc::clone(&source), options(cache_frames, 5));
        for index in 0..60 {
            assert_eq!(lazy.scaled(index, SCALE).unwrap().scaled.size(), SCALE.size);
        }
        let mut asked = source.asked();
        let all = asked.len();
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(asked.len(), all);
        assert!(lazy.stats().scaled_held <= cache_frames);
    }
}

#[test]
fn bad_frames_are_replaced_scaled_too() {
    let policies = [BadFrames::Error, BadFrames::Repeat, BadFrames::Blank];
    for (policy, by_itself) in policies.into_iter().flat_map(|p| [(p, false), (p, true)]) {
        let source = Source { by_itself, asked: Mutex::default(), bad: vec![4, 5] };
        let lazy = LazyFrames::new(source, LazyOptions { on_bad_frame: policy, ..options(20, 2) });
        let whole = scaled(&lazy, 3);
        match policy {
            BadFrames::Error => {
                for _ in 0..2 {
                    let error = lazy.scaled(5, SCALE).unwrap_err();
                    assert!(matches!(error, FrameError::Decode { index: 5, .. }), "{error}");
                }
            }
            BadFrames::Repeat => assert_eq!(scaled(&lazy, 5), whole),
            BadFrames::Blank => {
                let black = scaled(&lazy, 5);
                assert_eq!((black.size(), black.data()), (SCALE.size, &[0; 192][..]));
            }
        }
        assert!(lazy.info().damaged_frames.contains(&5), "{policy}");
        assert_eq!(scaled(&lazy, 6).size(), SCALE.size);
    }
}

#[test]
fn works_without_a_worker() {
    let source = Source::new(false);
    let shared = Arc::new(Shared::new(Box::new(Arc::clone(&source)), options(4, 5)));
    let lazy = LazyFrames { shared, worker: None };
    for index in [0, 0, 1] {
        let expected = resize(&Source::picture(index), 8, 8, SCALE.mode).unwrap();
        assert_eq!(*scaled(&lazy, index), expected);
        assert_eq!(*lazy.frame(index).unwrap(), Source::picture(index));
    }
    assert_eq!(source.asked(), [(0, true), (1, true)]);
    assert!(matches!(lazy.scaled(100, SCALE), Err(FrameError::IndexOutOfRange { .. })));
}
