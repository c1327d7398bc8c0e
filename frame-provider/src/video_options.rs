//! How a video is read.

use std::path::PathBuf;

/// How the frames of a video are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum IndexMode {
    /// From the time stamps of the packets, which takes about a hundredth of a decode. If the time
    /// stamps are in doubt or turn out to be wrong, by decoding the whole file.
    #[default]
    Auto,
    /// Always by decoding the whole file when it is opened. Then the count can never change later,
    /// even for a file with damage that is not visible without decoding.
    Decode,
}

/// Settings of [`VideoFrames`](crate::VideoFrames).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoOptions {
    /// Number of threads of each decoder. With 0, the picture size decides: one thread for pictures
    /// smaller than 640x480, otherwise one more than there are cores, at most four. Default 0.
    pub threads: usize,
    /// How frames are numbered. Default [`IndexMode::Auto`].
    pub index: IndexMode,
    /// Memory in bytes for decoded frames, so that reading in reverse need not decode a whole group
    /// of pictures per frame. With room for a whole group, each frame is decoded once; with room
    /// for 0.7 of a group, 1.3 times. Default 256 MiB, which is 0.8 of a group of 250 frames of
    /// 900x896. Reading frames scaled by [`ResizeMode::Decord`](crate::resize::ResizeMode::Decord) keeps the last few frames in
    /// addition, in at most half as many bytes.
    pub reverse_bytes: u64,
    /// Files whose compressed video has at most this many bytes are kept in memory, which avoids
    /// all seeking; 0 never keeps them. Default 32 MiB.
    pub packet_bytes: u64,
    /// Where to store the index for the next time. Default [`IndexCacheMode::Off`].
    pub index_cache: IndexCacheMode,
    /// Which video stream to read, counted from 0 among the file's video streams in the same way as
    /// `V:N` of the `ffmpeg` program: without sound and without cover pictures. Default `None`: the
    /// first that can be decoded, with a warning if there are several. OpenCV (and so DeepLabCut
    /// and SLEAP) reads the same one.
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

/// Where the index of a video is stored between runs, so that opening the video again needs no pass
/// over the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum IndexCacheMode {
    /// The index is not stored.
    #[default]
    Off,
    /// Next to the video, as `NAME.frameindex`.
    Beside,
    /// In this folder, which is created if needed. Recordings of the same name do not conflict.
    Folder(PathBuf),
}
