//! Polygons as Labelme's JSON, one file per frame.
//!
//! The fields are those of `labelme/_label_file.py`. Labelme fills polygons as in `shape_to_mask`
//! in `labelme/utils/shape.py`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde::Serialize;

use crate::error::WriteError;
use crate::frame_names::{FrameNames, image_name};
use crate::frame_order::FrameOrder;
use crate::outline::polygons;
use crate::output_file::CompleteOutput;
use crate::output_folder::OutputFolder;
use crate::recording_info::RecordingInfo;
use crate::sink::{LabelledMask, MaskFrame, MaskSink};

/// Labelme does not accept polygons with fewer points.
const FEWEST_POINTS: usize = 3;
/// The beginning of every file. Labelme formats its own files with line breaks, so files that a
/// person has corrected begin differently.
const START: &str = "{\"version\":\"5.5.0\",\"flags\":{},\"shapes\":[";

/// Writes `00000.json`, `00001.json`, ..., or files named after the images that frames were read
/// from, with a polygon for each part of each mask. Its label is `object` or the object's name.
/// `group_id` is the object's number and is the same for all parts of an object.
///
/// Points are the centres of border pixels; Labelme's `shape_to_mask` reproduces the mask from
/// them. A hole is joined by a bridge to the outline on its left. `imagePath` is the image's name,
/// so the files belong next to the images. A shape's `flags` are those of the mask, and `prompted`.
pub struct LabelmeJsonSink {
    output: OutputFolder,
    order: FrameOrder,
    names: FrameNames,
    recording: RecordingInfo,
}

#[derive(Serialize)]
struct Shape<'a> {
    label: &'a str,
    points: Vec<[f64; 2]>,
    group_id: u32,
    description: &'static str,
    shape_type: &'static str,
    flags: BTreeMap<&'static str, bool>,
    mask: Option<()>,
}

#[derive(Serialize)]
struct Rest<'a> {
    #[serde(rename = "imagePath")]
    path: &'a str,
    #[serde(rename = "imageData")]
    data: Option<()>,
    #[serde(rename = "imageHeight")]
    height: u32,
    #[serde(rename = "imageWidth")]
    width: u32,
}

impl LabelmeJsonSink {
    /// Returns whether a file can have been written by this sink, for a recording that is not known
    /// yet; see [`OutputFolder::create`]. This is false for a file that Labelme has saved.
    pub fn is_own(path: &Path) -> bool {
        is_own_file(path, &|_| true)
    }

    /// Creates the folder.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let names = FrameNames::new(path, recording)?;
        let known = names.clone();
        let is_own = move |path: &Path| is_own_file(path, &|name| known.may_be(name));
        Ok(Self {
            output: OutputFolder::create(path, overwrite, is_own)?,
            order: FrameOrder::new(path, recording.size, recording.frames),
            names,
            recording: recording.clone(),
        })
    }

    fn shapes(&self, labelled: &LabelledMask) -> Vec<Shape<'_>> {
        let mut flags = BTreeMap::new();
        if let Some(facts) = labelled.facts {
            flags.insert("prompted", facts.prompted);
            flags.extend(facts.flags.iter().map(|flag| (flag.name(), true)));
        }
        let name = self.recording.object_names.get(&labelled.object);
        let shape = |mut polygon: Vec<(u32, u32)>| {
            polygon.resize(polygon.len().max(FEWEST_POINTS), polygon[0]);
            let centre = |pixel: u32| f64::from(pixel) + 0.5;
            Shape {
                label: name.map_or("object", String::as_str),
                points: polygon.into_iter().map(|(x, y)| [centre(x), centre(y)]).collect(),
                group_id: labelled.object,
                description: "",
                shape_type: "polygon",
                flags: flags.clone(),
                mask: None,
            }
        };
        polygons(&labelled.mask).into_iter().filter(|part| !part.is_empty()).map(shape).collect()
    }
}

impl MaskSink for LabelmeJsonSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        let json = |value: serde_json::Result<String>| {
            value.map_err(|error| self.output.io_error(error.into()))
        };
        let shapes = frame.objects.iter().flat_map(|labelled| self.shapes(labelled));
        let shapes: Vec<String> =
            shapes.map(|shape| json(serde_json::to_string(&shape))).collect::<Result<_, _>>()?;
        let (width, height) = self.recording.size;
        let path = &image_name(&self.recording, frame.index);
        let rest = json(serde_json::to_string(&Rest { path, data: None, height, width }))?;
        let rest = rest.trim_start_matches('{');
        let text = format!("{START}{}],{rest}\n", shapes.join(",\n"));
        self.output.write(format!("{}.json", self.names.of(frame.index)), text.as_bytes())
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        self.output.complete()
    }
}

/// Returns whether a file begins as this sink begins it, and is named after a frame whose name
/// `is_frame` accepts.
fn is_own_file(path: &Path, is_frame: &dyn Fn(&str) -> bool) -> bool {
    let starts_so = || -> std::io::Result<bool> {
        let mut start = vec![0; START.len()];
        std::fs::File::open(path)?.read_exact(&mut start)?;
        Ok(start == START.as_bytes())
    };
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_suffix(".json")).is_some_and(is_frame)
        && std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
        && starts_so().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{masks, run};

    #[test]
    fn each_frame_is_a_document_and_each_part_a_polygon() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels");
        let recording = RecordingInfo {
            object_names: [(3, "mouse".to_owned())].into(),
            image_names: vec!["a.jpg".into(), "b.jpg".into()],
            ..RecordingInfo::new((5, 2), 2)
        };
        let create = || LabelmeJsonSink::create(&path, &recording, true);
        let frames = [masks(&[(1, "11000 11000"), (3, "00010 10010")]), masks(&[])];
        run(create().unwrap(), &frames);
        let read = |name: &str| -> serde_json::Value {
            serde_json::from_slice(&std::fs::read(path.join(name)).unwrap()).unwrap()
        };
        let document = read("a.json");
        assert_eq!(document["imagePath"], "a.jpg");
        assert_eq!((&document["imageWidth"], &document["imageHeight"]), (&5.into(), &2.into()));
        assert!(document["imageData"].is_null());
        let shapes = document["shapes"].as_array().unwrap();
        let seen: Vec<_> = shapes.iter().map(|s| (&s["label"], &s["group_id"])).collect();
        let (object, mouse) = ("object".into(), "mouse".into());
        let (one, three) = (1.into(), 3.into());
        assert_eq!(seen, [(&object, &one), (&mouse, &three), (&mouse, &three)]);
        let corners = serde_json::json!([[0.5, 0.5], [0.5, 1.5], [1.5, 1.5], [1.5, 0.5]]);
        assert_eq!(shapes[0]["points"], corners);
        let flags = serde_json::json!({"prompted": true, "lost": true, "area-jump": true});
        assert_eq!(shapes[0]["flags"], flags);
        assert!(shapes.iter().all(|shape| shape["points"].as_array().unwrap().len() >= 3));
        assert_eq!(read("b.json")["shapes"], serde_json::json!([]));

        // The sink's own files are replaced; a file that a person saved from Labelme is not.
        drop(create().unwrap());
        assert!(LabelmeJsonSink::is_own(&path.join("a.json")));
        let pretty = serde_json::to_string_pretty(&document).unwrap();
        std::fs::write(path.join("a.json"), pretty).unwrap();
        assert!(matches!(create(), Err(WriteError::ForeignFiles { name, .. }) if name == "a.json"));
    }
}
