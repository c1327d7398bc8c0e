//! Errors in a TIFF, before it is known which frame they affect.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::FrameError;

/// An error below the level of frames.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TiffError {
    /// The file contradicts itself or the format.
    #[error("{0}")]
    Malformed(String),
    /// The file is sound but uses an unsupported feature; the text holds the remedy.
    #[error("{0}")]
    Unsupported(String),
    #[error("the file cannot be read")]
    Io(#[source] io::Error),
}

impl TiffError {
    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed(reason.into())
    }

    /// Converts to the error of opening `path`.
    pub(crate) fn while_opening(self, path: &Path) -> FrameError {
        match self {
            Self::Malformed(reason) => {
                FrameError::NotAnImage { path: path.to_owned(), reason, source: None }
            }
            other => other.in_frame(path, 0),
        }
    }

    /// Converts to the error of reading frame `index` of `path`.
    pub(crate) fn in_frame(self, path: &Path, index: usize) -> FrameError {
        match self {
            Self::Malformed(_) => FrameError::decode(path, index, self),
            Self::Unsupported(what) => FrameError::Unsupported { path: path.to_owned(), what },
            Self::Io(source) => FrameError::Io { path: path.to_owned(), source: Arc::new(source) },
        }
    }
}
