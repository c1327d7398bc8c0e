//! Instance masks as COCO's JSON.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::corner_outline::cut_polygons;
use crate::error::WriteError;
use crate::frame_names::image_name;
use crate::frame_order::FrameOrder;
use crate::json_file::JsonFile;
use crate::known_objects::KnownObjects;
use crate::mask_coco::CocoRle;
use crate::output_file::CompleteOutput;
use crate::recording_info::RecordingInfo;
use crate::sink::{LabelledMask, MaskFrame, MaskSink};

/// Writes one COCO document: an image for each frame, whose id is the frame's index, and an
/// annotation with compressed run lengths for each mask that is not empty.
///
/// There is one category, `object`. If objects have names, each name is a category instead, whose
/// id is the object's number. In addition to COCO's own fields an annotation has `track_id`, the
/// object's number, and what the model reported: `object_score`, `predicted_iou`, `prompted`,
/// `flags`. `file_name` is the name of the image that the frame was read from, or else the name
/// that `ffmpeg -start_number 0 %05d.jpg` gives the frame.
pub struct CocoJsonSink {
    file: JsonFile,
    order: FrameOrder,
    annotations: u64,
    objects: KnownObjects,
    names: BTreeMap<u32, String>,
    outlines: CocoOutlines,
}

/// The form in which annotations describe the shape of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CocoOutlines {
    /// Compressed run lengths.
    #[default]
    RunLengths,
    /// Polygons along pixel edges, one for each part. pycocotools reproduces the mask from them.
    /// COCO's polygons cannot have holes, so each hole is joined by a cut to the outline on its
    /// left.
    Polygons,
}

#[derive(Serialize)]
struct Category {
    id: u32,
    name: String,
}

#[derive(Serialize)]
struct Image<'a> {
    id: usize,
    file_name: &'a str,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct Annotation {
    id: u64,
    image_id: usize,
    category_id: u32,
    track_id: u32,
    segmentation: Segmentation,
    area: u64,
    /// Left, top, width, height.
    bbox: [u32; 4],
    iscrowd: u8,
    #[serde(flatten)]
    facts: Option<Facts>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Segmentation {
    RunLengths {
        /// Height, width.
        size: [u32; 2],
        counts: String,
    },
    /// Alternating x and y coordinates.
    Polygons(Vec<Vec<u32>>),
}

#[derive(Serialize)]
struct Facts {
    object_score: f32,
    predicted_iou: f32,
    prompted: bool,
    flags: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<f32>,
}

impl CocoJsonSink {
    /// Creates a document with run lengths.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        Self::create_with(path, recording, CocoOutlines::RunLengths, overwrite)
    }

    /// Creates a document and writes everything before the annotations.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_with(
        path: &Path,
        recording: &RecordingInfo,
        outlines: CocoOutlines,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let mut file = JsonFile::create(path, overwrite)?;
        file.text("{\"info\": {\"description\": ")?;
        file.value(&recording.name)?;
        file.text("},\n\"licenses\": [],\n")?;
        file.text("\"images\": [")?;
        let (width, height) = recording.size;
        for id in 0..recording.frames {
            file.text(if id == 0 { "\n" } else { ",\n" })?;
            let file_name = &image_name(recording, id);
            file.value(&Image { id, file_name, width, height })?;
        }
        file.text("],\n\"annotations\": [")?;
        let order = FrameOrder::new(path, recording.size, recording.frames);
        let objects = KnownObjects::new(&recording.objects);
        Ok(Self {
            file,
            order,
            annotations: 0,
            objects,
            names: recording.object_names.clone(),
            outlines,
        })
    }

    /// Returns the category of an object. Objects with the same name share the category of the one
    /// with the smallest number.
    fn category(&self, object: u32) -> u32 {
        if self.names.is_empty() {
            return 1;
        }
        let Some(own) = self.names.get(&object) else { return object };
        self.names.iter().find(|&(_, name)| name == own).map_or(object, |(&first, _)| first)
    }

    /// Returns the categories of all objects, sorted by id.
    fn categories(&self) -> Vec<Category> {
        if self.names.is_empty() {
            return vec![Category { id: 1, name: "object".into() }];
        }
        let objects = self.objects.numbers().iter().chain(self.names.keys());
        let ids: std::collections::BTreeSet<u32> =
            objects.map(|&object| self.category(object)).collect();
        let name = |id| self.names.get(&id).cloned().unwrap_or_else(|| format!("object {id}"));
        ids.into_iter().map(|id| Category { id, name: name(id) }).collect()
    }

    fn annotate(&mut self, frame: usize, labelled: &LabelledMask) -> Result<(), WriteError> {
        let Some([x0, y0, x1, y1]) = labelled.mask.bounds() else { return Ok(()) };
        // Numbers start at 1, because readers take 0 to mean "none".
        self.annotations += 1;
        self.file.text(if self.annotations == 1 { "\n" } else { ",\n" })?;
        let segmentation = match self.outlines {
            CocoOutlines::RunLengths => {
                let rle = CocoRle::from_mask(&labelled.mask);
                Segmentation::RunLengths {
                    size: [rle.height(), rle.width()],
                    counts: rle.to_compressed(),
                }
            }
            CocoOutlines::Polygons => {
                let parts = cut_polygons(&labelled.mask).into_iter();
                let in_turn = |part: Vec<(u32, u32)>| part.into_iter().flat_map(|(x, y)| [x, y]);
                Segmentation::Polygons(parts.map(|part| in_turn(part).collect()).collect())
            }
        };
        self.file.value(&Annotation {
            id: self.annotations,
            image_id: frame,
            category_id: self.category(labelled.object),
            track_id: labelled.object,
            segmentation,
            area: labelled.mask.area(),
            bbox: [x0, y0, x1 - x0 + 1, y1 - y0 + 1],
            iscrowd: 0,
            facts: labelled.facts.map(|facts| Facts {
                object_score: facts.object_score,
                predicted_iou: facts.predicted_iou,
                prompted: facts.prompted,
                flags: facts.flags.iter().map(|flag| flag.name()).collect(),
                agreement: facts.agreement,
            }),
        })
    }
}

