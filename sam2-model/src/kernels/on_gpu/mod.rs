//! Between tensors on a GPU and the buffers that our kernels there work on.
//!
//! Every function answers `None` where the tensors are not on a GPU, or not in a format that its kernel reads: the caller takes burn's way then.

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

/// As [`only_f16_has_matrix_units`](crate::kernels::only_f16_has_matrix_units).
pub(super) fn only_f16_has_matrix_units(device: &Device) -> bool {
    let tensor = on_gpu(&Tensor::<1>::zeros([1], device));
    tensor.is_some_and(|tensor| super::gpu::only_f16_has_matrix_units(&tensor.client))
}

/// The tensor's buffer, wherever in it the numbers lie.
fn on_gpu<const D: usize>(tensor: &Tensor<D>) -> Option<CubeTensor> {
    let tensor = tensor.clone().try_into_primitive::<CubeBackend>().ok()?;
    element(tensor.dtype).map(|_| tensor)
}

/// The same with numbers row-major from the buffer's start.
fn contiguous<const D: usize>(tensor: &Tensor<D>) -> Option<CubeTensor> {
    on_gpu(tensor).map(into_contiguous)
}

/// A format that kernels read and write.
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

/// A tensor whose numbers a kernel will write, next to `like`.
fn empty<const D: usize>(like: &CubeTensor, shape: [usize; D], format: DType) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    empty_device_contiguous_dtype(client, device, Shape::from(shape), format)
}

fn tensor<const D: usize>(made: CubeTensor) -> Tensor<D> {
    Tensor::from_primitive::<CubeBackend>(made)
}

/// Numbers in f32, row-major: what norms, biases and factors are kept in.
fn vector<const D: usize>(tensor: &Tensor<D>) -> Option<Buffer> {
    let tensor = contiguous(tensor)?;
    (tensor.dtype == DType::F32).then(|| buffer(&tensor))?
}

/// What `on_device` makes of a part that may be absent; `None` if it is there and nothing can be made of it.
fn optional<T, R>(part: Option<T>, on_device: impl FnOnce(T) -> Option<R>) -> Option<Option<R>> {
    match part {
        Some(part) => on_device(part).map(Some),
        None => Some(None),
    }
}

/// Maps where they lie, `[batch, channels, height, width]` by any strides.
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
