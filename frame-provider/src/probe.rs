//! What is known about a recording, for people and for scripts.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

use serde::Serialize;

use crate::error::FrameError;
use crate::frame::{FrameSize, RgbFrame};
use crate::source::FrameSource;

/// What is known about a recording.
///
/// It can be serialised; the names of the fields are part of this crate's interface.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProbeReport {
    /// The source's short name.
    pub source: String,
    /// `video`, `folder` (also part of one, by a pattern), `file` (of images), or `frames` for a source without a path.
    pub kind: String,
    /// The true number of frames.
    pub frames: usize,
    /// Size of the frames in pixels, after rotation.
    pub size: FrameSize,
    /// Mean frames per second, if known.
    pub frames_per_second: Option<f64>,
    /// What is known about a video beyond that.
    pub video: Option<VideoDetails>,
    /// Whether every frame was decoded for this report. If not, damage inside the file may have gone unnoticed.
    pub verified: bool,
    /// Frames found damaged, ascending: those that cannot be decoded, and those of whose picture a part is the decoder's
    /// guess. Packets of a video that give no frame at all are not numbered; they show as an issue.
    pub damaged_frames: Vec<usize>,
    /// Reason why frames are missing that the recording promises; `None` if none are. The warnings in `issues` say it too.
    pub missing_frames: Option<String>,
    /// What the user should know, one sentence each.
    pub issues: Vec<String>,
}

/// What is known about a video.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VideoDetails {
    /// FFmpeg's names of the container format, separated by commas.
    pub container: String,
    /// FFmpeg's name of the codec.
    pub codec: String,
    /// FFmpeg's name of the pixel format of the decoded frames.
    pub pixel_format: String,
    /// Size of the frames in pixels as stored, before rotation.
    pub stored_size: FrameSize,
    /// Clockwise rotation for display in degrees: 0, 90, 180 or 270. The frames come rotated.
    pub rotation_degrees: u16,
    /// Whether the file asks for left and right to change places after the rotation. The frames do not come mirrored, as
    /// those of OpenCV do not.
    pub mirrored: bool,
    /// FFmpeg's name of the colour matrix; `unknown` if the file does not say.
    pub colour_matrix: String,
    /// `tv` (limited), `pc` (full), or `unknown` if the file does not say.
    pub colour_range: String,
    /// The number of frames that the container claims, true or not.
    pub claimed_frames: Option<usize>,
    /// Duration in seconds, from the time stamps or, without them, from the frame rate.
    pub duration_seconds: Option<f64>,
    /// Whether the frames' times are unequal by more than rounding; `None` without time stamps.
    pub variable_frame_rate: Option<bool>,
    /// The groups of pictures: runs of frames that can each be decoded from one key frame on.
    pub groups: GroupLengths,
    /// How the frames are numbered.
    pub index: IndexKind,
    /// Whether the numbering was kept from an earlier time.
    pub index_from_cache: bool,
    /// The video streams of the file, in its order, without cover pictures.
    pub streams: Vec<VideoStream>,
}

/// One of the video streams of a file, as the container describes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VideoStream {
    /// Its number among the video streams, from 0: what [`VideoOptions::stream`](crate::VideoOptions::stream) takes.
    pub number: usize,
    /// Its number among all streams, as `ffprobe` counts them.
    pub index: usize,
    /// FFmpeg's name of the codec.
    pub codec: String,
    /// Size of the frames in pixels as stored, before rotation; 0x0 if the container does not say.
    pub size: FrameSize,
    /// Number of frames that the container claims, true or not.
    pub claimed_frames: Option<usize>,
    /// Duration in seconds that the container claims, true or not.
    pub duration_seconds: Option<f64>,
    /// Whether the frames come from this one.
    pub is_read: bool,
}

impl fmt::Display for VideoStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, {}", self.number, self.codec, self.size)?;
        match (self.claimed_frames, self.duration_seconds) {
            (Some(frames), _) => write!(f, ", {frames} frames"),
            (None, Some(seconds)) => write!(f, ", {seconds:.1} s"),
            (None, None) => Ok(()),
        }
    }
}

/// How many groups of pictures a video has, and how many frames are in one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GroupLengths {
    /// Number of groups.
    pub number: usize,
    /// Frames in the shortest.
    pub shortest: usize,
    /// Frames in a group on average.
    pub mean: f64,
    /// Frames in the longest.
    pub longest: usize,
}

/// How the frames of a video are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum IndexKind {
    /// By the packets' time stamps.
    TimeStamps,
    /// By decoding the whole file once.
    Decoded,
    /// By decoding the whole file, and each time by counting from the start, since frames do not tell their packets.
    Counted,
}

