//! Errors of this crate, one variant per cause.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::endings::has_image_ending;
use crate::endings::has_tiff_ending;
use crate::size::FrameSize;

/// The underlying error of a [`FrameError`], shared so that one failed decode can be reported to
/// every thread that waits for the frame.
pub type Cause = Arc<dyn Error + Send + Sync + 'static>;

/// An error from opening a source or reading one of its frames.
///
/// Each message is one line that names the file and, where there is one, the remedy. The cause, if
/// any, is the [`source`](Error::source). Errors are cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Nothing exists at the path.
    #[error("{}: no such file or folder; check the spelling and the working directory", path.display())]
    NotFound {
        /// The requested path.
        path: PathBuf,
    },

    /// A video file was expected, but the path is a folder.
    #[error("{}: is a folder, not a video file; open it as a folder of images", path.display())]
    IsDirectory {
        /// The folder.
        path: PathBuf,
    },

    /// A folder was expected, but the path is a file.
    #[error("{}: is a file, not a folder of images; open it as a video", path.display())]
    NotADirectory {
        /// The file.
        path: PathBuf,
    },

    /// The folder holds no file with an accepted ending.
    #[error("{}: no images in this folder; accepted endings are {accepted}", path.display())]
    NoImages {
        /// The folder.
        path: PathBuf,
        /// The accepted endings, for the message.
        accepted: String,
    },

    /// The file is empty, damaged beyond opening, or of another kind.
    #[error("{}: not a readable video ({reason}); check that the file is complete, or re-encode it", path.display())]
    NotAVideo {
        /// The file.
        path: PathBuf,
        /// The finding, in a few words.
        reason: String,
        /// The error from FFmpeg, if FFmpeg tried to open the file.
        #[source]
        source: Option<Cause>,
    },

    /// A TIFF file, or the index of a recording, that is empty, damaged from its start, or of
    /// another kind.
    #[error("{}: not a readable image ({reason}); check that the file is complete, or save it again", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// The finding, in a few words.
        reason: String,
        /// The error from the decoder, if the decoder tried to read the file.
        #[source]
        source: Option<Cause>,
    },

    /// The file is sound but holds only audio, subtitles or data.
    #[error("{}: has no video stream; it may be a sound recording", path.display())]
    NoVideoStream {
        /// The file.
        path: PathBuf,
    },

    /// The file has video streams, but none with the requested number.
    #[error(
        "{}: has no video stream {number}; it has {streams}; give --stream one of these numbers, or leave it out",
        path.display()
    )]
    NoSuchStream {
        /// The file.
        path: PathBuf,
        /// The requested stream number, counted from 0.
        number: usize,
        /// The existing streams, in words.
        streams: String,
    },

    /// The file has a video stream, but none of its frames can be decoded.
    #[error("{}: holds no frame that can be decoded; the file may be truncated", path.display())]
    NoFrames {
        /// The file.
        path: PathBuf,
    },

    /// The operating system refused to open or read the file.
    #[error("{}: cannot be read; check the permissions and the disk", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error from the operating system.
        #[source]
        source: Arc<io::Error>,
    },

    /// A frame that should exist could not be decoded.
    #[error("{}: frame {index} cannot be decoded; the file may be damaged here", path.display())]
    Decode {
        /// The video or image file.
        path: PathBuf,
        /// The frame index, counted from 0.
        index: usize,
        /// The error from the decoder.
        #[source]
        source: Cause,
    },

    /// The frame index is past the end.
    #[error("{}: frame {index} does not exist; the {count} frames are numbered from 0", path.display())]
    IndexOutOfRange {
        /// The requested frame index.
        index: usize,
        /// The number of frames.
        count: usize,
        /// The file or folder; for other sources, their description.
        path: PathBuf,
    },

    /// A frame differs in size from the first frame.
    #[error(
        "{}: frame {index} is {found} but the first frame is {expected}; {}",
        path.display(),
        one_size(path, *expected)
    )]
    SizeChanged {
        /// The file that holds the differing frame.
        path: PathBuf,
        /// The frame index, counted from 0.
        index: usize,
        /// The size of the first frame.
        expected: FrameSize,
        /// The size of this frame.
        found: FrameSize,
    },

    /// The file is sound but uses a feature that this crate does not support.
    #[error("{}: {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The feature, and the remedy.
        what: String,
    },

    /// The number of bytes does not match a frame of the given size.
    #[error("a {size} RGB frame needs {} bytes, not {length}", size.rgb_bytes())]
    WrongLength {
        /// The given size.
        size: FrameSize,
        /// The number of bytes received.
        length: usize,
    },

    /// An array that is not an RGB frame.
    #[error(
        "an array of shape {shape:?} is not an RGB frame; bring it to [height, width, 3], with sides below 2^32"
    )]
    WrongShape {
        /// The given shape.
        shape: [usize; 3],
    },

    /// A frame without pixels, or a clip without frames.
    #[error("{what} is empty; at least one frame of at least 1x1 pixels is needed")]
    Empty {
        /// Description of the empty item.
        what: String,
    },

    /// An error of a source that is defined outside this crate.
    #[error("{message}")]
    Other {
        /// The whole message, including the remedy.
        message: String,
        /// The cause, if any.
        #[source]
        source: Option<Cause>,
    },
}

/// Returns the remedy for frames of several sizes: the command that scales a video, or a request to
/// use one size.
fn one_size(path: &Path, size: FrameSize) -> String {
    if has_image_ending(path) || has_tiff_ending(path) {
        return "bring all frames to one size".to_owned();
    }
    let (name, FrameSize { width, height }) = (path.display(), size);
    let stem = path.with_extension("");
    format!(
        "bring all frames to one size, for example with: ffmpeg -i '{name}' -vf scale={width}:{height} -fps_mode passthrough \
         -crf 12 '{}-{width}x{height}.mp4'",
        stem.display()
    )
}

impl FrameError {
    /// Converts an error of the operating system into [`FrameError::NotFound`] or
    /// [`FrameError::Io`].
    pub(crate) fn from_io(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path: path.to_owned() },
            _ => Self::Io { path: path.to_owned(), source: Arc::new(source) },
        }
    }

    /// Prefixes the message of [`FrameError::Other`] with the file name. Other errors already name
    /// their file and stay as they are.
    pub(crate) fn about(self, path: &Path) -> Self {
        match self {
            Self::Other { message, source } => {
                Self::Other { message: format!("{}: {message}", path.display()), source }
            }
            other => other,
        }
    }

    /// Returns the error for a frame that could not be decoded, with its cause.
    pub(crate) fn decode(
        path: &Path,
        index: usize,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Decode { path: path.to_owned(), index, source: Arc::from(source.into()) }
    }
}
