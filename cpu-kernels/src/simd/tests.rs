//! Compares the vectors of each tier with numbers in `f64`.

#![allow(unsafe_code)]

use super::{Simd, per_tier};
use crate::testing::tiers;

/// Computes `exp2` of each value with vectors.
unsafe fn exp2_all<S: Simd, const ROWS: usize>(values: &[f32], out: &mut [f32]) {
    for (from, to) in values.chunks_exact(S::LANES).zip(out.chunks_exact_mut(S::LANES)) {
        // SAFETY: both chunks are a vector long.
        unsafe { S::store(to.as_mut_ptr(), S::exp2(S::load(from.as_ptr()))) };
    }
}
per_tier!(fn exp2_tier = exp2_all(values: &[f32], out: &mut [f32]));

#[test]
fn exp2_is_within_two_units_on_every_tier() {
    let values: Vec<f32> = (0..64_000).map(|i| -126.0 + i as f32 * (253.0 / 64_000.0)).collect();
    for tier in tiers() {
        let mut out = vec![0.0; values.len()];
        exp2_tier(tier, &values, &mut out);
        for (x, y) in values.iter().zip(&out) {
            let expected = f64::from(*x).exp2();
            let off = (f64::from(*y) - expected).abs() / expected;
            assert!(off < 2.4e-7, "{tier}: 2^{x} = {y:e}, not {expected:e}");
        }
        // Far below the range: zero, not NaN.
        let (low, mut out) = (vec![f32::NEG_INFINITY; 16], vec![1.0; 16]);
        exp2_tier(tier, &low, &mut out);
        assert!(out.iter().all(|y| (0.0..1e-37).contains(y)), "{tier}: {out:?}");
    }
}

/// Transposes a block of `from`, whose rows are `by_row` apart, into `to`.
unsafe fn transpose<S: Simd, const ROWS: usize>(
    from: &[f32],
    by_row: usize,
    to: &mut [f32],
    by: usize,
) {
    assert!(from.len() >= 7 * by_row + 8 && to.len() >= 7 * by + 8);
    // SAFETY: both are large enough.
    unsafe {
        S::transpose_8x8(
            std::array::from_fn(|row| from[row * by_row..].as_ptr()),
            to.as_mut_ptr(),
            by,
        )
    };
}
per_tier!(fn transpose_tier = transpose(from: &[f32], by_row: usize, to: &mut [f32], by: usize));

#[test]
fn rows_become_columns_on_every_tier_and_nothing_else_changes() {
    let from: Vec<f32> = (0..120).map(|i| i as f32).collect();
    for tier in tiers() {
        for (by_row, by) in [(8, 8), (13, 8), (9, 16), (16, 11)] {
            let mut to = vec![-1.0; 7 * by + 9];
            transpose_tier(tier, &from, by_row, &mut to, by);
            for (at, value) in to.into_iter().enumerate() {
                let (column, row) = (at / by, at % by);
                let expected =
                    if row < 8 && column < 8 { (row * by_row + column) as f32 } else { -1.0 };
                assert_eq!(value, expected, "{tier} {by_row} {by} {at}");
            }
        }
    }
}