impl MaskSink for CocoJsonSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        self.objects.admit(frame.objects);
        frame.objects.iter().try_for_each(|labelled| self.annotate(frame.index, labelled))
    }

    fn finish(mut self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        self.file.text("],\n\"categories\": ")?;
        self.file.value(&self.categories())?;
        self.file.text("}\n")?;
        self.file.complete()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LabelledMask;
    use crate::test_support::{mask, masks, run};

    #[test]
    fn annotations_hold_masks_boxes_and_what_the_model_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.json");
        let recording = RecordingInfo { name: "a \"b\"".into(), ..RecordingInfo::new((4, 3), 3) };
        let sink = CocoJsonSink::create(&path, &recording, false).unwrap();
        let bare = vec![LabelledMask::new(7, mask("0000 0001 0000"))];
        let empty = masks(&[(1, "0000 0000 0000")]);
        run(sink, &[masks(&[(1, "0110 0100 0000"), (2, "1111 1111 1111")]), empty, bare]);
        let document: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(document["info"]["description"], "a \"b\"");
        assert_eq!(document["images"].as_array().unwrap().len(), 3);
        assert_eq!(document["images"][2]["file_name"], "00002.jpg");
        assert_eq!(document["categories"], serde_json::json!([{"id": 1, "name": "object"}]));
        let annotations = document["annotations"].as_array().unwrap();
        assert_eq!(annotations.len(), 3);
        let first = &annotations[0];
        assert_eq!(first["bbox"], serde_json::json!([1, 0, 2, 2]));
        assert_eq!((&first["area"], &first["id"]), (&3.into(), &1.into()));
        assert_eq!(first["flags"], serde_json::json!(["lost", "area-jump"]));
        assert_eq!(first["object_score"], 1.25);
        let counts = first["segmentation"]["counts"].as_str().unwrap();
        let read = CocoRle::from_compressed(4, 3, counts).unwrap().to_mask();
        assert_eq!(read, mask("0110 0100 0000"));
        assert_eq!(annotations[2]["image_id"], 2);
        assert_eq!(annotations[2]["track_id"], 7);
        assert!(annotations[2].get("object_score").is_none());
    }

    #[test]
    fn images_and_objects_have_their_own_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.json");
        let names = [(2, "mouse"), (3, "rat"), (5, "mouse")];
        let recording = RecordingInfo {
            objects: vec![2, 3],
            object_names: names.map(|(object, name)| (object, name.to_owned())).into(),
            image_names: vec!["00001.jpg".into()],
            ..RecordingInfo::new((4, 1), 1)
        };
        let all = masks(&[(2, "1000"), (3, "0100"), (5, "0010"), (9, "0001")]);
        run(CocoJsonSink::create(&path, &recording, false).unwrap(), &[all]);
        let document: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(document["images"][0]["file_name"], "00001.jpg");
        let expected = serde_json::json!([
            {"id": 2, "name": "mouse"}, {"id": 3, "name": "rat"}, {"id": 9, "name": "object 9"}
        ]);
        assert_eq!(document["categories"], expected);
        let annotations = document["annotations"].as_array().unwrap();
        let ids = annotations.iter().map(|a| (&a["track_id"], &a["category_id"]));
        let ids: Vec<_> = ids.map(|(a, b)| (a.as_u64().unwrap(), b.as_u64().unwrap())).collect();
        assert_eq!(ids, [(2, 2), (3, 3), (5, 2), (9, 9)]);
    }

    #[test]
    fn outlines_can_be_polygons() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.json");
        let (recording, polygons) = (RecordingInfo::new((4, 2), 1), CocoOutlines::Polygons);
        let sink = CocoJsonSink::create_with(&path, &recording, polygons, false).unwrap();
        run(sink, &[masks(&[(1, "1101 1100")])]);
        let document: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let annotation = &document["annotations"][0];
        let parts = serde_json::json!([[0, 0, 2, 0, 2, 2, 0, 2], [3, 0, 4, 0, 4, 1, 3, 1]]);
        assert_eq!(annotation["segmentation"], parts);
        assert_eq!((&annotation["area"], &annotation["iscrowd"]), (&5.into(), &0.into()));
    }

    #[test]
    fn a_recording_without_masks_is_a_document_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.json");
        run(CocoJsonSink::create(&path, &RecordingInfo::new((4, 3), 0), false).unwrap(), &[]);
        let document: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(document["images"], serde_json::json!([]));
        assert_eq!(document["annotations"], serde_json::json!([]));
    }
}
