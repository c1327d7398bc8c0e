//! The numbers-in-memory half of `sam2-model`'s kernels, with its own unit and property tests and nothing else, so that tiers of instructions that the
//! building machine lacks can be run in an emulator.

// What the tensors' half calls is called by nobody here.
#![allow(dead_code, unused_imports)]

mod kernels;

#[cfg(test)]
mod tests {
    use crate::kernels::cpu::CpuTier;

    /// `SAM2_CPU_TIER` names the tier that the emulator is for.
    #[test]
    fn the_tier_that_is_asked_for_is_there() {
        if let Ok(name) = std::env::var("SAM2_CPU_TIER") {
            let tier: CpuTier = name.parse().unwrap();
            assert!(tier.is_available(), "{name} is not available");
            assert_eq!(CpuTier::current(), tier);
        }
    }
}
