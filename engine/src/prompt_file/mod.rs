//! Prompts in files: a JSON document, a simple CSV table, mask images, and the files of annotation tools.
//!
//! Every kind of file becomes a [`PromptSet`]; `docs/prompts.md` describes them for users, `docs/prompts.schema.json` the JSON document
//! for programs.

mod json;
mod mask_file;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use sam2_mask_writer::LabelImageError;

use crate::job::{KnownObjects, PromptConflict, PromptSet};
use crate::keypoints::{
    Annotations, TrackNotice, TrackedRecording, read_annotations, read_folder, refuse_binary,
};
use crate::plain_text::{decode, with_commas};
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

/// Reads a file of prompts: a JSON document if its first letter is a brace, otherwise CSV. Masks that it names lie relative to its folder.
///
/// # Errors
/// [`PromptFileError`] naming the file and the place in it. Files of annotation tools are refused: see [`read_prompts_for`].
pub fn read_prompts(path: &Path) -> Result<PromptSet, PromptFileError> {
    parse_prompts(path, &read(path)?)
}

/// Reads a file of prompts for a recording, or what a person has drawn with CVAT, Labelme (a file or a folder of them), Label Studio or
/// a program that writes COCO's JSON: points become clicks, boxes boxes, outlines masks. Images are found in the recording by
/// their names. What the user should know comes with the prompts. Names of objects that are known stand for these.
///
/// # Errors
/// [`PromptFileError`] naming the file and the place in it.
pub fn read_prompts_for(
    path: &Path,
    recording: &TrackedRecording,
    known: &KnownObjects,
) -> Result<(PromptSet, Vec<TrackNotice>), PromptFileError> {
    let format = |what: String| PromptFileError::Format { path: path.to_owned(), what };
    let prompts = |annotations: Result<Annotations, String>| {
        annotations.and_then(|found| found.into_prompts(path, recording, known)).map_err(format)
    };
    if path.is_dir() {
        return prompts(read_folder(path));
    }
    let bytes = read(path)?;
    match read_annotations(&decode(&bytes)) {
        Some(annotations) => prompts(annotations),
        None => Ok((parse(path, &bytes, known)?, Vec::new())),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PromptFileError> {
    std::fs::read(path).map_err(|source| PromptFileError::Io { path: path.to_owned(), source })
}

/// Reads the contents of a file of prompts; `path` is for messages and for finding masks.
///
/// # Errors
/// As [`read_prompts`].
pub fn parse_prompts(path: &Path, bytes: &[u8]) -> Result<PromptSet, PromptFileError> {
    parse(path, bytes, &KnownObjects::default())
}

fn parse(path: &Path, bytes: &[u8], known: &KnownObjects) -> Result<PromptSet, PromptFileError> {
    let format = |what: String| PromptFileError::Format { path: path.to_owned(), what };
    if let Some(what) = refuse_binary(bytes) {
        return Err(format(what));
    }
    let text = decode(bytes);
    match read_annotations(&text) {
        Some(Ok(_)) => Err(format(
            "it is a file of an annotation tool, whose images only a recording can tell the frames of".into(),
        )),
        Some(Err(what)) => Err(format(what)),
        None if text.trim_ascii_start().starts_with('{') => {
            json::parse(path, text.as_bytes(), known)
        },
        None => table::parse(with_commas(text).as_bytes(), known).map_err(format),
    }
}

/// The number of an object, if it can have it.
fn object_number(number: u64) -> Option<ObjectId> {
    u32::try_from(number).ok().filter(|number| (1..=255).contains(number)).map(ObjectId)
}
