//! Carries the identity of objects across the borders of batches.

use sam2_mask_writer::LabelledMask;

use super::job_prompt::JobPrompt;
use super::plan::BatchPlan;
use sam2_engine::ObjectId;

/// Returns the prompts of a batch, preceded by the masks of the frame before it as prompts on its
/// first frame. Omits objects that were lost on the frame before, and objects that have a mask
/// prompt of their own on the first frame.
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
            mask: Some(shown.mask.clone()),
            ..JobPrompt::empty(first, ObjectId(shown.object))
        });
    // Carried masks come first, so that the batch's own points on that frame refine them.
    carried.chain(batch.prompts.iter().cloned()).collect()
}
