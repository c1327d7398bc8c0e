//! Labelme's JSON: one file with shapes next to each image. A folder of them describes a whole
//! recording.
//!
//! Labels are objects. Shapes with the same `group_id` belong to one object, whose points then have
//! their labels as names. The format is described by Labelme's `label_file.py`.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::quoting::{quote, quote_path};
use super::super::table::RowKey;
use super::super::track_kind::TrackKind;
use super::cvat::ellipse_outline;
use super::{Annotations, Mark, Shape, left_out};

/// Largest number of files that are read from a folder.
const MOST_FILES: usize = 100_000;

/// The fields by which the format is recognised.
#[derive(Deserialize)]
struct Outside {
    #[serde(default)]
    shapes: Option<Vec<IgnoredAny>>,
    #[serde(default, rename = "imagePath")]
    image: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Document {
    shapes: Vec<Drawn>,
    #[serde(default, rename = "imagePath")]
    image: Option<String>,
    #[serde(default, rename = "imageWidth")]
    width: Option<u32>,
    #[serde(default, rename = "imageHeight")]
    height: Option<u32>,
}

#[derive(Deserialize)]
struct Drawn {
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    points: Vec<[f32; 2]>,
    #[serde(default)]
    group_id: Option<GroupId>,
    #[serde(default)]
    shape_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum GroupId {
    Number(i64),
    Text(String),
}

pub(super) fn recognise(text: &str) -> bool {
    serde_json::from_str::<Outside>(text)
        .is_ok_and(|outside| outside.shapes.is_some() && outside.image.is_some())
}

pub(super) fn read(text: &str) -> Result<Annotations, String> {
    let mut found = Annotations::new(TrackKind::Labelme, text.len());
    add(text, None, &mut found)?;
    Ok(found)
}

/// Reads every Labelme file of a folder. Leaves out other JSON files, and counts them.
///
/// # Errors
/// The folder has no Labelme file, a file cannot be read, or the fault in one.
pub(crate) fn read_folder(folder: &Path) -> Result<Annotations, String> {
    let failed = |error: std::io::Error| format!("it cannot be read: {error}");
    let (mut files, mut folder_bytes) = (Vec::new(), 0_usize);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
            folder_bytes += std::fs::metadata(&path).map_or(0, |found| found.len() as usize);
            files.push(path);
        }
        if files.len() > MOST_FILES {
            return Err(format!("it holds more than {MOST_FILES} JSON files"));
        }
    }
    files.sort();
    let mut found = Annotations::new(TrackKind::Labelme, folder_bytes);
    let (mut read, mut other) = (0, 0);
    for path in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes =
            std::fs::read(path).map_err(|error| format!("{name} cannot be read: {error}"))?;
        let text = crate::plain_text::decode(&bytes);
        if recognise(&text) {
            add(&text, path.file_stem().map(|stem| stem.to_string_lossy()).as_deref(), &mut found)
                .map_err(|what| format!("in {}: {what}", quote_path(&name)))?;
            read += 1;
        } else {
            other += 1;
        }
    }
    if read == 0 {
        return Err("it is a folder without a file of Labelme (JSON with 'shapes' and 'imagePath'): give a track's file, or a folder of Labelme files".into());
    }
    found.warnings.extend(left_out(other, "JSON files that are not Labelme's"));
    Ok(found)
}

/// Adds the shapes of a file. `stem` is its name without its ending.
fn add(text: &str, stem: Option<&str>, found: &mut Annotations) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let document: Document = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        format!("it is Labelme's JSON, but {}: {}", error.path(), error.inner())
    })?;
    let image = document.image.filter(|image| !image.is_empty());
    let image = image.or_else(|| stem.map(str::to_owned));
    let image = image.ok_or("it does not say what image it is of (imagePath)")?;
    // If Labelme keeps the images elsewhere, the path has folders that say nothing about the
    // recording.
    let image = image.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let mut ignored = 0;
    for (number, drawn) in document.shapes.into_iter().enumerate() {
        let label = drawn.label.unwrap_or_default();
        let points = &drawn.points;
        let kind = drawn.shape_type.as_deref().unwrap_or("polygon");
        let shapes: Vec<Shape> = match (kind, points.as_slice()) {
            ("point" | "points", points) => points.iter().map(|&at| Shape::Point(at)).collect(),
            ("rectangle", [first, rest @ ..]) if !rest.is_empty() => {
                let low = |at: usize| rest.iter().fold(first[at], |low, point| low.min(point[at]));
                let high =
                    |at: usize| rest.iter().fold(first[at], |high, point| high.max(point[at]));
                vec![Shape::Box([low(0), low(1), high(0), high(1)])]
            }
            ("polygon" | "rotation" | "quadrilateral", corners) if corners.len() >= 3 => {
                vec![Shape::Outlines(vec![corners.to_vec()])]
            }
            ("circle", &[[x, y], [edge_x, edge_y]]) => {
                let radius = (edge_x - x).hypot(edge_y - y);
                vec![Shape::Outlines(vec![ellipse_outline([x, y], [radius, radius], 0.0)])]
            }
            ("mask", _) => {
                return Err(format!(
                    "shapes[{number}] {} is a mask (AI-Mask), which is not read: turn it into a polygon in Labelme, or give a mask image with --mask",
                    quote(&label)
                ));
            }
            _ => {
                ignored += 1;
                continue;
            }
        };
        let group = drawn.group_id.map(|id| match id {
            GroupId::Number(number) => number.to_string(),
            GroupId::Text(text) => text,
        });
        for shape in shapes {
            let is_point = matches!(shape, Shape::Point(_));
            found.push(Mark {
                row: RowKey::Image(image.clone()),
                video: None,
                instance: (!is_point && group.is_none()).then(|| format!("shape {}", number + 1)),
                part: is_point.then(|| label.clone()),
                group: group.clone(),
                label: label.clone(),
                shape,
                picture: document.width.zip(document.height).map(|(w, h)| [w, h]),
                is_interpolated: false,
            })?;
        }
    }
    found.warnings.extend(left_out(ignored, &format!("shapes (lines) of {}", quote_path(&image))));
    Ok(())
}
