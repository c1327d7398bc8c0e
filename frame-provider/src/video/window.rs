//! Decoded frames that are kept for a while.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use video_rs::ffmpeg as ff;

use super::ffi;
use super::notes::Notes;

/// A decoded, not yet converted frame whose memory is counted for as long as it lives. In YUV it
/// needs at most half the memory of RGB.
pub(super) struct Picture {
    pub(super) frame: ff::frame::Video,
    bytes: u64,
    notes: Arc<Notes>,
    /// The pool that the memory returns to, if it does not belong to the decoder.
    pool: Option<Arc<PicturePool>>,
}

impl Picture {
    /// Wraps a frame in the memory of its decoder.
    pub(super) fn new(frame: ff::frame::Video, notes: &Arc<Notes>) -> Self {
        let bytes = ffi::frame_bytes(&frame).max(1);
        notes.hold(bytes);
        Self { frame, bytes, notes: Arc::clone(notes), pool: None }
    }

    /// Returns the number of bytes of memory that the picture keeps alive.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        match &self.pool {
            Some(pool) => pool.give(mem::replace(&mut self.frame, ff::frame::Video::empty())),
            None => self.notes.free(self.bytes),
        }
    }
}

/// Memory for pictures that are kept by the hundred.
///
/// The decoder's memory is not suitable: a decoder does not release the memory of a picture before
/// it is closed, and there are several decoders. Allocating each picture from the system is not
/// suitable either: memory that one thread allocates and another frees, megabyte by megabyte,
/// becomes fragmented, and the process keeps it. So the memory of dropped pictures is reused for
/// new ones, and there is never more of it than was in use at once.
pub(super) struct PicturePool {
    state: Mutex<PoolState>,
    notes: Arc<Notes>,
}

#[derive(Default)]
struct PoolState {
    free: Vec<ff::frame::Video>,
    /// True if a reader is active. If not, returned memory is not needed again.
    in_use: bool,
}

impl PicturePool {
    pub(super) fn new(notes: Arc<Notes>) -> Self {
        Self { state: Mutex::default(), notes }
    }

    /// Copies the picture into memory of the pool, without the margins that decoders need.
    pub(super) fn keep(self: &Arc<Self>, picture: Picture) -> Picture {
        let frame = &picture.frame;
        let recycled = self.lock().free.pop();
        let mut copy = recycled
            .filter(|free| {
                let fits = ffi::have_same_layout(free, frame);
                if !fits {
                    self.notes.free(ffi::frame_bytes(free));
                }
                fits
            })
            .unwrap_or_else(|| {
                let new = ff::frame::Video::new(frame.format(), frame.width(), frame.height());
                self.notes.hold(ffi::frame_bytes(&new));
                new
            });
        if !ffi::copy_picture(frame, &mut copy) {
            // If there is no memory for the copy, the original is used.
            self.notes.free(ffi::frame_bytes(&copy));
            return picture;
        }
        let bytes = ffi::frame_bytes(&copy);
        Picture { frame: copy, bytes, notes: Arc::clone(&self.notes), pool: Some(Arc::clone(self)) }
    }

    /// Returns the number of bytes that are not in use.
    pub(super) fn free_bytes(&self) -> u64 {
        self.lock().free.iter().map(ffi::frame_bytes).sum()
    }

    /// Announces that there will be more pictures.
    pub(super) fn open(&self) {
        self.lock().in_use = true;
    }

    /// Frees unused memory now, and later memory as it is returned, until the pool is opened again.
    pub(super) fn close(&self) {
        let PoolState { free, .. } = mem::take(&mut *self.lock());
        self.notes.free(free.iter().map(ffi::frame_bytes).sum());
    }

    fn give(&self, frame: ff::frame::Video) {
        let mut state = self.lock();
        if state.in_use {
            state.free.push(frame);
        } else {
            self.notes.free(ffi::frame_bytes(&frame));
        }
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pictures by frame index, around the frame that was served last.
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

    /// Returns true if the window holds the frame before `number`.
    pub(super) fn reaches(&self, number: usize) -> bool {
        number.checked_sub(1).is_some_and(|before| self.pictures.contains_key(&before))
    }

    /// Removes and returns the run of frames that ends with `last`.
    pub(super) fn take_run(&mut self, last: usize) -> BTreeMap<usize, Arc<Picture>> {
        let mut pictures = mem::take(&mut self.pictures);
        pictures.split_off(&(last + 1));
        let mut first = last + 1;
        while first.checked_sub(1).is_some_and(|before| pictures.contains_key(&before)) {
            first -= 1;
        }
        pictures.split_off(&first)
    }
}

/// Largest number of pictures kept. A prefetcher is by default about this many frames, with some to
/// spare, ahead of the frames that the model has just processed and that may be looked at.
const LONGEST_TRAIL: usize = 8;

/// The pictures that were scaled last.
#[derive(Default)]
pub(super) struct Trail {
    /// The pictures, latest last.
    pictures: VecDeque<(usize, Arc<Picture>)>,
}

impl Trail {
    pub(super) fn get(&self, number: usize) -> Option<Arc<Picture>> {
        let found = self.pictures.iter().find(|(other, _)| *other == number);
        found.map(|(_, picture)| Arc::clone(picture))
    }

    /// Adds a picture. Evicts the earliest ones if there are more than [`LONGEST_TRAIL`] or they
    /// need more than `budget` bytes.
    pub(super) fn keep(&mut self, number: usize, picture: Arc<Picture>, budget: u64) {
        self.pictures.retain(|(other, _)| *other != number);
        let room = usize::try_from(budget / picture.bytes().max(1)).unwrap_or(usize::MAX);
        self.pictures.push_back((number, picture));
        while self.pictures.len() > room.min(LONGEST_TRAIL) {
            self.pictures.pop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        self.pictures.clear();
    }
}
