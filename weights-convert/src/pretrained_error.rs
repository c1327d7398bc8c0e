//! Errors of finding and loading a model by its name or file.

use std::path::{Path, PathBuf};

use sam2_model::{LoadError, ModelName, Sam2Config};

use crate::cache::NoCacheFolder;
use crate::digest::DigestRecord;
use crate::download::DownloadError;
use crate::error::ConvertError;
use crate::releases::Release;

/// A model cannot be found or loaded. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PretrainedError {
    /// It is neither a file nor the name of a model.
    #[error(
        "'{}' is neither a file nor a model; check the spelling, or name a model: tiny, small, base-plus or large, with an optional -2.0",
        model.display()
    )]
    Unknown {
        /// The path or name.
        model: PathBuf,
    },
    /// It is a folder.
    #[error("'{}' is a folder: give the weights file in it", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A known name without a published checkpoint.
    #[error(
        "there is no model {name}: the micro model is 2.1; the others are tiny, small, base-plus and large, as 2.1 and 2.0"
    )]
    NotPublished {
        /// The name.
        name: ModelName,
    },
    /// The model is not on this machine, and was not to be downloaded.
    #[error(
        "{model} is not here yet ('{}'): fetch it with {command}, or give a file",
        path.display()
    )]
    NotDownloaded {
        /// The model, such as `large-2.1`.
        model: String,
        /// The file in which it would be.
        path: PathBuf,
        /// The command that downloads it, in back quotes.
        command: String,
    },
    /// The demonstration model is not a part of this build.
    #[error(
        "this build has no micro model: turn on the feature `micro` of sam2-weights-convert, or give its file"
    )]
    WithoutMicro,
    /// There is no folder for downloads.
    #[error(transparent)]
    NoCacheFolder(#[from] NoCacheFolder),
    /// The download failed.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The file cannot be read.
    #[error("'{}' cannot be read: {source}; check its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error that the operating system reported.
        source: std::io::Error,
    },
    /// The file differs from what was downloaded.
    #[error(
        "'{}' is not what was downloaded, it is damaged or was replaced: {reason}; fetch it again with {command}",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The difference, as a clause.
        reason: String,
        /// The command that downloads it, in back quotes.
        command: String,
    },
    /// The file was found by a model's name, and holds another model.
    #[error(
        "'{}' holds the model {found}, not {expected}, which it is named after: remove it and fetch the right one with `sam2 download {expected}`, or give the file to use by its path",
        path.display()
    )]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// The model in the file, by its tensors.
        found: String,
        /// The model of that name.
        expected: String,
    },
    /// The weights cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The file is a checkpoint that cannot be converted.
    #[error(transparent)]
    Convert(#[from] ConvertError),
}

impl PretrainedError {
    /// Returns the error for weights that differ from the record of their download.
    pub fn damaged(path: &Path, record: &DigestRecord, reason: String) -> Self {
        let release = Release::by_sha256(&record.source_sha256);
        let command =
            release.map_or_else(Release::download_of_another, |release| release.download_command());
        Self::Damaged { path: path.to_owned(), reason, command }
    }

    pub(crate) fn other_model(path: &Path, found: &Sam2Config, expected: &Sam2Config) -> Self {
        let text = |config: &Sam2Config| {
            let variant = config.variant().map_or("custom", |variant| variant.name());
            format!("{variant}-{}", config.version)
        };
        Self::OtherModel { path: path.to_owned(), found: text(found), expected: text(expected) }
    }
}
