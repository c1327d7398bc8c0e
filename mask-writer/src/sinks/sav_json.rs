//! Masks as the JSON of the SA-V training set.
//!
//! The fields are described in `sav_dataset/README.md` of the official repository
//! (facebookresearch/sam2); the reader is `sav_dataset/utils/sav_utils.py` in the same repository.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Serialize;

use crate::error::WriteError;
use crate::frame_order::FrameOrder;
use crate::json_file::JsonFile;
use crate::known_objects::{KnownObjects, entry};
use crate::mask::Mask;
use crate::mask_coco::CocoRle;
use crate::output_file::CompleteOutput;
use crate::recording_info::RecordingInfo;
use crate::sink::{LabelledMask, MaskFrame, MaskSink};

/// Largest mean area of a `small` object, and of a `medium` one, in pixels.
const BUCKETS: [f64; 2] = [32.0 * 32.0, 96.0 * 96.0];

/// Writes one SA-V document. `masklet` has a list for every frame (in SA-V itself: every fourth
/// frame) with the run lengths of each object, in the order of `masklet_id`, which holds the
/// objects' numbers.
///
/// An object that appears later has empty masks on the earlier frames. `masklet_type` is `auto`,
/// because a model made the masks. `masklet_edited_frame_count` is the number of frames on which
/// the object was prompted.
pub struct SavJsonSink {
    file: JsonFile,
    order: FrameOrder,
    recording: RecordingInfo,
    overwrite: bool,
    objects: KnownObjects,
    /// Number of objects that were announced.
    announced: usize,
    /// One entry per object, in the order of the objects.
    tallies: Vec<Tally>,
}

/// Sums for one object.
#[derive(Clone, Copy, Default)]
struct Tally {
    visible_frames: u64,
    area: u64,
    changes: u64,
    first_frame: Option<usize>,
    visible: bool,
    prompted_frames: u64,
}

impl Tally {
    fn count(&mut self, frame: usize, labelled: Option<&LabelledMask>) {
        let area = labelled.map_or(0, |labelled| labelled.mask.area());
        let visible = area > 0;
        if visible {
            self.visible_frames += 1;
            self.area += area;
        }
        if self.first_frame.is_some() && visible != self.visible {
            self.changes += 1;
        }
        if visible && self.first_frame.is_none() {
            self.first_frame = Some(frame);
        }
        self.visible = visible;
        let prompted = labelled.and_then(|labelled| labelled.facts).is_some_and(|f| f.prompted);
        self.prompted_frames += u64::from(prompted);
    }

    fn mean_area(&self) -> f64 {
        if self.visible_frames == 0 { 0.0 } else { self.area as f64 / self.visible_frames as f64 }
    }

    fn bucket(&self) -> &'static str {
        match self.mean_area() {
            area if area < BUCKETS[0] => "small",
            area if area < BUCKETS[1] => "medium",
            _ => "large",
        }
    }
}

#[derive(Serialize)]
struct Rle {
    size: [u32; 2],
    counts: String,
}

impl Rle {
    fn of(mask: &Mask) -> Self {
        let rle = CocoRle::from_mask(mask);
        Self { size: [rle.height(), rle.width()], counts: rle.to_compressed() }
    }
}

