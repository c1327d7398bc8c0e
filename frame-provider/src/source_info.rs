//! What is known about a clip of frames.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::error::FrameError;
use crate::frame_times::FrameTimes;
use crate::resize::ResizeMode;
use crate::size::FrameSize;
use crate::video_details::VideoDetails;

/// What is known about a [`FrameSource`](crate::FrameSource) at one moment.
///
/// It is a snapshot: later reads do not change it. Take it once for facts that stay, and again for
/// facts that reading can change: the frame count and the times (once at most, see
/// [`frame_count`](SourceInfo::frame_count)), the decoding statistics, the warnings, the flaws, the
/// damaged frames and the memory. Lists are shared, so a clone is cheap for a clip of any length.
///
/// ```
/// use sam2_frame_provider::{FrameSize, SourceInfo, Timing};
/// let info = SourceInfo::new(3, FrameSize { width: 640, height: 480 })
///     .with_description("arena 2")
///     .with_timing(Timing::from_rate(25.0));
/// assert_eq!((info.frame_count, info.time(2)), (3, Some(0.08)));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SourceInfo {
    /// The true number of frames: the number that a decode from start to end yields, not the number
    /// that a header claims.
    ///
    /// It can shrink or grow once, with a warning, if a [`VideoFrames`](crate::VideoFrames) finds
    /// out while reading that the file is damaged. The frames after the damage then have other
    /// indices and times.
    pub frame_count: usize,
    /// The size of every frame in pixels, after rotation.
    pub size: FrameSize,
    /// What is known about the times of the frames as a whole. See [`SourceInfo::time`] for the
    /// time of each frame.
    pub timing: Timing,
    /// A short name for messages, such as the file name. `frames` if the source gives none.
    pub description: Arc<str>,
    /// How much decoding has been done so far. Zero for sources that do not decode.
    pub decode_stats: DecodeStats,
    /// What the user should know about this source: one sentence each, in the order of discovery.
    /// Reading frames can add more.
    pub warnings: Arc<[String]>,
    /// The flaws of the recording as a whole that are known so far. Reading frames can reveal more.
    pub flaws: Flaws,
    /// The indices of the frames found damaged so far, ascending: frames that could not be decoded,
    /// and frames in which the decoder had to guess a part of the picture. Frames that have not
    /// been read yet are not included.
    pub damaged_frames: Arc<[usize]>,
    /// The stored values that become black and white, for samples of more than 8 bits that are mapped alike in all
    /// frames. Known once a frame has been read.
    pub levels: Option<[f64; 2]>,
    /// The memory that the source itself holds to make later reads cheap, such as decoded frames
    /// for reading in reverse. [`FrameSource::release_memory`](crate::FrameSource::release_memory)
    /// frees it.
    pub memory: SourceMemory,
    /// What is known about the recording as a video; `None` for every other kind of source.
    pub video: Option<Arc<VideoDetails>>,
    times: FrameTimes,
    names: FrameNames,
    own_scaling: Arc<[ResizeMode]>,
}

/// Names of the frames' files; empty if they have none.
#[derive(Debug, Clone, Default)]
struct FrameNames {
    all: Arc<[String]>,
    /// The place in `all` of frame 0.
    first: usize,
}

impl SourceInfo {
    /// Returns facts about `frame_count` frames of `size` of which nothing else is known.
    pub fn new(frame_count: usize, size: FrameSize) -> Self {
        Self {
            frame_count,
            size,
            timing: Timing::default(),
            description: "frames".into(),
            decode_stats: DecodeStats::default(),
            warnings: Arc::default(),
            flaws: Flaws::default(),
            damaged_frames: Arc::default(),
            levels: None,
            memory: SourceMemory::default(),
            video: None,
            times: FrameTimes::default(),
            names: FrameNames::default(),
            own_scaling: Arc::default(),
        }
    }

    /// Returns facts like [`SourceInfo::new`], described by the name of the file or folder at
    /// `path`.
    pub(crate) fn of_path(path: &Path, frame_count: usize, size: FrameSize) -> Self {
        let whole = || path.display().to_string();
        let name = path.file_name().map_or_else(whole, |name| name.to_string_lossy().into());
        Self::new(frame_count, size).with_description(name)
    }

    /// Returns the time at which frame `index` is shown, in seconds from the start of the
    /// recording; `None` if unknown.
    ///
    /// This is the frame's own time, where the source knows it, as for videos with time stamps.
    /// Otherwise it is `index` divided by the mean rate.
    pub fn time(&self, index: usize) -> Option<f64> {
        self.times.at(index, self.timing.frames_per_second)
    }

