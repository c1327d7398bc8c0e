//! What others may read about a video while a decode is going on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::source::{DecodeStats, SourceMemory};

/// Counters and warnings, apart from the reader so that asking for them never waits for a decode.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) frame_count: AtomicUsize,
    pub(super) frames_decoded: AtomicU64,
    pub(super) restarts: AtomicU64,
    /// Someone wants the memory back while a read was going on: the next one starts with that.
    pub(super) release_wanted: AtomicBool,
    bytes_held: AtomicU64,
    peak_bytes: AtomicU64,
    damaged: Mutex<BTreeSet<usize>>,
    warnings: Mutex<Vec<String>>,
}

impl Notes {
    /// Logs the warning and keeps it.
    pub(super) fn warn(&self, warning: String) {
        tracing::warn!("{warning}");
        lock(&self.warnings).push(warning);
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        lock(&self.warnings).clone()
    }

    /// Notes that frame `number` is damaged; true for the first one of all.
    pub(super) fn damaged(&self, number: usize) -> bool {
        let mut damaged = lock(&self.damaged);
        damaged.insert(number) && damaged.len() == 1
    }

    /// Forgets the numbers of damaged frames: the frames have been numbered anew.
    pub(super) fn forget_damaged(&self) {
        lock(&self.damaged).clear();
    }

    pub(super) fn damaged_frames(&self) -> Vec<usize> {
        lock(&self.damaged).iter().copied().collect()
    }

    /// Counts `bytes` of decoded frames as held.
    pub(super) fn hold(&self, bytes: u64) {
        let held = self.bytes_held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak_bytes.fetch_max(held, Ordering::Relaxed);
    }

    /// Counts `bytes` as free again.
    pub(super) fn free(&self, bytes: u64) {
        self.bytes_held.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn memory(&self) -> SourceMemory {
        SourceMemory {
            bytes_held: self.bytes_held.load(Ordering::Relaxed),
            peak_bytes: self.peak_bytes.load(Ordering::Relaxed),
        }
    }

    pub(super) fn decode_stats(&self) -> DecodeStats {
        DecodeStats {
            frames_decoded: self.frames_decoded.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
