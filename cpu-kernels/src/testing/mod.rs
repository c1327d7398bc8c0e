//! What the kernels' tests share.

#![allow(clippy::unwrap_used)]

pub(crate) mod attention;
pub(crate) mod linear;

use crate::tier::CpuTier;

/// Returns the tiers that this processor has.
pub(crate) fn tiers() -> impl Iterator<Item = CpuTier> {
    CpuTier::ALL.into_iter().filter(|tier| tier.is_available())
}

/// Returns pseudo-random values in -1..1.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}

/// Computes erf in f64 by its series and continued fraction.
pub(crate) fn erf(x: f64) -> f64 {
    if x.abs() < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..80 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * 2.0 / std::f64::consts::PI.sqrt();
    }
    let mut fraction = 0.0;
    for n in (1..60).rev() {
        fraction = f64::from(n) / 2.0 / (x.abs() + fraction);
    }
    let tail = (-x * x).exp() / ((x.abs() + fraction) * std::f64::consts::PI.sqrt());
    x.signum() * (1.0 - tail)
}
