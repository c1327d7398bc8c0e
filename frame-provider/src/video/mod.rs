//! Video files, frame by frame and exactly.
//!
//! The modules, from the bottom up: `demux` reads packets. `index` says which packet holds which
//! frame, and from which key frame the frame can be decoded. `feed` supplies packets from memory or
//! by seeking, and `decode` turns them into numbered frames. `window` keeps some of these; `lane`
//! makes those for reading in reverse, in the background. `reader` puts these parts together and
//! finds another way if the file contradicts its time stamps. `convert` makes an RGB frame of a
//! decoded one, at its own size or scaled; `upright` turns it before that. `glance` only checks
//! whether a file opens. `handover` records what a decoder receives only once (with
//! `parameter_sets` and `coded_size`, which parse packets) and passes it on wherever decoding
//! begins. `index_cache` stores the index for the next time. `claims`, `completeness`, `endings`,
//! `transport_stream` and `program_stream` find out whether the file was cut off.

mod build;
mod claims;
mod coded_size;
mod completeness;
mod convert;
mod decode;
mod demux;
mod endings;
mod feed;
mod ffi;
mod glance;
mod handover;
mod index;
mod index_cache;
mod lane;
#[cfg(test)]
mod lane_tests;
mod libraries;
mod notes;
mod orientation;
mod parameter_sets;
mod program_stream;
mod reader;
mod scaler;
mod sync {
    pub(super) use crate::sync::*;
}
mod transport_stream;
mod upright;
mod window;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::intensity::{Intensity, Levels};
use crate::picture::Picture;
use crate::resize::{ResizeMode, Scale};
use crate::size::FrameSize;
use crate::source::{DecodeStats, Flaws, FrameSource, ScaledFrame, SourceMemory, Timing};
use crate::video_details::{GroupLengths, IndexKind, VideoDetails};
use crate::video_options::{IndexMode, VideoOptions};
use build::{Counted, Scan};
use convert::Converter;
use decode::Decoder;
use demux::{Demuxer, Facts};
use feed::{Feed, FileFeed};
pub(crate) use glance::check_video;
use index::Index;
#[cfg(fuzzing)]
pub use index::check_index;
use index_cache::{IndexCache, Kept};
pub use libraries::{LibraryVersion, ffmpeg_libraries, video_decoders};
use notes::Notes;
use reader::{Reader, ReaderOptions};
pub(crate) use scaler::{Scaler, ScalerInput};

/// The frames of a video file, read through FFmpeg.
///
/// **Exact:** `frame(i)` is the `i`-th frame of a plain decode from start to end, in whatever order
/// frames are read. Variable frame rates, edit lists, open groups of pictures, missing time stamps
/// and wrong header counts do not shift it. So frame indices agree with those of
/// `cv2.VideoCapture.read` and of `ffmpeg -vsync passthrough`.
///
/// **Pixels** are those of `ffmpeg -pix_fmt rgb24`: the stream's colour matrix and range are
/// respected, luma and chroma of more than 8 bits are converted to 8 bits, alpha is dropped.
///
/// Scientific cameras write gray and RGB video of more than 8 bits a sample (`gray10` to `gray16`,
/// `rgb48`, `gbrp16`, ...), often using only a few bits of the range. Such samples become 8-bit
/// samples in the same way as those of TIFF and PNG files, by [`Intensity`]
/// ([`VideoFrames::with_intensity`]). With [`Intensity::Full`], they are again those of `ffmpeg`.
///
/// **Rotation:** the display rotation of the file is applied, as in OpenCV. A few files ask for a
/// mirrored picture too. OpenCV does not mirror, so the tracks of DeepLabCut and SLEAP refer to
/// unmirrored pictures. These frames are not mirrored either; a warning says so, since players show
/// the mirrored picture.
///
/// Scaled frames are made from these frames, except with [`ResizeMode::Decord`]: then they are
/// those of `ffmpeg -vf scale=W:H:flags=bilinear -pix_fmt rgb24`, which scales the decoder's YUV,
/// as decord does in the official code's path for MP4 files.
///
/// **Cost:** opening reads the file once without decoding. Reading forward decodes each frame once.
/// A jump decodes onwards from the nearest key frame. Reading in reverse keeps decoded frames
/// within [`VideoOptions::reverse_bytes`], so that the average cost stays at one to a few decodes
/// per frame. The second step back starts a separate thread that decodes the coming frames. Two
/// sessions that read forward at different places, and one in reverse, do not disturb each other.
///
/// **Damaged files** yield the frames that can be decoded. Opening does not reveal damage inside a
/// packet. Once the damage is found, the file is decoded from start to end, the frames after the
/// damage are renumbered and a warning is given. With [`IndexMode::Decode`] this happens when
/// opening. That is the better choice when frames will be read in reverse: otherwise the damage is
/// found only after frames with the old indices have been served. The decoder guesses the damaged
/// parts of a picture, and a warning reports this. Only there, and in the frames up to the next key
/// frame, pixels can depend on what was read before.
///
/// **Times** are the frames' own time stamps, counted from the first frame, if every frame has one
/// and they rise; otherwise the frame index divided by the mean rate. AVI stores when frames are
/// decoded, not when they are shown. If frames are not shown in the order of decoding and the frame
/// rate is variable, their times cannot be known, and a warning says so.
///
/// Not supported: more than one video stream at a time, frames whose size changes in mid-stream (an
/// error for those frames; if headers reveal the change, [`FrameSource::flaws`] names the first
/// such frame from the start), non-square pixels (frames are returned as stored), files that are
/// still being written.
pub struct VideoFrames {
    path: PathBuf,
    size: FrameSize,
    facts: Facts,
    timing: Timing,
    /// Size, format and colours of the first frame before conversion to RGB.
    picture: ScalerInput,
    /// True if the index was read from a cache of an earlier run.
    is_cached: bool,
    /// For gray and RGB samples of more than 8 bits, unless FFmpeg converts them to 8 bits.
    levels: Option<Levels>,
    notes: Arc<Notes>,
    reader: Mutex<Reader>,
}

