//! One recording in several files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::resize::{ResizeMode, Scale};
use crate::size::FrameSize;
use crate::source::{DecodeStats, Flaws, FrameSource, ScaledFrame, SourceMemory, Timing};
use crate::video::VideoFrames;
use crate::video_details::{IndexKind, VideoDetails};
use crate::video_options::{IndexMode, VideoOptions};

/// Largest number of files open at the same time, each with a decoder and the frames it keeps for
/// reading in reverse.
const MOST_OPEN: usize = 2;

/// Frame times count as equally spaced if they differ from a constant rate by less than this many
/// seconds: containers round to milliseconds.
const SAME_TIME: f64 = 0.0015;

/// Two parts have the same rate if their rates differ by less than this fraction.
const SAME_RATE: f64 = 1e-3;

/// Several sources as one recording, in the given order: the first frame of a part follows the last
/// frame of the previous part.
///
/// Cameras split long recordings: GoPro's chapters, AVCHD's `00000.MTS`, a Miniscope's `0.avi`,
/// `1.avi`. Frames are numbered consecutively, and the times of a part start where the previous
/// part ends. The time between two parts is unknown and counts as zero.
///
/// All parts must have frames of the same size. Errors give the frame index in the whole recording
/// and the path of the part. If a part turns out to be damaged while it is read, it has fewer
/// frames than before, and the indices of all later frames change.
///
/// **Cost:** opening opens each part once, in turn. Only two parts stay open,
/// regardless of the number of parts.
pub struct JoinedFrames {
    parts: Vec<Part>,
    size: FrameSize,
    scales_from_frames: Vec<ResizeMode>,
    timing: Timing,
    details: Option<VideoDetails>,
    opener: Opener,
    /// The open parts, most recently used first.
    open: Mutex<Vec<(usize, Box<dyn FrameSource>)>>,
    /// Decoding statistics of parts that have been closed.
    closed: Mutex<DecodeStats>,
    /// Warnings about the recording as a whole.
    warnings: Vec<String>,
}

/// Opens part `number`. With `true`, its frames must be counted by decoding.
type Opener = Box<dyn Fn(usize, bool) -> Result<Box<dyn FrameSource>, FrameError> + Send + Sync>;

/// Facts about a part that remain known while it is closed.
struct Part {
    name: String,
    count: AtomicUsize,
    /// Time of its first frame, in seconds from the start of the recording.
    start: Option<f64>,
    /// Seconds from one of its frames to the next; `None` if the frames are not evenly spaced.
    step: Option<f64>,
    said: Mutex<Said>,
}

/// Warnings, damage and flaws that a part has reported so far.
#[derive(Default)]
struct Said {
    /// True if the part turned out to have another number of frames than it first reported.
    recounted: bool,
    warnings: Vec<String>,
    damaged: BTreeSet<usize>,
    flaws: Flaws,
}

impl JoinedFrames {
    /// Joins video files.
    ///
    /// # Errors
    /// Those of [`VideoFrames::open_with`], [`FrameError::Unsupported`] for a part of another size,
    /// and [`FrameError::Empty`] if `files` is empty.
    pub fn open(files: Vec<PathBuf>, options: VideoOptions) -> Result<Self, FrameError> {
        Self::open_with(files, options, |video, _| Ok(Box::new(video)))
    }

    /// Joins video files, passing each with its path through `wrap`.
    pub(crate) fn open_with(
        files: Vec<PathBuf>,
        options: VideoOptions,
        wrap: impl Fn(VideoFrames, &Path) -> Result<Box<dyn FrameSource>, FrameError>
        + Send
        + Sync
        + 'static,
    ) -> Result<Self, FrameError> {
        let names = files.iter().map(|file| file_name(file)).collect();
        Self::new(
            names,
            Box::new(move |number, must_decode| {
                let path = files.get(number).ok_or_else(nothing)?;
                let mut options = options.clone();
                if must_decode {
                    options.index = IndexMode::Decode;
                }
                wrap(VideoFrames::open_with(path, options)?, path)
            }),
        )
    }

