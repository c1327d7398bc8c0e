//! Label Studio's exports "JSON" (a list of tasks with `annotations`) and "JSON-MIN" (a list of
//! tasks with fields named after the controls).
//!
//! Coordinates are percentages of the picture. Frames of a video rectangle count from 1, and its
//! `sequence` holds those that a person has drawn. Points belong to a box by `parentID` or by a
//! relation. sleap-io keeps the video and the frame in `meta.video`. The formats are described in
//! Label Studio's documentation, "Export annotations".

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;
use serde_json::Value;

use super::super::quoting::quote;
use super::super::table::RowKey;
use super::super::track_kind::TrackKind;
use super::cvat::{around_turned, ellipse_outline};
use super::label_studio_json::{Annotation, MetaVideo, Place, Region, Task, each_task};
use super::{Annotations, Mark, Shape, left_out};

/// Length of the prefix that Label Studio puts before the name of an uploaded file, as in
/// `1a2b3c4d-img0005.png`.
const UPLOAD_DIGITS: usize = 8;
/// The picture that sleap-io assumes if it does not know its size: percentages are then pixels.
const UNKNOWN_PICTURE: [u32; 2] = [100, 100];

pub(super) fn read(text: &str) -> Result<Annotations, String> {
    let found = Annotations::new(TrackKind::LabelStudio, text.len());
    let mut reader = Reader { found, ignored: 0, others: 0 };
    each_task(text, |task| reader.task(task))?;
    let Reader { mut found, ignored, others } = reader;
    found.warnings.extend(left_out(
        ignored,
        "regions of Label Studio that are not points, boxes, ellipses or polygons",
    ));
    found
        .warnings
        .extend(left_out(others, "annotations by a second person, of images that have several,"));
    Ok(found)
}

struct Reader {
    found: Annotations,
    ignored: usize,
    others: usize,
}

/// The image or video that a task is about.
struct Subject {
    row: Option<RowKey>,
    video: Option<String>,
}

impl Reader {
    fn task(&mut self, task: Task) -> Result<(), String> {
        let subject = subject(&task);
        let Some(annotations) = task.annotations else {
            return self.flat(task.fields, &subject);
        };
        let mut valid = annotations.into_iter().filter(|annotation| !annotation.was_cancelled);
        let Some(Annotation { result, .. }) = valid.next() else { return Ok(()) };
        self.others += valid.count();
        self.regions(result, &subject)
    }

    /// Reads a task of JSON-MIN: every field that is a list of places.
    fn flat(&mut self, fields: BTreeMap<String, Value>, subject: &Subject) -> Result<(), String> {
        let mut regions = Vec::new();
        for value in fields.into_values() {
            let Value::Array(items) = value else { continue };
            for item in items {
                let Value::Object(fields) = &item else { continue };
                let side = |name: &str| {
                    fields
                        .get(name)
                        .and_then(Value::as_u64)
                        .and_then(|side| u32::try_from(side).ok())
                };
                let (width, height) = (side("original_width"), side("original_height"));
                let Ok(place) = Place::deserialize(&item) else { continue };
                let kind =
                    match (&place.sequence, place.points.is_some(), place.radius_x, place.height) {
                        (Some(_), ..) => "videorectangle",
                        (_, true, ..) => "polygonlabels",
                        (_, _, Some(_), _) => "ellipselabels",
                        (_, _, _, Some(_)) => "rectanglelabels",
                        _ => "keypointlabels",
                    };
                regions.push(Region {
                    id: None,
                    kind: kind.to_owned(),
                    value: Some(place),
                    original_width: width,
                    original_height: height,
                    parent: None,
                    from_id: None,
                    to_id: None,
                });
            }
        }
        self.regions(regions, subject)
    }

