//! Kernels of our own for the CPU, where burn's general operations lose time.
//!
//! Each is plugged in through burn's extension interface: on the CPU backend it reads the tensors' own memory, on every other device the
//! same function takes burn's path. The tests compare the two. `unsafe` lives in this room only, each block with its argument.

mod attention;
pub(crate) mod simd;

use burn::backend::Flex;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape, Tensor};

pub use simd::{CpuTier, UnknownTier};

use attention::HeadsView;

/// Attention with `1 / sqrt(d)` scaling: queries `[batch, heads, n, d]`, keys `[batch, heads, m, d]` and values `[batch, heads, m, v]` to
/// `[batch, n, heads * v]`. Slices and permutations are taken as they lie.
pub fn attention(queries: Tensor<4>, keys: Tensor<4>, values: Tensor<4>) -> Tensor<3> {
    let fused = || {
        let (q, k, v) = (flex(&queries)?, flex(&keys)?, flex(&values)?);
        let (q, k, v) = (heads_view(&q)?, heads_view(&k)?, heads_view(&v)?);
        let ([batch, heads, n, _], v_width) = (queries.dims(), values.dims()[3]);
        let out = attention::attention(CpuTier::current(), q, k, v)?;
        Some(from_values(out, [batch, n, heads * v_width]))
    };
    fused()
        .unwrap_or_else(|| attention_on_any_device(queries.clone(), keys.clone(), values.clone()))
}

/// The same through burn, on any device.
pub fn attention_on_any_device(
    queries: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
) -> Tensor<3> {
    let attended =
        burn::tensor::module::attention(queries, keys, values, None, None, Default::default());
    let [batch, heads, n, width] = attended.dims();
    attended.swap_dims(1, 2).reshape([batch, n, heads * width])
}

/// The tensor's own memory if it lies on the CPU backend as `f32`.
fn flex<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    let flex = tensor.clone().try_into_primitive::<Flex>().ok()?;
    (flex.dtype() == DType::F32).then_some(flex)
}

fn heads_view(tensor: &FlexTensor) -> Option<HeadsView<'_>> {
    let layout = tensor.layout();
    let shape: [usize; 4] = layout.shape().to_vec().try_into().ok()?;
    let strides: [isize; 4] = layout.strides().try_into().ok()?;
    HeadsView::new(tensor.storage::<f32>(), layout.start_offset(), shape, strides)
}

/// A tensor on the CPU backend that takes over `values`, row-major.
fn from_values<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    let layout = Layout::contiguous(Shape::from(shape));
    Tensor::from_primitive::<Flex>(FlexTensor::new(Bytes::from_elems(values), layout, DType::F32))
}