    fn new(names: Vec<String>, opener: Opener) -> Result<Self, FrameError> {
        let mut joined: Option<Self> = None;
        let mut end = Some(0.0);
        let mut first_name = None;
        let mut opener = Some(opener);
        for (number, name) in names.into_iter().enumerate() {
            let open = joined.as_ref().map(|joined| &joined.opener).or(opener.as_ref());
            let source = open.ok_or_else(nothing)?(number, false)?;
            let part = Part::of(name, &*source, end);
            end = part.end(&*source);
            let Some(joined) = &mut joined else {
                let modes = ResizeMode::ALL.into_iter();
                first_name = Some(part.name.clone());
                joined = Some(Self {
                    parts: vec![part],
                    size: source.size(),
                    scales_from_frames: modes
                        .filter(|mode| source.scales_from_frames(*mode))
                        .collect(),
                    timing: source.timing(),
                    details: source.video_details(),
                    opener: opener.take().ok_or_else(nothing)?,
                    open: Mutex::new(vec![(number, source)]),
                    closed: Mutex::default(),
                    warnings: Vec::new(),
                });
                continue;
            };
            if source.size() != joined.size {
                let (size, expected) = (source.size(), joined.size);
                let first = first_name.unwrap_or_default();
                return Err(FrameError::Unsupported {
                    path: part.name.into(),
                    what: format!(
                        "its frames are {size}, those of {first} are {expected}; the files of one recording have one size: \
                         leave out the files of another one, or scale this one with ffmpeg (-vf scale={}:{})",
                        expected.width, expected.height
                    ),
                });
            }
            joined.add(part, number, source);
        }
        joined.ok_or_else(nothing)
    }

    /// Adds a warning, and logs it.
    pub(crate) fn with_warning(mut self, warning: String) -> Self {
        tracing::warn!("{warning}");
        self.warnings.push(warning);
        self
    }

    /// Adds the next part.
    fn add(&mut self, part: Part, number: usize, source: Box<dyn FrameSource>) {
        let frames = |parts: &[Part]| parts.iter().map(Part::count).sum::<usize>() as f64;
        let before = frames(&self.parts);
        let (mine, its) = (self.timing.frames_per_second, source.timing().frames_per_second);
        self.timing = match (mine, its) {
            (Some(mine), Some(its)) if (mine / its - 1.0).abs() < SAME_RATE => self.timing,
            (Some(mine), Some(its)) => {
                let seconds = before / mine + part.count() as f64 / its;
                Timing::from_rate((before + part.count() as f64) / seconds)
            }
            _ => Timing::default(),
        };
        self.details = self.details.take().zip(source.video_details()).map(|(a, b)| both(a, b));
        self.parts.push(part);
        self.keep_open(number, source);
    }

    /// Puts a source first among the open ones, and closes one if too many are open.
    fn keep_open(&self, number: usize, source: Box<dyn FrameSource>) {
        let mut open = self.lock();
        open.insert(0, (number, source));
        while open.len() > MOST_OPEN {
            let Some((number, source)) = open.pop() else { break };
            self.note(number, &*source);
            let stats = source.decode_stats();
            let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
            closed.frames_decoded += stats.frames_decoded;
            closed.restarts += stats.restarts;
        }
    }

    /// Records what a source reports about itself, for use after it is closed.
    fn note(&self, number: usize, source: &dyn FrameSource) {
        let Some(part) = self.parts.get(number) else { return };
        let mut said = part.said();
        let count = source.frame_count();
        if part.count.swap(count, Ordering::Relaxed) != count {
            said.recounted = true;
            said.damaged.clear();
        }
        for warning in source.warnings() {
            if !said.warnings.contains(&warning) {
                said.warnings.push(warning);
            }
        }
        said.damaged.extend(source.damaged_frames());
        let flaws = source.flaws();
        said.flaws.missing_frames = said.flaws.missing_frames.take().or(flaws.missing_frames);
        said.flaws.size_change = said.flaws.size_change.take().or(flaws.size_change);
    }