/// What is known about the recording at `path`, which is opened as [`open`](crate::open) does.
///
/// With `verify`, every frame is decoded, so that damage inside the file is found too, and some are read again from the
/// middle on, in reverse and in jumps, and must be the same; without, only what opening needs.
///
/// # Errors
/// Those of [`open`](crate::open). Damaged frames are no error: they are in the report.
pub fn probe(path: impl AsRef<Path>, verify: bool) -> Result<ProbeReport, FrameError> {
    let path = path.as_ref();
    let source = crate::open(path)?;
    let mut report = probe_source(&source, verify);
    if report.video.is_none() {
        // What is neither is a pattern of images in a folder.
        report.kind = if path.is_file() { "file" } else { "folder" }.to_owned();
    }
    Ok(report)
}

/// What is known about an open source; see [`probe`].
pub fn probe_source(source: &dyn FrameSource, verify: bool) -> ProbeReport {
    let mut damaged = Vec::new();
    let mut issues = Vec::new();
    if verify {
        let read = read_all(source, &mut damaged, &mut issues);
        read_again(source, &read, &mut damaged, &mut issues);
    }
    damaged.extend(source.damaged_frames());
    damaged.sort_unstable();
    damaged.dedup();
    let video = source.video_details();
    let flaws = source.flaws();
    if let Some(error) = flaws.size_change.map(|error| error.to_string())
        && !issues.contains(&error)
    {
        issues.insert(0, error);
    }
    issues.splice(0..0, source.warnings());
    ProbeReport {
        source: source.describe(),
        kind: if video.is_some() { "video" } else { "frames" }.to_owned(),
        frames: source.frame_count(),
        size: source.size(),
        frames_per_second: source.timing().frames_per_second,
        video,
        verified: verify,
        damaged_frames: damaged,
        missing_frames: flaws.missing_frames,
        issues,
    }
}

/// Reads every frame in order. Returns a fingerprint of each, 8 bytes a frame; `None` for those that cannot be read.
fn read_all(
    source: &dyn FrameSource,
    damaged: &mut Vec<usize>,
    issues: &mut Vec<String>,
) -> Vec<Option<u64>> {
    let mut read = Vec::new();
    // A video that is found damaged renumbers its frames once, and then has fewer or more.
    while read.len() < source.frame_count() {
        let index = read.len();
        match source.frame(index) {
            Ok(frame) => read.push(Some(fingerprint(&frame))),
            Err(error) => {
                read.push(None);
                damaged.push(index);
                // One by one, thousands of messages would hide the others; the numbers are in the list.
                if damaged.len() == 1 {
                    issues.push(error.to_string());
                }
            }
        }
    }
    read
}

/// Reads some frames again, from the middle on, in reverse from the end, and in jumps: whoever begins to read anywhere must
/// see the same. It costs as much as reading a few hundred frames, however long the recording is.
fn read_again(
    source: &dyn FrameSource,
    read: &[Option<u64>],
    damaged: &mut Vec<usize>,
    issues: &mut Vec<String>,
) {
    /// Frames in each stretch.
    const STRETCH: usize = 32;
    /// Each costs up to a group of pictures.
    const JUMPS: usize = 12;
    let count = read.len();
    if source.frame_count() != count {
        // It was numbered anew at the very end; the fingerprints are of other frames.
        return;
    }
    source.release_memory();
    let middle = count / 2;
    // A step that is prime to most counts, so that jumps go back and forth all over the recording.
    let jumps = (1..=JUMPS).map(|jump| jump * (count * 7 / 17 + 1) % count.max(1));
    let order = (middle..count.min(middle + STRETCH))
        .chain((count.saturating_sub(STRETCH)..count).rev())
        .chain(jumps.filter(|_| count > 0));
    let mut differing = BTreeSet::new();
    for index in order {
        let Some(Some(expected)) = read.get(index) else { continue };
        if source.frame(index).map(|frame| fingerprint(&frame)).ok() != Some(*expected) {
            differing.insert(index);
        }
    }
    if source.frame_count() == count
        && let Some(first) = differing.first()
    {
        issues.push(format!(
            "{}: {} of the frames that were read again are not the same when reading begins elsewhere, the first is frame \
             {first}; re-encode the recording with ffmpeg, and please report it",
            source.describe(),
            differing.len()
        ));
        damaged.extend(differing);
    }
}

/// Tells pictures apart; not for keeping.
fn fingerprint(frame: &RgbFrame) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(frame.data());
    hasher.finish()
}
