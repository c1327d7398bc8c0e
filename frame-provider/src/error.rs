//! What can go wrong, one variant per cause.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::frame::FrameSize;
use crate::image_folder::has_image_ending;
use crate::tiff::has_tiff_ending;

/// The underlying error of a [`FrameError`], shared so that one failed decode can be reported to every thread that waits
/// for that frame.
pub type Cause = Arc<dyn Error + Send + Sync + 'static>;

/// An error from opening a source or reading one of its frames.
///
/// Each message is one line that names the file and, where there is one, the remedy. The cause, if any, is the
/// [`source`](Error::source). Errors are cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Nothing is at that path.
    #[error("{}: no such file or folder; check the spelling and the working directory", path.display())]
    NotFound {
        /// What was asked for.
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
        /// What was found, in a few words.
        reason: String,
        /// What FFmpeg said, if it was asked.
        #[source]
        source: Option<Cause>,
    },

    /// A TIFF, or the index of a recording, that is empty, damaged from its start, or something else.
    #[error("{}: not a readable image ({reason}); check that the file is complete, or save it again", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What was found, in a few words.
        reason: String,
        /// What the decoder said, if it was asked.
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
        /// The number that was requested, counted from 0.
        number: usize,
        /// The existing streams, in words.
        streams: String,
    },

    /// There is a video stream, but not one frame of it can be decoded.
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
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },

    /// A frame that should be there could not be decoded.
    #[error("{}: frame {index} cannot be decoded; the file may be damaged here", path.display())]
    Decode {
        /// The video or image file.
        path: PathBuf,
        /// The frame, counted from 0.
        index: usize,
        /// What the decoder said.
        #[source]
        source: Cause,
    },

    /// The frame number is past the end.
    #[error("{}: frame {index} does not exist; the {count} frames are numbered from 0", path.display())]
    IndexOutOfRange {
        /// What was asked for.
        index: usize,
        /// How many frames there are.
        count: usize,
        /// The file or folder; for other sources, their description.
        path: PathBuf,
    },

    /// A frame is of another size than the first.
    #[error(
        "{}: frame {index} is {found} but the first frame is {expected}; {}",
        path.display(),
        one_size(path, *expected)
    )]
    SizeChanged {
        /// The file that holds the odd frame.
        path: PathBuf,
        /// The frame, counted from 0.
        index: usize,
        /// The size of the first frame.
        expected: FrameSize,
        /// The size of this frame.
        found: FrameSize,
    },

    /// The file is sound but uses something that this crate does not handle.
    #[error("{}: {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it is, and the remedy.
        what: String,
    },

    /// The bytes handed over do not make a frame of that size.
    #[error("a {size} RGB frame needs {} bytes, not {length}", size.rgb_bytes())]
    WrongLength {
        /// The size that was claimed.
        size: FrameSize,
        /// How many bytes there were.
        length: usize,
    },

    /// A frame or clip without any pixel.
    #[error("{what} is empty; at least one frame of at least 1x1 pixels is needed")]
    Empty {
        /// What was empty.
        what: String,
    },

    /// An error of a source that this crate does not know.
    #[error("{message}")]
    Other {
        /// The whole message, with the remedy.
        message: String,
        /// The cause, if any.
        #[source]
        source: Option<Cause>,
    },
}

/// Returns the remedy for frames of several sizes: the command that scales a video, or a plain request.
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
    /// Sorts an error of the operating system into [`FrameError::NotFound`] or [`FrameError::Io`].
    pub(crate) fn from_io(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path: path.to_owned() },
            _ => Self::Io { path: path.to_owned(), source: Arc::new(source) },
        }
    }

    /// The same error with the name of the file, if it has none.
    pub(crate) fn about(self, path: &Path) -> Self {
        match self {
            Self::Other { message, source } => {
                Self::Other { message: format!("{}: {message}", path.display()), source }
            }
            other => other,
        }
    }

    /// A frame that could not be decoded, with its cause.
    pub(crate) fn decode(
        path: &Path,
        index: usize,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Decode { path: path.to_owned(), index, source: Arc::from(source.into()) }
    }
}
