//! One prompt of a job.

use std::collections::BTreeSet;

use sam2_engine::{BoxPrompt, EngineError, ObjectId, ObjectMask, Point, VideoSession};
use sam2_frame_provider::FrameSource;
use sam2_mask_writer::{Mask, MaskSizeError, RunPoint, RunPrompt};
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
    /// Which of the decoder's three candidate masks the points and the box take, 0 to 2. `None` = the
    /// one that the official predictor takes.
    pub candidate: Option<u8>,
}

impl JobPrompt {
    /// Largest number of points of an object on a frame. The model compares every point with every
    /// other: ten thousand would take gigabytes.
    pub const MOST_POINTS: usize = 1000;
    /// Number of candidate masks that the decoder gives.
    pub const CANDIDATES: u8 = 3;

    /// Creates a prompt without points, box and mask, to be filled in.
    pub fn empty(frame: usize, object: ObjectId) -> Self {
        Self { frame, object, points: Vec::new(), bounds: None, mask: None, candidate: None }
    }

    /// Returns a pixel, column and row, with a positive and a negative point.
    pub(super) fn contradiction(&self) -> Option<[u32; 2]> {
        let pixels = |label: PointLabel| {
            let labelled = self.points.iter().filter(move |(_, point)| point.label == label);
            labelled.map(|(_, point)| [point.x as u32, point.y as u32])
        };
        let negative: BTreeSet<_> = pixels(PointLabel::Negative).collect();
        pixels(PointLabel::Positive).find(|pixel| negative.contains(pixel))
    }

    /// Returns true if the prompt says only where the object is not.
    pub(super) fn says_only_where_not(&self) -> bool {
        self.bounds.is_none()
            && self.mask.is_none()
            && self.points.iter().all(|(_, point)| point.label == PointLabel::Negative)
    }

    /// Gives the prompt to a session whose first frame is frame `first` of the recording.
    pub(super) fn give<F: FrameSource>(
        &self,
        session: &mut VideoSession<F>,
        first: usize,
    ) -> Result<(), EngineError> {
        let points: Vec<_> = self.points.iter().map(|(_, point)| *point).collect();
        let frame = self.frame - first;
        if let Some(mask) = &self.mask {
            session.add_mask(frame, self.object, mask)?;
        }
        // Points and a box that follow a mask refine it: the mask's logits are fed back.
        if !points.is_empty() || self.bounds.is_some() {
            let (object, bounds) = (self.object, self.bounds);
            match self.candidate.map(usize::from) {
                None => session.add_points_or_box(frame, object, &points, bounds, true)?,
                Some(index) => session.add_points_or_box_choosing(
                    frame,
                    object,
                    &points,
                    bounds,
                    |_: &[ObjectMask]| Some(index),
                )?,
            };
        }
        Ok(())
    }

    /// Gives the prompt to a session on the whole recording, and shows the candidate masks of points and a
    /// box to `look`.
    ///
    /// # Errors
    /// Those of [`VideoSession::add_mask`] and [`VideoSession::add_points_or_box_choosing`].
    pub fn give_showing<F: FrameSource>(
        &self,
        session: &mut VideoSession<F>,
        look: impl FnOnce(&[ObjectMask]),
    ) -> Result<(), EngineError> {
        if let Some(mask) = &self.mask {
            session.add_mask(self.frame, self.object, mask)?;
        }
        if !self.points.is_empty() || self.bounds.is_some() {
            let points: Vec<_> = self.points.iter().map(|(_, point)| *point).collect();
            let (frame, object, bounds) = (self.frame, self.object, self.bounds);
            let index = self.candidate.map(usize::from);
            session.add_points_or_box_choosing(frame, object, &points, bounds, |candidates| {
                look(candidates);
                index
            })?;
        }
        Ok(())
    }

    /// Gives points and box to a session as [`Self::give`] does, shows the candidate masks to `look`,
    /// and returns the mask that the model takes.
    pub(super) fn give_looking<F: FrameSource>(
        &self,
        session: &mut VideoSession<F>,
        first: usize,
        look: impl FnOnce(&[ObjectMask]),
    ) -> Result<ObjectMask, EngineError> {
        let points: Vec<_> = self.points.iter().map(|(_, point)| *point).collect();
        let (frame, object, bounds) = (self.frame - first, self.object, self.bounds);
        session.add_points_or_box_choosing(frame, object, &points, bounds, |candidates| {
            look(candidates);
            None
        })
    }

    /// Returns a prompt that a run file keeps, for frames of `width` x `height` pixels.
    ///
    /// # Errors
    /// [`MaskSizeError`] if its mask does not have the size of the frames.
    pub fn from_run_file(
        prompt: &RunPrompt,
        (width, height): (u32, u32),
    ) -> Result<Self, MaskSizeError> {
        let point = |point: &RunPoint| {
            let make = if point.positive { Point::positive } else { Point::negative };
            (point.name.clone(), make(point.x, point.y))
        };
        let mask = prompt.mask.as_ref().map(|runs| Mask::from_runs(width, height, runs.clone()));
        Ok(Self {
            points: prompt.points.iter().map(point).collect(),
            bounds: prompt.bounds.map(|[x0, y0, x1, y1]| BoxPrompt { x0, y0, x1, y1 }),
            mask: mask.transpose()?,
            candidate: prompt.candidate,
            ..Self::empty(prompt.frame, ObjectId(prompt.object))
        })
    }

    /// Returns the prompt as a run file keeps it.
    pub fn for_run_file(&self) -> RunPrompt {
        let point = |(name, point): &(String, Point)| RunPoint {
            name: name.clone(),
            x: point.x,
            y: point.y,
            positive: point.label == PointLabel::Positive,
        };
        RunPrompt {
            frame: self.frame,
            object: self.object.0,
            points: self.points.iter().map(point).collect(),
            bounds: self.bounds.map(|bounds| [bounds.x0, bounds.y0, bounds.x1, bounds.y1]),
            candidate: self.candidate,
            mask: self.mask.as_ref().map(|mask| mask.runs().to_vec()),
        }
    }
}
