//! Replacements for an object that is not in the frame, in its pointer and in its memory.

use burn::tensor::{FloatDType, Tensor};

use super::on_gpu;

/// Replaces pointers `[batch, dim]` whose score `[batch, 1]` is not above 0 with `no_object`
/// `[1, dim]` (`_forward_sam_heads`: `present * pointer + (1 - present) * no_obj_ptr`).
pub fn mark_absent(pointers: Tensor<2>, scores: Tensor<2>, no_object: Tensor<2>) -> Tensor<2> {
    on_gpu::mark_absent(&pointers, &scores, &no_object)
        .unwrap_or_else(|| mark_absent_on_any_device(pointers, scores, no_object))
}

/// Does the same with burn's operations, on any device.
pub fn mark_absent_on_any_device(
    pointers: Tensor<2>,
    scores: Tensor<2>,
    no_object: Tensor<2>,
) -> Tensor<2> {
    let present = present(scores);
    let absent = present.clone() * -1.0 + 1.0;
    pointers * present + absent * no_object
}

/// Prepares memories `[batch, n, channels]` for storage: adds `embedding` `[1, channels]` to those
/// of objects whose score `[batch, 1]` is not above 0, then rounds to bfloat16 precision. The
/// result stays f32 (`_encode_new_memory`). `absent` is the scores and the embedding; SAM 2.0 has
/// neither.
pub fn finish_memory(memory: Tensor<3>, absent: Option<(Tensor<2>, Tensor<2>)>) -> Tensor<3> {
    let parts = absent.as_ref().map(|(scores, embedding)| (scores, embedding));
    on_gpu::finish_memory(&memory, parts)
        .unwrap_or_else(|| finish_memory_on_any_device(memory, absent))
}

/// Does the same with burn's operations, on any device that supports bfloat16.
pub fn finish_memory_on_any_device(
    memory: Tensor<3>,
    absent: Option<(Tensor<2>, Tensor<2>)>,
) -> Tensor<3> {
    let memory = match absent {
        Some((scores, embedding)) => {
            let absent = (present(scores) * -1.0 + 1.0).unsqueeze_dim::<3>(2);
            memory + absent * embedding.unsqueeze::<3>()
        }
        None => memory,
    };
    memory.cast(FloatDType::BF16).cast(FloatDType::F32)
}

/// Returns 1 where the logit is above 0, else 0.
pub(crate) fn present(logits: Tensor<2>) -> Tensor<2> {
    logits.greater_scalar(0.0).float()
}
