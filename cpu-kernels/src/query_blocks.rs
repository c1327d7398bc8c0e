//! How attention is cut into tasks, whatever the format of its products.

#![allow(unsafe_code)]

use std::ops::Range;

use crate::heads::HeadsView;

/// Largest size of a small head's rearranged keys and values. Each small head is one task and
/// shares nothing. Miri is slow with large arrays, so it divides smaller heads too.
pub(crate) const SMALL_HEAD_BYTES: usize = if cfg!(miri) { 4 << 10 } else { 256 << 10 };
/// Larger heads are rearranged together, as many as fit in this size.
pub(crate) const LARGE_HEAD_BYTES: usize = 96 << 20;
/// Weights are computed as powers of two, so that the exponential is cheap: e^x = 2^(x log2 e).
pub(crate) const LOG2_E: f64 = std::f64::consts::LOG2_E;

/// Returns every block of queries of every head of a group, with the head's index in the group.
pub(crate) fn tasks_of(
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
pub(crate) fn query_blocks(
    n: usize,
    threads: usize,
    most: usize,
    tile: usize,
) -> Vec<Range<usize>> {
    let count = n.div_ceil(most).max(1).next_multiple_of(threads.max(1));
    let length = n.div_ceil(count).next_multiple_of(tile);
    (0..n).step_by(length.max(1)).map(|start| start..(start + length).min(n)).collect()
}

/// A range of queries of one head.
pub(crate) struct Place {
    pub(crate) batch: usize,
    pub(crate) head: usize,
    pub(crate) queries: Range<usize>,
}

/// The result: rows of `row` values, one for each query of all batch entries.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) out: *mut f32,
    pub(crate) row: usize,
}

impl Target {
    /// Writes `values * factor` as a head's part of a row.
    ///
    /// # Safety
    /// The row and the head exist, and no other thread touches that part.
    #[inline(always)]
    pub(crate) unsafe fn write(self, row: usize, head: usize, values: &[f32], factor: f32) {
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
