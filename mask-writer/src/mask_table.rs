//! The rows of mask tables, one per object and frame, shared by all table formats.

use std::collections::BTreeMap;

use crate::known_objects::{KnownObjects, entry};
use crate::recording_info::RecordingInfo;
use crate::sink::{MaskFacts, MaskFrame};

/// Names of the columns, in order.
pub(crate) const COLUMNS: [&str; 17] = [
    "frame",
    "time",
    "object",
    "area",
    "centroid_x",
    "centroid_y",
    "box_x",
    "box_y",
    "box_width",
    "box_height",
    "object_score",
    "predicted_iou",
    "prompted",
    "flags",
    "name",
    "image",
    "agreement",
];

/// One object on one frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) frame: usize,
    /// Seconds from the recording's start.
    pub(crate) time: Option<f64>,
    pub(crate) object: u32,
    /// In pixels.
    pub(crate) area: u64,
    /// Column and row, where 0 is the centre of the first pixel; `None` for an empty mask.
    pub(crate) centroid: Option<(f64, f64)>,
    /// Left, top, width, height; `None` for an empty mask.
    pub(crate) bounds: Option<[u32; 4]>,
    pub(crate) facts: Option<MaskFacts>,
    /// Name of the object.
    pub(crate) name: Option<String>,
    /// File name of the image that the frame was read from.
    pub(crate) image: Option<String>,
}

impl Row {
    /// Names of the flags, separated by `|`, which `pandas.Series.str.get_dummies` expects.
    pub(crate) fn flags(&self) -> String {
        let flags = self.facts.map(|facts| facts.flags).unwrap_or_default();
        flags.iter().map(|flag| flag.name()).collect::<Vec<_>>().join("|")
    }
}

/// Makes the rows of a recording.
pub(crate) struct Rows {
    known: KnownObjects,
    object_names: BTreeMap<u32, String>,
    image_names: Vec<String>,
}

impl Rows {
    pub(crate) fn new(recording: &RecordingInfo) -> Self {
        Self {
            known: KnownObjects::new(&recording.objects),
            object_names: recording.object_names.clone(),
            image_names: recording.image_names.clone(),
        }
    }

    /// Returns the rows of a frame: one for each object that was announced or has appeared, sorted
    /// by number.
    pub(crate) fn of(&mut self, frame: &MaskFrame<'_>) -> Vec<Row> {
        self.known.admit(frame.objects);
        let mut numbers = self.known.numbers().to_vec();
        numbers.sort_unstable();
        let row = |object| {
            let labelled = entry(frame.objects, object);
            let mask = labelled.map(|labelled| &labelled.mask);
            Row {
                frame: frame.index,
                time: frame.seconds,
                object,
                area: mask.map_or(0, |mask| mask.area()),
                centroid: mask.and_then(|mask| mask.centroid()),
                bounds: mask
                    .and_then(|mask| mask.bounds())
                    .map(|[x0, y0, x1, y1]| [x0, y0, x1 - x0 + 1, y1 - y0 + 1]),
                facts: labelled.and_then(|labelled| labelled.facts),
                name: self.object_names.get(&object).cloned(),
                image: self.image_names.get(frame.index).cloned(),
            }
        };
        numbers.into_iter().map(row).collect()
    }
}
