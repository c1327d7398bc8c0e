//! What the parts of a recording in several files have reported, also those that are closed.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use crate::error::FrameError;
use crate::frame_times::{FrameTimes, InPart, PartTimes};
use crate::source_info::{DecodeStats, Flaws, SourceInfo, SourceMemory};

/// Frame times count as equally spaced if they differ from a constant rate by less than this many
/// seconds: containers round to milliseconds.
const SAME_TIME: f64 = 0.0015;

/// Facts about a part that remain known while it is closed.
struct Part {
    name: String,
    frame_count: usize,
    /// Time of its first frame, in seconds from the start of the recording.
    start: Option<f64>,
    times: InPart,
    /// True if the part turned out to have another number of frames than it first reported.
    recounted: bool,
    warnings: Vec<String>,
    /// The lists that the part reported last, to notice when there is more.
    reported: (Arc<[String]>, Arc<[usize]>),
    damaged: BTreeSet<usize>,
    flaws: Flaws,
    /// What the part has decoded since it was opened, and the memory it holds; nothing while it is
    /// closed.
    decode_stats: DecodeStats,
    memory: SourceMemory,
}

/// All parts in their order.
pub(super) struct Parts {
    parts: Vec<Part>,
    /// Time at which the last part ends, in seconds from the start of the recording.
    end: Option<f64>,
    /// Warnings about the recording as a whole.
    warnings: Vec<String>,
    /// Decoding statistics of parts that have been closed.
    closed: DecodeStats,
    /// The facts of all parts together, apart from counters; `None` after a part has reported
    /// something new.
    together: Option<SourceInfo>,
}

impl Part {
    /// Makes a part of the facts of its source when it is opened for the first time.
    fn of(name: String, info: &SourceInfo, start: Option<f64>) -> Self {
        let count = info.frame_count;
        let rate = info.timing.frames_per_second;
        let last = count.checked_sub(1).filter(|last| *last > 0);
        let mean = last.and_then(|last| Some(info.time(last)? / last as f64));
        let step = mean.or(rate.map(|rate| 1.0 / rate)).filter(|step| {
            (0..count).all(|index| {
                let differs = |time: f64| (time - index as f64 * step).abs() > SAME_TIME;
                !info.time(index).is_some_and(differs)
            })
        });
        Self {
            name,
            frame_count: count,
            start,
            times: step.map_or_else(|| own_times(info), InPart::Step),
            recounted: false,
            warnings: Vec::new(),
            reported: Default::default(),
            damaged: BTreeSet::new(),
            flaws: Flaws::default(),
            decode_stats: DecodeStats::default(),
            memory: SourceMemory::default(),
        }
    }

    /// Returns the time at which the part ends. Its last frame is assumed to last as long as the
    /// average frame.
    fn end(&self, info: &SourceInfo) -> Option<f64> {
        let count = self.frame_count;
        let last = info.time(count.checked_sub(1)?)?;
        let rate = info.timing.frames_per_second.map(|rate| 1.0 / rate);
        let frame = if count > 1 { Some(last / (count - 1) as f64) } else { rate };
        let step = match self.times {
            InPart::Step(step) => Some(step),
            InPart::Own(..) => None,
        };
        Some(self.start? + last + step.or(frame)?)
    }

    /// Records what the source of the part reports. Returns true if there is anything new apart
    /// from counters.
    fn note(&mut self, info: &SourceInfo) -> bool {
        (self.decode_stats, self.memory) = (info.decode_stats, info.memory);
        let mut is_new = false;
        if self.frame_count != info.frame_count {
            self.frame_count = info.frame_count;
            self.recounted = true;
            self.damaged.clear();
            is_new = true;
        }
        if let InPart::Own(times, _) = &self.times
            && !times.is_same(info.frame_times())
        {
            self.times = own_times(info);
            is_new = true;
        }
        if is_new || self.reported.0 != info.warnings {
            for warning in info.warnings.iter() {
                if !self.warnings.contains(warning) {
                    self.warnings.push(warning.clone());
                }
            }
            self.reported.0 = Arc::clone(&info.warnings);
            is_new = true;
        }
        if is_new || self.reported.1 != info.damaged_frames {
            self.damaged.extend(info.damaged_frames.iter());
            self.reported.1 = Arc::clone(&info.damaged_frames);
            is_new = true;
        }
        if self.flaws.missing_frames.is_none() && info.flaws.missing_frames.is_some() {
            self.flaws.missing_frames.clone_from(&info.flaws.missing_frames);
            is_new = true;
        }
        if self.flaws.size_change.is_none() && info.flaws.size_change.is_some() {
            self.flaws.size_change.clone_from(&info.flaws.size_change);
            is_new = true;
        }
        is_new
    }
}

/// Returns the times of a part as its source reports them.
fn own_times(info: &SourceInfo) -> InPart {
    InPart::Own(info.frame_times().clone(), info.timing.frames_per_second)
}