    fn regions(&mut self, regions: Vec<Region>, subject: &Subject) -> Result<(), String> {
        // A region's label may be in a result of its own, with the same number.
        let mut labels: HashMap<&str, &str> = HashMap::new();
        let mut boxes: HashSet<&str> = HashSet::new();
        for region in &regions {
            let Some(id) = region.id.as_deref() else { continue };
            let label = region.value.as_ref().and_then(|value| value.labels.as_ref()?.first());
            if let Some(label) = label {
                labels.insert(id, label);
            }
            if region.kind.starts_with("rectangle") {
                boxes.insert(id);
            }
        }
        // The box that each point belongs to.
        let mut parents: HashMap<&str, &str> = HashMap::new();
        for region in &regions {
            if let (Some(id), Some(parent)) = (&region.id, &region.parent) {
                parents.insert(id, parent);
            }
            if let (Some(from), Some(to)) = (&region.from_id, &region.to_id) {
                let (point, of) = if boxes.contains(to.as_str()) { (from, to) } else { (to, from) };
                parents.insert(point, of);
            }
        }
        let with_points: HashSet<&str> = parents.values().copied().collect();
        let mut seen = HashSet::new();
        for (number, region) in regions.iter().enumerate() {
            let Some(place) = &region.value else { continue };
            let id = region.id.as_deref();
            // Controls without labels of their own repeat the place together with its label. One is
            // enough.
            let kind = region.kind.trim_end_matches("labels");
            if kind.is_empty() || id.is_some_and(|id| !seen.insert(id)) {
                continue;
            }
            let own = place.labels.as_ref().and_then(|labels| labels.first()).map(String::as_str);
            let own = own.or_else(|| labels.get(id?).copied()).unwrap_or_default();
            let picture = region.original_width.zip(region.original_height).map(|(w, h)| [w, h]);
            if kind == "videorectangle" {
                self.sequence(place, own, id, number, subject)?;
                continue;
            }
            let Some(row) = &subject.row else {
                return Err("it does not say what image it is of (data.image)".into());
            };
            let size =
                picture.ok_or("it does not say how large the picture is (original_width)")?;
            let pixels = |x: f64, y: f64| {
                [(x * f64::from(size[0]) / 100.0) as f32, (y * f64::from(size[1]) / 100.0) as f32]
            };
            let corner = place.x.zip(place.y).map(|(x, y)| pixels(x, y));
            let extent = place.width.zip(place.height).map(|(width, height)| pixels(width, height));
            let turn = place.rotation.unwrap_or(0.0).to_radians() as f32;
            let shape = match (kind, corner, extent) {
                ("keypoint", Some(at), _) => Shape::Point(at),
                ("rectangle", Some(_), Some(_))
                    if id.is_some_and(|id| with_points.contains(id)) =>
                {
                    continue;
                }
                ("rectangle", Some(corner), Some(extent)) => {
                    Shape::Box(turned(corner, extent, turn))
                }
                ("ellipse", Some(centre), _) => {
                    let radii = place.radius_x.zip(place.radius_y);
                    let (rx, ry) = radii.ok_or("an ellipse has no radius")?;
                    Shape::Outlines(vec![ellipse_outline(centre, pixels(rx, ry), turn)])
                }
                ("polygon", ..) => {
                    let points = place.points.as_deref().unwrap_or_default();
                    Shape::Outlines(vec![points.iter().map(|[x, y]| pixels(*x, *y)).collect()])
                }
                ("brush", ..) if place.rle.is_some() => {
                    return Err(format!(
                        "{} is painted with a brush, which is not read: export as PNG and give the images with --mask",
                        quote(own)
                    ));
                }
                _ => {
                    self.ignored += 1;
                    continue;
                }
            };
            let is_point = matches!(shape, Shape::Point(_));
            let parent = id.and_then(|id| parents.get(id).copied());
            let label =
                parent.map_or(own, |parent| labels.get(parent).copied().unwrap_or_default());
            let instance = parent.map(str::to_owned);
            let instance =
                instance.or_else(|| (!is_point).then(|| format!("region {}", number + 1)));
            self.found.push(Mark {
                row: row.clone(),
                video: subject.video.clone(),
                group: None,
                instance,
                label: label.to_owned(),
                part: is_point.then(|| own.to_owned()),
                shape,
                picture: Some(size).filter(|size| *size != UNKNOWN_PICTURE),
                is_interpolated: false,
            })?;
        }
        Ok(())
    }

