//! One prompt of a job.

use sam2_engine::{BoxPrompt, ObjectId, Point};
use sam2_mask_writer::{Mask, RunPoint, RunPrompt};
use sam2_model::PointLabel;

/// The prompt of one object on one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct JobPrompt {
    /// Index of the frame in the recording (0-based).
    pub frame: usize,
    /// The object.
    pub object: ObjectId,
    /// Clicks, each with a name for error messages, such as its body part.
    pub points: Vec<(String, Point)>,
    /// A bounding box.
    pub bounds: Option<BoxPrompt>,
    /// A mask of the recording's size. Points and a box on the same frame refine it.
    pub mask: Option<Mask>,
}

impl JobPrompt {
    /// Largest number of points of an object on a frame. The model compares every point with every
    /// other: ten thousand would take gigabytes.
    pub const MOST_POINTS: usize = 1000;

    /// Creates a prompt without points, box and mask, to be filled in.
    pub fn empty(frame: usize, object: ObjectId) -> Self {
        Self { frame, object, points: Vec::new(), bounds: None, mask: None }
    }

    /// Returns what a run file keeps of the prompt. Returns `None` if the prompt is only a mask.
    pub(super) fn for_showing(&self) -> Option<RunPrompt> {
        let point = |(name, point): &(String, Point)| RunPoint {
            name: name.clone(),
            x: point.x,
            y: point.y,
            positive: point.label == PointLabel::Positive,
        };
        (!self.points.is_empty() || self.bounds.is_some()).then(|| RunPrompt {
            frame: self.frame,
            object: self.object.0,
            points: self.points.iter().map(point).collect(),
            bounds: self.bounds.map(|bounds| [bounds.x0, bounds.y0, bounds.x1, bounds.y1]),
        })
    }
}