impl Parts {
    /// Starts with the first part.
    pub(super) fn new(name: String, info: &SourceInfo) -> Self {
        let mut parts = Self {
            parts: Vec::new(),
            end: Some(0.0),
            warnings: Vec::new(),
            closed: DecodeStats::default(),
            together: None,
        };
        parts.push(name, info);
        parts
    }

    /// Adds the next part.
    pub(super) fn push(&mut self, name: String, info: &SourceInfo) {
        let part = Part::of(name, info, self.end);
        self.end = part.end(info);
        self.parts.push(part);
        self.together = None;
    }

    /// Adds a warning about the recording as a whole.
    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
        self.together = None;
    }

    /// Returns the name of the first part.
    pub(super) fn first_name(&self) -> String {
        self.parts.first().map(|part| part.name.clone()).unwrap_or_default()
    }

    /// Returns the number of frames of all parts.
    pub(super) fn frame_count(&self) -> usize {
        self.parts.iter().map(|part| part.frame_count).sum()
    }

    /// Returns the number of the part that holds frame `index`, and the index of that part's first
    /// frame; the number of all frames if the index is past the end.
    pub(super) fn part_of(&self, index: usize) -> Result<(usize, usize), usize> {
        let mut first = 0;
        for (number, part) in self.parts.iter().enumerate() {
            if index - first < part.frame_count {
                return Ok((number, first));
            }
            first += part.frame_count;
        }
        Err(first)
    }

    /// Returns true if a part turned out to have another number of frames than it first reported.
    pub(super) fn is_recounted(&self, number: usize) -> bool {
        self.parts.get(number).is_some_and(|part| part.recounted)
    }

    /// Records what the source of an open part reports about itself, for use after it is closed.
    pub(super) fn note(&mut self, number: usize, info: &SourceInfo) {
        if self.parts.get_mut(number).is_some_and(|part| part.note(info)) {
            self.together = None;
        }
    }

    /// Records that the source of a part is closed.
    pub(super) fn close(&mut self, number: usize) {
        let Some(part) = self.parts.get_mut(number) else { return };
        part.memory = SourceMemory::default();
        let stats = mem::take(&mut part.decode_stats);
        self.closed = sum(self.closed, stats);
    }

    /// Adds what all parts have reported to `fixed`, the facts of the recording that do not change.
    pub(super) fn added_to(&mut self, fixed: &SourceInfo) -> SourceInfo {
        let together = match &self.together {
            Some(together) => together.clone(),
            None => {
                let together = self.put_together(fixed);
                self.together = Some(together.clone());
                together
            }
        };
        let parts = || self.parts.iter();
        let memory = parts().fold(SourceMemory::default(), |all, part| SourceMemory {
            bytes_held: all.bytes_held + part.memory.bytes_held,
            peak_bytes: all.peak_bytes + part.memory.peak_bytes,
        });
        let stats = parts().fold(self.closed, |all, part| sum(all, part.decode_stats));
        together.with_memory(memory).with_decode_stats(stats)
    }

    fn put_together(&self, fixed: &SourceInfo) -> SourceInfo {
        let mut first = 0;
        let mut times = Vec::new();
        let mut warnings = self.warnings.clone();
        let mut damaged = Vec::new();
        let mut missing = Vec::new();
        let mut size_change = None;
        for part in &self.parts {
            let (frames, start) = (part.frame_count, part.start);
            times.push(PartTimes { frames, start, times: part.times.clone() });
            warnings.extend_from_slice(&part.warnings);
            damaged.extend(part.damaged.iter().map(|frame| first + frame));
            let why = part.flaws.missing_frames.as_ref();
            missing.extend(why.map(|why| format!("{}: {why}", part.name)));
            let change = part.flaws.size_change.clone();
            size_change = size_change.or(change.map(|error| renumbered(error, first)));
            first += frames;
        }
        let missing_frames = (!missing.is_empty()).then(|| missing.join("; "));
        fixed
            .clone()
            .with_frame_count(first)
            .with_frame_times(FrameTimes::joined(times.into()))
            .with_warnings(warnings)
            .with_damaged_frames(damaged)
            .with_flaws(Flaws { missing_frames, size_change })
    }
}

fn sum(a: DecodeStats, b: DecodeStats) -> DecodeStats {
    DecodeStats {
        frames_decoded: a.frames_decoded + b.frames_decoded,
        restarts: a.restarts + b.restarts,
    }
}

/// Replaces the frame index in a part's error by the index in the whole recording.
pub(super) fn renumbered(error: FrameError, first: usize) -> FrameError {
    match error {
        FrameError::Decode { path, index, source } => {
            FrameError::Decode { path, index: index + first, source }
        }
        FrameError::SizeChanged { path, index, expected, found } => {
            FrameError::SizeChanged { path, index: index + first, expected, found }
        }
        FrameError::IndexOutOfRange { index, count, path } => {
            FrameError::IndexOutOfRange { index: index + first, count: count + first, path }
        }
        other => other,
    }
}
