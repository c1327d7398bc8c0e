//! Attention in bfloat16. Works as [`attention`](crate::attention()), but rounds queries,
//! keys, values and weights before they are multiplied. Scores, softmax and sums stay `f32`.

#![allow(unsafe_code)]

use rayon::prelude::*;

use super::per_tier::per_bf16_tier;
use super::products::{BLOCK, Products};
use crate::heads::{HeadTokens, HeadsView};
use crate::query_blocks::{
    LARGE_HEAD_BYTES, LOG2_E, Place, SMALL_HEAD_BYTES, Target, query_blocks, tasks_of,
};
use crate::simd::Simd;
use crate::tier::CpuTier;

/// Keys per block. A block of queries and its scores and weights for these keys fit in the
/// first-level cache.
const KEY_BLOCK: usize = 128;
/// Largest number of queries per task: keys are fetched from outer caches once for all of them.
const QUERY_BLOCK: usize = 512;
/// Distance between rows of weights. It is one cache line more than the weights need, so that the
/// rows of a block do not share a cache set.
const WEIGHTS_STRIDE: usize = KEY_BLOCK + BLOCK;
/// With fewer queries or keys the `f32` kernel is used, because most of a block would be padding.
const FEWEST_TOKENS: usize = 16;

/// Attends as [`attention`](crate::attention()) does, with products of bfloat16 values. Also returns
/// `None` if the shapes are too small to be worth it.
pub fn attention_in_bf16(
    tier: CpuTier,
    queries: HeadsView<'_>,
    keys: HeadsView<'_>,
    values: HeadsView<'_>,
) -> Option<Vec<f32>> {
    let [batch, heads, n, d] = queries.shape;
    let [_, _, m, v] = values.shape;
    let fits = keys.shape == [batch, heads, m, d] && values.shape == [batch, heads, m, v];
    if !fits || !keys.is_whole() || !values.is_whole() {
        return None;
    }
    if n < FEWEST_TOKENS || m < FEWEST_TOKENS || d == 0 || v == 0 {
        return None;
    }
    let sizes = Sizes {
        m,
        d,
        v,
        d_padded: d.next_multiple_of(BLOCK),
        v_padded: v.next_multiple_of(BLOCK),
        scale: (LOG2_E / (d as f64).sqrt()) as f32,
    };
    let count = queries.rows().checked_mul(heads)?.checked_mul(v)?;
    let mut out: Vec<f32> = Vec::with_capacity(count);
    let target = Target { out: out.as_mut_ptr(), row: heads * v };
    let blocks_of_keys = m.div_ceil(KEY_BLOCK);
    let head_bytes =
        blocks_of_keys * KEY_BLOCK * (sizes.d_padded + sizes.v_padded) * size_of::<u16>();
    let all: Vec<(usize, usize)> =
        (0..batch).flat_map(|b| (0..heads).map(move |h| (b, h))).collect();
    if head_bytes <= SMALL_HEAD_BYTES {
        // Each head is a task of its own and shares nothing.
        all.par_iter().for_each_init(
            || (Packed::default(), Scratch::default()),
            |(packed, scratch), &(batch, head)| {
                packed.resize(&sizes);
                let (keys, values) = (keys.head(batch, head), values.head(batch, head));
                for (block, (to_keys, to_values)) in packed.blocks_mut(&sizes).enumerate() {
                    let from = Source { keys, values, first: block * KEY_BLOCK };
                    fill(tier, &sizes, from, to_keys, to_values, scratch);
                }
                for block in query_blocks(queries.of_batch(batch).count, 1, QUERY_BLOCK, BLOCK) {
                    let place = Place { batch, head, queries: block };
                    // Each head's rows are written by one task only.
                    query_block(tier, &sizes, &queries, packed, place, scratch, target);
                }
            },
        );
    } else {
        let together = (LARGE_HEAD_BYTES / head_bytes).max(1);
        let mut laid_out: Vec<Packed> = Vec::new();
        for group in all.chunks(together) {
            laid_out.resize_with(group.len(), Packed::default);
            for (packed, &(batch, head)) in laid_out.iter_mut().zip(group) {
                packed.resize(&sizes);
                let (keys, values) = (keys.head(batch, head), values.head(batch, head));
                let blocks = packed
                    .keys
                    .par_chunks_exact_mut(KEY_BLOCK * sizes.d_padded)
                    .zip(packed.values.par_chunks_exact_mut(KEY_BLOCK * sizes.v_padded));
                blocks.enumerate().for_each_init(
                    Scratch::default,
                    |scratch, (block, (to_keys, to_values))| {
                        let from = Source { keys, values, first: block * KEY_BLOCK };
                        fill(tier, &sizes, from, to_keys, to_values, scratch);
                    },
                );
            }
            tasks_of(group, &queries, QUERY_BLOCK, BLOCK).into_par_iter().for_each_init(
                Scratch::default,
                |scratch, (at, place)| {
                    query_block(tier, &sizes, &queries, &laid_out[at], place, scratch, target);
                },
            );
        }
    }
    // SAFETY: every head of every query was written: the blocks cover the queries of each batch
    // entry, and those cover all rows of the result.
    unsafe { out.set_len(count) };
    Some(out)
}

