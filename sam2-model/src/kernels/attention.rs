//! Attention.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::bridge::{flex, from_values};
use super::cpu::CpuTier;
use super::cpu::attention::{self as cpu, HeadsView};

/// Attention with `1 / sqrt(d)` scaling: queries `[batch, heads, n, d]`, keys `[batch, heads, m, d]` and values `[batch, heads, m, v]` to
/// `[batch, n, heads * v]`. Slices and permutations are taken as they lie.
pub fn attention(queries: Tensor<4>, keys: Tensor<4>, values: Tensor<4>) -> Tensor<3> {
    let fused = || {
        let (q, k, v) = (flex(&queries)?, flex(&keys)?, flex(&values)?);
        let (q, k, v) = (heads_view(&q)?, heads_view(&k)?, heads_view(&v)?);
        let ([batch, heads, n, _], v_width) = (queries.dims(), values.dims()[3]);
        let out = cpu::attention(CpuTier::current(), q, k, v)?;
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

fn heads_view(tensor: &FlexTensor) -> Option<HeadsView<'_>> {
    let layout = tensor.layout();
    let shape: [usize; 4] = layout.shape().to_vec().try_into().ok()?;
    let strides: [isize; 4] = layout.strides().try_into().ok()?;
    HeadsView::new(tensor.storage::<f32>(), layout.start_offset(), shape, strides)
}
