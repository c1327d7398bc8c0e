//! One recording in several files.

mod parts;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::resize::Scale;
use crate::source::{FrameSource, ScaledFrame};
use crate::source_info::{SourceInfo, Timing};
use crate::video::VideoFrames;
use crate::video_details::{IndexKind, VideoDetails};
use crate::video_options::{IndexMode, VideoOptions};
use parts::{Parts, renumbered};

/// Largest number of files open at the same time, each with a decoder and the frames it keeps for
/// reading in reverse.
const MOST_OPEN: usize = 2;

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
    /// What the parts have reported so far.
    parts: Mutex<Parts>,
    /// The facts that reading does not change.
    fixed: SourceInfo,
    opener: Opener,
    /// The open parts, most recently used first. Locked before `parts`, if both are.
    open: Mutex<Vec<(usize, Box<dyn FrameSource>)>>,
}

/// Opens part `number`. With `true`, its frames must be counted by decoding.
type Opener = Box<dyn Fn(usize, bool) -> Result<Box<dyn FrameSource>, FrameError> + Send + Sync>;

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
        let name = described(&names);
        let mut joined: Option<Self> = None;
        let mut opener = Some(opener);
        for (number, name_of_part) in names.into_iter().enumerate() {
            let open = joined.as_ref().map(|joined| &joined.opener).or(opener.as_ref());
            let source = open.ok_or_else(nothing)?(number, false)?;
            let info = source.info();
            let Some(joined) = &mut joined else {
                joined = Some(Self {
                    parts: Mutex::new(Parts::new(name_of_part, &info)),
                    fixed: info.with_description(name.as_str()),
                    opener: opener.take().ok_or_else(nothing)?,
                    open: Mutex::new(vec![(number, source)]),
                });
                continue;
            };
            let (size, expected) = (info.size, joined.fixed.size);
            if size != expected {
                let first = joined.parts().first_name();
                return Err(FrameError::Unsupported {
                    path: name_of_part.into(),
                    what: format!(
                        "its frames are {size}, those of {first} are {expected}; the files of one recording have one size: \
                         leave out the files of another one, or scale this one with ffmpeg (-vf scale={}:{})",
                        expected.width, expected.height
                    ),
                });
            }
            joined.add(name_of_part, number, source, &info);
        }
        joined.ok_or_else(nothing)
    }

    /// Adds a warning, and logs it.
    pub(crate) fn with_warning(self, warning: String) -> Self {
        tracing::warn!("{warning}");
        self.parts().warn(warning);
        self
    }

    /// Adds the next part.
    fn add(
        &mut self,
        name: String,
        number: usize,
        source: Box<dyn FrameSource>,
        info: &SourceInfo,
    ) {
        let (before, count) = (self.parts().frame_count() as f64, info.frame_count as f64);
        let (mine, its) = (self.fixed.timing.frames_per_second, info.timing.frames_per_second);
        self.fixed.timing = match (mine, its) {
            (Some(mine), Some(its)) if (mine / its - 1.0).abs() < SAME_RATE => self.fixed.timing,
            (Some(mine), Some(its)) => {
                let seconds = before / mine + count / its;
                Timing::from_rate((before + count) / seconds)
            }
            _ => Timing::default(),
        };
        let details = self.fixed.video.take().zip(info.video.as_deref());
        self.fixed.video = details.map(|(a, b)| Arc::new(both(&a, b)));
        self.parts().push(name, info);
        self.keep_open(number, source);
    }

    /// Puts a source first among the open ones, and closes one if too many are open.
    fn keep_open(&self, number: usize, source: Box<dyn FrameSource>) {
        let mut open = self.lock();
        open.insert(0, (number, source));
        while open.len() > MOST_OPEN {
            let Some((number, source)) = open.pop() else { break };
            let mut parts = self.parts();
            parts.note(number, &source.info());
            parts.close(number);
        }
    }

    /// Runs `read` on the part that holds frame `index`, with the frame's index in that part.
    fn read<T>(
        &self,
        index: usize,
        read: impl Fn(&dyn FrameSource, usize) -> Result<T, FrameError>,
    ) -> Result<T, FrameError> {
        let found = self.parts().part_of(index);
        let (number, first) = found.map_err(|count| FrameError::IndexOutOfRange {
            index,
            count,
            path: self.fixed.description.as_ref().into(),
        })?;
        self.with(number, |source| {
            let result = read(source, index - first).map_err(|error| renumbered(error, first));
            self.parts().note(number, &source.info());
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
            let recounted = self.parts().is_recounted(number);
            drop(open);
            let source = (self.opener)(number, recounted)?;
            self.keep_open(number, source);
            open = self.lock();
        }
        let source = open.iter().find(|(other, _)| *other == number).ok_or_else(nothing)?;
        Ok(work(&*source.1))
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(usize, Box<dyn FrameSource>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the name of a recording in files of these names.
fn described(names: &[String]) -> String {
    let first = names.first().map_or("", String::as_str);
    match names.len() {
        0 | 1 => first.to_owned(),
        2 => format!("{first} and 1 more file"),
        count => format!("{first} and {} more files", count - 1),
    }
}

/// Combines the details of two parts of one recording.
fn both(a: &VideoDetails, b: &VideoDetails) -> VideoDetails {
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
        ..a.clone()
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
    /// Returns the facts of all parts together. While a part is read by another thread, they are
    /// those from before that read.
    fn info(&self) -> SourceInfo {
        if let Ok(open) = self.open.try_lock() {
            open.iter().for_each(|(number, source)| self.parts().note(*number, &source.info()));
        }
        self.parts().added_to(&self.fixed)
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        self.read(index, |source, index| source.frame(index))
    }

    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        self.read(index, |source, index| source.scaled(index, scale))
    }

    fn release_memory(&self) {
        if let Ok(open) = self.open.try_lock() {
            open.iter().for_each(|(_, source)| source.release_memory());
        }
    }
}

impl std::fmt::Debug for JoinedFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinedFrames")
            .field("files", &self.fixed.description)
            .field("size", &self.fixed.size)
            .field("frames", &self.parts().frame_count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::memory::MemoryFrames;
    use crate::source_info::Flaws;

    /// Three frames of one pixel, shown after 0, 1 and 4 tenths of a second.
    struct Uneven(MemoryFrames, u8, Arc<[f64]>);

    impl FrameSource for Uneven {
        fn info(&self) -> SourceInfo {
            let missing = (self.1 == 4).then(|| "it was cut".to_owned());
            let damaged: &[usize] = if self.1 == 1 { &[2] } else { &[] };
            self.0
                .info()
                .with_timing(Timing::from_rate(5.0))
                .with_times(Arc::clone(&self.2))
                .with_flaws(Flaws { missing_frames: missing, size_change: None })
                .with_damaged_frames(damaged)
        }
        fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
            self.0.frame(index)
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
                let times = [0.0, 0.1, 0.4].into();
                Ok(Box::new(Uneven(MemoryFrames::new(frames)?, number as u8, times)))
            }),
        )?;
        Ok((source, opened))
    }

    #[test]
    fn frames_and_times_count_through() {
        let (source, opened) = joined(&[1; 5]).unwrap();
        assert_eq!((source.info().frame_count, opened.load(Ordering::Relaxed)), (15, 5));
        let in_order: Vec<usize> = (0..15).chain((0..15).rev()).chain([7, 0, 14, 7]).collect();
        for index in in_order {
            assert_eq!(source.frame(index).unwrap().data()[0], index as u8);
        }
        let info = source.info();
        // A part lasts 0.4 seconds plus its mean step, 0.2 seconds.
        let times = [0.0, 0.1, 0.4, 0.6, 0.7, 1.0, 1.2];
        for (index, expected) in times.into_iter().enumerate() {
            assert!((info.time(index).unwrap() - expected).abs() < 1e-9, "{index}");
        }
        assert_eq!(info.timing.frames_per_second, Some(5.0));
        assert!(source.frame(15).is_err() && info.time(15).is_none());
        assert_eq!(&*info.description, "0.avi and 4 more files");
        assert_eq!(*info.damaged_frames, [5]);
        assert_eq!(info.flaws.missing_frames.as_deref(), Some("4.avi: it was cut"));
        // What did not change is shared with the next snapshot.
        assert!(Arc::ptr_eq(&info.damaged_frames, &source.info().damaged_frames));
    }

    /// A source whose frames come after `go` is sent.
    struct Slow(MemoryFrames, mpsc::SyncSender<()>, Mutex<mpsc::Receiver<()>>);

    impl FrameSource for Slow {
        fn info(&self) -> SourceInfo {
            self.0.info()
        }
        fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
            self.1.send(()).unwrap();
            self.2.lock().unwrap().recv().unwrap();
            self.0.frame(index)
        }
    }

    #[test]
    fn facts_are_known_while_a_frame_is_read() {
        let (has_begun, begun) = mpsc::sync_channel(1);
        let (go, goes) = mpsc::sync_channel(1);
        let clip = MemoryFrames::new(vec![RgbFrame::new(1, 1, vec![7; 3]).unwrap()]).unwrap();
        let slow = Mutex::new(Some(Slow(clip, has_begun, Mutex::new(goes))));
        let opener =
            move |_, _| Ok(Box::new(slow.lock().unwrap().take().unwrap()) as Box<dyn FrameSource>);
        let source = JoinedFrames::new(vec!["0.avi".into()], Box::new(opener)).unwrap();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| source.frame(0).unwrap().data()[0]);
            begun.recv().unwrap();
            let info = source.info();
            assert_eq!((info.frame_count, &*info.description), (1, "0.avi"));
            source.release_memory();
            go.send(()).unwrap();
            assert_eq!(reader.join().unwrap(), 7);
        });
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
