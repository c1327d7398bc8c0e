//! COCO's JSON: images, categories and annotations with key points, boxes, outlines or run lengths.
//!
//! Roboflow renames images after their content, and keeps their own names in `extra.name`. COCO has
//! no field for identity. Programs that know it have added one: `attributes.object_id` (sleap-io),
//! `attributes.track_id` (CVAT), `track_id`, `instance_id`. Key points with visibility 0 were not
//! labelled. The box around key points is not a prompt, as it often cuts the animal off at its
//! outermost points. The box around an outline is not a prompt either.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::table::{RowKey, side};
use super::super::track_kind::TrackKind;
use super::{Annotations, Counts, Mark, Runs, Shape};

/// The fields by which the format is recognised.
#[derive(Deserialize)]
struct Outside {
    #[serde(default)]
    images: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    annotations: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Document {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    #[serde(default)]
    categories: Vec<Category>,
    /// Videos, if the images are their frames.
    #[serde(default)]
    videos: Vec<StoredVideo>,
}

#[derive(Deserialize)]
struct StoredVideo {
    id: Id,
    #[serde(default, alias = "file_name")]
    name: String,
}

/// A number or a text, depending on the program.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Text(String),
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

#[derive(Deserialize)]
struct Image {
    id: Id,
    file_name: String,
    #[serde(default)]
    width: Option<f64>,
    #[serde(default)]
    height: Option<f64>,
    #[serde(default)]
    video_id: Option<Id>,
    #[serde(default)]
    extra: Option<Extra>,
}

/// Roboflow's addition: the image's name before it was renamed after its content.
#[derive(Deserialize)]
#[serde(untagged)]
enum Extra {
    Original { name: String },
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Category {
    id: Id,
    #[serde(default)]
    name: String,
    #[serde(default)]
    keypoints: Vec<String>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: Id,
    #[serde(default)]
    category_id: Option<Id>,
    #[serde(default)]
    keypoints: Option<Vec<Option<f32>>>,
    #[serde(default)]
    bbox: Option<Vec<f32>>,
    #[serde(default)]
    segmentation: Option<Segmentation>,
    #[serde(default)]
    attributes: Option<Value>,
    #[serde(default)]
    track_id: Option<Id>,
    #[serde(default)]
    instance_id: Option<Id>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Segmentation {
    Outlines(Vec<Vec<f32>>),
    Counts { counts: Vec<u32>, size: [u32; 2] },
    Compressed { counts: String, size: [u32; 2] },
    Other(serde::de::IgnoredAny),
}

pub(super) fn recognise(text: &str) -> bool {
    serde_json::from_str::<Outside>(text)
        .is_ok_and(|outside| outside.images.is_some() && outside.annotations.is_some())
}

impl Annotation {
    /// Returns the number of the object, if the program that wrote the file knows it.
    fn object(&self) -> Option<String> {
        let attribute = |name: &str| match self.attributes.as_ref()?.get(name)? {
            Value::Number(number) => Some(number.to_string()),
            Value::String(text) => Some(text.clone()),
            _ => None,
        };
        attribute("object_id")
            .or_else(|| attribute("track_id"))
            .or_else(|| self.track_id.as_ref().map(Id::to_string))
            .or_else(|| self.instance_id.as_ref().map(Id::to_string))
    }
}

pub(super) fn read(text: &str) -> Result<Annotations, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let document: Document = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| format!("it is COCO's JSON, but {}: {}", error.path(), error.inner()))?;
    let mut images = HashMap::new();
    for image in &document.images {
        if images.insert(&image.id, image).is_some() {
            return Err(format!("it has two images with the id {}", image.id));
        }
    }
    let categories: HashMap<&Id, &Category> =
        document.categories.iter().map(|category| (&category.id, category)).collect();
    let videos: HashMap<&Id, &str> =
        document.videos.iter().map(|video| (&video.id, video.name.as_str())).collect();
    let mut found = Annotations::new(TrackKind::Coco, text.len());
    for image in &document.images {
        if let Some(Extra::Original { name }) = &image.extra
            && !name.is_empty()
        {
            found.originals.insert(image.file_name.clone(), name.clone());
        }
    }
    for (number, annotation) in document.annotations.iter().enumerate() {
        let image = images.get(&annotation.image_id).ok_or_else(|| {
            format!(
                "annotations[{number}] is on image {}, which does not exist",
                annotation.image_id
            )
        })?;
        let category = annotation.category_id.as_ref().and_then(|id| categories.get(id));
        if let (Some(id), None, false) = (&annotation.category_id, category, categories.is_empty())
        {
            return Err(format!(
                "annotations[{number}] is of the category {id}, which does not exist"
            ));
        }
        if let Some(Segmentation::Outlines(outlines)) = &annotation.segmentation
            && let Some(odd) = outlines.iter().find(|flat| flat.len() % 2 == 1)
        {
            return Err(format!(
                "annotations[{number}] has an outline of {} numbers instead of two for each corner",
                odd.len()
            ));
        }
        let mark = Mark {
            row: RowKey::Image(image.file_name.clone()),
            video: image
                .video_id
                .as_ref()
                .and_then(|id| videos.get(id))
                .filter(|name| !name.is_empty())
                .map(|name| (*name).to_owned()),
            group: annotation.object(),
            instance: Some(format!("annotation {}", number + 1)),
            label: category.map_or(String::new(), |category| category.name.clone()),
            part: None,
            shape: Shape::Point([0.0; 2]),
            picture: image
                .width
                .and_then(side)
                .zip(image.height.and_then(side))
                .map(|(width, height)| [width, height]),
            is_interpolated: false,
        };
        let before = found.marks.len();
        let names = category.map_or(&[][..], |category| category.keypoints.as_slice());
        let points = annotation.keypoints.as_deref().unwrap_or_default();
        if !names.is_empty() && !points.is_empty() && points.len() != 3 * names.len() {
            return Err(format!(
                "annotations[{number}] has {} numbers for {} key points instead of three each",
                points.len(),
                names.len()
            ));
        }
        for (at, point) in points.chunks_exact(3).enumerate() {
            let [Some(x), Some(y), Some(visibility)] = *point else { continue };
            if visibility <= 0.0 || !x.is_finite() || !y.is_finite() {
                continue;
            }
            let part = names.get(at).cloned().unwrap_or_else(|| (at + 1).to_string());
            found.push(Mark { shape: Shape::Point([x, y]), part: Some(part), ..mark.clone() })?;
        }
        if let Some(shape) = annotation.segmentation.as_ref().and_then(outline) {
            found.push(Mark { shape, ..mark.clone() })?;
        }
        if let (true, Some([x, y, width, height])) =
            (found.marks.len() == before, annotation.bbox.as_deref())
        {
            let shape = Shape::Box([*x, *y, x + width, y + height]);
            found.push(Mark { shape, ..mark })?;
        }
    }
    Ok(found)
}

fn outline(segmentation: &Segmentation) -> Option<Shape> {
    let runs = |size: &[u32; 2], counts| {
        Shape::Runs(Runs { left: 0, top: 0, height: size[0], width: size[1], counts })
    };
    match segmentation {
        Segmentation::Outlines(outlines) => {
            let corners = |flat: &Vec<f32>| flat.chunks_exact(2).map(|xy| [xy[0], xy[1]]).collect();
            // Fewer than three corners enclose nothing.
            let outlines: Vec<Vec<[f32; 2]>> =
                outlines.iter().filter(|flat| flat.len() >= 6).map(corners).collect();
            (!outlines.is_empty()).then_some(Shape::Outlines(outlines))
        }
        Segmentation::Counts { counts, size } => Some(runs(size, Counts::Columns(counts.clone()))),
        Segmentation::Compressed { counts, size } => {
            Some(runs(size, Counts::Compressed(counts.clone())))
        }
        Segmentation::Other(_) => None,
    }
}