    /// Returns the part that holds frame `index`, and the index of that part's first frame.
    fn part_of(&self, index: usize) -> Result<(usize, usize), FrameError> {
        let mut first = 0;
        for (number, part) in self.parts.iter().enumerate() {
            let count = part.count();
            if index - first < count {
                return Ok((number, first));
            }
            first += count;
        }
        Err(FrameError::IndexOutOfRange { index, count: first, path: self.describe().into() })
    }

    /// Returns the index of the first frame of part `number`.
    fn first_of(&self, number: usize) -> usize {
        self.parts.iter().take(number).map(Part::count).sum()
    }

    /// Runs `read` on the part that holds frame `index`, with the frame's index in that part.
    fn read<T>(
        &self,
        index: usize,
        read: impl Fn(&dyn FrameSource, usize) -> Result<T, FrameError>,
    ) -> Result<T, FrameError> {
        let (number, first) = self.part_of(index)?;
        self.with(number, |source| {
            let result = read(source, index - first).map_err(|error| renumbered(error, first));
            self.note(number, source);
            result
        })?
    }

    /// Runs `work` on part `number`, opening it first if necessary.
    fn with<T>(
        &self,
        number: usize,
        work: impl FnOnce(&dyn FrameSource) -> T,
    ) -> Result<T, FrameError> {
        let mut open = self.lock();
        if let Some(place) = open.iter().position(|(other, _)| *other == number) {
            open[..=place].rotate_right(1);
        } else {
            let recounted = self.parts.get(number).is_some_and(|part| part.said().recounted);
            drop(open);
            let source = (self.opener)(number, recounted)?;
            self.keep_open(number, source);
            open = self.lock();
        }
        let source = open.iter().find(|(other, _)| *other == number).ok_or_else(nothing)?;
        Ok(work(&*source.1))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(usize, Box<dyn FrameSource>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects what all parts have reported so far, including the open ones. It does not wait for
    /// a read in progress.
    fn said<T>(&self, take: impl Fn(usize, &Said) -> Vec<T>) -> Vec<T> {
        if let Ok(open) = self.open.try_lock() {
            open.iter().for_each(|(number, source)| self.note(*number, &**source));
        }
        let parts = self.parts.iter().enumerate();
        parts.flat_map(|(number, part)| take(number, &part.said())).collect()
    }
}

impl Part {
    fn of(name: String, source: &dyn FrameSource, start: Option<f64>) -> Self {
        let count = source.frame_count();
        let rate = source.timing().frames_per_second;
        let last = count.checked_sub(1).filter(|last| *last > 0);
        let mean = last.and_then(|last| Some(source.time(last)? / last as f64));
        let step = mean.or(rate.map(|rate| 1.0 / rate)).filter(|step| {
            (0..count).all(|index| {
                let differs = |time: f64| (time - index as f64 * step).abs() > SAME_TIME;
                !source.time(index).is_some_and(differs)
            })
        });
        Self { name, count: count.into(), start, step, said: Mutex::default() }
    }

    /// Returns the time at which the part ends. Its last frame is assumed to last as long as the
    /// average frame.
    fn end(&self, source: &dyn FrameSource) -> Option<f64> {
        let count = self.count();
        let last = source.time(count.checked_sub(1)?)?;
        let rate = source.timing().frames_per_second.map(|rate| 1.0 / rate);
        let frame = if count > 1 { Some(last / (count - 1) as f64) } else { rate };
        Some(self.start? + last + self.step.or(frame)?)
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Combines the details of two parts of one recording.
fn both(a: VideoDetails, b: VideoDetails) -> VideoDetails {
    let mut groups = a.groups;
    let frames = a.groups.mean * a.groups.number as f64 + b.groups.mean * b.groups.number as f64;
    groups.number += b.groups.number;
    groups.shortest = groups.shortest.min(b.groups.shortest);
    groups.longest = groups.longest.max(b.groups.longest);
    groups.mean = frames / groups.number.max(1) as f64;
    let sum = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
    VideoDetails {
        claimed_frames: a.claimed_frames.zip(b.claimed_frames).map(|(a, b)| a.saturating_add(b)),
        duration_seconds: sum(a.duration_seconds, b.duration_seconds),
        variable_frame_rate: a.variable_frame_rate.zip(b.variable_frame_rate).map(|(a, b)| a || b),
        groups,
        index: match (a.index, b.index) {
            (IndexKind::Counted, _) | (_, IndexKind::Counted) => IndexKind::Counted,
            (IndexKind::Decoded, _) | (_, IndexKind::Decoded) => IndexKind::Decoded,
            (index, _) => index,
        },
        index_from_cache: a.index_from_cache && b.index_from_cache,
        ..a
    }
}

/// Replaces the frame index in a part's error by the index in the whole recording.
fn renumbered(error: FrameError, first: usize) -> FrameError {
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

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into())
}

fn nothing() -> FrameError {
    FrameError::Empty { what: "a recording in several files".into() }
}

impl FrameSource for JoinedFrames {
    fn frame_count(&self) -> usize {
        self.parts.iter().map(Part::count).sum()
    }

    fn size(&self) -> FrameSize {
        self.size
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        self.read(index, |source, index| source.frame(index))
    }

    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        self.read(index, |source, index| source.scaled(index, scale))
    }

    fn scales_from_frames(&self, mode: ResizeMode) -> bool {
        self.scales_from_frames.contains(&mode)
    }

    fn timing(&self) -> Timing {
        self.timing
    }

    fn time(&self, index: usize) -> Option<f64> {
        let (number, first) = self.part_of(index).ok()?;
        let part = self.parts.get(number)?;
        let start = part.start?;
        let in_part = match part.step {
            Some(step) => Some((index - first) as f64 * step),
            None => self.with(number, |source| source.time(index - first)).ok()?,
        };
        Some(start + in_part?)
    }

    fn describe(&self) -> String {
        let first = self.parts.first().map_or("", |part| &part.name);
        match self.parts.len() {
            0 | 1 => first.to_owned(),
            2 => format!("{first} and 1 more file"),
            count => format!("{first} and {} more files", count - 1),
        }
    }

    fn decode_stats(&self) -> DecodeStats {
        let mut stats = *self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, source) in self.lock().iter() {
            let more = source.decode_stats();
            stats.frames_decoded += more.frames_decoded;
            stats.restarts += more.restarts;
        }
        stats
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        warnings.extend(self.said(|_, said| said.warnings.clone()));
        warnings
    }

    fn damaged_frames(&self) -> Vec<usize> {
        self.said(|number, said| {
            let first = self.first_of(number);
            said.damaged.iter().map(|frame| first + frame).collect()
        })
    }

    fn flaws(&self) -> Flaws {
        let all = self.said(|number, said| vec![(number, said.flaws.clone())]);
        let missing = all.iter().filter_map(|(number, flaws)| {
            let why = flaws.missing_frames.as_ref()?;
            Some(format!("{}: {why}", self.parts.get(*number)?.name))
        });
        let missing: Vec<String> = missing.collect();
        let size_change = all.iter().find_map(|(number, flaws)| {
            Some(renumbered(flaws.size_change.clone()?, self.first_of(*number)))
        });
        Flaws { missing_frames: (!missing.is_empty()).then(|| missing.join("; ")), size_change }
    }

    fn memory(&self) -> SourceMemory {
        let open = self.lock();
        open.iter().map(|(_, source)| source.memory()).fold(SourceMemory::default(), |sum, more| {
            SourceMemory {
                bytes_held: sum.bytes_held + more.bytes_held,
                peak_bytes: sum.peak_bytes + more.peak_bytes,
            }
        })
    }

    fn release_memory(&self) {
        if let Ok(open) = self.open.try_lock() {
            open.iter().for_each(|(_, source)| source.release_memory());
        }
    }

    fn video_details(&self) -> Option<VideoDetails> {
        self.details.clone()
    }
}

impl std::fmt::Debug for JoinedFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinedFrames")
            .field("parts", &self.parts.len())
            .field("size", &self.size)
            .field("frames", &self.frame_count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryFrames;

    /// Three frames of one pixel, shown after 0, 1 and 4 tenths of a second.
    struct Uneven(MemoryFrames, u8);

    impl FrameSource for Uneven {
        fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
            self.0.frame(index)
        }
        fn frame_count(&self) -> usize {
            self.0.frame_count()
        }
        fn size(&self) -> FrameSize {
            self.0.size()
        }
        fn timing(&self) -> Timing {
            Timing::from_rate(5.0)
        }
        fn time(&self, index: usize) -> Option<f64> {
            [0.0, 0.1, 0.4].get(index).copied()
        }
        fn describe(&self) -> String {
            format!("part {}", self.1)
        }
        fn flaws(&self) -> Flaws {
            let missing = (self.1 == 4).then(|| "it was cut".to_owned());
            Flaws { missing_frames: missing, size_change: None }
        }
        fn damaged_frames(&self) -> Vec<usize> {
            if self.1 == 1 { vec![2] } else { Vec::new() }
        }
    }

