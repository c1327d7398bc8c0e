//! What is known about a recording as a video.

use std::fmt;

use serde::Serialize;

use crate::size::FrameSize;

/// Report about a video.
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
    /// Clockwise rotation for display in degrees: 0, 90, 180 or 270. The frames are returned
    /// rotated.
    pub rotation_degrees: u16,
    /// True if the file asks for left and right to be swapped after the rotation. As in OpenCV, the
    /// frames are returned without this mirroring.
    pub mirrored: bool,
    /// FFmpeg's name of the colour matrix; `unknown` if the file does not say.
    pub colour_matrix: String,
    /// `tv` (limited), `pc` (full), or `unknown` if the file does not say.
    pub colour_range: String,
    /// Number of frames that the container claims, which may be wrong.
    pub claimed_frames: Option<usize>,
    /// Duration in seconds, from the time stamps or, without them, from the frame rate.
    pub duration_seconds: Option<f64>,
    /// True if the frames are unevenly spaced in time by more than rounding; `None` without time
    /// stamps.
    pub variable_frame_rate: Option<bool>,
    /// The groups of pictures: runs of frames, each of which can be decoded from one key frame
    /// onwards.
    pub groups: GroupLengths,
    /// How the frames are numbered.
    pub index: IndexKind,
    /// True if the numbering was read from a cache of an earlier run.
    pub index_from_cache: bool,
    /// The video streams of the file, in the file's order, without cover pictures.
    pub streams: Vec<VideoStream>,
}

/// One of the video streams of a file, as the container describes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VideoStream {
    /// Its number among the video streams, counted from 0, as
    /// [`VideoOptions::stream`](crate::VideoOptions::stream) takes it.
    pub number: usize,
    /// Its number among all streams, as `ffprobe` counts them.
    pub index: usize,
    /// FFmpeg's name of the codec.
    pub codec: String,
    /// Size of the frames in pixels as stored, before rotation; 0x0 if the container does not say.
    pub size: FrameSize,
    /// Number of frames that the container claims, which may be wrong.
    pub claimed_frames: Option<usize>,
    /// Duration in seconds that the container claims, which may be wrong.
    pub duration_seconds: Option<f64>,
    /// True if the frames are read from this stream.
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

/// Number and lengths of the groups of pictures of a video.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GroupLengths {
    /// Number of groups.
    pub number: usize,
    /// Number of frames in the shortest group.
    pub shortest: usize,
    /// Mean number of frames per group.
    pub mean: f64,
    /// Number of frames in the longest group.
    pub longest: usize,
}

/// How the frames of a video are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum IndexKind {
    /// By the time stamps of the packets.
    TimeStamps,
    /// By decoding the whole file once.
    Decoded,
    /// By decoding the whole file once and counting from the start on every read, since the decoder
    /// does not say which packet a frame comes from.
    Counted,
}
