//! What is known about a recording, for people and for scripts.

use std::path::Path;

use serde::Serialize;

use crate::error::FrameError;
use crate::frame::FrameSize;
use crate::source::FrameSource;

/// What is known about a recording.
///
/// It can be serialised; the names of the fields are part of this crate's interface.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProbeReport {
    /// The source's short name.
    pub source: String,
    /// `video`, `folder`, `file` (of images), or `frames` for a source without a path.
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
    /// Whether left and right change places after the rotation. The frames come mirrored.
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
/// With `verify`, every frame is decoded, so that damage inside the file is found too; without, only what opening needs.
///
/// # Errors
/// Those of [`open`](crate::open). Damaged frames are no error: they are in the report.
pub fn probe(path: impl AsRef<Path>, verify: bool) -> Result<ProbeReport, FrameError> {
    let path = path.as_ref();
    let source = crate::open(path)?;
    let mut report = probe_source(&source, verify);
    if report.video.is_none() {
        report.kind = if path.is_dir() { "folder" } else { "file" }.to_owned();
    }
    Ok(report)
}

/// What is known about an open source; see [`probe`].
pub fn probe_source(source: &dyn FrameSource, verify: bool) -> ProbeReport {
    let mut damaged = Vec::new();
    let mut issues = Vec::new();
    if verify {
        // A video that is found damaged renumbers its frames once, and then has fewer or more.
        let mut index = 0;
        while index < source.frame_count() {
            if let Err(error) = source.frame(index) {
                damaged.push(index);
                // One by one, thousands of messages would hide the others; the numbers are in the list.
                if damaged.len() == 1 {
                    issues.push(error.to_string());
                }
            }
            index += 1;
        }
    }
    damaged.extend(source.damaged_frames());
    damaged.sort_unstable();
    damaged.dedup();
    let video = source.video_details();
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
        issues,
    }
}
