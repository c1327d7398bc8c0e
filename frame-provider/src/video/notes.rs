//! Facts about a video that can be read while a decode is in progress.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::index::Index;
use super::summary::IndexSummary;
use crate::damaged::DamagedFrames;
use crate::error::FrameError;
use crate::frame_times::FrameTimes;
use crate::source_info::{DecodeStats, Flaws, SourceInfo, SourceMemory};

/// Counters and findings, kept apart from the reader so that reading them never waits for a decode.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) frames_decoded: AtomicU64,
    pub(super) restarts: AtomicU64,
    /// True if a release of memory was requested while a read was in progress; the next read starts
    /// with it.
    pub(super) release_wanted: AtomicBool,
    bytes_held: AtomicU64,
    peak_bytes: AtomicU64,
    /// Duration in seconds of one unit of the time stamps.
    time_base: f64,
    findings: Mutex<Findings>,
}

/// What opening and reading found out so far.
#[derive(Debug, Default)]
struct Findings {
    frame_count: usize,
    times: FrameTimes,
    /// What the index says; `None` before there is one.
    summary: Option<IndexSummary>,
    warnings: Arc<[String]>,
    flaws: Flaws,
    damaged: DamagedFrames,
}

impl Notes {
    /// Starts without findings. `time_base` is the duration in seconds of one unit of the time
    /// stamps.
    pub(super) fn new(time_base: f64) -> Self {
        Self {
            frames_decoded: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            release_wanted: AtomicBool::new(false),
            bytes_held: AtomicU64::new(0),
            peak_bytes: AtomicU64::new(0),
            time_base,
            findings: Mutex::default(),
        }
    }

    /// Adds the present state to facts about the video, and returns what the index says.
    pub(super) fn added_to(&self, info: SourceInfo) -> (SourceInfo, Option<IndexSummary>) {
        let mut findings = self.findings();
        let info = info
            .with_frame_count(findings.frame_count)
            .with_frame_times(findings.times.clone())
            .with_decode_stats(self.decode_stats())
            .with_warnings(Arc::clone(&findings.warnings))
            .with_flaws(findings.flaws.clone())
            .with_damaged_frames(findings.damaged.list())
            .with_memory(self.memory());
        (info, findings.summary)
    }

    /// Logs the warning and stores it. A repeated warning, for example from a cached index, is
    /// reported once.
    pub(super) fn warn(&self, warning: String) {
        let mut findings = self.findings();
        if !findings.warnings.contains(&warning) {
            tracing::warn!("{warning}");
            let before = mem::take(&mut findings.warnings);
            findings.warnings = before.iter().cloned().chain([warning]).collect();
        }
    }

    /// Records the number of frames, their times and everything else that an index says.
    pub(super) fn describe(&self, index: &Index) {
        let times = frame_times(index.times(), self.time_base);
        let summary = IndexSummary::of(index);
        let mut findings = self.findings();
        findings.frame_count = index.frame_count();
        findings.times = times;
        findings.summary = Some(summary);
    }

    /// Records where decoding can begin after that has changed. The frames are those of the index
    /// before.
    pub(super) fn describe_groups(&self, index: &Index) {
        let mut findings = self.findings();
        findings.summary = findings.summary.map(|summary| summary.with_groups_of(index));
    }

    /// Returns the number of frames.
    pub(super) fn frame_count(&self) -> usize {
        self.findings().frame_count
    }

    /// Records why frames are missing; the first reason counts.
    pub(super) fn misses_frames(&self, why: String) {
        self.findings().flaws.missing_frames.get_or_insert(why);
    }

    /// Records the first frame of another size.
    pub(super) fn changes_size(&self, error: FrameError) {
        self.findings().flaws.size_change.get_or_insert(error);
    }

    pub(super) fn flaws(&self) -> Flaws {
        self.findings().flaws.clone()
    }

    pub(super) fn warnings(&self) -> Arc<[String]> {
        Arc::clone(&self.findings().warnings)
    }

    /// Records that frame `number` is damaged. Returns true for the first damaged frame of all.
    pub(super) fn damaged(&self, number: usize) -> bool {
        let mut findings = self.findings();
        findings.damaged.insert(number) && findings.damaged.len() == 1
    }

    /// Forgets the indices of damaged frames, because the frames have been renumbered.
    pub(super) fn forget_damaged(&self) {
        self.findings().damaged.clear();
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

    fn decode_stats(&self) -> DecodeStats {
        DecodeStats {
            frames_decoded: self.frames_decoded.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
        }
    }

    fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the times of the frames after the first one, from their time stamps, which are in
/// display order. Stamps that are missing or do not rise give no times.
fn frame_times(stamps: Option<Vec<i64>>, time_base: f64) -> FrameTimes {
    let rises = |stamps: &Vec<i64>| {
        stamps.is_sorted() && (stamps.len() < 2 || stamps.first() < stamps.last())
    };
    let Some(stamps) = stamps.filter(rises) else { return FrameTimes::default() };
    let Some(&first) = stamps.first() else { return FrameTimes::default() };
    let since_first = |stamp: &i64| stamp.saturating_sub(first);
    let step = stamps.get(1).map_or(0, since_first);
    let is_steady = (0..)
        .zip(&stamps)
        .all(|(number, stamp)| step.checked_mul(number) == Some(since_first(stamp)));
    if is_steady {
        return FrameTimes::steady(step, stamps.len(), time_base);
    }
    FrameTimes::each(stamps.iter().map(|stamp| since_first(stamp) as f64 * time_base).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_the_first_frame() {
        let times = |stamps: Option<Vec<i64>>| {
            let times = frame_times(stamps, 1.0);
            (0..4).map(|frame| times.at(frame, None)).collect::<Vec<_>>()
        };
        assert_eq!(times(Some(vec![7, 10, 13])), [Some(0.0), Some(3.0), Some(6.0), None]);
        assert_eq!(times(Some(vec![-5, 10, 13])), [Some(0.0), Some(15.0), Some(18.0), None]);
        assert_eq!(times(Some(vec![4])), [Some(0.0), None, None, None]);
        // Stamps that fall or stand still do not give the times of the frames.
        assert_eq!(times(Some(vec![7, 13, 10])), [None; 4]);
        assert_eq!(times(Some(vec![7, 7, 7])), [None; 4]);
        assert_eq!(times(None), [None; 4]);
        assert_eq!(times(Some(Vec::new())), [None; 4]);
        assert_eq!(frame_times(Some(vec![0, 1, 5]), 0.5).at(2, None), Some(2.5));
    }
}
