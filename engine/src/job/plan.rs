//! What is to be done, settled before the model runs.

use std::collections::BTreeSet;
use std::ops::Range;

use sam2_frame_provider::FrameSize;
use sam2_mask_writer::Mask;

use crate::error::EngineError;
use crate::keypoints::KeypointTrack;
use crate::prompt::{BoxPrompt, ObjectId, Point};
use crate::session::Region;

/// One object's prompt on one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct JobPrompt {
    /// The frame's number in the recording.
    pub frame: usize,
    /// The object.
    pub object: ObjectId,
    /// Clicks, each with a name for error messages (a body part, say).
    pub points: Vec<(String, Point)>,
    /// A box.
    pub bounds: Option<BoxPrompt>,
    /// A mask of the recording's size; points and a box on the same frame refine it.
    pub mask: Option<Mask>,
}

/// Frames that are tracked together.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchPlan {
    /// Their numbers.
    pub frames: Range<usize>,
    /// Prompts on them; none = these frames stay empty.
    pub prompts: Vec<JobPrompt>,
}

/// The batches of a recording, in order, without gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct JobPlan {
    /// The batches.
    pub batches: Vec<BatchPlan>,
}

impl JobPlan {
    /// One prompt for the whole recording, or several, in one batch.
    pub fn whole(frame_count: usize, prompts: Vec<JobPrompt>) -> Self {
        Self { batches: vec![BatchPlan { frames: 0..frame_count, prompts }] }
    }

    /// Batches of `batch_size` frames (0 = one batch), each prompted on its best frame with that frame's body parts as positive
    /// points of object 1. The last batch is as short as it must be.
    pub fn from_keypoints(
        track: &KeypointTrack,
        frame_count: usize,
        batch_size: usize,
        min_likelihood: f32,
    ) -> Self {
        let size = if batch_size == 0 { frame_count.max(1) } else { batch_size };
        let batches = (0..frame_count)
            .step_by(size)
            .map(|start| {
                let frames = start..start.saturating_add(size).min(frame_count);
                let prompts = track
                    .best_frame(frames.clone(), min_likelihood)
                    .map(|best| JobPrompt {
                        frame: best.frame,
                        object: ObjectId(1),
                        points: best
                            .points
                            .into_iter()
                            .map(|(name, k)| (name, Point::positive(k.x, k.y)))
                            .collect(),
                        bounds: None,
                        mask: None,
                    })
                    .into_iter()
                    .collect();
                BatchPlan { frames, prompts }
            })
            .collect();
        Self { batches }
    }

    /// Checks every prompt against the recording before anything is computed or written.
    ///
    /// # Errors
    /// [`EngineError`] for the first prompt that is off, naming frame, point and remedy.
    pub fn check(&self, frame_count: usize, size: FrameSize) -> Result<(), EngineError> {
        for prompt in self.batches.iter().flat_map(|batch| &batch.prompts) {
            let frame = prompt.frame;
            if frame >= frame_count {
                return Err(EngineError::FrameOutOfRange { frame, count: frame_count });
            }
            let corners = prompt.bounds.into_iter().flat_map(|bounds| {
                bounds.corners().map(|corner| ("the box corner".to_owned(), corner))
            });
            for (name, point) in prompt.points.iter().cloned().chain(corners) {
                let inside = |value: f32, length: u32| (0.0..=length as f32).contains(&value);
                if !inside(point.x, size.width) || !inside(point.y, size.height) {
                    let (x, y) = (point.x, point.y);
                    return Err(EngineError::PointOutside { what: name, x, y, frame, size });
                }
            }
            if let Some(BoxPrompt { x0, y0, x1, y1 }) = prompt.bounds
                && (x0 >= x1 || y0 >= y1)
            {
                return Err(EngineError::EmptyBox { x0, y0, x1, y1, frame });
            }
            if let Some(mask) = &prompt.mask {
                let found = FrameSize { width: mask.width(), height: mask.height() };
                if found != size {
                    let (object, expected) = (prompt.object, size);
                    return Err(EngineError::MaskPromptSize { object, frame, expected, found });
                }
            }
            if prompt.mask.is_none() && prompt.bounds.is_none() && prompt.points.is_empty() {
                return Err(EngineError::EmptyPrompt { object: prompt.object, frame });
            }
        }
        Ok(())
    }

