//! Attention.

use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, FloatDType, Tensor, activation};

use super::bridge::{flex, from_values};
use super::cpu::heads::HeadsView;
use super::cpu::{CpuTier, attention as cpu, attention_in_bf16};
use super::format::to_format;
use super::full_f32::{in_full_f32, sums_in_matrix_units};
use super::join::join;
use super::on_gpu;
use super::scope::bf16_wins;

/// Attention with `1 / sqrt(d)` scaling: queries `[batch, heads, n, d]`, keys `[batch, heads, m, d]` and values `[batch, heads, m, v]` to
/// `[batch, n, heads * v]`. Slices and permutations are taken as they lie.
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
    let rounded = if bf16_wins(tier) { attention_in_bf16(tier, q, k, v) } else { None };
    rounded.or_else(|| cpu::attention(tier, q, k, v))
}

/// The same through burn, on any device; queries in half precision make products in it, and the result is in the queries' format then.
///
/// The scores are made for a block of queries at a time, so that those of all queries are never in memory together: 4096 x 28,800 for a frame and seven
/// memories. burn's own attention is not used. On a GPU it tries flash kernels whose tiles are f16 whatever the tensors are, which is not what was asked
/// for in f32 and bf16; and where no such kernel fits, it makes all scores at once and says nothing.
pub fn attention_on_any_device(
    queries: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
) -> Tensor<3> {
    let format = queries.dtype();
    let products = products_of(format);
    let [batch, heads, n, channels] = queries.dims();
    let (m, width) = (keys.dims()[2], values.dims()[3]);
    let block = block_of_queries(batch * heads, n, m);
    let pieces = pieces_of_keys(batch * heads * block, m);
    // Pieces lie where heads do, which go to the batch then; the queries are the same for all of them.
    let in_pieces = |x: Tensor<4>| match pieces {
        1 => x,
        _ => {
            let channels = x.dims()[3];
            x.reshape([batch * heads, pieces, m / pieces, channels])
        }
    };
    let queries = match pieces {
        1 => queries,
        _ => queries.reshape([batch * heads, 1, n, channels]),
    };
    // Scaled before the product, so that scores stay small: in f16 nothing above 65,504 exists.
    let queries = to_format(queries.cast(FloatDType::F32) / (channels as f32).sqrt(), products);
    let keys = to_format(in_pieces(keys), products).swap_dims(2, 3);
    let values = to_format(in_pieces(values), products);
    let attend = |queries: Tensor<4>| {
        let scores = in_full_f32(queries, keys.clone(), Tensor::matmul).cast(FloatDType::F32);
        if pieces == 1 {
            let weights = to_format(activation::softmax(scores, 3), products);
            return sum_of_products(weights, values.clone());
        }
        let weights = to_format(softmax_over_pieces(scores), products);
        sum_of_products(weights, values.clone()).cast(FloatDType::F32).sum_dim(1)
    };
    let attended = if block == n {
        attend(queries)
    } else {
        let starts = (0..n).step_by(block);
        let blocks =
            starts.map(|start| attend(queries.clone().slice_dim(2, start..(start + block).min(n))));
        join(blocks.collect(), 2)
    };
    let attended = attended.cast(format).reshape([batch, heads, n, width]);
    attended.swap_dims(1, 2).reshape([batch, n, heads * width])
}

/// Rows that keep a GPU busy: 40 to 132 processors with 1,024 threads or more. With pieces of keys there are at most so many.
pub(crate) const ROWS: usize = 1 << 14;

/// In how many pieces each row's keys go, for `rows` queries of all maps together: one, unless that leaves most of a GPU idle.
///
/// burn gives each row of a reduction to one thread (its "unit" routine: always without `autotune`, and with it too where it fuses a softmax), which walks through 28,736 keys while the others
/// wait; and a product with 64-wide values is one tile of columns wide, so that 512 queries make eight groups of threads. As pieces, which are multiplied as a batch, both are spread.
fn pieces_of_keys(rows: usize, keys: usize) -> usize {
    const MOST: usize = 64;
    /// Keys of a piece, at least: partial sums are to be small beside the scores.
    const PIECE: usize = 64;
    /// Pieces are multiples of this, as burn reads four numbers at a time where it can.
    const STEP: usize = 4;
    let most = ROWS.checked_div(rows).unwrap_or(1).min(keys / PIECE).min(MOST);
    (2..=most).rev().find(|pieces| keys.is_multiple_of(pieces * STEP)).unwrap_or(1)
}

/// The softmax of scores `[maps, pieces, queries, keys]` over the keys of all pieces.
fn softmax_over_pieces(scores: Tensor<4>) -> Tensor<4> {
    let largest = scores.clone().max_dim(3).max_dim(1);
    let weights = (scores - largest).exp();
    let sum = weights.clone().sum_dim(3).sum_dim(1);
    weights / sum
}

