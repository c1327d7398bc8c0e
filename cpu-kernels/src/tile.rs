//! The register tile of products that the matrix kernels share.

#![allow(unsafe_code)]

use crate::simd::Simd;

/// Largest number of rows in a tile of any tier.
pub(crate) const MOST_ROWS: usize = 12;

/// Computes
/// `tile[r][..] += sum over i < depth of a[r * by_row + i * by_depth] * b[i * b_by_depth ..]`.
///
/// # Safety
/// The processor has `S`'s instructions; `a` and `b` are valid for all elements that the formula
/// reads.
#[inline(always)]
pub(crate) unsafe fn multiply<S: Simd, const ROWS: usize, const VECTORS: usize>(
    depth: usize,
    a: *const f32,
    by_row: usize,
    by_depth: usize,
    b: *const f32,
    b_by_depth: usize,
    tile: &mut [[S::F32; VECTORS]; ROWS],
) {
    for i in 0..depth {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let b = b.add(i * b_by_depth);
            let a = a.add(i * by_depth);
            let columns: [S::F32; VECTORS] = std::array::from_fn(|j| S::load(b.add(j * S::LANES)));
            for (row, sums) in tile.iter_mut().enumerate() {
                let factor = S::splat(*a.add(row * by_row));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = S::mul_add(factor, column, *sum);
                }
            }
        }
    }
}
