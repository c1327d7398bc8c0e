//! Attention on a GPU.

use burn::tensor::Tensor;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::super::gpu::{self, AttentionArgs, Places, Windows};
use super::super::window_attention::WindowAttention;
use super::{buffer, contiguous, empty, on_gpu, optional, tensor};

/// Returns the layout of heads of tokens, if a head's channels are contiguous.
fn heads(tensor: &CubeTensor) -> Option<Places> {
    let strides = tensor.meta.strides();
    let &[by_map, by_head, by_token, by_channel] = &strides[..] else { return None };
    (by_channel == 1).then_some(Places { start: 0, by_map, by_head, by_token })
}

/// Returns the tensor, copied only if a head's channels are not contiguous.
fn with_heads_together(tensor: &Tensor<4>) -> Option<(CubeTensor, Places)> {
    let tensor = on_gpu(tensor)?;
    match heads(&tensor) {
        Some(places) => Some((tensor, places)),
        None => {
            let tensor = into_contiguous(tensor);
            let places = heads(&tensor)?;
            Some((tensor, places))
        }
    }
}

/// Runs [`attention`](crate::kernels::attention) on `[batch, heads, tokens, channels]`. The result
/// has the queries' format.
pub(in crate::kernels) fn attention(
    queries: &Tensor<4>,
    keys: &Tensor<4>,
    values: &Tensor<4>,
) -> Option<Tensor<3>> {
    let [batch, heads, n, width] = queries.dims();
    let (m, value_width) = (keys.dims()[2], values.dims()[3]);
    let (q, q_places) = with_heads_together(queries)?;
    let (k, k_places) = with_heads_together(keys)?;
    let (v, v_places) = with_heads_together(values)?;
    let channels = heads * value_width;
    let out = empty(&q, [batch, n, channels], q.dtype);
    let out_places =
        Places { start: 0, by_map: n * channels, by_head: value_width, by_token: channels };
    let args = AttentionArgs {
        q: (&buffer(&q)?, q_places),
        k: (&buffer(&k)?, k_places),
        v: (&buffer(&v)?, v_places),
        out: (&buffer(&out)?, out_places),
        maps: batch,
        heads,
        tokens: [n, m],
        widths: [width, value_width],
        windows: None,
        outside: None,
    };
    gpu::attention(&q.client, &args).then(|| tensor(out))
}

/// Runs attention within windows, as [`WindowAttention::forward`]. Tokens are read where they lie.
pub(in crate::kernels) fn window_attention(
    window: WindowAttention,
    qkv_bhwc: &Tensor<4>,
    pooled: Option<&Tensor<4>>,
    outside: &Tensor<1>,
) -> Option<Tensor<4>> {
    let WindowAttention { heads, side } = window;
    let [batch, height, width, by_token] = qkv_bhwc.dims();
    let channels = by_token / 3;
    let by_head = channels / heads;
    let qkv = contiguous(qkv_bhwc)?;
    let pooled = optional(pooled, |pooled| Some((buffer(&contiguous(pooled)?)?, pooled.dims())))?;
    let (rows, columns, query_side) = match &pooled {
        Some((_, [_, rows, columns, _])) => (*rows, *columns, side / 2),
        None => (height, width, side),
    };
    let part = |index: usize| Places {
        start: index * channels,
        by_map: height * width * by_token,
        by_head,
        by_token,
    };
    let alone = Places { start: 0, by_map: rows * columns * channels, by_head, by_token: channels };
    let all = buffer(&qkv)?;
    let out = empty(&qkv, [batch, rows, columns, channels], qkv.dtype);
    let beyond = buffer(&contiguous(outside)?)?;
    let windows = [
        Windows { side: query_side, size: [rows, columns] },
        Windows { side, size: [height, width] },
    ];
    let args = AttentionArgs {
        q: pooled.as_ref().map_or((&all, part(0)), |(pooled, _)| (pooled, alone)),
        k: (&all, part(1)),
        v: (&all, part(2)),
        out: (&buffer(&out)?, alone),
        maps: batch,
        heads,
        tokens: [rows * columns, height * width],
        widths: [by_head; 2],
        windows: (side > 0).then_some(windows),
        outside: (side > 0).then_some((&beyond, [channels, 2 * channels])),
    };
    gpu::attention(&qkv.client, &args).then(|| tensor(out))
}