impl SavJsonSink {
    /// Creates the document.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let mut file = JsonFile::create(path, overwrite)?;
        let (width, height) = recording.size;
        let rate = recording.frames_per_second;
        let fields = [
            ("video_id", serde_json::json!(recording.name)),
            ("video_duration", serde_json::json!(rate.map(|rate| recording.frames as f64 / rate))),
            ("video_frame_count", serde_json::json!(recording.frames as f64)),
            ("video_height", serde_json::json!(f64::from(height))),
            ("video_width", serde_json::json!(f64::from(width))),
            ("video_resolution", serde_json::json!(f64::from(height) * f64::from(width))),
            ("video_environment", serde_json::json!("")),
            ("video_split", serde_json::json!("")),
        ];
        for (index, (name, value)) in fields.iter().enumerate() {
            file.text(if index == 0 { "{" } else { ", " })?;
            file.text(&format!("\"{name}\": "))?;
            file.value(value)?;
        }
        file.text(", \"masklet\": [\n")?;
        let objects = KnownObjects::new(&recording.objects);
        Ok(Self {
            file,
            order: FrameOrder::new(path, recording.size, recording.frames),
            recording: recording.clone(),
            overwrite,
            announced: objects.numbers().len(),
            tallies: vec![Tally::default(); objects.numbers().len()],
            objects,
        })
    }

    /// Rewrites the document so that every frame has a mask for each object, including frames
    /// before the object appeared.
    ///
    /// Each frame is one line, which lacks the masks of objects that appeared later.
    fn with_late_objects(mut self) -> Result<Self, WriteError> {
        let written = self.file.written()?;
        let path = self.file.path().to_owned();
        let io = |source| WriteError::Io { path: path.clone(), source };
        let empty = Rle::of(&Mask::empty(self.recording.size.0, self.recording.size.1));
        let empty = serde_json::to_string(&empty).map_err(|error| io(error.into()))?;
        // The previous document is deleted together with its temporary file.
        let mut file = JsonFile::create(&path, self.overwrite)?;
        for (index, line) in BufReader::new(written).lines().enumerate() {
            let line = line.map_err(io)?;
            let Some((masks, end)) = (index > 0).then(|| line.rsplit_once(']')).flatten() else {
                file.text(&line)?;
                file.text("\n")?;
                continue;
            };
            file.text(masks)?;
            // No other field of a mask has this name, and run lengths contain no quotation marks.
            let there = masks.matches("\"counts\"").count();
            for object in there..self.objects.numbers().len() {
                file.text(if object == 0 { "" } else { "," })?;
                file.text(&empty)?;
            }
            file.text("]")?;
            file.text(end)?;
            file.text("\n")?;
        }
        self.file = file;
        Ok(self)
    }

    /// Writes everything that follows the masks.
    fn write_summary(&mut self) -> Result<(), WriteError> {
        let pixels = self.recording.pixels().max(1) as f64;
        let tallies = &self.tallies;
        let all = |value: fn(&Tally) -> serde_json::Value| -> serde_json::Value {
            tallies.iter().map(value).collect()
        };
        let rel: Vec<f64> = tallies.iter().map(|tally| tally.mean_area() / pixels).collect();
        let frames = vec![self.recording.frames; tallies.len()];
        let fields = [
            ("masklet_id", serde_json::json!(self.objects.numbers())),
            ("masklet_size_rel", serde_json::json!(rel)),
            ("masklet_size_abs", all(|tally| tally.mean_area().into())),
            ("masklet_size_bucket", all(|tally| tally.bucket().into())),
            ("masklet_visibility_changes", all(|tally| tally.changes.into())),
            ("masklet_first_appeared_frame", all(|tally| tally.first_frame.into())),
            ("masklet_frame_count", serde_json::json!(frames)),
            ("masklet_edited_frame_count", all(|tally| tally.prompted_frames.into())),
            ("masklet_type", all(|_| "auto".into())),
            ("masklet_stability_score", all(|_| serde_json::Value::Null)),
            ("masklet_num", serde_json::json!(tallies.len())),
        ];
        for (name, value) in &fields {
            self.file.text(&format!(", \"{name}\": "))?;
            self.file.value(value)?;
        }
        self.file.text("}\n")
    }
}