    fn joined(sizes: &[u32]) -> Result<(JoinedFrames, Arc<AtomicUsize>), FrameError> {
        let opened = Arc::new(AtomicUsize::new(0));
        let (counter, widths) = (Arc::clone(&opened), sizes.to_vec());
        let names = (0..sizes.len()).map(|number| format!("{number}.avi")).collect();
        let source = JoinedFrames::new(
            names,
            Box::new(move |number, _| {
                counter.fetch_add(1, Ordering::Relaxed);
                let gray = |index: u8| {
                    let value = number as u8 * 3 + index;
                    RgbFrame::new(widths[number], 1, vec![value; widths[number] as usize * 3])
                };
                let frames = (0..3).map(gray).collect::<Result<Vec<_>, _>>()?;
                Ok(Box::new(Uneven(MemoryFrames::new(frames)?, number as u8)))
            }),
        )?;
        Ok((source, opened))
    }

    #[test]
    fn frames_and_times_count_through() {
        let (source, opened) = joined(&[1; 5]).unwrap();
        assert_eq!((source.frame_count(), opened.load(Ordering::Relaxed)), (15, 5));
        let in_order: Vec<usize> = (0..15).chain((0..15).rev()).chain([7, 0, 14, 7]).collect();
        for index in in_order {
            assert_eq!(source.frame(index).unwrap().data()[0], index as u8);
        }
        // A part lasts 0.4 seconds plus its mean step, 0.2 seconds.
        let times = [0.0, 0.1, 0.4, 0.6, 0.7, 1.0, 1.2];
        for (index, expected) in times.into_iter().enumerate() {
            assert!((source.time(index).unwrap() - expected).abs() < 1e-9, "{index}");
        }
        assert_eq!(source.timing().frames_per_second, Some(5.0));
        assert!(source.frame(15).is_err() && source.time(15).is_none());
        assert_eq!(source.describe(), "0.avi and 4 more files");
        assert_eq!(source.damaged_frames(), [5]);
        assert_eq!(source.flaws().missing_frames.as_deref(), Some("4.avi: it was cut"));
    }

    #[test]
    fn few_parts_are_open_at_a_time() {
        let (source, opened) = joined(&[1; 5]).unwrap();
        let before = opened.load(Ordering::Relaxed);
        (0..15).for_each(|index| drop(source.frame(index).unwrap()));
        assert_eq!(opened.load(Ordering::Relaxed) - before, 5);
        assert_eq!(source.lock().len(), MOST_OPEN);
    }

    #[test]
    fn parts_of_another_size_are_refused_by_name() {
        let error = joined(&[1, 1, 2]).unwrap_err().to_string();
        assert!(
            error.contains("2.avi") && error.contains("2x1") && error.contains("0.avi"),
            "{error}"
        );
        assert!(joined(&[]).is_err());
    }
}
