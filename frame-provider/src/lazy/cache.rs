//! The cached frames, and the cached scaled frames.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::{LazyOptions, LazyStats};
use crate::frame::RgbFrame;
use crate::resize::Scale;
use crate::size::FrameSize;

/// The form in which a frame is requested: at its own size, or scaled.
pub(in crate::lazy) type Kind = Option<Scale>;

/// A requested frame in one of its kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::lazy) struct Wanted {
    pub(in crate::lazy) kind: Kind,
    pub(in crate::lazy) index: usize,
}

/// A cached frame.
pub(in crate::lazy) struct Entry {
    pub(in crate::lazy) frame: Arc<RgbFrame>,
    /// True if prefetched and not requested yet.
    pub(in crate::lazy) unused: bool,
}

/// Frames in order of their last use, and scaled frames in order of theirs.
///
/// They are kept separately. A frame can be requested again for viewing or for another scaling,
/// while a scaled frame is needed only until the model has processed it. So only as many scaled
/// frames are kept as are read ahead.
pub(in crate::lazy) struct Cache {
    frames: LruCache<usize, Entry>,
    scaled: LruCache<Wanted, Entry>,
    options: LazyOptions,
    frame_bytes: u64,
    /// Size in bytes of the largest scaled frame so far.
    scaled_bytes: u64,
}

impl Cache {
    pub(in crate::lazy) fn new(options: LazyOptions, size: FrameSize) -> Self {
        let frame_bytes = size.rgb_bytes().max(1) as u64;
        let room = options.cache_bytes.map_or(usize::MAX, |bytes| fitting(bytes, frame_bytes));
        let capacity = at_least_one(options.cache_frames.min(room));
        Self {
            // Not `LruCache::new`, which allocates for the whole capacity at once.
            frames: LruCache::sparse(capacity),
            scaled: LruCache::sparse(at_least_one(most_scaled(options))),
            options,
            frame_bytes,
            scaled_bytes: 0,
        }
    }

    /// Returns the largest number of frames and of scaled frames that are kept.
    pub(in crate::lazy) fn capacity(&self) -> (usize, usize) {
        (self.frames.cap().get(), self.scaled.cap().get())
    }

    /// Returns the present number of frames and of scaled frames.
    pub(in crate::lazy) fn len(&self) -> (usize, usize) {
        (self.frames.len(), self.scaled.len())
    }

    /// Returns the entry and marks it as most recently used.
    pub(in crate::lazy) fn get(&mut self, wanted: Wanted) -> Option<&mut Entry> {
        match wanted.kind {
            Some(_) => self.scaled.get_mut(&wanted),
            None => self.frames.get_mut(&wanted.index),
        }
    }

    /// Returns the frame without marking it as used.
    pub(in crate::lazy) fn peek_frame(&self, index: usize) -> Option<Arc<RgbFrame>> {
        self.frames.peek(&index).map(|entry| Arc::clone(&entry.frame))
    }

    /// Marks an entry as most recently used. Returns false if there is none.
    pub(in crate::lazy) fn promote(&mut self, wanted: Wanted) -> bool {
        match wanted.kind {
            Some(_) => self.scaled.promote(&wanted),
            None => self.frames.promote(&wanted.index),
        }
    }

    /// Adds an entry and evicts others if there is no room.
    pub(in crate::lazy) fn keep(&mut self, wanted: Wanted, entry: Entry, stats: &mut LazyStats) {
        let added = entry.frame.data().len() as u64;
        if wanted.kind.is_some() && added > self.scaled_bytes {
            self.scaled_bytes = added;
            self.share_bytes(stats);
        }
        stats.bytes_held += added;
        let (removed, is_same) = match wanted.kind {
            Some(_) => {
                let removed = self.scaled.push(wanted, entry);
                let is_same = removed.as_ref().is_some_and(|(other, _)| *other == wanted);
                (removed.map(|(_, entry)| entry), is_same)
            }
            None => {
                let removed = self.frames.push(wanted.index, entry);
                let is_same = removed.as_ref().is_some_and(|(other, _)| *other == wanted.index);
                (removed.map(|(_, entry)| entry), is_same)
            }
        };
        if let Some(removed) = removed {
            note_removed(&removed, is_same, stats);
        }
        stats.peak_bytes = stats.peak_bytes.max(stats.bytes_held);
    }

    /// Adds a frame that was produced along with a scaled one, unless it is already cached. It was
    /// neither requested nor prefetched, so it does not count as prefetched.
    pub(in crate::lazy) fn keep_by_product(
        &mut self,
        index: usize,
        frame: Arc<RgbFrame>,
        stats: &mut LazyStats,
    ) {
        if !self.frames.promote(&index) {
            self.keep(Wanted { kind: None, index }, Entry { frame, unused: false }, stats);
        }
    }

    /// Empties the cache and returns its entries.
    pub(in crate::lazy) fn take_all(&mut self) -> Vec<Entry> {
        let frames = std::iter::from_fn(|| self.frames.pop_lru()).map(|(_, entry)| entry);
        let scaled = std::iter::from_fn(|| self.scaled.pop_lru()).map(|(_, entry)| entry);
        frames.chain(scaled).collect()
    }

    /// Divides the permitted bytes: up to half for scaled frames, and the rest for frames.
    fn share_bytes(&mut self, stats: &mut LazyStats) {
        let Some(limit) = self.options.cache_bytes else {
            return;
        };
        let scaled = fitting(limit / 2, self.scaled_bytes).min(most_scaled(self.options));
        let scaled = at_least_one(scaled);
        let rest = limit.saturating_sub(scaled.get() as u64 * self.scaled_bytes);
        let frames = at_least_one(fitting(rest, self.frame_bytes).min(self.options.cache_frames));
        while self.scaled.len() > scaled.get() {
            self.scaled.pop_lru().iter().for_each(|(_, entry)| note_removed(entry, false, stats));
        }
        while self.frames.len() > frames.get() {
            self.frames.pop_lru().iter().for_each(|(_, entry)| note_removed(entry, false, stats));
        }
        self.scaled.resize(scaled);
        self.frames.resize(frames);
    }
}

/// Returns the number of scaled frames to keep: for two readers, those read ahead and the one in
/// use.
fn most_scaled(options: LazyOptions) -> usize {
    options.prefetch.saturating_add(1).saturating_mul(2).min(options.cache_frames)
}

/// Returns how many items of `bytes` bytes fit in `limit`.
fn fitting(limit: u64, bytes: u64) -> usize {
    usize::try_from(limit / bytes.max(1)).unwrap_or(usize::MAX)
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

/// Counts an entry that was evicted for another, or replaced by a new version of itself.
fn note_removed(removed: &Entry, is_same: bool, stats: &mut LazyStats) {
    stats.bytes_held -= removed.frame.data().len() as u64;
    stats.evicted += u64::from(!is_same);
    stats.wasted += u64::from(removed.unused);
}
