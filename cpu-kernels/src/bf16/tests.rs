//! Compares the products of each tier with numbers in `f64`.

#![allow(unsafe_code)]
#![allow(clippy::unwrap_used)]

use half::bf16;
use proptest::prelude::*;

use super::per_tier::per_bf16_tier;
use super::products::{BLOCK, Products};
use crate::testing::{noise, tiers};
use crate::tier::CpuTier;

/// The data of one block's product.
#[derive(Clone, Copy)]
struct Case<'a> {
    depth: usize,
    a: &'a [u16],
    by_row: usize,
    b: &'a [u16],
    add: bool,
}

unsafe fn product_on<P: Products>(case: Case<'_>, c: &mut [f32], c_by_row: usize) {
    let Case { depth, a, by_row, b, add } = case;
    // SAFETY: the tests size the slices.
    unsafe {
        P::multiply(depth, a.as_ptr(), by_row, b.as_ptr(), c.as_mut_ptr(), c_by_row, add);
    }
}
per_bf16_tier!(fn product = product_on(case: Case<'_>, c: &mut [f32], c_by_row: usize));

unsafe fn round_on<P: Products>(from: &[f32], to: &mut [u16]) {
    // SAFETY: both have the same length.
    unsafe { P::round(from.as_ptr(), to.as_mut_ptr(), from.len()) };
}
per_bf16_tier!(fn round = round_on(from: &[f32], to: &mut [u16]));

unsafe fn pairs_on<P: Products>(first: &[f32; 16], second: &[f32; 16], to: &mut [u16; 32]) {
    // SAFETY: the arrays have the required lengths.
    unsafe { P::round_pairs(first.as_ptr(), second.as_ptr(), to.as_mut_ptr()) };
}
per_bf16_tier!(fn pairs = pairs_on(first: &[f32; 16], second: &[f32; 16], to: &mut [u16; 32]));

unsafe fn transposed_on<P: Products>(rows: &[u16], to: &mut [u16], by_pair: usize) {
    // SAFETY: the test sizes the slices.
    unsafe { P::transpose_pairs(rows.as_ptr(), to.as_mut_ptr(), by_pair) };
}
per_bf16_tier!(fn transposed = transposed_on(rows: &[u16], to: &mut [u16], by_pair: usize));

fn rounded(values: &[f32]) -> Vec<u16> {
    values.iter().map(|&x| bf16::from_f32(x).to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn blocks_multiply_on_every_tier(steps in 1_usize..12, gap in 0_usize..40, add: bool, seed in 1_u64..1000) {
        let (depth, by_row, c_by_row) = (steps * BLOCK, steps * BLOCK + gap, BLOCK + gap);
        let a = rounded(&noise(BLOCK * by_row, seed));
        let b = rounded(&noise(depth * BLOCK, seed + 1));
        let before = noise(BLOCK * c_by_row, seed + 2);
        let wide = |bits: u16| f64::from(bf16::from_bits(bits).to_f32());
        for tier in tiers() {
            let mut c = before.clone();
            product(tier, Case { depth, a: &a, by_row, b: &b, add }, &mut c, c_by_row);
            for (i, j) in (0..BLOCK).flat_map(|i| (0..BLOCK).map(move |j| (i, j))) {
                let mut sum: f64 = (0..depth)
                    .map(|k| wide(a[i * by_row + k]) * wide(b[(k / 2 * BLOCK + j) * 2 + k % 2]))
                    .sum();
                sum += if add { f64::from(before[i * c_by_row + j]) } else { 0.0 };
                let off = (f64::from(c[i * c_by_row + j]) - sum).abs();
                prop_assert!(off < 2e-6 * (depth as f64).sqrt() * 3.0, "{tier}: off by {off} at {i}, {j}");
            }
            // Values outside the block are not touched.
            for (row, was) in c.chunks(c_by_row).zip(before.chunks(c_by_row)) {
                prop_assert_eq!(&row[BLOCK..], &was[BLOCK..]);
            }
        }
    }

    #[test]
    fn numbers_round_to_the_nearest_on_every_tier(values in prop::collection::vec(any::<f32>(), 0..70)) {
        for tier in tiers() {
            let mut bits = vec![0; values.len()];
            round(tier, &values, &mut bits);
            for (x, bits) in values.iter().zip(bits) {
                let (ours, expected) = (bf16::from_bits(bits), bf16::from_f32(*x));
                // The instruction treats values below 1.2e-38 as zero.
                let alike = ours.to_bits() == expected.to_bits()
                    || (ours.is_nan() && expected.is_nan())
                    || (x.is_subnormal() && ours.to_f32() == 0.0);
                prop_assert!(alike, "{tier}: {x:e} became {ours:e}, not {expected:e}");
            }
        }
    }
}

#[test]
fn pairs_and_columns_on_every_tier() {
    let values = noise(32, 5);
    let (first, second) = values.split_at(16);
    let expected: Vec<u16> =
        rounded(first).into_iter().zip(rounded(second)).flat_map(|(a, b)| [a, b]).collect();
    let rows: Vec<u16> = (0..16 * 32).collect();
    for tier in tiers() {
        let mut to = [0; 32];
        pairs(tier, first.try_into().unwrap(), second.try_into().unwrap(), &mut to);
        assert_eq!(to.to_vec(), expected, "{tier}");
        let mut columns = vec![9999; 16 * 40];
        transposed(tier, &rows, &mut columns, 40);
        for (pair, row) in (0..16).flat_map(|pair| (0..16).map(move |row| (pair, row))) {
            let at = pair * 40 + row * 2;
            assert_eq!(columns[at..at + 2], rows[row * 32 + pair * 2..][..2], "{tier}");
        }
        assert_eq!(columns[32..40], [9999; 8], "{tier}");
    }
}

#[test]
fn which_tier_runs_here() {
    // This asserts nothing about the machine. It logs the tiers on which the tests above have
    // run.
    let names: Vec<&str> = tiers().map(CpuTier::name).collect();
    assert!(names.contains(&"generic"));
    println!("tiers of this processor: {}", names.join(", "));
}
