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
//! `transport_stream` and `program_stream` find out whether the file was cut off. `notes` holds
//! what opening and reading found out, and `summary` what the index says about the whole.

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
mod summary;
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
use crate::source::{FrameSource, ScaledFrame};
use crate::source_info::{SourceInfo, Timing};
use crate::video_details::VideoDetails;
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
use summary::IndexSummary;

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
/// error for those frames; if headers reveal the change, [`SourceInfo::flaws`] names the first
/// such frame from the start), non-square pixels (frames are returned as stored), files that are
/// still being written.
pub struct VideoFrames {
    path: PathBuf,
    facts: Facts,
    /// The facts that reading does not change.
    fixed: SourceInfo,
    /// Size, format and colours of the first frame before conversion to RGB.
    picture: ScalerInput,
    /// True if the index was read from a cache of an earlier run.
    is_cached: bool,
    /// For gray and RGB samples of more than 8 bits, unless FFmpeg converts them to 8 bits.
    levels: Option<Levels>,
    /// The report about the video, and what it was made from.
    details: Mutex<Option<(IndexSummary, Arc<VideoDetails>)>>,
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
        let demuxer = Demuxer::open(&path, options.stream)?;
        let facts = demuxer.facts();
        let notes = Arc::new(Notes::new(facts.time_base));
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
        let fixed = SourceInfo::of_path(&path, notes.frame_count(), size)
            .with_timing(timing(&facts, reader.index()));
        let video = Self {
            path,
            facts,
            fixed,
            picture,
            is_cached,
            levels: None,
            details: Mutex::default(),
            notes,
            reader: Mutex::new(reader),
        };
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
        // Samples of more than 8 bits have no colours before their range is known.
        let own: &[ResizeMode] = if is_mapped { &[] } else { &[ResizeMode::Decord] };
        self.fixed = self.fixed.with_own_scaling(own);
        self
    }

    /// Returns true if samples are mapped by [`VideoFrames::with_intensity`].
    pub(crate) fn maps_samples(&self) -> bool {
        self.levels.is_some()
    }

    /// Returns the number of frames that the container claims, which may be wrong; `None` if the
    /// container does not say. For the true number see [`SourceInfo::frame_count`].
    pub fn claimed_frame_count(&self) -> Option<usize> {
        self.facts.claimed_frames
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn check_size(&self, index: usize, found: FrameSize) -> Result<(), FrameError> {
        let expected = self.fixed.size;
        if found == expected {
            return Ok(());
        }
        let path = self.path.clone();
        Err(FrameError::SizeChanged { path, index, expected, found })
    }

    /// Returns frame `index` before its samples are converted to 8 bits.
    fn samples(&self, index: usize) -> Result<Picture, FrameError> {
        let picture = self.lock().samples(index)?;
        self.check_size(index, picture.size)?;
        Ok(picture)
    }

    /// Returns the report about the video, which is made anew only after the index has changed.
    fn details(&self, summary: IndexSummary) -> Arc<VideoDetails> {
        let mut held = self.details.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some((of, details)) if *of == summary => Arc::clone(details),
            _ => {
                let timing = self.fixed.timing;
                let details =
                    Arc::new(summary.details(&self.facts, &self.picture, timing, self.is_cached));
                *held = Some((summary, Arc::clone(&details)));
                details
            }
        }
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

impl FrameSource for VideoFrames {
    fn info(&self) -> SourceInfo {
        let (info, summary) = self.notes.added_to(self.fixed.clone());
        let info = match &self.levels {
            Some(levels) => info.with_more_warnings(levels.warnings()).with_levels(levels.range()),
            None => info,
        };
        match summary {
            Some(summary) => info.with_video(self.details(summary)),
            None => info,
        }
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        if let Some(levels) = &self.levels {
            let picture = self.samples(index)?;
            let count = self.notes.frame_count();
            return levels.render(picture, count, |index| self.samples(index)).map(Arc::new);
        }
        let frame = self.lock().frame(index)?;
        self.check_size(index, frame.size())?;
        Ok(frame)
    }

    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        if self.fixed.scales_from_frames(scale.mode) {
            return ScaledFrame::of(self.frame(index)?, scale);
        }
        let (scaled, size) = self.lock().scaled(index, scale.output())?;
        self.check_size(index, size)?;
        Ok(ScaledFrame { scaled, frame: None })
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
}

impl std::fmt::Debug for VideoFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoFrames")
            .field("path", &self.path)
            .field("size", &self.fixed.size)
            .field("frames", &self.notes.frame_count())
            .finish_non_exhaustive()
    }
}
