//! Decoded frames kept for reading in reverse.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use video_rs::ffmpeg as ff;

use ff::frame::Video as VideoFrame;

/// Decoded, not yet converted frames by number. In YUV they need half the memory of RGB or less.
#[derive(Default)]
pub(super) struct Window {
    frames: BTreeMap<usize, VideoFrame>,
}

impl Window {
    pub(super) fn contains(&self, number: usize) -> bool {
        self.frames.contains_key(&number)
    }

    pub(super) fn get(&self, number: usize) -> Option<&VideoFrame> {
        self.frames.get(&number)
    }

    /// The lowest number held.
    pub(super) fn first(&self) -> Option<usize> {
        self.frames.keys().next().copied()
    }

    pub(super) fn insert(&mut self, number: usize, frame: VideoFrame) {
        self.frames.insert(number, frame);
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
    }
}

/// A window in the making, in steps of one decoded frame.
pub(super) struct Ahead {
    range: RangeInclusive<usize>,
    window: Window,
    to_decode: usize,
    complete: bool,
}

impl Ahead {
    /// For the frames in `range`; `to_decode` is how many must be decoded for that, as far as is known.
    pub(super) fn new(range: RangeInclusive<usize>, to_decode: usize) -> Self {
        Self { range, window: Window::default(), to_decode, complete: false }
    }

    pub(super) fn range(&self) -> RangeInclusive<usize> {
        self.range.clone()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(super) fn to_decode(&self) -> usize {
        self.to_decode
    }

    /// Takes the next decoded frame; false if it shows that a frame of the range is missing.
    pub(super) fn offer(&mut self, number: usize, frame: VideoFrame) -> bool {
        self.to_decode = self.to_decode.saturating_sub(1);
        if number > *self.range.end() {
            return false;
        }
        if self.range.contains(&number) {
            self.window.insert(number, frame);
        }
        self.complete = number == *self.range.end();
        true
    }

    pub(super) fn into_window(self) -> Window {
        self.window
    }
}