impl VideoFrames {
    /// Opens a video file with the default options.
    ///
    /// # Errors
    /// [`FrameError::NotFound`], [`FrameError::IsDirectory`], [`FrameError::Io`],
    /// [`FrameError::NotAVideo`], [`FrameError::NoVideoStream`], [`FrameError::NoSuchStream`],
    /// [`FrameError::NoFrames`], or [`FrameError::Unsupported`] for a codec that this FFmpeg lacks.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FrameError> {
        Self::open_with(path, VideoOptions::default())
    }

    /// Opens a video file.
    ///
    /// # Errors
    /// Those of [`VideoFrames::open`].
    pub fn open_with(path: impl AsRef<Path>, options: VideoOptions) -> Result<Self, FrameError> {
        let path = path.as_ref().to_owned();
        let notes = Arc::new(Notes::default());
        let demuxer = Demuxer::open(&path, options.stream)?;
        let facts = demuxer.facts();
        let decoder = demuxer.open_decoder(options.threads, 0)?;
        let cache = IndexCache::of(&path, options.stream, &options.index_cache);
        let kept = cache.as_ref().and_then(IndexCache::load);
        let kept = kept.filter(|kept| options.index == IndexMode::Auto || kept.index.is_decoded());
        let is_cached = kept.is_some();
        let (index, feed) = match kept {
            Some(Kept { index, warnings, missing_frames }) => {
                warnings.into_iter().for_each(|warning| notes.warn(warning));
                missing_frames.into_iter().for_each(|missing| notes.misses_frames(missing));
                (index, Feed::File(Box::new(FileFeed::new(demuxer))))
            }
            None => make_index(&path, demuxer, &facts, &options, &notes)?,
        };
        if index.frame_count() == 0 {
            return Err(FrameError::NoFrames { path });
        }
        if let Some(cache) = cache.as_ref().filter(|_| !is_cached) {
            cache.store(&index, &notes.warnings(), notes.flaws().missing_frames);
        }
        let decoder = Decoder::new(decoder, feed, options.threads);
        let converter = Converter::new(facts.orientation);
        let reader_options =
            ReaderOptions { threads: options.threads, budget: options.reverse_bytes, cache };
        let mut reader = Reader::new(
            path.clone(),
            index,
            decoder,
            converter,
            reader_options,
            Arc::clone(&notes),
        );
        // The first frame gives the true size: the size in a header can be wrong too.
        let _ = reader.picture(0);
        reader.check_order();
        let first = reader
            .picture(0)
            .and_then(|picture| Ok((reader.frame(0)?.size(), ScalerInput::of(&picture.frame))));
        let (size, picture) = match first {
            Ok(first) => first,
            Err(FrameError::IndexOutOfRange { .. }) => return Err(FrameError::NoFrames { path }),
            Err(error) => return Err(error),
        };
        warn_of_choices(&path, &facts, options.stream, &notes);
        if reader.index().times_of_decoding_only().is_some() {
            notes.warn(format!(
                "{}: the times of its frames cannot be known: the file only says when they are decoded, at a variable rate and in \
                 another order than they are shown; times are the frames' numbers divided by the mean rate. True times have to come \
                 from the program that recorded it",
                path.display()
            ));
        }
        look_for_other_sizes(&path, &mut reader, size, &notes);
        let timing = timing(&facts, reader.index());
        let reader = Mutex::new(reader);
        let levels = None;
        let video = Self { path, size, facts, timing, picture, is_cached, levels, notes, reader };
        Ok(video.with_intensity(Intensity::default()))
    }

    /// Converts gray or RGB samples of more than 8 bits to 8 bits in another way than
    /// [`Intensity::Auto`]. This has no effect on other videos; see
    /// [`MappedFrames`](crate::MappedFrames) for those.
    #[must_use]
    pub fn with_intensity(mut self, intensity: Intensity) -> Self {
        let is_deep = ffi::deep_channels(self.picture.format).is_some();
        let is_mapped = is_deep && intensity != Intensity::Full;
        self.levels = is_mapped.then(|| Levels::new(intensity));
        self
    }

    /// Returns true if samples are mapped by [`VideoFrames::with_intensity`].
    pub(crate) fn maps_samples(&self) -> bool {
        self.levels.is_some()
    }

    /// Returns the number of frames that the container claims, which may be wrong; `None` if the
    /// container does not say. For the true number see [`FrameSource::frame_count`].
    pub fn claimed_frame_count(&self) -> Option<usize> {
        self.facts.claimed_frames
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn check_size(&self, index: usize, found: FrameSize) -> Result<(), FrameError> {
        if found == self.size {
            return Ok(());
        }
        let (path, expected) = (self.path.clone(), self.size);
        Err(FrameError::SizeChanged { path, index, expected, found })
    }

    /// Returns frame `index` before its samples are converted to 8 bits.
    fn samples(&self, index: usize) -> Result<Picture, FrameError> {
        let picture = self.lock().samples(index)?;
        self.check_size(index, picture.size)?;
        Ok(picture)
    }

    /// Locks the reader. A panic in the reader cannot leave it in a state that serves wrong frames:
    /// it would only decode again.
    fn lock(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the mean rate: the container's, unless the time stamps contradict it. AVI counts chunks,
/// including empty ones.
fn timing(facts: &Facts, index: &Index) -> Timing {
    /// Tolerated relative difference between rates that count as the same.
    const TOLERATED: f64 = 0.1;
    let stamped = index.times().or_else(|| index.times_of_decoding_only()).and_then(|times| {
        let ticks = times.last()?.checked_sub(*times.first()?)?;
        Timing::from_rate((times.len() - 1) as f64 / (ticks as f64 * facts.time_base))
            .frames_per_second
    });
    match (facts.timing.frames_per_second, stamped) {
        (Some(said), Some(stamped)) if (said / stamped - 1.0).abs() <= TOLERATED => facts.timing,
        (_, Some(stamped)) => Timing::from_rate(stamped),
        (_, None) => facts.timing,
    }
}

/// Warns which of several streams was chosen, and how a mirrored picture is shown.
fn warn_of_choices(path: &Path, facts: &Facts, stream: Option<usize>, notes: &Notes) {
    let path = path.display();
    if let [first, _, ..] = &facts.video_streams[..]
        && stream.is_none()
    {
        let read = facts.video_streams.iter().find(|stream| stream.is_read).unwrap_or(first);
        notes.warn(format!(
            "{path}: has {} video streams ({}); stream {} is read, as OpenCV, DeepLabCut and SLEAP do; choose another with \
             --stream N",
            facts.video_streams.len(),
            demux::listed(&facts.video_streams),
            read.number
        ));
    }
    if let (degrees, true) = facts.orientation.degrees() {
        let turned = match degrees {
            0 => "as stored".to_owned(),
            degrees => format!("turned by {degrees} degrees"),
        };
        notes.warn(format!(
            "{path}: asks to be shown mirrored; it is shown {turned}, not mirrored, as OpenCV, DeepLabCut and SLEAP do; players \
             (VLC, QuickTime) and the ffmpeg program mirror it, so coordinates from there do not fit"
        ));
    }
}

/// Records the first frame of another size, if headers suggest that there is one.
fn look_for_other_sizes(path: &Path, reader: &mut Reader, expected: FrameSize, notes: &Notes) {
    /// Largest number of frames to examine. Each costs up to a group of pictures.
    const MOST_SUSPECTS: usize = 16;
    let index = reader.index();
    if index.is_counted() {
        return;
    }
    let mut suspects: Vec<_> = index
        .handovers()
        .may_change_size()
        .filter_map(|ordinal| index.first_frame_from(ordinal))
        .collect();
    suspects.dedup();
    for number in suspects.into_iter().take(MOST_SUSPECTS) {
        // The reader handles frames that cannot be decoded.
        if let Ok(found) = reader.size_of(number)
            && found != expected
        {
            let path = path.to_owned();
            notes.changes_size(FrameError::SizeChanged { path, index: number, expected, found });
            return;
        }
    }
}

/// Makes the index of a file by reading all of it, and the matching feed.
fn make_index(
    path: &Path,
    mut demuxer: Demuxer,
    facts: &Facts,
    options: &VideoOptions,
    notes: &Notes,
) -> Result<(Index, Feed), FrameError> {
    let scan = build::scan(&mut demuxer, options.packet_bytes);
    if scan.packets.is_empty() {
        return Err(FrameError::NoFrames { path: path.to_owned() });
    }
    if let Some(lost) = claims::truncation(path, facts, &scan, || demuxer.packets_without_edits()) {
        notes.warn(lost.warning(path));
        if lost.is_certain {
            notes.misses_frames(lost.what);
        }
    }
    let Scan { packets, kept, read_errors, handovers, .. } = scan;
    let index = match (options.index, index::doubt(&packets, read_errors)) {
        (IndexMode::Auto, None) => Index::from_time_stamps(packets).with_handovers(handovers),
        (_, doubt) => {
            let is_in_doubt = doubt.is_some();
            if let Some(doubt) = doubt {
                notes.warn(format!(
                    "{}: the file is decoded once to number its frames, since its time stamps are in doubt ({doubt})",
                    path.display()
                ));
            }
            let Counted { index, errors } = build::decode_all(demuxer.reopen()?, options.threads)?;
            let promised = packets.iter().filter(|p| !p.discard && p.size > 0).count();
            // Streams that begin between key frames have errors at their beginning for a good
            // reason.
            let is_damaged =
                !is_in_doubt || read_errors > 0 || packets.iter().any(|packet| packet.corrupt);
            if is_damaged && errors > 0 && index.frame_count() < promised {
                let found = index.frame_count();
                let missing = format!("it has {found} frames that can be decoded, not {promised}");
                notes.warn(format!("{}: the file is damaged: {missing}", path.display()));
                notes.misses_frames(missing);
            }
            notes.frames_decoded.fetch_add(index.frame_count() as u64, Ordering::Relaxed);
            index
        }
    };
    let feed = match kept {
        Some(packets) => Feed::Memory { packets: packets.into(), demuxer },
        None => Feed::File(Box::new(FileFeed::new(demuxer.reopen()?))),
    };
    Ok((index, feed))
}

/// Returns true if the frames' times, in units of `time_base` seconds, are less evenly spaced than
/// rounding explains.
fn is_variable(times: &[i64], time_base: f64) -> Option<bool> {
    /// Time stamps in milliseconds, as in Matroska, give steps that differ by one millisecond.
    const ROUNDING_SECONDS: f64 = 0.002;
    let steps = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let (shortest, longest) = (steps.clone().min()?, steps.max()?);
    Some(longest.saturating_sub(shortest) as f64 * time_base > ROUNDING_SECONDS)
}

impl FrameSource for VideoFrames {
    fn frame_count(&self) -> usize {
        self.notes.frame_count.load(Ordering::Relaxed)
    }

    fn size(&self) -> FrameSize {
        self.size
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        if let Some(levels) = &self.levels {
            let picture = self.samples(index)?;
            let count = self.frame_count();
            return levels.render(picture, count, |index| self.samples(index)).map(Arc::new);
        }
        let frame = self.lock().frame(index)?;
        self.check_size(index, frame.size())?;
        Ok(frame)
    }

    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        if self.scales_from_frames(scale.mode) {
            return ScaledFrame::of(self.frame(index)?, scale);
        }
        let (scaled, size) = self.lock().scaled(index, scale.output())?;
        self.check_size(index, size)?;
        Ok(ScaledFrame { scaled, frame: None })
    }

    fn scales_from_frames(&self, mode: ResizeMode) -> bool {
        // Samples of more than 8 bits have no colours before their range is known.
        mode != ResizeMode::Decord || self.levels.is_some()
    }

    fn timing(&self) -> Timing {
        self.timing
    }

    fn time(&self, index: usize) -> Option<f64> {
        let stamped = self.notes.time_of(index);
        let by_rate = || Some(index as f64 / self.timing.frames_per_second?);
        stamped.map(|ticks| ticks as f64 * self.facts.time_base).or_else(by_rate)
    }

    fn describe(&self) -> String {
        self.path
            .file_name()
            .map_or_else(|| self.path.display().to_string(), |name| name.to_string_lossy().into())
    }

    fn decode_stats(&self) -> DecodeStats {
        self.notes.decode_stats()
    }

    fn warnings(&self) -> Vec<String> {
        let levels = self.levels.as_ref().map(Levels::warnings).unwrap_or_default();
        self.notes.warnings().into_iter().chain(levels).collect()
    }

    fn flaws(&self) -> Flaws {
        self.notes.flaws()
    }

    fn damaged_frames(&self) -> Vec<usize> {
        self.notes.damaged_frames()
    }

    fn memory(&self) -> SourceMemory {
        self.notes.memory()
    }

    fn release_memory(&self) {
        match self.reader.try_lock() {
            Ok(mut reader) => reader.release(),
            Err(TryLockError::Poisoned(reader)) => reader.into_inner().release(),
            Err(TryLockError::WouldBlock) => {
                self.notes.release_wanted.store(true, Ordering::Relaxed);
            }
        }
    }

    fn video_details(&self) -> Option<VideoDetails> {
        let reader = self.lock();
        let index = reader.index();
        let (groups, longest) = (index.segment_lengths().count(), index.segment_lengths().max());
        let times = index.times().or_else(|| index.times_of_decoding_only());
        let times = times.filter(|times| times.len() > 1);
        let rate = self.timing.frames_per_second;
        let count = index.frame_count() as f64;
        let span = times.as_ref().and_then(|times| {
            let ticks = times.iter().max()?.checked_sub(*times.iter().min()?)? as f64;
            // The last frame is assumed to last as long as the average frame.
            Some(ticks * self.facts.time_base * count / (count - 1.0))
        });
        let (matrix, range) = self.picture.colour.names();
        let (rotation_degrees, mirrored) = self.facts.orientation.degrees();
        Some(VideoDetails {
            container: self.facts.format.clone(),
            codec: self.facts.codec.clone(),
            pixel_format: self
                .picture
                .format
                .descriptor()
                .map_or("unknown", |descriptor| descriptor.name())
                .to_owned(),
            stored_size: FrameSize { width: self.picture.width, height: self.picture.height },
            rotation_degrees,
            mirrored,
            colour_matrix: matrix.to_owned(),
            colour_range: range.to_owned(),
            claimed_frames: self.facts.claimed_frames,
            duration_seconds: span.or(rate.map(|rate| count / rate)),
            variable_frame_rate: times.and_then(|times| is_variable(&times, self.facts.time_base)),
            groups: GroupLengths {
                number: groups,
                shortest: index.segment_lengths().min().unwrap_or(0),
                mean: count / groups.max(1) as f64,
                longest: longest.unwrap_or(0),
            },
            index: match (index.is_counted(), index.is_decoded()) {
                (true, _) => IndexKind::Counted,
                (false, true) => IndexKind::Decoded,
                (false, false) => IndexKind::TimeStamps,
            },
            index_from_cache: self.is_cached,
            streams: self.facts.video_streams.clone(),
        })
    }
}

impl std::fmt::Debug for VideoFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoFrames")
            .field("path", &self.path)
            .field("size", &self.size)
            .field("frames", &self.frame_count())
            .finish_non_exhaustive()
    }
}