    /// Returns the file name, without folder, of the image that frame `index` is read from; `None`
    /// where frames are not image files of their own, and past the end.
    ///
    /// Prompts that name an image are matched to their frame by this name, and outputs with one
    /// file per frame are named after it.
    pub fn frame_name(&self, index: usize) -> Option<&str> {
        let place = self.names.first.checked_add(index)?;
        self.names.all.get(place).map(String::as_str)
    }

    /// Returns true if [`FrameSource::scaled`](crate::FrameSource::scaled) gives the same result in
    /// this mode as [`resize()`](crate::resize::resize()) of the frame. A frame that is already
    /// decoded then need not be decoded again.
    pub fn scales_from_frames(&self, mode: ResizeMode) -> bool {
        !self.own_scaling.contains(&mode)
    }

    /// Returns the same facts with this frame count.
    #[must_use]
    pub fn with_frame_count(mut self, frame_count: usize) -> Self {
        self.frame_count = frame_count;
        self
    }

    /// Returns the same facts with this frame size.
    #[must_use]
    pub fn with_size(mut self, size: FrameSize) -> Self {
        self.size = size;
        self
    }

    /// Returns the same facts with this timing of the clip as a whole.
    #[must_use]
    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Returns the same facts with these times, one per frame, in seconds from the start of the
    /// recording. Frames without one have the time that follows from the mean rate.
    ///
    /// Keep the `Arc` in the source: a list that is made anew for each call costs as much as the
    /// clip is long.
    #[must_use]
    pub fn with_times(self, seconds: impl Into<Arc<[f64]>>) -> Self {
        self.with_frame_times(FrameTimes::each(seconds.into()))
    }

    /// Returns the same facts with the times of the frames in any form.
    #[must_use]
    pub(crate) fn with_frame_times(mut self, times: FrameTimes) -> Self {
        self.times = times;
        self
    }

    /// Returns the times of the frames.
    #[cfg(feature = "video")]
    pub(crate) fn frame_times(&self) -> &FrameTimes {
        &self.times
    }

    /// Returns the same facts with these file names, without folders, one per frame. Keep the `Arc`
    /// in the source, as for [`with_times`](SourceInfo::with_times).
    #[must_use]
    pub fn with_frame_names(mut self, names: impl Into<Arc<[String]>>) -> Self {
        self.names = FrameNames { all: names.into(), first: 0 };
        self
    }

    /// Returns the same facts with this short name for messages.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<Arc<str>>) -> Self {
        self.description = description.into();
        self
    }

    /// Returns the same facts with the modes in which the source scales by itself, with another
    /// result than scaling its frames gives. Default: none.
    #[must_use]
    pub fn with_own_scaling(mut self, modes: impl Into<Arc<[ResizeMode]>>) -> Self {
        self.own_scaling = modes.into();
        self
    }

    /// Returns the same facts with these statistics.
    #[must_use]
    pub fn with_decode_stats(mut self, stats: DecodeStats) -> Self {
        self.decode_stats = stats;
        self
    }

    /// Returns the same facts with these warnings instead of the present ones.
    #[must_use]
    pub fn with_warnings(mut self, warnings: impl Into<Arc<[String]>>) -> Self {
        self.warnings = warnings.into();
        self
    }

    /// Returns the same facts with further warnings after the present ones.
    #[must_use]
    pub fn with_more_warnings(mut self, more: impl IntoIterator<Item = String>) -> Self {
        let mut more = more.into_iter().peekable();
        if more.peek().is_some() {
            self.warnings = self.warnings.iter().cloned().chain(more).collect();
        }
        self
    }

    /// Returns the same facts with these flaws.
    #[must_use]
    pub fn with_flaws(mut self, flaws: Flaws) -> Self {
        self.flaws = flaws;
        self
    }

    /// Returns the same facts with these damaged frames: their indices, ascending, each once.
    #[must_use]
    pub fn with_damaged_frames(mut self, indices: impl Into<Arc<[usize]>>) -> Self {
        self.damaged_frames = indices.into();
        self
    }

    /// Returns the same facts with these stored values for black and white.
    #[must_use]
    pub fn with_levels(mut self, levels: Option<[f64; 2]>) -> Self {
        self.levels = levels;
        self
    }

    /// Returns the same facts with this memory.
    #[must_use]
    pub fn with_memory(mut self, memory: SourceMemory) -> Self {
        self.memory = memory;
        self
    }

    /// Returns the same facts with these details of a video.
    #[must_use]
    pub fn with_video(mut self, details: impl Into<Arc<VideoDetails>>) -> Self {
        self.video = Some(details.into());
        self
    }

    /// Returns the facts of frames `range` as a clip of its own, numbered from 0: their number,
    /// times and names. All other facts stay those of the whole clip, the indices of damaged frames
    /// among them.
    #[must_use]
    pub fn part(mut self, range: Range<usize>) -> Self {
        self.frame_count = range.len();
        self.times.skip(range.start);
        self.names.first = self.names.first.saturating_add(range.start);
        self
    }
}

