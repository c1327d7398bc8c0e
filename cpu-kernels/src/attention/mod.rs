//! Attention without the matrix of scores: softmax(Q Kᵀ / sqrt(d)) V, block by block (Dao et al.
//! 2022, FlashAttention).
//!
//! Queries are cut into blocks, each a task of its own, so that a single head uses every core. SAM
//! 2's memory attention has a single head: its 4,096 queries attend to 28,800 keys. Keys are
//! rearranged once per head into panels of two vectors, one channel after another, so that a
//! register tile of products reads them from front to back. Within a block, the scores of a dozen
//! queries with [`KEY_BLOCK`] keys are computed, turned into weights with a running maximum and
//! sum, and applied to the values at once, all within the first-level cache.
//!
//! The channels of one token must be adjacent; otherwise queries, keys and values may have any
//! layout. Parts of one `qkv` product need no copies, nor do windows of a map.

#![allow(unsafe_code)]

mod packed;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use self::packed::{Packed, Sizes};
use crate::heads::HeadsView;
use crate::query_blocks::{
    LARGE_HEAD_BYTES, LOG2_E, Place, SMALL_HEAD_BYTES, Target, query_blocks, tasks_of,
};
use crate::simd::{Simd, per_tier};
use crate::tier::CpuTier;
use crate::tile::{MOST_ROWS, multiply};

/// Keys per block. Their channels stay in the second-level cache while all queries of a task pass
/// over them: 256 channels of keys and 64 of values take 240 KiB, half of the smallest such caches.
const KEY_BLOCK: usize = 192;
/// Number of keys whose products are summed in registers before they are added to the running sums.
const SUM_BLOCK: usize = 96;
/// Largest number of queries per task.
const QUERY_BLOCK: usize = 384;

