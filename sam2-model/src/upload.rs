//! Numbers from the host to a device.

use burn::tensor::{Device, Tensor, TensorData};

/// A tensor of `values`, row-major, without gaps.
///
/// They go as a vector first: on CUDA, a tensor of several axes gets rows of whole 512 bytes, and a kernel that wants them without gaps would copy it before each use.
pub(crate) fn upload<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    let count = values.len();
    Tensor::<1>::from_data(TensorData::new(values, [count]), device).reshape(shape)
}
