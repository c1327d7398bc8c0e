//! The tiers of vector instructions, and the choice of one.
//!
//! It is made once per process: the processor's best, or the one named by `SAM2_CPU_TIER`. The tiers
//! themselves (`simd`, `bf16`) do not know each other.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::amx_permission::amx_is_permitted;

/// Sets of vector instructions that kernels are compiled for, best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CpuTier {
    /// Plain Rust, on every processor.
    Generic,
    /// ARM's 128-bit vectors with fused multiply-add.
    Neon,
    /// x86's 256-bit vectors with fused multiply-add.
    Avx2,
    /// x86's 512-bit vectors.
    Avx512,
    /// The same, plus products of bfloat16 pairs (AVX-512 BF16).
    Avx512Bf16,
    /// The same, plus tiles of bfloat16 products (AMX).
    Amx,
}

impl CpuTier {
    /// Every tier, including those that this processor does not have.
    pub const ALL: [Self; 6] =
        [Self::Generic, Self::Neon, Self::Avx2, Self::Avx512, Self::Avx512Bf16, Self::Amx];

    /// Returns the name in `SAM2_CPU_TIER`: `generic`, `neon`, `avx2`, `avx512`, `avx512-bf16` or
    /// `amx`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512-bf16",
            Self::Amx => "amx",
        }
    }

    /// Returns true if this processor and operating system support the tier.
    pub fn is_available(self) -> bool {
        match self {
            Self::Generic => true,
            Self::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && Self::Avx2.is_available()
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => {
                is_x86_feature_detected!("avx512bf16")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                    && Self::Avx512.is_available()
            }
            Self::Amx => amx_is_permitted() && Self::Avx512Bf16.is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 | Self::Avx512Bf16 => false,
        }
    }

    /// Returns true if bfloat16 products are faster on this tier than those of `f32`.
    #[inline]
    pub fn multiplies_bf16(self) -> bool {
        matches!(self, Self::Avx512Bf16 | Self::Amx)
    }

    /// Returns the tier whose vectors of `f32` this tier uses on this processor: `Generic`, or
    /// `Neon`, `Avx2` or `Avx512` if they are available.
    #[inline]
    pub(crate) fn vectors(self) -> Self {
        match self {
            Self::Avx512 | Self::Avx512Bf16 | Self::Amx if Self::Avx512.is_available() => {
                Self::Avx512
            }
            Self::Neon | Self::Avx2 if self.is_available() => self,
            _ => Self::Generic,
        }
    }

    /// Returns the number of `f32` values in a vector of [`Self::vectors`].
    #[inline]
    pub(crate) fn lanes(self) -> usize {
        match self.vectors() {
            Self::Neon => 4,
            Self::Avx512 => 16,
            _ => 8,
        }
    }

    /// Returns the tier in use: the one named by `SAM2_CPU_TIER` if it is available, otherwise the
    /// best available. Decided at the first call.
    #[inline]
    pub fn current() -> Self {
        static CURRENT: OnceLock<CpuTier> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let best = Self::ALL.into_iter().rev().find(|tier| tier.is_available());
            let best = best.unwrap_or(Self::Generic);
            let Ok(wanted) = std::env::var("SAM2_CPU_TIER") else { return best };
            match wanted.parse::<Self>() {
                Ok(tier) if tier.is_available() => tier,
                Ok(tier) => {
                    tracing::warn!("SAM2_CPU_TIER: this processor has no {tier}; {best} is used");
                    best
                }
                Err(error) => {
                    tracing::warn!("SAM2_CPU_TIER: {error}; {best} is used");
                    best
                }
            }
        })
    }
}

impl fmt::Display for CpuTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text is not the name of a [`CpuTier`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a processor tier: use generic, neon, avx2, avx512, avx512-bf16 or amx")]
pub struct UnknownTier(String);

impl FromStr for CpuTier {
    type Err = UnknownTier;

    fn from_str(name: &str) -> Result<Self, UnknownTier> {
        let tier = Self::ALL.into_iter().find(|tier| tier.name() == name);
        tier.ok_or_else(|| UnknownTier(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse() {
        for tier in CpuTier::ALL {
            assert_eq!(tier.name().parse(), Ok(tier));
        }
        let error = "sse9".parse::<CpuTier>().unwrap_err().to_string();
        assert!(error.contains("use generic, neon"), "{error}");
        assert!(CpuTier::current().is_available());
    }
}
