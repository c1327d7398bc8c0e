//! The JSON document for prompts, version 1.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{PromptFileError, object_number, read_mask};
use crate::{JobPrompt, KnownObjects, PromptConflict, PromptSet};
use sam2_engine::{BoxPrompt, ObjectId, Point};

/// Version of the JSON document that this program reads.
pub const PROMPT_FILE_VERSION: u32 = 1;

/// Only the version of a document, so that a newer document is refused for its version and not for
/// its new fields.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "version")]
    _version: u32,
    /// The schema's address, from which editors offer help.
    #[serde(rename = "$schema", default)]
    _schema: Option<String>,
    #[serde(default)]
    objects: Vec<NamedObject>,
    prompts: Vec<Prompt>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedObject {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prompt {
    frame: usize,
    #[serde(default)]
    object: Option<Reference>,
    #[serde(default)]
    points: Vec<Click>,
    #[serde(default, rename = "box")]
    bounds: Option<[f32; 4]>,
    #[serde(default)]
    mask: Option<PathBuf>,
    #[serde(default)]
    candidate: Option<u8>,
}

/// An object by number or by name.
#[derive(Deserialize)]
#[serde(untagged, expecting = "an object's number (1 to 255) or its name")]
enum Reference {
    Number(u64),
    Name(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Click {
    x: f32,
    y: f32,
    #[serde(default = "on_the_object")]
    label: u8,
}

fn on_the_object() -> u8 {
    1
}

pub(super) fn parse(
    path: &Path,
    bytes: &[u8],
    known: &KnownObjects,
) -> Result<PromptSet, PromptFileError> {
    let format = |what: String| PromptFileError::Format { path: path.to_owned(), what };
    let Versioned { version } = read(bytes).map_err(format)?;
    if version != PROMPT_FILE_VERSION {
        let what = format!("version: it is {version}, this program reads {PROMPT_FILE_VERSION}");
        return Err(format(what));
    }
    let document: Document = read(bytes).map_err(format)?;
    let mut set = PromptSet::new();
    let mut ids = BTreeMap::new();
    let conflict =
        |conflict: PromptConflict| PromptFileError::Conflict { path: path.to_owned(), conflict };
    for (index, NamedObject { id, name }) in document.objects.into_iter().enumerate() {
        let at = |what: String| format(format!("objects[{index}].{what}"));
        let object = object_number(id)
            .ok_or_else(|| at(format!("id: {id} is not an object number (1 to 255)")))?;
        known.check(object, &name).map_err(conflict)?;
        set.name(object, &name).map_err(conflict)?;
        if ids.insert(name.clone(), object).is_some_and(|earlier| earlier != object) {
            return Err(at(format!("name: '{}' is the name of two objects", name.escape_debug())));
        }
    }
    // The document leaves these names to the track or to an earlier file.
    for (object, name) in known.names() {
        ids.entry(name.clone()).or_insert(*object);
    }
    if document.prompts.is_empty() {
        return Err(format("prompts: there are none".into()));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    for (index, prompt) in document.prompts.into_iter().enumerate() {
        let at = |what: String| format(format!("prompts[{index}].{what}"));
        let frame = prompt.frame;
        let object = prompt.object.as_ref().map(|object| resolve(object, &ids)).transpose();
        let object = object.map_err(|what| at(format!("object: {what}")))?;
        // A mask without an object may hold several objects.
        let first = object.unwrap_or(ObjectId(1));
        if prompt.points.is_empty() && prompt.bounds.is_none() && prompt.mask.is_none() {
            return Err(format(format!(
                "prompts[{index}]: it has neither points nor a box nor a mask"
            )));
        }
        let is_mask_alone = prompt.points.is_empty() && prompt.bounds.is_none();
        if let Some(mask) = prompt.mask {
            let masks = read_mask(&folder.join(mask), frame, object)?;
            let several = masks.len() > 1 && (prompt.bounds.is_some() || !prompt.points.is_empty());
            if several {
                return Err(at(
                    "object: the mask holds several objects; say whose points and box these are"
                        .into(),
                ));
            }
            for (object, mask) in masks {
                set.add_mask(frame, object, mask).map_err(conflict)?;
            }
        }
        for (point, Click { x, y, label }) in prompt.points.into_iter().enumerate() {
            let click = match label {
                1 => Point::positive(x, y),
                0 => Point::negative(x, y),
                _ => {
                    let what = "is neither 1 (on the object) nor 0 (not on it)";
                    return Err(at(format!("points[{point}].label: {label} {what}")));
                }
            };
            set.add_point(frame, first, click);
        }
        if let Some([x0, y0, x1, y1]) = prompt.bounds {
            set.add_box(frame, first, BoxPrompt { x0, y0, x1, y1 }).map_err(conflict)?;
        }
        match prompt.candidate {
            None => {}
            Some(index) if index >= JobPrompt::CANDIDATES => {
                return Err(at(format!("candidate: {index} is none of 0, 1 and 2")));
            }
            Some(_) if is_mask_alone => {
                return Err(at("candidate: it needs points or a box".into()));
            }
            Some(index) => set.choose_candidate(frame, first, index),
        }
    }
    Ok(set)
}

fn resolve(reference: &Reference, ids: &BTreeMap<String, ObjectId>) -> Result<ObjectId, String> {
    match reference {
        Reference::Number(number) => object_number(*number)
            .ok_or_else(|| format!("{number} is not an object number (1 to 255)")),
        Reference::Name(name) => ids.get(name).copied().ok_or_else(|| {
            format!("'{}' is not among the objects that have a name", name.escape_debug())
        }),
    }
}

/// Reads a part of the document. The error message gives the place of a fault by name and by line.
fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = error.path().to_string();
        let message = error.into_inner().to_string();
        if place == "." { message } else { format!("{place}: {message}") }
    })?;
    json.end().map_err(|error| error.to_string())?;
    Ok(value)
}