impl MaskSink for SavJsonSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        self.objects.admit(frame.objects);
        let (width, height) = self.recording.size;
        self.tallies.resize(self.objects.numbers().len(), Tally::default());
        let mut masks = Vec::new();
        for (&object, tally) in self.objects.numbers().iter().zip(&mut self.tallies) {
            let labelled = entry(frame.objects, object);
            tally.count(frame.index, labelled);
            masks.push(match labelled {
                Some(labelled) => Rle::of(&labelled.mask),
                None => Rle::of(&Mask::empty(width, height)),
            });
        }
        self.file.value(&masks)?;
        self.file.text(if frame.index + 1 == self.recording.frames { "\n" } else { ",\n" })
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        let mut sink = *self;
        if sink.objects.numbers().len() > sink.announced {
            sink = sink.with_late_objects()?;
        }
        sink.file.text("]")?;
        sink.write_summary()?;
        sink.file.complete()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{mask, masks, run};

    fn document(recording: &RecordingInfo, frames: &[Vec<LabelledMask>]) -> serde_json::Value {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip_auto.json");
        run(SavJsonSink::create(&path, recording, false).unwrap(), frames);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
    }

    fn masklet(document: &serde_json::Value, frame: usize, object: usize) -> Mask {
        let rle = &document["masklet"][frame][object];
        assert_eq!(rle["size"], serde_json::json!([2, 4]));
        let counts = rle["counts"].as_str().unwrap();
        CocoRle::from_compressed(4, 2, counts).unwrap().to_mask()
    }

    #[test]
    fn frames_hold_all_objects_and_a_summary_follows() {
        let recording = RecordingInfo {
            objects: vec![1, 4],
            frames_per_second: Some(10.0),
            ..RecordingInfo::new((4, 2), 4)
        };
        let frames = [
            masks(&[(4, "1100 0000")]),
            masks(&[(1, "0001 0001"), (4, "1111 0000")]),
            masks(&[(1, "0000 0000")]),
            masks(&[(1, "1000 0000")]),
        ];
        let document = document(&recording, &frames);
        assert_eq!(document["video_duration"], 0.4);
        assert_eq!(document["masklet"].as_array().unwrap().len(), 4);
        assert_eq!(masklet(&document, 0, 0), mask("0000 0000"));
        assert_eq!(masklet(&document, 1, 0), mask("0001 0001"));
        assert_eq!(masklet(&document, 1, 1), mask("1111 0000"));
        let summary = [
            ("masklet_id", serde_json::json!([1, 4])),
            ("masklet_size_abs", serde_json::json!([1.5, 3.0])),
            ("masklet_size_rel", serde_json::json!([0.1875, 0.375])),
            ("masklet_size_bucket", serde_json::json!(["small", "small"])),
            ("masklet_visibility_changes", serde_json::json!([2, 1])),
            ("masklet_first_appeared_frame", serde_json::json!([1, 0])),
            ("masklet_frame_count", serde_json::json!([4, 4])),
            ("masklet_edited_frame_count", serde_json::json!([3, 0])),
            ("masklet_num", serde_json::json!(2)),
        ];
        for (name, expected) in summary {
            assert_eq!(document[name], expected, "{name}");
        }
    }

    #[test]
    fn an_object_that_comes_late_has_empty_masks_before() {
        let frames =
            [masks(&[]), masks(&[(3, "0110 0000")]), masks(&[(2, "1111 1111"), (3, "0001 0000")])];
        let document = document(&RecordingInfo::new((4, 2), 3), &frames);
        assert_eq!(document["masklet_id"], serde_json::json!([3, 2]));
        let counts: Vec<usize> = document["masklet"]
            .as_array()
            .unwrap()
            .iter()
            .map(|frame| frame.as_array().unwrap().len())
            .collect();
        assert_eq!(counts, [2, 2, 2]);
        assert_eq!(masklet(&document, 0, 0), mask("0000 0000"));
        assert_eq!(masklet(&document, 1, 0), mask("0110 0000"));
        assert_eq!(masklet(&document, 1, 1), mask("0000 0000"));
        assert_eq!(masklet(&document, 2, 1), mask("1111 1111"));
        assert_eq!(document["masklet_visibility_changes"], serde_json::json!([0, 0]));
    }
}
