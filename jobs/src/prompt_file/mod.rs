//! Prompt files: a JSON document, a simple CSV table, mask images, and the files of annotation
//! tools.
//!
//! Every kind of file becomes a [`PromptSet`]. `docs/prompts.md` describes them for users, and
//! `docs/prompts.schema.json` describes the JSON document for programs.

mod error;
mod json;
mod mask_file;
mod table;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::keypoints::{
    Annotations, TrackNotice, TrackedRecording, read_annotations, read_folder, refuse_binary,
};
use crate::plain_text::{decode, with_commas};
use crate::{KnownObjects, PromptSet};
use sam2_engine::ObjectId;

pub use error::PromptFileError;
pub use json::PROMPT_FILE_VERSION;
pub use mask_file::read_mask;

/// Reads a prompt file, as a JSON document if its first letter is a brace, otherwise as CSV. Paths
/// of masks are relative to the file's folder.
///
/// # Errors
/// [`PromptFileError`] with the file and the place in it. Files of annotation tools are refused:
/// see [`read_prompts_for`].
pub fn read_prompts(path: &Path) -> Result<PromptSet, PromptFileError> {
    parse_prompts(path, &read(path)?)
}

/// Reads a prompt file for a recording, or what a person has drawn with CVAT, Labelme (a file or a
/// folder of them), Label Studio or a program that writes COCO's JSON. Points become clicks, boxes
/// become boxes, and outlines become masks. Images are found in the recording by their names. The
/// names of known objects stand for those objects. What the user should know is returned with the
/// prompts.
///
/// # Errors
/// [`PromptFileError`] with the file and the place in it.
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

/// Reads the contents of a prompt file. `path` is used for messages and for finding masks.
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

/// Converts a number to an object, if objects can have that number.
fn object_number(number: u64) -> Option<ObjectId> {
    u32::try_from(number).ok().filter(|number| (1..=255).contains(number)).map(ObjectId)
}
