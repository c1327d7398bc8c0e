//! Detection of other objects that the prompt could have meant, if the memory policy needs it.

use sam2_model::mask_decoder::DecoderOutputs;

use crate::error::EngineError;
use crate::memory_policy::{Candidates, MemoryPolicy};
use crate::on_device::read;

/// Returns, for each object in the decoder's batch, whether another object was in sight; empty if
/// the policy does not ask.
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
