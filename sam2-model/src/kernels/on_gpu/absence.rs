//! Steps for objects that are not in the frame, and the format of memories.

use burn::tensor::{DType, Tensor};

use super::super::gpu::{self, MemoryArgs};
use super::{buffer, contiguous, empty, on_gpu, optional, tensor, vector};

/// Runs [`mark_absent`](crate::kernels::mark_absent) on a GPU.
pub(in crate::kernels) fn mark_absent(
    pointers: &Tensor<2>,
    scores: &Tensor<2>,
    no_object: &Tensor<2>,
) -> Option<Tensor<2>> {
    let shape = pointers.dims();
    if scores.dims() != [shape[0], 1] || no_object.dims() != [1, shape[1]] {
        return None;
    }
    let like = on_gpu(pointers)?;
    let rows = vector(pointers)?;
    let (scores, instead) = (vector(scores)?, vector(no_object)?);
    let out = empty(&like, shape, DType::F32);
    gpu::mark_absent(&like.client, &rows, &scores, &instead, shape, &buffer(&out)?)
        .then(|| tensor(out))
}

/// Runs [`finish_memory`](crate::kernels::finish_memory) on a GPU.
pub(in crate::kernels) fn finish_memory(
    memory: &Tensor<3>,
    absent: Option<(&Tensor<2>, &Tensor<2>)>,
) -> Option<Tensor<3>> {
    let shape = memory.dims();
    let [batch, _, channels] = shape;
    let x = contiguous(memory)?;
    let absent = optional(absent, |(scores, embedding)| {
        let fits = scores.dims() == [batch, 1] && embedding.dims() == [1, channels];
        if !fits {
            return None;
        }
        Some((vector(scores)?, vector(embedding)?))
    })?;
    let out = empty(&x, shape, DType::F32);
    let args = MemoryArgs {
        x: &buffer(&x)?,
        absent: absent.as_ref().map(|(scores, embedding)| (scores, embedding)),
        out: &buffer(&out)?,
        size: shape,
    };
    gpu::finish_memory(&x.client, &args).then(|| tensor(out))
}
