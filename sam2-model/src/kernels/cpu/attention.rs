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

use std::ops::Range;

use rayon::prelude::*;

use super::heads::{HeadTokens, HeadsView};
use super::simd::{CpuTier, Simd, per_tier};
use super::tile::{MOST_ROWS, multiply};

/// Keys per block. Their channels stay in the second-level cache while all queries of a task pass
/// over them: 256 channels of keys and 64 of values take 240 KiB, half of the smallest such caches.
const KEY_BLOCK: usize = 192;
/// Number of keys whose products are summed in registers before they are added to the running sums.
const SUM_BLOCK: usize = 96;
/// Largest number of queries per task.
const QUERY_BLOCK: usize = 384;
/// Largest size of a small head's rearranged keys and values. Each small head is one task and
/// shares nothing.
pub(super) const SMALL_HEAD_BYTES: usize = 256 << 10;
/// Larger heads are rearranged together, as many as fit in this size.
pub(super) const LARGE_HEAD_BYTES: usize = 96 << 20;
/// Weights are computed as powers of two, so that the exponential is cheap: e^x = 2^(x log2 e).
pub(super) const LOG2_E: f64 = std::f64::consts::LOG2_E;

/// Attends from queries `[batch, heads, n, d]` to keys `[batch, heads, m, d]` and values
/// `[batch, heads, m, v]`. Returns `[batch, n, heads * v]`, row-major. If the queries are in
/// windows, returns the map `[maps, height, width, heads * v]` from which the windows are cut.
/// Returns `None` if the shapes do not fit together or there are no keys.
pub(crate) fn attention(
    tier: CpuTier,
    queries: HeadsView<'_>,
    keys: HeadsView<'_>,
    values: HeadsView<'_>,
) -> Option<Vec<f32>> {
    let [batch, heads, _, d] = queries.shape;
    let [_, _, m, v] = values.shape;
    let fits = keys.shape == [batch, heads, m, d] && values.shape == [batch, heads, m, v];
    if !fits || !keys.is_whole() || !values.is_whole() || m == 0 || d == 0 {
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
    let count = queries.rows() * heads * v;
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

/// Returns every block of queries of every head of a group, with the head's index in the group.
pub(super) fn tasks_of(
    group: &[(usize, usize)],
    queries: &HeadsView<'_>,
    most: usize,
    tile: usize,
) -> Vec<(usize, Place)> {
    let threads = rayon::current_num_threads();
    let heads = group.iter().enumerate();
    let tasks = heads.flat_map(|(at, &(batch, head))| {
        let blocks = query_blocks(queries.of_batch(batch).count, threads, most, tile);
        blocks.into_iter().map(move |queries| (at, Place { batch, head, queries }))
    });
    tasks.collect()
}

/// Returns blocks of at most `most` queries, of about equal size. Aims for a number of blocks that
/// is a multiple of `threads`. All blocks are whole tiles of `tile` queries, except for the last.
pub(super) fn query_blocks(
    n: usize,
    threads: usize,
    most: usize,
    tile: usize,
) -> Vec<Range<usize>> {
    let count = n.div_ceil(most).next_multiple_of(threads.max(1));
    let length = n.div_ceil(count).next_multiple_of(tile);
    (0..n).step_by(length.max(1)).map(|start| start..(start + length).min(n)).collect()
}

struct Sizes {
    m: usize,
    d: usize,
    v: usize,
    /// Keys in a panel: two vectors.
    panel: usize,
    keys_padded: usize,
    values_padded: usize,
    scale: f32,
}

/// One head's keys and values in the layout that the tiles read.
#[derive(Default)]
struct Packed {
    /// `[panels, d, panel]`, zero beyond the last key.
    keys: Vec<f32>,
    /// `[m, values_padded]`, zero beyond `v`.
    values: Vec<f32>,
}

impl Packed {
    fn resize(&mut self, sizes: &Sizes) {
        self.keys.resize(sizes.keys_padded * sizes.d, 0.0);
        self.values.resize(sizes.m * sizes.values_padded, 0.0);
    }

    fn fill(&mut self, tier: CpuTier, s: &Sizes, keys: HeadTokens<'_>, values: HeadTokens<'_>) {
        self.resize(s);
        for (at, panel) in self.keys.chunks_exact_mut(s.panel * s.d).enumerate() {
            fill_panel(tier, panel, s, keys, at * s.panel);
        }
        for (token, row) in self.values.chunks_exact_mut(s.values_padded).enumerate() {
            fill_values(row, s, values, token);
        }
    }

    fn fill_in_parallel(
        &mut self,
        tier: CpuTier,
        s: &Sizes,
        keys: HeadTokens<'_>,
        values: HeadTokens<'_>,
    ) {
        self.resize(s);
        let panels = self.keys.par_chunks_exact_mut(s.panel * s.d).with_min_len(8).enumerate();
        panels.for_each(|(at, panel)| fill_panel(tier, panel, s, keys, at * s.panel));
        let rows =
            self.values.par_chunks_exact_mut(s.values_padded.max(1)).with_min_len(1024).enumerate();
        rows.for_each(|(token, row)| fill_values(row, s, values, token));
    }
}

per_tier! {
    /// Transposes a panel's keys, with zeros after the last key.
    fn fill_panel = fill_panel_on(panel: &mut [f32], s: &Sizes, keys: HeadTokens<'_>, first: usize)
}

/// # Safety
/// The processor has `S`'s instructions.
#[inline(always)]
unsafe fn fill_panel_on<S: Simd, const ROWS: usize>(
    panel: &mut [f32],
    s: &Sizes,
    keys: HeadTokens<'_>,
    first: usize,
) {
    const SIDE: usize = 8;
    let count = s.panel.min(s.m - first);
    let (whole, whole_channels) = (count / SIDE * SIDE, s.d / SIDE * SIDE);
    assert!(panel.len() == s.d * s.panel);
    for at in (0..whole).step_by(SIDE) {
        let tokens: [&[f32]; SIDE] = std::array::from_fn(|token| keys.at(first + at + token));
        for channel in (0..whole_channels).step_by(SIDE) {
            // SAFETY: each token has `s.d` channels, and the panel has a row of `s.panel` values
            // for each of them.
            unsafe {
                let rows = tokens.map(|token| token.as_ptr().add(channel));
                S::transpose_8x8(rows, panel.as_mut_ptr().add(channel * s.panel + at), s.panel);
            }
        }
    }
    for at in 0..count {
        let from = if at < whole { whole_channels } else { 0 };
        let rows = panel.chunks_exact_mut(s.panel).skip(from);
        for (row, value) in rows.zip(&keys.at(first + at)[from..]) {
            row[at] = *value;
        }
    }
    if count < s.panel {
        panel.chunks_exact_mut(s.panel).for_each(|row| row[count..].fill(0.0));
    }
}

fn fill_values(row: &mut [f32], s: &Sizes, values: HeadTokens<'_>, token: usize) {
    row[..s.v].copy_from_slice(values.at(token));
    row[s.v..].fill(0.0);
}

/// A range of queries of one head.
pub(super) struct Place {
    pub batch: usize,
    pub head: usize,
    pub queries: Range<usize>,
}

/// The result: rows of `row` values, one for each query of all batch entries.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub out: *mut f32,
    pub row: usize,
}

impl Target {
    /// Writes `values * factor` as a head's part of a row.
    ///
    /// # Safety
    /// The row and the head exist, and no other thread touches that part.
    #[inline(always)]
    pub unsafe fn write(self, row: usize, head: usize, values: &[f32], factor: f32) {
        let start = row * self.row + head * values.len();
        for (at, value) in values.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { self.out.add(start + at).write(value * factor) };
        }
    }
}

// SAFETY: tasks write disjoint parts: each writes its own head's columns of its own queries' rows.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::kernels::cpu::heads::WindowGrid;
    use crate::kernels::cpu::testing::{noise, tiers};

    fn contiguous(shape: [usize; 4]) -> [isize; 4] {
        let [_, h, n, d] = shape.map(|length| length as isize);
        [h * n * d, n * d, d, 1]
    }

    /// Computes the textbook formula in f64. Factors go through `round` before they are multiplied.
    fn reference(
        q: HeadsView<'_>,
        k: HeadsView<'_>,
        v: HeadsView<'_>,
        round: impl Fn(f64) -> f64,
    ) -> Vec<f64> {
        let [batch, heads, _, d] = q.shape;
        let (m, width) = (k.shape[2], v.shape[3]);
        let scale = LOG2_E / (d as f64).sqrt();
        let mut out = vec![0.0; q.rows() * heads * width];
        let queries = |b: usize| (0..q.of_batch(b).count).map(move |i| (b, i));
        let all = (0..batch).flat_map(queries);
        for (b, i, h) in all.flat_map(|(b, i)| (0..heads).map(move |h| (b, i, h))) {
            let (query, row) = (q.query(q.of_batch(b), h, i), q.of_batch(b).row(i));
            let dot = |j: usize| -> f64 {
                let pairs = query.iter().zip(k.head(b, h).at(j));
                pairs.map(|(x, y)| round(f64::from(*x) * scale) * round(f64::from(*y))).sum()
            };
            let scores: Vec<f64> = (0..m).map(dot).collect();
            let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp2()).collect();
            let total: f64 = weights.iter().sum();
            for (j, weight) in weights.iter().enumerate() {
                for (c, value) in v.head(b, h).at(j).iter().enumerate() {
                    out[(row * heads + h) * width + c] += weight / total * round(f64::from(*value));
                }
            }
        }
        out
    }

    /// Compares `run` with the reference. `shape` is batch, heads, queries, keys, channels,
    /// channels of values.
    pub(in crate::kernels::cpu) fn check(
        run: impl Fn(HeadsView<'_>, HeadsView<'_>, HeadsView<'_>) -> Option<Vec<f32>>,
        round: impl Fn(f64) -> f64,
        bar: f64,
        shape: [usize; 6],
        scale: f32,
    ) {
        let [batch, heads, n, m, d, v] = shape;
        let (qs, ks, vs) = ([batch, heads, n, d], [batch, heads, m, d], [batch, heads, m, v]);
        let count = |shape: [usize; 4]| shape.iter().product::<usize>();
        let mut q = noise(count(qs), 1);
        q.iter_mut().for_each(|x| *x *= scale);
        let (k, values) = (noise(count(ks), 2), noise(count(vs), 3));
        let view = |data, shape| HeadsView::new(data, 0, shape, contiguous(shape)).unwrap();
        let (q, k, values) = (view(&q, qs), view(&k, ks), view(&values, vs));
        let ours = run(q, k, values).unwrap();
        let expected = reference(q, k, values, round);
        assert_eq!(ours.len(), expected.len());
        for (at, (a, b)) in ours.iter().zip(expected).enumerate() {
            let off = (f64::from(*a) - b).abs();
            assert!(
                off < bar * f64::from(scale.max(1.0)),
                "{qs:?} {ks:?} {vs:?} at {at}: {a} and {b}"
            );
        }
    }

    #[test]
    fn sam_2_shapes() {
        for tier in tiers() {
            // Memory attention (small), windows, query pooling, decoder; heads that are rearranged
            // together.
            for (b, h, n, m, d, v) in [
                (2, 1, 256, 1824, 64, 32),
                (1, 1, 100, 900, 256, 64),
                (9, 2, 64, 64, 56, 56),
                (4, 4, 16, 64, 72, 72),
                (1, 8, 7, 256, 16, 16),
                (1, 8, 256, 7, 16, 16),
                (3, 1, 50, 3000, 24, 24),
            ] {
                check(|q, k, v| attention(tier, q, k, v), |x| x, 4e-6, [b, h, n, m, d, v], 1.0);
            }
            // Scores far apart: one key gets all the weight.
            check(|q, k, v| attention(tier, q, k, v), |x| x, 4e-6, [1, 1, 30, 800, 32, 16], 60.0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn any_shape_on_every_tier(
            (b, h) in (1_usize..4, 1_usize..4),
            (n, m) in (1_usize..60, 1_usize..900),
            (d, v) in (1_usize..70, 1_usize..70),
        ) {
            for tier in tiers() {
                check(|q, k, v| attention(tier, q, k, v), |x| x, 4e-6, [b, h, n, m, d, v], 1.0);
            }
        }
    }

    /// Checks attention on windows of two maps, whose queries, keys and values are parts of one
    /// product.
    pub(in crate::kernels::cpu) fn check_windows(
        run: impl Fn(HeadsView<'_>, HeadsView<'_>, HeadsView<'_>) -> Option<Vec<f32>>,
        round: impl Fn(f64) -> f64,
        bar: f64,
        [height, width, side, heads, d]: [usize; 5],
    ) {
        let grid = WindowGrid::new(side, [height, width]).unwrap();
        let (maps, channels) = (2, heads * d);
        let qkv = noise(maps * height * width * 3 * channels, 7);
        let outside = noise(3 * channels, 8);
        let part = |index: usize| {
            let outside = &outside[index * channels..(index + 1) * channels];
            let (shape, outside) = ([maps, heads, d], (index > 0).then_some(outside));
            HeadsView::in_windows(&qkv, index * channels, 3 * channels, &grid, shape, outside)
                .unwrap()
        };
        let ours = run(part(0), part(1), part(2)).unwrap();
        let expected = reference(part(0), part(1), part(2), round);
        assert_eq!(ours.len(), maps * height * width * channels);
        for (at, (a, b)) in ours.iter().zip(expected).enumerate() {
            let off = (f64::from(*a) - b).abs();
            assert!(off < bar, "{height}x{width} by {side}, {heads} of {d} at {at}: {a} and {b}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn windows_of_any_size_on_every_tier(
            (height, width, side) in (1_usize..30, 1_usize..30, 1_usize..15),
            (heads, d) in (1_usize..4, 1_usize..40),
        ) {
            for tier in tiers() {
                let shape = [height, width, side, heads, d];
                check_windows(|q, k, v| attention(tier, q, k, v), |x| x, 4e-6, shape);
            }
        }
    }

    #[test]
    fn keys_beyond_the_edge_need_something_that_stands_for_them() {
        let qkv = noise(3 * 4 * 4, 1);
        let grid = WindowGrid::new(2, [3, 4]).unwrap();
        let view = |outside| HeadsView::in_windows(&qkv, 0, 4, &grid, [1, 1, 4], outside).unwrap();
        let (with, without) = (view(Some(&qkv[..4])), view(None));
        let tier = CpuTier::current();
        assert!(attention(tier, without, with, with).is_some());
        assert!(attention(tier, with, without, with).is_none());
        assert!(attention(tier, with, with, without).is_none());
    }

    #[test]
    fn long_sums_stay_exact() {
        // Values of one sign: a single chain of additions over all keys would be off by forty units
        // in the last place.
        let (m, d, v) = (20_000, 8, 16);
        let (q, k) = (noise(12 * d, 1), noise(m * d, 2));
        let values: Vec<f32> = noise(m * v, 3).into_iter().map(|x| x * 0.1 + 1.0).collect();
        let view = |data, n, width| {
            let shape = [1, 1, n, width];
            HeadsView::new(data, 0, shape, contiguous(shape)).unwrap()
        };
        let (q, k, values) = (view(&q, 12, d), view(&k, m, d), view(&values, m, v));
        for tier in tiers() {
            let ours = attention(tier, q, k, values).unwrap();
            for (a, b) in ours.iter().zip(reference(q, k, values, |x| x)) {
                assert!((f64::from(*a) - b).abs() < 1e-6, "{tier}: {a} and {b}");
            }
        }
    }

    #[test]
    fn parts_of_one_product_need_no_copies() {
        // Queries, keys and values interleaved, as in a single product of 3 * heads * d.
        let (batch, heads, n, d) = (2, 3, 10, 5);
        let width = 3 * heads * d;
        let qkv = noise(batch * n * width, 7);
        let part = |index: usize| {
            let strides = [(n * width) as isize, d as isize, width as isize, 1];
            HeadsView::new(&qkv, index * heads * d, [batch, heads, n, d], strides).unwrap()
        };
        for tier in tiers() {
            let ours = attention(tier, part(0), part(1), part(2)).unwrap();
            for (a, b) in ours.iter().zip(reference(part(0), part(1), part(2), |x| x)) {
                assert!((f64::from(*a) - b).abs() < 1e-6, "{a} {b}");
            }
        }
    }
}
