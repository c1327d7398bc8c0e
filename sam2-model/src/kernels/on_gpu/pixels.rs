//! Conversion of pixels to network input on a GPU.

use burn::tensor::{Bytes, DType, Tensor};
use cubecl::ir::{ElemType, UIntKind};

use super::super::gpu::{self, Buffer};
use super::{buffer, empty, on_gpu, tensor, vector};

/// Runs [`look_up_pixels`](crate::kernels::look_up_pixels) on a GPU. Bytes are sent four to a word,
/// because some devices have no 8-bit integers.
pub(in crate::kernels) fn look_up_pixels(
    rgb: &[u8],
    table: &Tensor<2>,
    side: usize,
) -> Option<Tensor<4>> {
    let like = on_gpu(table)?;
    let table = vector(table)?;
    if rgb.len() != 3 * side * side {
        return None;
    }
    let length = rgb.len().div_ceil(4);
    let mut bytes = Vec::with_capacity(4 * length);
    bytes.extend_from_slice(rgb);
    bytes.resize(4 * length, 0);
    let handle = like.client.create(Bytes::from_bytes_vec(bytes));
    let words = Buffer { handle, length, element: ElemType::UInt(UIntKind::U32) };
    let out = empty(&like, [1, 3, side, side], DType::F32);
    gpu::look_up_pixels(&like.client, &words, &table, side * side, &buffer(&out)?)
        .then(|| tensor(out))
}
