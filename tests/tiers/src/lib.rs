//! The part of `sam2-model`'s kernels that works on numbers in memory, with only its own unit and
//! property tests, so that instruction tiers that the build machine lacks can be tested in an
//! emulator.

// This crate does not call the functions that the tensor kernels use.
#![allow(dead_code, unused_imports)]

mod kernels;

#[cfg(test)]
mod tests {
    use crate::kernels::cpu::CpuTier;

    /// Checks that the tier named by `SAM2_CPU_TIER`, which the emulator is to provide, is
    /// available.
    #[test]
    fn the_tier_that_is_asked_for_is_there() {
        if let Ok(name) = std::env::var("SAM2_CPU_TIER") {
            let tier: CpuTier = name.parse().unwrap();
            assert!(tier.is_available(), "{name} is not available");
            assert_eq!(CpuTier::current(), tier);
        }
    }
}
