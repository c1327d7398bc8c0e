//! The linked FFmpeg: versions and decoders.

use std::fmt;

use video_rs::ffmpeg as ff;

use ff::codec::Id;

/// Version of one of FFmpeg's libraries, as loaded; it can differ from the version at build time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LibraryVersion {
    /// Name of the library, such as `libavcodec`.
    pub name: &'static str,
    /// Major, minor and micro version.
    pub version: (u32, u32, u32),
}

impl fmt::Display for LibraryVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, micro) = self.version;
        write!(f, "{} {major}.{minor}.{micro}", self.name)
    }
}

/// Codecs that occur in recordings, by FFmpeg's names.
const CODECS: [(&str, Id); 11] = [
    ("h264", Id::H264),
    ("hevc", Id::HEVC),
    ("mjpeg", Id::MJPEG),
    ("mpeg4", Id::MPEG4),
    ("ffv1", Id::FFV1),
    ("rawvideo", Id::RAWVIDEO),
    ("huffyuv", Id::HUFFYUV),
    ("png", Id::PNG),
    ("vp9", Id::VP9),
    ("av1", Id::AV1),
    ("prores", Id::PRORES),
];

/// Returns the libraries that read videos.
pub fn ffmpeg_libraries() -> Vec<LibraryVersion> {
    let library = |name, version: u32| LibraryVersion {
        name,
        version: (version >> 16, (version >> 8) & 0xff, version & 0xff),
    };
    vec![
        library("libavcodec", ff::codec::version()),
        library("libavformat", ff::format::version()),
        library("libavutil", ff::util::version()),
        library("libswscale", ff::software::scaling::version()),
    ]
}

/// Returns the codecs that occur in recordings, each with whether this FFmpeg has a decoder for it.
pub fn video_decoders() -> Vec<(&'static str, bool)> {
    CODECS.iter().map(|&(name, id)| (name, ff::decoder::find(id).is_some())).collect()
}
