//! Video files, frame by frame and exactly.
//!
//! How it works, from the bottom up: `demux` reads packets; `index` says which packet holds which frame and from which
//! key frame it can be decoded; `feed` supplies packets from memory or by seeking; `decode` turns them into numbered
//! frames; `window` keeps some of them; `lane` makes those for reading in reverse, in the background; `reader` puts these
//! together and finds a way out when the file is not what its time stamps say; `convert` makes RGB of a decoded frame, of
//! its own size or scaled, and `upright` turns it before that.
//! `glance` only looks whether a file opens. `handover` notes what a decoder is handed once (with `parameter_sets` and `coded_size`, which look into packets) and
//! hands it on wherever decoding begins. `index_cache` keeps the index for the next time, `claims`, `completeness`,
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
use crate::frame::{FrameSize, RgbFrame};
use crate::intensity::{Intensity, Levels};
use crate::picture::Picture;
use crate::probe::{GroupLengths, IndexKind, VideoDetails};
use crate::resize::{ResizeMode, Scale};
use crate::source::{DecodeStats, Flaws, FrameSource, ScaledFrame, SourceMemory, Timing};
use build::{Counted, Scan};
use convert::Converter;
use decode::Decoder;
use demux::{Demuxer, Facts};
use feed::{Feed, FileFeed};
pub(crate) use glance::check_video;
use index::Index;
#[cfg(fuzzing)]
pub use index::check_index;
pub use index_cache::IndexCacheMode;
use index_cache::{IndexCache, Kept};
pub use libraries::{LibraryVersion, ffmpeg_libraries, video_decoders};
use notes::Notes;
use reader::{Reader, ReaderOptions};
pub(crate) use scaler::{Scaler, ScalerInput};

/// How the frames of a video are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum IndexMode {
    /// From the packets' time stamps, which takes about a hundredth of a decode; by decoding the whole file if these are
    /// in doubt or turn out to be wrong.
    #[default]
    Auto,
    /// Always by decoding the whole file when it is opened. Then the count can never change later, even for a file with
    /// damage that does not show from outside.
    Decode,
}

/// Settings of [`VideoFrames`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoOptions {
    /// Threads of each decoder; 0 chooses: one for pictures smaller than 640x480, else one more than there are cores, at
    /// most four. Default 0.
    pub threads: usize,
    /// How frames are numbered. Default [`IndexMode::Auto`].
    pub index: IndexMode,
    /// Memory in bytes for decoded frames, so that reading in reverse need not decode a whole group of pictures per
    /// frame. With room for a whole group, each frame is decoded once; with room for 0.7 of one, 1.3 times. Default
    /// 256 MiB, which is 0.8 of a group of 250 frames of 900x896. Reading frames scaled by [`ResizeMode::Decord`] keeps the
    /// last few besides, in half as many bytes at the most.
    pub reverse_bytes: u64,
    /// Files whose compressed video is at most this many bytes are kept in memory, which saves all seeking; 0 never.
    /// Default 32 MiB.
    pub packet_bytes: u64,
    /// Where to keep the index for the next time. Default [`IndexCacheMode::Off`].
    pub index_cache: IndexCacheMode,
    /// Which video stream to read, counted from 0 among the file's video streams as `V:N` of the `ffmpeg` program counts
    /// them: without sound, and without cover pictures. Default `None`: the first that can be decoded, which is what
    /// OpenCV (and so DeepLabCut and SLEAP) reads, with a warning if there are several.
    pub stream: Option<usize>,
}

impl Default for VideoOptions {
    fn default() -> Self {
        Self {
            threads: 0,
            index: IndexMode::Auto,
            reverse_bytes: 256 << 20,
            packet_bytes: 32 << 20,
            index_cache: IndexCacheMode::Off,
            stream: None,
        }
    }
}

