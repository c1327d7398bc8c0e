//! Decoded frames that are kept for a while.

use std::collections::BTreeMap;
use std::sync::Arc;

use video_rs::ffmpeg as ff;

use super::ffi;
use super::notes::Notes;

/// A decoded, not yet converted frame whose memory is counted for as long as it lives. In YUV it needs half the memory of
/// RGB or less.
pub(super) struct Picture {
    pub(super) frame: ff::frame::Video,
    bytes: u64,
    notes: Arc<Notes>,
}

impl Picture {
    pub(super) fn new(frame: ff::frame::Video, notes: &Arc<Notes>) -> Self {
        let bytes = ffi::frame_bytes(&frame).max(1);
        notes.hold(bytes);
        Self { frame, bytes, notes: Arc::clone(notes) }
    }

    /// Bytes of memory that the picture keeps alive.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        self.notes.free(self.bytes);
    }
}

/// Pictures by frame number, around the frame that was served last.
#[derive(Default)]
pub(super) struct Window {
    pictures: BTreeMap<usize, Arc<Picture>>,
}

impl Window {
    pub(super) fn get(&self, number: usize) -> Option<Arc<Picture>> {
        self.pictures.get(&number).cloned()
    }

    pub(super) fn insert(&mut self, number: usize, picture: Picture) {
        self.pictures.insert(number, Arc::new(picture));
    }

    pub(super) fn clear(&mut self) {
        self.pictures.clear();
    }

    /// Whether it holds the frame before `number`.
    pub(super) fn reaches(&self, number: usize) -> bool {
        number.checked_sub(1).is_some_and(|before| self.pictures.contains_key(&before))
    }

    /// Gives away the run of frames that ends with `last`.
    pub(super) fn take_run(&mut self, last: usize) -> BTreeMap<usize, Arc<Picture>> {
        let mut pictures = std::mem::take(&mut self.pictures);
        pictures.split_off(&(last + 1));
        let mut first = last + 1;
        while first.checked_sub(1).is_some_and(|before| pictures.contains_key(&before)) {
            first -= 1;
        }
        pictures.split_off(&first)
    }
}