/// Flaws of a recording as a whole; see [`SourceInfo::flaws`]. None by default.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Flaws {
    /// Reason, in words for the user, why frames are missing that the recording promises or that
    /// its packets should give. Counts that are wrong for harmless reasons, such as an edit list,
    /// are not flaws.
    pub missing_frames: Option<String>,
    /// The first frame known to differ in size from frame 0, as the error that reading it gives.
    pub size_change: Option<FrameError>,
}

/// Bytes that a source holds in addition to the frames it has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceMemory {
    /// Bytes held now.
    pub bytes_held: u64,
    /// Largest number of bytes held at any time.
    pub peak_bytes: u64,
}

/// Times of a clip's frames, as far as they are known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timing {
    /// Mean frames per second, finite and above 0; `None` if unknown, as for a folder of images.
    /// With a variable frame rate, frame `i` is not shown at `i / frames_per_second`.
    pub frames_per_second: Option<f64>,
}

impl Timing {
    /// Returns timing with this mean rate. A rate that is not finite and above 0 counts as unknown.
    pub fn from_rate(frames_per_second: f64) -> Self {
        let sound = frames_per_second.is_finite() && frames_per_second > 0.0;
        Self { frames_per_second: sound.then_some(frames_per_second) }
    }
}

/// How much decoding a source has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeStats {
    /// Frames that a decoder put out, including unwanted ones. In sequential reading this equals
    /// the number of frames read.
    pub frames_decoded: u64,
    /// Number of times that decoding restarted at a key frame (a seek).
    pub restarts: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(count: usize) -> SourceInfo {
        SourceInfo::new(count, FrameSize { width: 2, height: 1 })
    }

    #[test]
    fn odd_rates_count_as_unknown() {
        assert_eq!(Timing::from_rate(29.97).frames_per_second, Some(29.97));
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Timing::from_rate(rate), Timing::default());
        }
    }

    #[test]
    fn times_are_the_frames_own_or_follow_from_the_rate() {
        assert_eq!(info(3).time(1), None);
        let steady = info(3).with_timing(Timing::from_rate(4.0));
        assert_eq!((steady.time(1), steady.time(8)), (Some(0.25), Some(2.0)));
        let own = steady.with_times([0.0, 0.1]);
        assert_eq!([0, 1, 2].map(|frame| own.time(frame)), [Some(0.0), Some(0.1), Some(0.5)]);
    }

    #[test]
    fn a_part_has_its_own_count_times_and_names() {
        let names: Vec<String> = (0..4).map(|number| format!("{number}.png")).collect();
        let whole = info(4)
            .with_timing(Timing::from_rate(2.0))
            .with_frame_names(names)
            .with_damaged_frames([3]);
        let part = whole.clone().part(1..4);
        assert_eq!(
            (part.frame_count, part.time(0), part.frame_name(0)),
            (3, Some(0.5), Some("1.png"))
        );
        let last = part.part(2..3);
        assert_eq!(
            (last.frame_count, last.time(0), last.frame_name(0)),
            (1, Some(1.5), Some("3.png"))
        );
        assert_eq!(last.frame_name(1), None);
        assert_eq!(*last.damaged_frames, [3]);
        assert_eq!(whole.with_times([0.0, 0.1, 0.4, 0.5]).part(2..4).time(1), Some(0.5));
    }

    #[test]
    fn warnings_are_added_in_order_and_shared_if_there_is_none_to_add() {
        let first = info(1).with_warnings(["a".to_owned()]);
        let same = first.clone().with_more_warnings([]);
        assert!(Arc::ptr_eq(&first.warnings, &same.warnings));
        let more = first.with_more_warnings(["b".to_owned()]);
        assert_eq!(*more.warnings, ["a", "b"]);
    }

    #[test]
    fn frames_are_scaled_as_the_source_says() {
        let own = info(1).with_own_scaling([ResizeMode::Decord]);
        assert!(!own.scales_from_frames(ResizeMode::Decord));
        assert!(own.scales_from_frames(ResizeMode::PillowBicubic));
        assert!(ResizeMode::ALL.into_iter().all(|mode| info(1).scales_from_frames(mode)));
    }
}
