//! Prompts in files: a JSON document, a simple CSV table, mask images.
//!
//! Both kinds of file become a [`PromptSet`]; `docs/prompts.md` describes them for users, `docs/prompts.schema.json` the JSON document
//! for programs.

mod json;
mod mask_file;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use sam2_mask_writer::LabelImageError;

use crate::job::{PromptConflict, PromptSet};
use crate::prompt::ObjectId;

pub use json::PROMPT_FILE_VERSION;
pub use mask_file::read_mask;

/// A file of prompts that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptFileError {
    /// It cannot be read.
    #[error("cannot read the prompts '{path}': {source}; give a JSON or CSV file")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is neither kind of file, or something in it is wrong.
    #[error("'{path}' cannot be used as prompts: {what}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// A mask image cannot be used.
    #[error(transparent)]
    Mask(#[from] LabelImageError),
    /// A mask image without a single pixel of an object.
    #[error("the mask '{path}' is empty: it needs pixels other than 0 where the object is")]
    EmptyMask {
        /// The image.
        path: PathBuf,
    },
    /// Two prompts that cannot both hold.
    #[error("'{path}': {conflict}")]
    Conflict {
        /// The file.
        path: PathBuf,
        /// Which.
        conflict: PromptConflict,
    },
}

/// Reads a file of prompts: JSON if its first letter is a brace, otherwise CSV. Masks that it names lie relative to its folder.
///
/// # Errors
/// [`PromptFileError`] naming the file and the place in it.
pub fn read_prompts(path: &Path) -> Result<PromptSet, PromptFileError> {
    let bytes = std::fs::read(path)
        .map_err(|source| PromptFileError::Io { path: path.to_owned(), source })?;
    parse_prompts(path, &bytes)
}

/// Reads the contents of a file of prompts; `path` is for messages and for finding masks.
///
/// # Errors
/// As [`read_prompts`].
pub fn parse_prompts(path: &Path, bytes: &[u8]) -> Result<PromptSet, PromptFileError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii_start().starts_with(b"{") {
        json::parse(path, bytes)
    } else {
        let format = |what: String| PromptFileError::Format { path: path.to_owned(), what };
        table::parse(bytes).map_err(format)
    }
}

/// The number of an object, if it can have it.
fn object_number(number: u64) -> Option<ObjectId> {
    u32::try_from(number).ok().filter(|number| (1..=255).contains(number)).map(ObjectId)
}
