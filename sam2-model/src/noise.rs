//! Random numbers for tests: the same in every run of a test, whatever runs beside it.

use std::cell::Cell;

use burn::tensor::{Device, Tensor};

thread_local! {
    /// Every test has a thread of its own, and so begins here.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// Normally distributed numbers with variance 1, other ones at each call.
pub(crate) fn noise<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    if shape.contains(&0) {
        return Tensor::empty(shape, &Device::flex());
    }
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| normal()).collect();
    Tensor::<1>::from_floats(&values[..], &Device::flex()).reshape(shape)
}

/// Box and Muller's transformation of two uniform numbers.
fn normal() -> f32 {
    // Above 0, for the logarithm.
    let (a, b) = (1.0 - uniform(), uniform());
    ((-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()) as f32
}

/// In `[0, 1)`; splitmix64.
fn uniform() -> f64 {
    let state = STATE.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
    STATE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[test]
fn numbers_are_normally_distributed_and_not_the_same_twice() {
    let values = |x: Tensor<1>| x.into_data().try_to_vec::<f32>().unwrap_or_default();
    let (first, second) = (values(noise([10_000])), values(noise([10_000])));
    assert_ne!(first, second);
    for values in [first, second] {
        let mean = values.iter().sum::<f32>() / 1e4;
        let variance = values.iter().map(|value| value * value).sum::<f32>() / 1e4;
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