    /// Checks that a region lies within the frames and every prompt in the region.
    ///
    /// # Errors
    /// [`EngineError::RegionOutside`], [`EngineError::PointOutsideRegion`].
    pub fn check_region(&self, region: Option<Region>, size: FrameSize) -> Result<(), EngineError> {
        let Some(region) = region else { return Ok(()) };
        if !region.is_within(size) {
            return Err(EngineError::RegionOutside { region, size });
        }
        for prompt in self.batches.iter().flat_map(|batch| &batch.prompts) {
            let corners = prompt.bounds.into_iter().flat_map(|bounds| {
                bounds.corners().map(|corner| ("the box corner".to_owned(), corner))
            });
            for (what, point) in prompt.points.iter().cloned().chain(corners) {
                if !region.contains(point) {
                    let (x, y, frame) = (point.x, point.y, prompt.frame);
                    return Err(EngineError::PointOutsideRegion { what, x, y, frame, region });
                }
            }
        }
        Ok(())
    }

    /// Prompt frames, for showing.
    pub fn prompt_frames(&self) -> Vec<usize> {
        let mut frames: Vec<usize> =
            self.batches.iter().flat_map(|b| b.prompts.iter().map(|p| p.frame)).collect();
        frames.dedup();
        frames
    }

    /// The objects that are prompted anywhere, in ascending order, for outputs that must know them at their start.
    pub fn objects(&self) -> Vec<u32> {
        let prompts = self.batches.iter().flat_map(|batch| &batch.prompts);
        prompts.map(|prompt| prompt.object.0).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Frames in the recording.
    pub fn frame_count(&self) -> usize {
        self.batches.last().map_or(0, |batch| batch.frames.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keypoints::KeypointSelection;
    use std::path::Path;

    fn track(rows: usize) -> KeypointTrack {
        let mut text = "scorer,n,n,n\nbodyparts,s,s,s\ncoords,x,y,likelihood\n".to_owned();
        for row in 0..rows {
            text.push_str(&format!("{row},1,1,{}\n", if row % 5 == 3 { 0.9 } else { 0.5 }));
        }
        let selection = KeypointSelection::default();
        KeypointTrack::parse_dlc(Path::new("t"), text.as_bytes(), &selection).unwrap()
    }

    #[test]
    fn batches_cover_every_frame_once() {
        for (frames, size, expected) in [(10, 4, 3), (8, 4, 2), (9, 4, 3), (3, 400, 1), (5, 0, 1)] {
            let plan = JobPlan::from_keypoints(&track(frames), frames, size, 0.0);
            assert_eq!(plan.batches.len(), expected);
            let covered: Vec<usize> = plan.batches.iter().flat_map(|b| b.frames.clone()).collect();
            assert_eq!(covered, (0..frames).collect::<Vec<_>>());
            assert_eq!(plan.frame_count(), frames);
        }
    }

    #[test]
    fn each_batch_takes_its_own_best_frame() {
        let plan = JobPlan::from_keypoints(&track(10), 10, 4, 0.0);
        assert_eq!(plan.prompt_frames(), [3, 4, 8]);
        let strict = JobPlan::from_keypoints(&track(10), 10, 4, 0.8);
        let prompts: Vec<usize> = strict.batches.iter().map(|b| b.prompts.len()).collect();
        assert_eq!(prompts, [1, 0, 1]);
    }

    #[test]
    fn prompts_outside_are_found_before_the_work() {
        let size = FrameSize { width: 10, height: 10 };
        let prompt = |x: f32, frame| JobPrompt {
            frame,
            object: ObjectId(1),
            points: vec![("snout".into(), Point::positive(x, 5.0))],
            bounds: None,
            mask: None,
        };
        let check = |prompt| JobPlan::whole(4, vec![prompt]).check(4, size);
        assert!(check(prompt(10.0, 3)).is_ok());
        for (x, frame) in [(10.5, 0), (-0.1, 0), (f32::NAN, 0), (5.0, 4)] {
            assert!(check(prompt(x, frame)).is_err(), "{x} on {frame}");
        }
        let message = check(prompt(20.0, 2)).unwrap_err().to_string();
        assert!(message.contains("snout") && message.contains("10x10"), "{message}");
    }
}
