//! Copying values from the host to a device.

use burn::tensor::{Device, Tensor, TensorData};

/// Makes a tensor of `values`, row-major, without gaps.
///
/// The values are copied as a vector first. On CUDA, each row of a tensor with several axes is
/// padded to a multiple of 512 bytes, and a kernel that needs rows without gaps would copy the
/// tensor before each use.
pub(crate) fn upload<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    let count = values.len();
    Tensor::<1>::from_data(TensorData::new(values, [count]), device).reshape(shape)
}
