//! Identity across the borders of batches.

use sam2_mask_writer::LabelledMask;

use super::plan::{BatchPlan, JobPrompt};
use crate::prompt::ObjectId;

/// The prompts of a batch, with the masks of the frame before it as prompts on its first frame. An object that was lost there, or that
/// has a mask of its own on that frame, is left as it is.
pub(super) fn with_carried_over(batch: &BatchPlan, before: &[LabelledMask]) -> Vec<JobPrompt> {
    let first = batch.frames.start;
    let has_mask = |object: u32| {
        let mut prompts = batch.prompts.iter();
        prompts.any(|p| p.frame == first && p.object.0 == object && p.mask.is_some())
    };
    let carried = before
        .iter()
        .filter(|shown| shown.mask.area() > 0 && !has_mask(shown.object))
        .map(|shown| JobPrompt {
            frame: first,
            object: ObjectId(shown.object),
            points: Vec::new(),
            bounds: None,
            mask: Some(shown.mask.clone()),
        });
    // In front, so that the batch's own points on that frame refine them.
    carried.chain(batch.prompts.iter().cloned()).collect()
}
