//! Concatenation of tensors on a GPU.

use burn::tensor::Tensor;

use super::super::gpu::{self, Part};
use super::{buffer, contiguous, empty, tensor};

/// Concatenates tensors along `axis`, as [`join`](crate::kernels::join).
pub(in crate::kernels) fn join<const D: usize>(
    parts: &[Tensor<D>],
    axis: usize,
) -> Option<Tensor<D>> {
    if parts.len() > gpu::MOST_PARTS {
        // In rounds, each of which has all its parts as inputs.
        let rounds = parts.chunks(gpu::MOST_PARTS).map(|round| join(round, axis));
        return join(&rounds.collect::<Option<Vec<_>>>()?, axis);
    }
    if let [only] = parts {
        return contiguous(only).map(|_| only.clone());
    }
    let mut shape = parts.first()?.dims();
    shape[axis] = parts.iter().map(|part| part.dims()[axis]).sum();
    let batch = |part: &Tensor<D>| part.dims()[0];
    if axis > 0 {
        shape[0] = parts.iter().map(batch).max()?;
    }
    let alike = |part: &Tensor<D>| {
        let of_part = part.dims();
        let same = |other: usize| other == axis || of_part[other] == shape[other];
        (1..D).all(same) && (axis == 0 || of_part[0] == shape[0] || of_part[0] == 1)
    };
    if !parts.iter().all(alike) {
        return None;
    }
    // A batch of 1 serves as one row for all only if rows are entries of the batch. Otherwise it is
    // expanded first.
    let rows: usize = shape[..axis].iter().product();
    let parts = parts
        .iter()
        .map(|part| {
            let mut whole = part.dims();
            let repeated = axis == 1 && whole[0] == 1;
            let made = if axis > 1 && whole[0] != shape[0] {
                whole[0] = shape[0];
                contiguous(&part.clone().expand(whole))?
            } else {
                contiguous(part)?
            };
            let length = whole[axis..].iter().product();
            Some((made, length, repeated))
        })
        .collect::<Option<Vec<_>>>()?;
    let (first, ..) = parts.first()?;
    let out = empty(first, shape, first.dtype);
    let parts = parts
        .iter()
        .map(|(part, length, repeated)| {
            Some(Part { buffer: buffer(part)?, length: *length, repeated: *repeated })
        })
        .collect::<Option<Vec<_>>>()?;
    gpu::join(&first.client, &parts, rows, &buffer(&out)?).then(|| tensor(out))
}