/// `weights` times `values`. Matrix units round toward zero whenever they add to a sum, which a sum over 28,736 keys feels: f32 is summed in pieces where they are in use.
fn sum_of_products(weights: Tensor<4>, values: Tensor<4>) -> Tensor<4> {
    /// Keys of a piece.
    const PIECE: usize = 4096;
    let keys = values.dims()[2];
    if keys <= PIECE || !sums_in_matrix_units(&weights) {
        return in_full_f32(weights, values, Tensor::matmul);
    }
    let piece = |start: usize| {
        let range = start..(start + PIECE).min(keys);
        let weights = weights.clone().slice_dim(3, range.clone());
        in_full_f32(weights, values.clone().slice_dim(2, range), Tensor::matmul)
    };
    (PIECE..keys).step_by(PIECE).fold(piece(0), |sum, start| sum + piece(start))
}

/// Numbers in the scores of one block of queries: 64 MiB in f32.
pub(crate) const SCORES: usize = 1 << 24;

/// How many of `n` queries attend at the same time, each to `keys` keys in `maps` batch entries and heads: all, else a power of two, so that blocks are
/// of one shape for the device to tune.
fn block_of_queries(maps: usize, n: usize, keys: usize) -> usize {
    let fitting = (SCORES / (maps * keys).max(1)).max(1);
    if n <= fitting { n } else { 1 << fitting.ilog2() }
}

/// The format of an attention's products: scores have few digits before the point and need those behind, of which f16 has three bits more than bf16.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    #[test]
    fn the_scores_of_sam_2_are_never_in_memory_together() {
        // Large at 1024: a frame and seven memories with 64 pointer tokens; itself; the trunk's global attention; a stage of windows. Sixteen objects.
        for (maps, n, keys) in [
            (1, 4096, 7 * 4096 + 64),
            (16, 4096, 7 * 4096 + 64),
            (1, 4096, 4096),
            (8, 4096, 4096),
            (1024 * 2, 64, 64),
            (8, 4096, 10),
        ] {
            let block = block_of_queries(maps, n, keys);
            assert!(block >= 1 && block <= n);
            assert!(maps * block * keys <= SCORES, "{maps} {n} {keys}");
            assert!(block == n || block.is_power_of_two());
        }
        assert_eq!(block_of_queries(1, 4096, 28_736), 512);
        assert_eq!(block_of_queries(2, 100, 100), 100);
        assert_eq!(block_of_queries(1, 0, 0), 0);
    }

    #[test]
    fn keys_go_in_pieces_where_rows_are_few_and_long() {
        // The memory attention of a full bank; itself; eight objects of it; tokens looking at the image; windows; places looking at tokens.
        assert_eq!(pieces_of_keys(512, 7 * 4096 + 64), 16);
        assert_eq!(pieces_of_keys(4096, 4096), 4);
        assert_eq!(pieces_of_keys(8 * 64, 7 * 4096 + 64), 16);
        assert_eq!(pieces_of_keys(8 * 9, 4096), 64);
        assert_eq!(pieces_of_keys(2048 * 64, 64), 1);
        assert_eq!(pieces_of_keys(8 * 4096, 9), 1);
        assert_eq!(pieces_of_keys(0, 0), 1);
        // While the bank fills; what nothing divides stays whole.
        assert_eq!(pieces_of_keys(512, 4096 + 4), 25);
        assert_eq!(pieces_of_keys(512, 7 * 4096 + 36), 1);
        for (rows, keys) in [(1, 28_736), (64, 4100), (512, 1856), (300, 12_300), (7, 131)] {
            let pieces = pieces_of_keys(rows, keys);
            assert_eq!(keys % pieces, 0);
            assert!(pieces == 1 || rows * pieces <= ROWS);
        }
    }

    #[test]
    fn pieces_attend_as_the_whole_does() {
        for (batch, heads, n, m, channels, width) in [
            (1, 1, 30, 1856, 16, 8),
            (2, 1, 9, 320, 8, 24),
            (1, 4, 5, 1024, 8, 8),
            (2, 3, 1, 4100, 4, 4),
        ] {
            assert!(pieces_of_keys(batch * heads * n, m) > 1);
            let q = noise([batch, heads, n, channels]);
            let (k, v) = (noise([batch, heads, m, channels]), noise([batch, heads, m, width]));
            let scores = q.clone().matmul(k.clone().swap_dims(2, 3)) / (channels as f32).sqrt();
            let whole = activation::softmax(scores, 3).matmul(v.clone());
            let whole = whole.swap_dims(1, 2).reshape([batch, n, heads * width]);
            let pieces = attention_on_any_device(q, k, v);
            let off: f32 = (whole - pieces).abs().max().into_scalar();
            assert!(off < 2e-6, "{batch} {heads} {n} {m}: {off}");
        }
    }
}
