//! Errors of prompt files.

use std::path::PathBuf;

use sam2_mask_writer::LabelImageError;

use crate::prompt_set::PromptConflict;

/// A prompt file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptFileError {
    /// The file cannot be read.
    #[error("cannot read the prompts '{path}': {source}; give a JSON or CSV file")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is of no known kind, or its contents are invalid.
    #[error("'{path}' cannot be used as prompts: {what}")]
    Format {
        /// The file.
        path: PathBuf,
        /// The fault and its place in the file.
        what: String,
    },
    /// A mask image cannot be used.
    #[error(transparent)]
    Mask(#[from] LabelImageError),
    /// A mask image has no pixel of an object.
    #[error("the mask '{path}' is empty: it needs pixels other than 0 where the object is")]
    EmptyMask {
        /// The image.
        path: PathBuf,
    },
    /// Two prompts contradict each other.
    #[error("'{path}': {conflict}")]
    Conflict {
        /// The file.
        path: PathBuf,
        /// The contradiction.
        conflict: PromptConflict,
    },
}
