//! The bfloat16 instructions that the kernels need from a processor.

#![allow(unsafe_code)]

use crate::simd::Simd;

/// Number of rows and columns of a block of products, and the step of its depth.
pub(super) const BLOCK: usize = 32;

/// Computes blocks of bfloat16 products.
///
/// # Safety
/// The methods may use the tier's instructions. Call them only if
/// [`CpuTier::is_available`](crate::CpuTier::is_available) has returned true, inside a function that enables the instructions, and between [`Products::begin`] and [`Products::end`].
/// Pointers need no alignment.
pub(super) unsafe trait Products: Copy + 'static {
    /// The vectors for everything that is not a product.
    type Vectors: Simd;

    /// Prepares this thread for [`Products::multiply`].
    unsafe fn begin();

    /// Releases the resources that [`Products::begin`] took.
    unsafe fn end();

    /// Computes `c[i][j] (+)= sum over k < depth of a[i][k] * b[k][j]` for `i`, `j` below
    /// [`BLOCK`]. `depth` is a multiple of [`BLOCK`].
    ///
    /// `a` has rows of `a_by_row` values, of which `depth` are read. `b` is a panel
    /// `[depth / 2, BLOCK, 2]`. `c` has rows of `c_by_row` values. Without `add`, `c` is only
    /// written.
    unsafe fn multiply(
        depth: usize,
        a: *const u16,
        a_by_row: usize,
        b: *const u16,
        c: *mut f32,
        c_by_row: usize,
        add: bool,
    );

    /// Rounds `count` values to the nearest bfloat16.
    unsafe fn round(from: *const f32, to: *mut u16, count: usize);

    /// Rounds two rows of 16 values and writes them pair by pair: `[16, 2]`.
    unsafe fn round_pairs(first: *const f32, second: *const f32, to: *mut u16);

    /// Writes 16 rows of 16 pairs, `[16, 16, 2]`, as columns: pair `i` of all rows to
    /// `to + i * by_pair`.
    unsafe fn transpose_pairs(rows: *const u16, to: *mut u16, by_pair: usize);
}
