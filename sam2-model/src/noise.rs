//! Random numbers for tests: the same in every run of a test, whatever other tests run at the same
//! time.

use std::cell::Cell;

use burn::tensor::{Device, Tensor};

thread_local! {
    /// Number of calls so far. Every test has its own thread, so its count starts at zero.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// Returns normally distributed values with variance 1, different ones at each call.
pub(crate) fn noise<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let device = Device::flex();
    if shape.contains(&0) {
        return Tensor::empty(shape, &device);
    }
    let seed = CALLS.get() + 1;
    CALLS.set(seed);
    let uniform = uniform(2 * shape.iter().product::<usize>(), seed);
    let values: Vec<f32> = uniform.chunks_exact(2).map(|pair| normal(pair[0], pair[1])).collect();
    Tensor::<1>::from_floats(&values[..], &device).reshape(shape)
}

/// Returns values in -1..1, by Marsaglia's xorshift.
fn uniform(length: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}

/// Applies the Box-Muller transform to two numbers in -1..1.
fn normal(a: f32, b: f32) -> f32 {
    // Above 0, because of the logarithm.
    let a = (1.0 - a) / 2.0;
    (-2.0 * a.ln()).sqrt() * (std::f32::consts::PI * b).cos()
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