/// The frames of a video file, through FFmpeg.
///
/// **Exact:** `frame(i)` is the `i`-th frame of a plain decode from start to end, in whatever order frames are read:
/// variable frame rates, edit lists, open groups of pictures, missing time stamps and wrong header counts do not shift
/// it. So frame numbers agree with those of `cv2.VideoCapture.read` and of `ffmpeg -vsync passthrough`.
///
/// **Pixels** are those of `ffmpeg -pix_fmt rgb24`: the stream's colour matrix and range are respected, deeper samples
/// of luma and chroma are brought to 8 bits, alpha is dropped.
///
/// Gray and RGB video of more than 8 bits a sample (`gray10` to `gray16`, `rgb48`, `gbrp16`, ...) is what scientific cameras
/// write, often with a few bits of the range in use. Its samples become 8-bit ones as those of TIFF and PNG files do, by
/// [`Intensity`] ([`VideoFrames::with_intensity`]); with [`Intensity::Full`], they are again those of `ffmpeg`.
///
/// **Rotation:** the display rotation of the file is applied, as OpenCV applies it. A few files ask for a mirrored picture
/// too. OpenCV does not mirror, so the tracks of DeepLabCut and SLEAP are of pictures that are not, and these frames are
/// the same; a warning says so, since players show something else.
///
/// Scaled frames are made of these, except with [`ResizeMode::Decord`]: then they are those of `ffmpeg -vf scale=W:H:flags=bilinear -pix_fmt rgb24`, which
/// scales the decoder's YUV, as decord does in the official code's path for MP4 files.
///
/// **Cost:** opening reads the file once without decoding. Reading forward decodes each frame once. A jump decodes from
/// the nearest key frame on. Reading in reverse keeps decoded frames within [`VideoOptions::reverse_bytes`], so that the
/// average cost stays at one to a few decodes per frame; a thread of its own, started by the second step back, decodes
/// the frames to come. Two sessions that read forward at different places, and one in reverse, do not disturb each other.
///
/// **Damaged files** yield the frames that can be decoded. Damage inside a packet does not show when the file is opened;
/// once it shows, the file is decoded from start to end, the frames after the damage are renumbered and a warning is
/// given. Use [`IndexMode::Decode`] to have that over with when opening, which is the better choice when frames will be
/// read in reverse: there, the damage shows only after frames with the old numbers have been served. Parts of a picture
/// that are damaged are the decoder's guess, announced by a warning; only there, and in the frames up to the next key
/// frame, pixels can depend on what was read before.
///
/// **Times** are those of the frames' own time stamps, counted from the first frame, if every frame has one and they rise;
/// otherwise the frame's number divided by the mean rate. AVI says when frames are decoded, not when they are shown: with frames
/// that are not shown in the order of decoding, and at a variable rate, their times cannot be known, and a warning says so.
///
/// Not handled: more than one video stream at a time, frames whose size changes in mid-stream (an error for those frames;
/// where headers tell it, [`FrameSource::flaws`] names the first one from the start), non-square pixels (frames come as stored), files that are still being written.
pub struct VideoFrames {
    path: PathBuf,
    size: FrameSize,
    facts: Facts,
    timing: Timing,
    /// What the first frame was before it became RGB.
    picture: ScalerInput,
    /// Whether the index was kept from an earlier time.
    is_cached: bool,
    /// For gray and RGB samples of more than 8 bits, unless FFmpeg is to bring them to 8.
    levels: Option<Levels>,
    notes: Arc<Notes>,
    reader: Mutex<Reader>,
}

impl VideoFrames {
    /// Opens a video file with the default options.
    ///
    /// # Errors
    /// [`FrameError::NotFound`], [`FrameError::IsDirectory`], [`FrameError::Io`], [`FrameError::NotAVideo`],
    /// [`FrameError::NoVideoStream`], [`FrameError::NoSuchStream`], [`FrameError::NoFrames`], or
    /// [`FrameError::Unsupported`] for a codec that this FFmpeg lacks.
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
        // The first frame tells the true size: a header can lie about that too.
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

    /// Brings samples of more than 8 bits, gray or RGB, to 8 bits in another way than [`Intensity::Auto`]. For all other
    /// video it changes nothing; see [`MappedFrames`](crate::MappedFrames) for that.
    #[must_use]
    pub fn with_intensity(mut self, intensity: Intensity) -> Self {
        let is_deep = ffi::deep_channels(self.picture.format).is_some();
        let is_mapped = is_deep && intensity != Intensity::Full;
        self.levels = is_mapped.then(|| Levels::new(intensity));
        self
    }

    /// Returns whether samples are mapped by [`VideoFrames::with_intensity`].
    pub(crate) fn maps_samples(&self) -> bool {
        self.levels.is_some()
    }

    /// The number of frames that the container claims, true or not; `None` if it says nothing. For the true number see
    /// [`FrameSource::frame_count`].
    pub fn claimed_frame_count(&self) -> Option<usize> {
        self.facts.claimed_frames
    }

    /// The file.
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

    /// Frame `index` before its samples are brought to 8 bits.
    fn samples(&self, index: usize) -> Result<Picture, FrameError> {
        let picture = self.lock().samples(index)?;
        self.check_size(index, picture.size)?;
        Ok(picture)
    }

    /// A panic in the reader cannot leave it in a state that serves wrong frames: it would only decode again.
    fn lock(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the mean rate: the container's, unless the time stamps say something else. AVI counts chunks, empty ones too.
fn timing(facts: &Facts, index: &Index) -> Timing {
    /// Shares by which rates differ that mean the same.
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

/// Says which stream was taken of several, and what a mirrored picture looks like.
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

/// Notes the first frame of another size, where headers let suspect one.
fn look_for_other_sizes(path: &Path, reader: &mut Reader, expected: FrameSize, notes: &Notes) {
    /// Each costs up to a group of pictures.
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
        // A frame that cannot be decoded is the reader's matter.
        if let Ok(found) = reader.size_of(number)
            && found != expected
        {
            let path = path.to_owned();
            notes.changes_size(FrameError::SizeChanged { path, index: number, expected, found });
            return;
        }
    }
}

/// The index of a file by reading all of it, and the feed that goes with it.
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
            // Streams that begin between key frames have errors at their beginning for a good reason.
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

/// Whether the frames' times, in units of `time_base` seconds, are more unequal than rounding makes them.
fn is_variable(times: &[i64], time_base: f64) -> Option<bool> {
    /// Time stamps in milliseconds, as in Matroska, make steps that differ by one.
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
            // The last frame is shown for as long as the others are on average.
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
