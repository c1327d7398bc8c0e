//! Scaled dot-product attention.

use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, FloatDType, Tensor, activation};
use sam2_cpu_kernels::{self as cpu, CpuTier, HeadsView};

use super::bridge::{flex, from_values};
use super::format::to_format;
use super::on_gpu;
use super::scope::bf16_wins;

/// Computes attention with `1 / sqrt(d)` scaling: queries `[batch, heads, n, d]`, keys
/// `[batch, heads, m, d]` and values `[batch, heads, m, v]` to `[batch, n, heads * v]`. Slices and
/// permutations are read where they lie, without a copy.
pub fn attention(queries: Tensor<4>, keys: Tensor<4>, values: Tensor<4>) -> Tensor<3> {
    let fused = || {
        let (q, k, v) = (flex(&queries)?, flex(&keys)?, flex(&values)?);
        let out = on_the_cpu(heads_view(&q)?, heads_view(&k)?, heads_view(&v)?)?;
        let ([batch, heads, n, _], v_width) = (queries.dims(), values.dims()[3]);
        Some(from_values(out, [batch, n, heads * v_width]))
    };
    fused()
        .or_else(|| on_gpu::attention(&queries, &keys, &values))
        .unwrap_or_else(|| attention_on_any_device(queries.clone(), keys.clone(), values.clone()))
}

pub(super) fn on_the_cpu(q: HeadsView<'_>, k: HeadsView<'_>, v: HeadsView<'_>) -> Option<Vec<f32>> {
    let tier = CpuTier::current();
    let rounded = if bf16_wins(tier) { cpu::attention_in_bf16(tier, q, k, v) } else { None };
    rounded.or_else(|| cpu::attention(tier, q, k, v))
}

/// Does the same with burn's operations, on any device, with all scores in memory at once. The
/// tests compare the kernels with it. Queries in half precision make the products and the result
/// half precision too.
pub fn attention_on_any_device(
    queries: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
) -> Tensor<3> {
    let format = queries.dtype();
    let products = products_of(format);
    let [batch, heads, n, channels] = queries.dims();
    let width = values.dims()[3];
    // Queries are scaled before the product to keep scores small: the largest value in f16 is
    // 65,504.
    let queries = to_format(queries.cast(FloatDType::F32) / (channels as f32).sqrt(), products);
    let scores = queries.matmul(to_format(keys, products).swap_dims(2, 3));
    let weights = to_format(activation::softmax(scores.cast(FloatDType::F32), 3), products);
    let attended = weights.matmul(to_format(values, products)).cast(format);
    attended.swap_dims(1, 2).reshape([batch, n, heads * width])
}

/// Returns the format of an attention's products. Scores are small but need precision in their
/// fraction, and f16 has three more bits of it than bf16.
fn products_of(format: DType) -> FloatDType {
    match format {
        DType::F16 | DType::BF16 => FloatDType::F16,
        _ => FloatDType::F32,
    }
}

fn heads_view(tensor: &FlexTensor) -> Option<HeadsView<'_>> {
    let layout = tensor.layout();
    let shape: [usize; 4] = layout.shape().to_vec().try_into().ok()?;
    let strides: [isize; 4] = layout.strides().try_into().ok()?;
    HeadsView::new(tensor.storage::<f32>(), layout.start_offset(), shape, strides)
}