    /// Adds a box that was followed through a video.
    fn sequence(
        &mut self,
        place: &Place,
        label: &str,
        id: Option<&str>,
        number: usize,
        subject: &Subject,
    ) -> Result<(), String> {
        let id = id.map_or_else(|| format!("region {}", number + 1), str::to_owned);
        for key in place.sequence.iter().flatten() {
            // An entry with `enabled: false` is the last of a stretch, and still has a place.
            let frame =
                key.frame.checked_sub(1).ok_or("a video's frames count from 1 in Label Studio")?;
            let corner = [key.x, key.y].map(|value| value as f32);
            let extent = [key.width, key.height].map(|value| value as f32);
            if key.rotation.is_some_and(|turn| turn != 0.0) {
                return Err(format!(
                    "the box {} is turned on frame {}, which is not read in videos: draw it upright",
                    quote(label),
                    key.frame
                ));
            }
            self.found.push(Mark {
                row: RowKey::Frame(frame),
                video: subject.video.clone(),
                group: Some(id.clone()),
                instance: None,
                label: label.to_owned(),
                part: None,
                shape: Shape::BoxInPercent(turned(corner, extent, 0.0)),
                picture: None,
                is_interpolated: false,
            })?;
        }
        Ok(())
    }
}

/// Returns the bounding box of a box that is rotated around its top left corner, as in Label
/// Studio.
fn turned([x, y]: [f32; 2], [width, height]: [f32; 2], turn: f32) -> [f32; 4] {
    if turn == 0.0 {
        return [x, y, x + width, y + height];
    }
    let (sin, cos) = turn.sin_cos();
    let centre = [x + (width * cos - height * sin) / 2.0, y + (width * sin + height * cos) / 2.0];
    around_turned(centre, [width, height], turn)
}

/// Returns the image or video of a task, from whichever field names a file.
fn subject(task: &Task) -> Subject {
    let video = task.meta.as_ref().and_then(|meta| meta.get("video"));
    if let Some(Ok(MetaVideo { filename, frame_idx })) = video.map(MetaVideo::deserialize) {
        return Subject { row: Some(RowKey::Frame(frame_idx)), video: Some(filename) };
    }
    let fields = || task.data.iter().chain(&task.fields);
    let named = |wanted: &str| {
        let mut found = fields().filter(|(name, _)| name.as_str() == wanted);
        found.find_map(|(_, value)| value.as_str())
    };
    if let Some(video) = named("video").or_else(|| named("video_url")) {
        return Subject { row: None, video: Some(file_of(video)) };
    }
    let looks_like_a_file =
        |value: &&str| value.contains(['/', '.']) && !value.contains(char::is_whitespace);
    let image = named("image")
        .or_else(|| named("img"))
        .or_else(|| fields().filter_map(|(_, value)| value.as_str()).find(looks_like_a_file));
    Subject { row: image.map(|image| RowKey::Image(file_of(image))), video: None }
}

/// Returns the path of a file as the user has it: without the address of a server, and without the
/// number and folders of an upload.
fn file_of(address: &str) -> String {
    let path = address.split_once("?d=").map_or(address, |(_, path)| path);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = percent_decoded(path.split_once("://").map_or(path, |(_, path)| path));
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    if !address.contains("/upload/") && name != path {
        return path;
    }
    match name.split_once('-') {
        Some((number, name))
            if number.len() == UPLOAD_DIGITS
                && number.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            name.to_owned()
        }
        _ => name.to_owned(),
    }
}

/// Decodes percent-encoding: `%20` is a space.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