struct Sizes {
    m: usize,
    d: usize,
    v: usize,
    d_padded: usize,
    v_padded: usize,
    scale: f32,
}

/// One head's keys and values in the layout that blocks of products read, zero after the last key
/// and channel up to whole panels.
#[derive(Default)]
struct Packed {
    /// For each block of keys, panels of [`BLOCK`] keys:
    /// `[blocks, KEY_BLOCK / BLOCK, d_padded / 2, BLOCK, 2]`.
    keys: Vec<u16>,
    /// For each block of keys, panels of [`BLOCK`] channels:
    /// `[blocks, v_padded / BLOCK, KEY_BLOCK / 2, BLOCK, 2]`.
    values: Vec<u16>,
}

impl Packed {
    fn resize(&mut self, sizes: &Sizes) {
        let keys = sizes.m.next_multiple_of(KEY_BLOCK);
        self.keys.resize(keys * sizes.d_padded, 0);
        self.values.resize(keys * sizes.v_padded, 0);
    }

    fn blocks_mut(&mut self, sizes: &Sizes) -> impl Iterator<Item = (&mut [u16], &mut [u16])> {
        let keys = self.keys.chunks_exact_mut(KEY_BLOCK * sizes.d_padded);
        keys.zip(self.values.chunks_exact_mut(KEY_BLOCK * sizes.v_padded))
    }
}

/// The source of a block of keys.
#[derive(Clone, Copy)]
struct Source<'a> {
    keys: HeadTokens<'a>,
    values: HeadTokens<'a>,
    /// The first key.
    first: usize,
}

/// The memory of one task.
#[derive(Default)]
struct Scratch {
    /// `[rows, stride(d)]`: scaled queries. While keys are rearranged, a panel of keys.
    queries: Vec<u16>,
    /// One token, scaled, before rounding.
    token: Vec<f32>,
    /// `[BLOCK, KEY_BLOCK]`.
    scores: Vec<f32>,
    /// `[BLOCK, WEIGHTS_STRIDE]`.
    weights: Vec<u16>,
    /// `[rows, v_padded]`.
    sums: Vec<f32>,
    /// For each row: the highest score so far, and the sum of weights.
    highest: Vec<f32>,
    totals: Vec<f32>,
}

/// Returns the distance between rows of `width` values. It is one cache line more than whole
/// blocks, so that the rows of a block do not share a cache set.
fn stride(width: usize) -> usize {
    width.next_multiple_of(BLOCK) + BLOCK
}

per_bf16_tier! {
    /// Rearranges a block of keys and values.
    fn fill = fill_on(
        sizes: &Sizes, from: Source<'_>, to_keys: &mut [u16], to_values: &mut [u16], scratch: &mut Scratch,
    )
}

/// # Safety
/// The processor has the instructions of `P`. There is room for [`KEY_BLOCK`] keys and values.
#[inline(always)]
unsafe fn fill_on<P: Products>(
    sizes: &Sizes,
    from: Source<'_>,
    to_keys: &mut [u16],
    to_values: &mut [u16],
    scratch: &mut Scratch,
) {
    let Sizes { m, d, v, d_padded, v_padded, .. } = *sizes;
    let Source { keys, values, first } = from;
    let count = KEY_BLOCK.min(m - first);
    debug_assert!(to_keys.len() == KEY_BLOCK * d_padded && to_values.len() == KEY_BLOCK * v_padded);
    // Sixteen keys at a time become rows of bfloat16, and their pairs become columns.
    let by_row = d_padded;
    scratch.queries.clear();
    scratch.queries.resize(16 * by_row, 0);
    for at in (0..count.next_multiple_of(BLOCK)).step_by(16) {
        for row in 0..16 {
            let to = &mut scratch.queries[row * by_row..][..d];
            if at + row < count {
                let token = keys.at(first + at + row);
                // SAFETY: both have `d` values.
                unsafe { P::round(token.as_ptr(), to.as_mut_ptr(), d) };
            } else {
                to.fill(0);
            }
        }
        let panel = &mut to_keys[at / BLOCK * d_padded * BLOCK..][..d_padded * BLOCK];
        for channel in (0..d_padded).step_by(BLOCK) {
            let mut rows = [0_u16; 16 * BLOCK];
            for (row, to) in rows.chunks_exact_mut(BLOCK).enumerate() {
                to.copy_from_slice(&scratch.queries[row * by_row + channel..][..BLOCK]);
            }
            let to = &mut panel[channel * BLOCK + at % BLOCK * 2..];
            // SAFETY: 16 pairs of channels, each of 16 rows, `2 * BLOCK` apart: the last ends with
            // the panel's row.
            unsafe { P::transpose_pairs(rows.as_ptr(), to.as_mut_ptr(), 2 * BLOCK) };
        }
    }
    let zeros = [0.0_f32; BLOCK];
    for pair in 0..count.next_multiple_of(BLOCK) / 2 {
        for channel in (0..v_padded).step_by(BLOCK) {
            let width = BLOCK.min(v - channel);
            let mut rows = [zeros; 2];
            let mut sources = [zeros.as_ptr(); 2];
            for (row, (copy, source)) in rows.iter_mut().zip(&mut sources).enumerate() {
                let key = 2 * pair + row;
                if key < count {
                    let token = &values.at(first + key)[channel..channel + width];
                    *source = if width == BLOCK {
                        token.as_ptr()
                    } else {
                        copy[..width].copy_from_slice(token);
                        copy.as_ptr()
                    };
                }
            }
            let to = &mut to_values[(channel * KEY_BLOCK + pair * 2 * BLOCK)..][..2 * BLOCK];
            // SAFETY: each source has a block of values, and `to` has as many pairs.
            unsafe {
                P::round_pairs(sources[0], sources[1], to.as_mut_ptr());
                P::round_pairs(sources[0].add(16), sources[1].add(16), to.as_mut_ptr().add(BLOCK));
            }
        }
    }
}