/// Attends from queries `[batch, heads, n, d]` to keys `[batch, heads, m, d]` and values
/// `[batch, heads, m, v]`, with `1 / sqrt(d)` scaling. Returns `[batch, n, heads * v]`. If the
/// queries are in windows, returns the map `[maps, height, width, heads * v]` from which the windows
/// are cut. Returns `None` if the shapes do not fit together, or there are no keys or no channels.
pub fn attention(
    tier: CpuTier,
    queries: HeadsView<'_>,
    keys: HeadsView<'_>,
    values: HeadsView<'_>,
) -> Option<Vec<f32>> {
    let [batch, heads, _, d] = queries.shape;
    let [_, _, m, v] = values.shape;
    let fits = keys.shape == [batch, heads, m, d] && values.shape == [batch, heads, m, v];
    if !fits || !keys.is_whole() || !values.is_whole() || m == 0 || d == 0 || v == 0 {
        return None;
    }
    let lanes = tier.lanes();
    let sizes = Sizes {
        m,
        d,
        v,
        panel: 2 * lanes,
        keys_padded: m.next_multiple_of(2 * lanes),
        values_padded: v.next_multiple_of(lanes),
        scale: (LOG2_E / (d as f64).sqrt()) as f32,
    };
    let count = queries.rows().checked_mul(heads)?.checked_mul(v)?;
    let mut out: Vec<f32> = Vec::with_capacity(count);
    let target = Target { out: out.as_mut_ptr(), row: heads * v };
    let head_floats = sizes.keys_padded * d + m * sizes.values_padded;
    let all: Vec<(usize, usize)> =
        (0..batch).flat_map(|b| (0..heads).map(move |h| (b, h))).collect();
    if head_floats * size_of::<f32>() <= SMALL_HEAD_BYTES {
        all.par_iter().for_each_init(
            || (Packed::default(), Scratch::default()),
            |(packed, scratch), &(b, h)| {
                packed.fill(tier, &sizes, keys.head(b, h), values.head(b, h));
                for block in query_blocks(queries.of_batch(b).count, 1, QUERY_BLOCK, MOST_ROWS) {
                    let place = Place { batch: b, head: h, queries: block };
                    // Each head's rows are written by one task only.
                    query_block(tier, &sizes, &queries, packed, place, scratch, target);
                }
            },
        );
    } else {
        let together = (LARGE_HEAD_BYTES / (head_floats * size_of::<f32>())).max(1);
        let mut laid_out: Vec<Packed> = Vec::new();
        for group in all.chunks(together) {
            laid_out.resize_with(group.len(), Packed::default);
            for (packed, &(b, h)) in laid_out.iter_mut().zip(group) {
                packed.fill_in_parallel(tier, &sizes, keys.head(b, h), values.head(b, h));
            }
            tasks_of(group, &queries, QUERY_BLOCK, MOST_ROWS).into_par_iter().for_each_init(
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

/// The memory of one task.
#[derive(Default)]
struct Scratch {
    /// `[tiles, d, ROWS]`: scaled queries.
    queries: Vec<f32>,
    /// `[ROWS, KEY_BLOCK]`.
    scores: Vec<f32>,
    /// `[rows, values_padded]`.
    sums: Vec<f32>,
    /// For each row: the highest score so far, and the sum of weights.
    highest: Vec<f32>,
    weights: Vec<f32>,
}

per_tier! {
    /// Computes the results of one block of queries.
    fn query_block = query_block_on(
        sizes: &Sizes, queries: &HeadsView<'_>, packed: &Packed, place: Place, scratch: &mut Scratch, target: Target,
    )
}

/// # Safety
/// The processor has `S`'s instructions. `target` is valid for a row of `heads * v` values for each
/// of the queries' rows, and no other thread writes the part of `place`.
#[inline(always)]
unsafe fn query_block_on<S: Simd, const ROWS: usize>(
    sizes: &Sizes,
    queries: &HeadsView<'_>,
    packed: &Packed,
    place: Place,
    scratch: &mut Scratch,
    target: Target,
) {
    let Sizes { d, v, panel, values_padded, .. } = *sizes;
    debug_assert_eq!(panel, 2 * S::LANES);
    let count = place.queries.len();
    let tiles = count.div_ceil(ROWS);
    scratch.prepare::<ROWS>(sizes, queries, &place, tiles);
    for first in (0..sizes.m).step_by(KEY_BLOCK) {
        let keys = KEY_BLOCK.min(sizes.m - first);
        let keys_padded = keys.next_multiple_of(panel);
        for tile in 0..tiles {
            // SAFETY: `prepare` has sized the buffers: queries for `tiles` tiles of `d * ROWS`,
            // scores for a tile with a whole block of keys, sums for `tiles * ROWS` rows. `packed`
            // holds whole panels up to `keys_padded` (the block is a multiple of a panel) and a row
            // of values for each key.
            unsafe {
                let q = scratch.queries.as_ptr().add(tile * d * ROWS);
                let scores = scratch.scores.as_mut_ptr();
                for at in (0..keys_padded).step_by(panel) {
                    let k = packed.keys.as_ptr().add((first + at) * d);
                    let mut tile_scores = [[S::splat(0.0); 2]; ROWS];
                    multiply::<S, ROWS, 2>(d, q, 1, ROWS, k, panel, &mut tile_scores);
                    for (row, [low, high]) in tile_scores.into_iter().enumerate() {
                        S::store(scores.add(row * KEY_BLOCK + at), low);
                        S::store(scores.add(row * KEY_BLOCK + at + S::LANES), high);
                    }
                }
                let mut shrink = [0.0_f32; ROWS];
                for (row, shrink) in shrink.iter_mut().enumerate() {
                    let state = tile * ROWS + row;
                    let row =
                        std::slice::from_raw_parts_mut(scores.add(row * KEY_BLOCK), keys_padded);
                    row[keys..].fill(f32::NEG_INFINITY);
                    *shrink =
                        weigh::<S>(row, &mut scratch.highest[state], &mut scratch.weights[state]);
                }
                let values = packed.values.as_ptr().add(first * values_padded);
                let sums = scratch.sums.as_mut_ptr().add(tile * ROWS * values_padded);
                let mut column = 0;
                while column + 2 * S::LANES <= values_padded {
                    add_values::<S, ROWS, 2>(
                        keys,
                        scores,
                        values,
                        values_padded,
                        column,
                        sums,
                        &shrink,
                    );
                    column += 2 * S::LANES;
                }
                if column < values_padded {
                    add_values::<S, ROWS, 1>(
                        keys,
                        scores,
                        values,
                        values_padded,
                        column,
                        sums,
                        &shrink,
                    );
                }
            }
        }
    }
    let of_batch = queries.of_batch(place.batch);
    for (at, query) in place.queries.clone().enumerate() {
        let total = 1.0 / scratch.weights[at];
        let row = &scratch.sums[at * values_padded..at * values_padded + v];
        // SAFETY: the row belongs to one of the queries, and only this task writes this head's part
        // of it.
        unsafe { target.write(of_batch.row(query), place.head, row, total) };
    }
}

impl Scratch {
    #[inline(always)]
    fn prepare<const ROWS: usize>(
        &mut self,
        sizes: &Sizes,
        queries: &HeadsView<'_>,
        place: &Place,
        tiles: usize,
    ) {
        let rows = tiles * ROWS;
        self.queries.clear();
        self.queries.resize(rows * sizes.d, 0.0);
        self.scores.resize(ROWS * KEY_BLOCK, 0.0);
        self.sums.clear();
        self.sums.resize(rows * sizes.values_padded, 0.0);
        self.highest.clear();
        self.highest.resize(rows, f32::NEG_INFINITY);
        self.weights.clear();
        self.weights.resize(rows, 0.0);
        let of_batch = queries.of_batch(place.batch);
        for (at, query) in place.queries.clone().enumerate() {
            let tile = &mut self.queries[at / ROWS * ROWS * sizes.d..];
            let token = queries.query(of_batch, place.head, query);
            for (to, value) in tile[at % ROWS..].iter_mut().step_by(ROWS).zip(token) {
                *to = value * sizes.scale;
            }
        }
    }
}

/// Turns one row of scores into weights relative to the highest score so far. Returns the factor
/// that rescales the earlier sums.
///
/// # Safety
/// The processor has `S`'s instructions; the row's length is a multiple of a vector.
#[inline(always)]
unsafe fn weigh<S: Simd>(row: &mut [f32], highest: &mut f32, total: &mut f32) -> f32 {
    // SAFETY: whole vectors of the row are read and written.
    unsafe {
        let mut top = S::splat(f32::NEG_INFINITY);
        for scores in row.chunks_exact(S::LANES) {
            top = S::max(top, S::load(scores.as_ptr()));
        }
        let now = highest.max(S::reduce_max(top));
        let (base, mut sum) = (S::splat(now), S::splat(0.0));
        for scores in row.chunks_exact_mut(S::LANES) {
            let weights = S::exp2(S::sub(S::load(scores.as_ptr()), base));
            S::store(scores.as_mut_ptr(), weights);
            sum = S::add(sum, weights);
        }
        let shrink = if *highest == f32::NEG_INFINITY { 0.0 } else { (*highest - now).exp2() };
        *highest = now;
        *total = *total * shrink + S::reduce_add(sum);
        shrink
    }
}

/// Computes
/// `sums[r][column..] = sums[r][column..] * shrink[r] + weights[r] · values[.., column..]`.
///
/// Products are summed over [`SUM_BLOCK`] keys at a time before they are added to the sums. One
/// long chain over 28,800 keys would round 28,800 times, each time by the size of the whole sum.
///
/// # Safety
/// The processor has `S`'s instructions. `weights` is a tile of rows of [`KEY_BLOCK`], `values` has
/// `keys` rows of `by_key`, and `sums` is a tile of rows of `by_key`.
#[inline(always)]
unsafe fn add_values<S: Simd, const ROWS: usize, const VECTORS: usize>(
    keys: usize,
    weights: *const f32,
    values: *const f32,
    by_key: usize,
    column: usize,
    sums: *mut f32,
    shrink: &[f32; ROWS],
) {
    for first in (0..keys).step_by(SUM_BLOCK) {
        let count = SUM_BLOCK.min(keys - first);
        // SAFETY: guaranteed by the caller; the block ends within the keys.
        unsafe {
            let mut tile = [[S::splat(0.0); VECTORS]; ROWS];
            let values = values.add(first * by_key + column);
            multiply::<S, ROWS, VECTORS>(
                count,
                weights.add(first),
                KEY_BLOCK,
                1,
                values,
                by_key,
                &mut tile,
            );
            for (row, vectors) in tile.into_iter().enumerate() {
                // The earlier sum is rescaled once.
                let factor = S::splat(if first == 0 { shrink[row] } else { 1.0 });
                for (j, vector) in vectors.into_iter().enumerate() {
                    let at = sums.add(row * by_key + column + j * S::LANES);
                    S::store(at, S::mul_add(S::load(at), factor, vector));
                }
            }
        }
    }
}
