//! Conversions between tensors and the values in their memory.

use burn::backend::Flex;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape, Tensor};
use sam2_cpu_kernels::CpuTier;

/// Returns the tensor's own memory, row-major from its start, if it is on the CPU backend as `f32`.
/// Otherwise gives the tensor back.
pub(super) fn into_flex<const D: usize>(tensor: Tensor<D>) -> Result<FlexTensor, Box<Tensor<D>>> {
    if flex(&tensor).is_none() {
        return Err(Box::new(tensor));
    }
    match tensor.clone().try_into_primitive::<Flex>() {
        Ok(flex) => {
            drop(tensor);
            Ok(flex.to_contiguous())
        }
        Err(_) => Err(Box::new(tensor)),
    }
}

/// Returns the tensor's own memory if it is on the CPU backend as `f32`.
pub(super) fn flex<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    let flex = tensor.clone().try_into_primitive::<Flex>().ok()?;
    (flex.dtype() == DType::F32).then_some(flex)
}

/// Returns the values of a tensor from [`into_flex`].
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    &tensor.storage::<f32>()[..tensor.layout().num_elements()]
}

/// Changes a tensor's values, in place if it is the only owner. The tensor comes from
/// [`into_flex`]: row-major without gaps.
pub(super) fn in_place(mut x: FlexTensor, change: impl FnOnce(CpuTier, &mut [f32])) -> FlexTensor {
    let count = x.layout().num_elements();
    let tier = CpuTier::current();
    if let Some(values) = x.try_storage_mut::<f32>() {
        change(tier, &mut values[..count]);
        return x;
    }
    let mut values = x.storage::<f32>()[..count].to_vec();
    change(tier, &mut values);
    let layout = Layout::contiguous(x.layout().shape().clone());
    FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
}

/// Makes a tensor on the CPU backend that takes ownership of `values`, row-major.
pub(super) fn from_values<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    let layout = Layout::contiguous(Shape::from(shape));
    Tensor::from_primitive::<Flex>(FlexTensor::new(Bytes::from_elems(values), layout, DType::F32))
}
