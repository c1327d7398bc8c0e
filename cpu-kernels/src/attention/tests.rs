//! Compares attention with the textbook formula.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::heads::WindowGrid;
use crate::testing::attention::{check, check_windows, contiguous, reference};
use crate::testing::{noise, tiers};

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
