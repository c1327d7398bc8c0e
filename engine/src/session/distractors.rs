//! Other objects that could have been meant, if the memory policy wants to know of them.

use sam2_model::mask_decoder::DecoderOutputs;

use crate::error::EngineError;
use crate::memory_policy::{Candidates, MemoryPolicy};
use crate::on_device::read;

/// Of each object that went through the decoder, whether another one was in sight; empty if the policy does not ask.
pub(super) fn distractors(
    policy: &dyn MemoryPolicy,
    outputs: &DecoderOutputs,
) -> Result<Vec<bool>, EngineError> {
    if !policy.reads_candidates() {
        return Ok(Vec::new());
    }
    let (logits, ious) = outputs.candidates();
    let [_, count, height, width] = logits.dims();
    let (logits, ious) = (read(logits)?, read(ious)?);
    let candidates = logits.chunks_exact(count * height * width).zip(ious.chunks_exact(count));
    let seen = candidates
        .map(|(logits, ious)| policy.sees_distractor(&Candidates::new(logits, ious, width)));
    Ok(seen.collect())
}
