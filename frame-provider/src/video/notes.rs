//! What others may read about a video while a decode is going on.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::source::DecodeStats;

/// Counters and warnings, apart from the reader so that asking for them never waits for a decode.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) frame_count: AtomicUsize,
    pub(super) frames_decoded: AtomicU64,
    pub(super) restarts: AtomicU64,
    warnings: Mutex<Vec<String>>,
}

impl Notes {
    /// Logs the warning and keeps it.
    pub(super) fn warn(&self, warning: String) {
        tracing::warn!("{warning}");
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn decode_stats(&self) -> DecodeStats {
        DecodeStats {
            frames_decoded: self.frames_decoded.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
        }
    }
}
