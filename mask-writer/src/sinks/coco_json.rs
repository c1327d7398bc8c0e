//! Instance masks as COCO's JSON.

use std::path::Path;

use serde::Serialize;

use crate::error::WriteError;
use crate::frame_order::FrameOrder;
use crate::json_file::JsonFile;
use crate::mask_coco::CocoRle;
use crate::output_file::CompleteOutput;
use crate::recording_info::{RecordingInfo, frame_name};
use crate::sink::{LabelledMask, MaskFrame, MaskSink};

/// Writes one COCO document: an image for each frame, whose id is the frame's number, one category (`object`), and an
/// annotation for each mask that is not empty, with compressed run lengths.
///
/// Beside COCO's own fields an annotation has `track_id`, the object's number, and what the model said: `object_score`,
/// `predicted_iou`, `prompted`, `flags`. `file_name` is what `ffmpeg -start_number 0 %05d.jpg` calls the frame.
pub struct CocoJsonSink {
    file: JsonFile,
    order: FrameOrder,
    annotations: u64,
}

#[derive(Serialize)]
struct Image<'a> {
    id: usize,
    file_name: &'a str,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct Annotation<'a> {
    id: u64,
    image_id: usize,
    category_id: u32,
    track_id: u32,
    segmentation: Segmentation<'a>,
    area: u64,
    /// Left, top, width, height.
    bbox: [u32; 4],
    iscrowd: u8,
    #[serde(flatten)]
    facts: Option<Facts>,
}

#[derive(Serialize)]
struct Segmentation<'a> {
    /// Height, width.
    size: [u32; 2],
    counts: &'a str,
}

#[derive(Serialize)]
struct Facts {
    object_score: f32,
    predicted_iou: f32,
    prompted: bool,
    flags: Vec<&'static str>,
}

impl CocoJsonSink {
    /// Starts the document with everything but the annotations.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let mut file = JsonFile::create(path, overwrite)?;
        file.text("{\"info\": {\"description\": ")?;
        file.value(&recording.name)?;
        file.text("},\n\"licenses\": [],\n")?;
        file.text("\"categories\": [{\"id\": 1, \"name\": \"object\"}],\n\"images\": [")?;
        let (width, height) = recording.size;
        for id in 0..recording.frames {
            file.text(if id == 0 { "\n" } else { ",\n" })?;
            let file_name = &format!("{}.jpg", frame_name(id));
            file.value(&Image { id, file_name, width, height })?;
        }
        file.text("],\n\"annotations\": [")?;
        let order = FrameOrder::new(path, recording.size, recording.frames);
        Ok(Self { file, order, annotations: 0 })
    }

    fn annotate(&mut self, frame: usize, labelled: &LabelledMask) -> Result<(), WriteError> {
        let Some([x0, y0, x1, y1]) = labelled.mask.bounds() else { return Ok(()) };
        // Readers take number 0 for "none".
        self.annotations += 1;
        self.file.text(if self.annotations == 1 { "\n" } else { ",\n" })?;
        let rle = CocoRle::from_mask(&labelled.mask);
        self.file.value(&Annotation {
            id: self.annotations,
            image_id: frame,
            category_id: 1,
            track_id: labelled.object,
            segmentation: Segmentation {
                size: [rle.height(), rle.width()],
                counts: &rle.to_compressed(),
            },
            area: rle.area(),
            bbox: [x0, y0, x1 - x0 + 1, y1 - y0 + 1],
            iscrowd: 0,
            facts: labelled.facts.map(|facts| Facts {
                object_score: facts.object_score,
                predicted_iou: facts.predicted_iou,
                prompted: facts.prompted,
                flags: facts.flags.iter().map(|flag| flag.name()).collect(),
            }),
        })
    }
}

impl MaskSink for CocoJsonSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        frame.objects.iter().try_for_each(|labelled| self.annotate(frame.index, labelled))
    }

    fn finish(mut self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        self.file.text("]}\n")?;
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
