//! Facts about a video that can be read while a decode is in progress.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::FrameError;
use crate::source::{DecodeStats, Flaws, SourceMemory};

/// Counters and warnings, kept apart from the reader so that reading them never waits for a decode.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) frame_count: AtomicUsize,
    pub(super) frames_decoded: AtomicU64,
    pub(super) restarts: AtomicU64,
    /// True if a release of memory was requested while a read was in progress; the next read starts
    /// with it.
    pub(super) release_wanted: AtomicBool,
    bytes_held: AtomicU64,
    peak_bytes: AtomicU64,
    damaged: Mutex<BTreeSet<usize>>,
    warnings: Mutex<Vec<String>>,
    flaws: Mutex<Flaws>,
    times: Mutex<Times>,
}

/// Times of the frames after the first one, in units of the stream's time base.
#[derive(Debug, Default)]
enum Times {
    /// The time stamps are missing or unusable.
    #[default]
    Unknown,
    /// `frames` frames, each `step` units after the previous one.
    Steady {
        step: i64,
        frames: usize,
    },
    Each(Vec<i64>),
}

impl Notes {
    /// Logs the warning and stores it. A repeated warning, for example from a cached index, is
    /// reported once.
    pub(super) fn warn(&self, warning: String) {
        let mut warnings = lock(&self.warnings);
        if !warnings.contains(&warning) {
            tracing::warn!("{warning}");
            warnings.push(warning);
        }
    }

    /// Records the times of the frames from their time stamps, which are in display order.
    pub(super) fn set_times(&self, stamps: Option<Vec<i64>>) {
        let rises = |stamps: &Vec<i64>| {
            stamps.is_sorted() && (stamps.len() < 2 || stamps.first() < stamps.last())
        };
        let stamps = stamps.filter(rises);
        let times = stamps.and_then(|mut times| {
            let first = *times.first()?;
            times.iter_mut().for_each(|time| *time = time.saturating_sub(first));
            let step = times.get(1).copied().unwrap_or(0);
            let is_steady = (0..).zip(&times).all(|(n, time)| step.checked_mul(n) == Some(*time));
            let frames = times.len();
            Some(if is_steady { Times::Steady { step, frames } } else { Times::Each(times) })
        });
        *lock(&self.times) = times.unwrap_or_default();
    }

    /// Returns the time of frame `number` after the first one, in units of the stream's time base;
    /// `None` if unknown.
    pub(super) fn time_of(&self, number: usize) -> Option<i64> {
        match &*lock(&self.times) {
            Times::Unknown => None,
            Times::Steady { step, frames } => {
                (number < *frames).then(|| step.checked_mul(i64::try_from(number).ok()?))?
            }
            Times::Each(times) => times.get(number).copied(),
        }
    }

    /// Records why frames are missing; the first reason counts.
    pub(super) fn misses_frames(&self, why: String) {
        lock(&self.flaws).missing_frames.get_or_insert(why);
    }

    /// Records the first frame of another size.
    pub(super) fn changes_size(&self, error: FrameError) {
        lock(&self.flaws).size_change.get_or_insert(error);
    }

    pub(super) fn flaws(&self) -> Flaws {
        lock(&self.flaws).clone()
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        lock(&self.warnings).clone()
    }

    /// Records that frame `number` is damaged. Returns true for the first damaged frame of all.
    pub(super) fn damaged(&self, number: usize) -> bool {
        let mut damaged = lock(&self.damaged);
        damaged.insert(number) && damaged.len() == 1
    }

    /// Forgets the indices of damaged frames, because the frames have been renumbered.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_the_first_frame() {
        let times = |stamps: Option<Vec<i64>>| {
            let notes = Notes::default();
            notes.set_times(stamps);
            (0..4).map(|frame| notes.time_of(frame)).collect::<Vec<_>>()
        };
        assert_eq!(times(Some(vec![7, 10, 13])), [Some(0), Some(3), Some(6), None]);
        assert_eq!(times(Some(vec![-5, 10, 13])), [Some(0), Some(15), Some(18), None]);
        assert_eq!(times(Some(vec![4])), [Some(0), None, None, None]);
        // Stamps that fall or stand still do not give the times of the frames.
        assert_eq!(times(Some(vec![7, 13, 10])), [None; 4]);
        assert_eq!(times(Some(vec![7, 7, 7])), [None; 4]);
        assert_eq!(times(None), [None; 4]);
        assert_eq!(times(Some(Vec::new())), [None; 4]);
    }
}