per_bf16_tier! {
    /// Computes the results of one block of queries.
    fn query_block = query_block_on(
        sizes: &Sizes, queries: &HeadsView<'_>, packed: &Packed, place: Place, scratch: &mut Scratch, target: Target,
    )
}

/// # Safety
/// The processor has the instructions of `P`. `target` is valid for a row of `heads * v` values for
/// each of the queries' rows, and no other thread writes the part of `place`.
#[inline(always)]
unsafe fn query_block_on<P: Products>(
    sizes: &Sizes,
    queries: &HeadsView<'_>,
    packed: &Packed,
    place: Place,
    scratch: &mut Scratch,
    target: Target,
) {
    let Sizes { m, d, v, d_padded, v_padded, .. } = *sizes;
    let count = place.queries.len();
    let rows = count.next_multiple_of(BLOCK);
    let by_query = stride(d);
    scratch.queries.clear();
    scratch.queries.resize(rows * by_query, 0);
    scratch.token.resize(d, 0.0);
    scratch.scores.resize(BLOCK * KEY_BLOCK, 0.0);
    scratch.weights.resize(BLOCK * WEIGHTS_STRIDE, 0);
    scratch.sums.clear();
    scratch.sums.resize(rows * v_padded, 0.0);
    scratch.highest.clear();
    scratch.highest.resize(rows, f32::NEG_INFINITY);
    scratch.totals.clear();
    scratch.totals.resize(rows, 0.0);
    let of_batch = queries.of_batch(place.batch);
    for (at, query) in place.queries.clone().enumerate() {
        let token = queries.query(of_batch, place.head, query);
        scratch.token.iter_mut().zip(token).for_each(|(to, from)| *to = from * sizes.scale);
        // SAFETY: the row has room for `d` values.
        unsafe {
            let to = scratch.queries.as_mut_ptr().add(at * by_query);
            P::round(scratch.token.as_ptr(), to, d);
        }
    }
    let blocks = packed
        .keys
        .chunks_exact(KEY_BLOCK * d_padded)
        .zip(packed.values.chunks_exact(KEY_BLOCK * v_padded));
    for (block, (keys, values)) in blocks.enumerate() {
        let keys_here = KEY_BLOCK.min(m - block * KEY_BLOCK);
        let keys_padded = keys_here.next_multiple_of(BLOCK);
        for first in (0..rows).step_by(BLOCK) {
            let scores = scratch.scores.as_mut_ptr();
            // SAFETY: the buffers were sized above: whole blocks of queries and of their sums, and
            // a block of scores and weights. The block of keys and values has whole panels up to
            // `keys_padded`.
            unsafe {
                let q = scratch.queries.as_ptr().add(first * by_query);
                for at in (0..keys_padded).step_by(BLOCK) {
                    let k = keys.as_ptr().add(at * d_padded);
                    P::multiply(d_padded, q, by_query, k, scores.add(at), KEY_BLOCK, false);
                }
                for row in 0..BLOCK {
                    let scores = &mut scratch.scores[row * KEY_BLOCK..][..keys_padded];
                    scores[keys_here..].fill(f32::NEG_INFINITY);
                    let weights = &mut scratch.weights[row * WEIGHTS_STRIDE..][..keys_padded];
                    let (highest, total) =
                        (&mut scratch.highest[first + row], &mut scratch.totals[first + row]);
                    let shrink = weigh::<P>(scores, weights, highest, total);
                    if shrink != 1.0 {
                        let sums = &mut scratch.sums[(first + row) * v_padded..][..v_padded];
                        sums.iter_mut().for_each(|sum| *sum *= shrink);
                    }
                }
                for channel in (0..v_padded).step_by(BLOCK) {
                    let values = values.as_ptr().add(channel * KEY_BLOCK);
                    let sums = scratch.sums.as_mut_ptr().add(first * v_padded + channel);
                    let weights = scratch.weights.as_ptr();
                    P::multiply(keys_padded, weights, WEIGHTS_STRIDE, values, sums, v_padded, true);
                }
            }
        }
    }
    for (at, query) in place.queries.clone().enumerate() {
        let total = 1.0 / scratch.totals[at];
        let row = &scratch.sums[at * v_padded..at * v_padded + v];
        // SAFETY: the row belongs to one of the queries, and only this task writes this head's part
        // of it.
        unsafe { target.write(of_batch.row(query), place.head, row, total) };
    }
}

