//! The connection between tensors on a GPU and the buffers that our GPU kernels use.
//!
//! Every function returns `None` if the tensors are not on a GPU, or not in a format that its
//! kernel reads. The caller then uses burn's operations.

use burn::tensor::{DType, Device, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::{ElemType, FloatKind};

use super::gpu::{Buffer, Maps};

mod absence;
mod attention;
mod choice;
mod join;
mod linear;
mod maps;
mod pixels;

pub(super) use absence::{finish_memory, mark_absent};
pub(super) use attention::{attention, window_attention};
pub(super) use choice::{choose_mask, mask_product};
pub(super) use join::join;
pub(super) use linear::{grouped_linear, layer_norm, linear};
pub(super) use maps::{convolution, layer_norm_2d, max_pool_2x2, resample, rotate};
pub(super) use pixels::look_up_pixels;

/// Implements [`only_f16_has_matrix_units`](crate::kernels::only_f16_has_matrix_units).
pub(super) fn only_f16_has_matrix_units(device: &Device) -> bool {
    let tensor = on_gpu(&Tensor::<1>::zeros([1], device));
    tensor.is_some_and(|tensor| super::gpu::only_f16_has_matrix_units(&tensor.client))
}

/// Returns the tensor's buffer; the values may be anywhere in it.
fn on_gpu<const D: usize>(tensor: &Tensor<D>) -> Option<CubeTensor> {
    let tensor = tensor.clone().try_into_primitive::<CubeBackend>().ok()?;
    element(tensor.dtype).map(|_| tensor)
}

/// Returns the tensor's buffer with its values row-major from the start.
fn contiguous<const D: usize>(tensor: &Tensor<D>) -> Option<CubeTensor> {
    on_gpu(tensor).map(into_contiguous)
}

/// Returns the format for kernels, if they can read and write it.
fn element(format: DType) -> Option<ElemType> {
    let kind = match format {
        DType::F32 => FloatKind::F32,
        DType::F16 => FloatKind::F16,
        DType::BF16 => FloatKind::BF16,
        _ => return None,
    };
    Some(ElemType::Float(kind))
}

fn buffer(tensor: &CubeTensor) -> Option<Buffer> {
    let length = tensor.handle.size_in_used() as usize / tensor.dtype.size();
    Some(Buffer { handle: tensor.handle.clone(), length, element: element(tensor.dtype)? })
}

/// Allocates a tensor for a kernel's result, on the device of `like`.
fn empty<const D: usize>(like: &CubeTensor, shape: [usize; D], format: DType) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    empty_device_contiguous_dtype(client, device, Shape::from(shape), format)
}

fn tensor<const D: usize>(made: CubeTensor) -> Tensor<D> {
    Tensor::from_primitive::<CubeBackend>(made)
}

/// Returns values in f32, row-major: the form of norms, biases and factors.
fn vector<const D: usize>(tensor: &Tensor<D>) -> Option<Buffer> {
    let tensor = contiguous(tensor)?;
    (tensor.dtype == DType::F32).then(|| buffer(&tensor))?
}

/// Applies `on_device` to a part that may be absent. Returns `None` if the part is present but
/// `on_device` fails.
fn optional<T, R>(part: Option<T>, on_device: impl FnOnce(T) -> Option<R>) -> Option<Option<R>> {
    match part {
        Some(part) => on_device(part).map(Some),
        None => Some(None),
    }
}

/// Maps `[batch, channels, height, width]` with arbitrary strides.
struct Lying {
    buffer: Buffer,
    strides: [usize; 4],
}

impl Lying {
    fn of(maps_bchw: &CubeTensor) -> Option<Self> {
        let &[map, channel, row, column] = &maps_bchw.meta.strides()[..] else { return None };
        Some(Self { buffer: buffer(maps_bchw)?, strides: [map, channel, row, column] })
    }

    fn maps(&self) -> Maps<'_> {
        Maps { buffer: &self.buffer, strides: self.strides }
    }
}
