//! bfloat16 products in plain Rust, with which the other tiers are compared.

#![allow(unsafe_code)]

use super::products::{BLOCK, Products};
use crate::simd::Generic;

/// Plain Rust.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

/// Returns the nearest bfloat16, with ties to even. NaN stays NaN.
pub(super) fn nearest(x: f32) -> u16 {
    half::bf16::from_f32(x).to_bits()
}

fn widened(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

// SAFETY: plain Rust; only the pointers depend on the caller.
unsafe impl Products for Portable {
    type Vectors = Generic;

    unsafe fn begin() {}
    unsafe fn end() {}

    unsafe fn multiply(
        depth: usize,
        a: *const u16,
        a_by_row: usize,
        b: *const u16,
        c: *mut f32,
        c_by_row: usize,
        add: bool,
    ) {
        for row in 0..BLOCK {
            let mut sums = [0.0_f32; BLOCK];
            for k in 0..depth {
                // SAFETY: `a` has `depth` values in each of its rows, and `b` has a panel of as
                // many.
                let factor = widened(unsafe { *a.add(row * a_by_row + k) });
                for (column, sum) in sums.iter_mut().enumerate() {
                    let at = (k / 2 * BLOCK + column) * 2 + k % 2;
                    // SAFETY: as above.
                    *sum += factor * widened(unsafe { *b.add(at) });
                }
            }
            for (column, sum) in sums.into_iter().enumerate() {
                // SAFETY: `c` has `BLOCK` values in each of its rows.
                let to = unsafe { &mut *c.add(row * c_by_row + column) };
                *to = if add { *to + sum } else { sum };
            }
        }
    }

    unsafe fn round(from: *const f32, to: *mut u16, count: usize) {
        for i in 0..count {
            // SAFETY: guaranteed by the caller.
            unsafe { *to.add(i) = nearest(*from.add(i)) };
        }
    }

    unsafe fn round_pairs(first: *const f32, second: *const f32, to: *mut u16) {
        for i in 0..16 {
            // SAFETY: guaranteed by the caller.
            unsafe {
                *to.add(2 * i) = nearest(*first.add(i));
                *to.add(2 * i + 1) = nearest(*second.add(i));
            }
        }
    }

    unsafe fn transpose_pairs(rows: *const u16, to: *mut u16, by_pair: usize) {
        for (row, pair) in (0..16).flat_map(|row| (0..16).map(move |pair| (row, pair))) {
            // SAFETY: guaranteed by the caller.
            unsafe {
                let (from, to) = (rows.add(row * 32 + pair * 2), to.add(pair * by_pair + row * 2));
                std::ptr::copy_nonoverlapping(from, to, 2);
            }
        }
    }
}