/// Turns one row of scores into rounded weights relative to the highest score so far. Returns the
/// factor that rescales the earlier sums.
///
/// # Safety
/// The processor has the instructions of `P`; both rows have the same length, a multiple of
/// [`BLOCK`].
#[inline(always)]
unsafe fn weigh<P: Products>(
    scores: &[f32],
    weights: &mut [u16],
    highest: &mut f32,
    total: &mut f32,
) -> f32 {
    debug_assert_eq!(scores.len(), weights.len());
    // SAFETY: whole vectors of the rows are read and written.
    unsafe {
        let mut top = P::Vectors::splat(f32::NEG_INFINITY);
        for scores in scores.chunks_exact(P::Vectors::LANES) {
            top = P::Vectors::max(top, P::Vectors::load(scores.as_ptr()));
        }
        let now = highest.max(P::Vectors::reduce_max(top));
        let (base, mut sum) = (P::Vectors::splat(now), P::Vectors::splat(0.0));
        for (scores, weights) in scores.chunks_exact(16).zip(weights.chunks_exact_mut(16)) {
            let mut exact = [0.0_f32; 16];
            for at in (0..16).step_by(P::Vectors::LANES) {
                let score = P::Vectors::load(scores.as_ptr().add(at));
                let weight = P::Vectors::exp2_coarse(P::Vectors::sub(score, base));
                sum = P::Vectors::add(sum, weight);
                P::Vectors::store(exact.as_mut_ptr().add(at), weight);
            }
            P::round(exact.as_ptr(), weights.as_mut_ptr(), 16);
        }
        let shrink = if *highest == f32::NEG_INFINITY { 0.0 } else { (*highest - now).exp2() };
        *highest = now;
        *total = *total * shrink + P::Vectors::reduce_add(sum);
        shrink
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::testing::attention::{check, check_windows};
    use crate::testing::tiers;

    /// Tolerance for values between -1 and 1: queries are scaled before they are rounded, and
    /// weights are rounded, also those that are rescaled later.
    const BAR: f64 = 4e-3;

    fn rounded(x: f64) -> f64 {
        f64::from(half::bf16::from_f32(x as f32).to_f32())
    }

    #[test]
    fn sam_2_shapes() {
        for tier in tiers() {
            for shape in [
                [2, 1, 256, 1824, 64, 32],
                [1, 1, 100, 900, 256, 64],
                [1, 1, 600, 130, 96, 96],
                [9, 2, 64, 64, 56, 56],
                [4, 4, 16, 64, 72, 72],
                [3, 1, 50, 3000, 24, 24],
            ] {
                check(|q, k, v| attention_in_bf16(tier, q, k, v), rounded, BAR, shape, 1.0);
            }
            // Scores far apart: one key gets all the weight.
            check(
                |q, k, v| attention_in_bf16(tier, q, k, v),
                rounded,
                BAR,
                [1, 1, 30, 800, 32, 16],
                60.0,
            );
        }
    }

    #[test]
    fn windows() {
        for tier in tiers() {
            for shape in [[16, 16, 8, 2, 48], [20, 23, 14, 1, 96], [9, 11, 7, 4, 72]] {
                check_windows(|q, k, v| attention_in_bf16(tier, q, k, v), rounded, BAR, shape);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn any_shape_on_every_tier(
            (b, h) in (1_usize..4, 1_usize..4),
            (n, m) in (FEWEST_TOKENS..90, FEWEST_TOKENS..500),
            (d, v) in (1_usize..70, 1_usize..70),
        ) {
            for tier in tiers() {
                check(|q, k, v| attention_in_bf16(tier, q, k, v), rounded, BAR, [b, h, n, m, d, v], 1.0);
            }
        }
    }
}
