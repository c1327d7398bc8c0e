//! Compiling a kernel once for each tier.

/// Compiles `$body::<Tier, ROWS>(args)` once per tier, each inside a function with the tier's
/// instructions. Defines `$name(tier, args)`, which calls the version for `tier`. `ROWS` is the
/// height of a register tile two vectors wide.
macro_rules! per_tier {
    ($(#[$doc:meta])* fn $name:ident = $body:ident($($arg:ident: $type:ty),* $(,)?)) => {
        $(#[$doc])*
        #[inline]
        fn $name(tier: $crate::tier::CpuTier, $($arg: $type),*) {
            use $crate::simd;
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            use $crate::tier::CpuTier;
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            unsafe fn avx512($($arg: $type),*) {
                // SAFETY: this function has the tier's instructions.
                unsafe { $body::<simd::Avx512, 12>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $type),*) {
                // SAFETY: this function has the tier's instructions.
                unsafe { $body::<simd::Avx2, 6>($($arg),*) }
            }
            // The instructions are checked here. What else a body requires concerns its arguments
            // (sizes, and who writes where), and is up to the code that calls this function.
            match tier.vectors() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `vectors` has found the tier available: AVX-512F and VL, AVX2 and FMA, all
                // that `avx512` enables. The calling code has made the arguments as the body
                // requires.
                CpuTier::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `vectors` has found AVX2 and FMA, all that `avx2` enables. The calling
                // code has made the arguments as the body requires.
                CpuTier::Avx2 => unsafe { avx2($($arg),*) },
                #[cfg(target_arch = "aarch64")]
                // SAFETY: every aarch64 processor has NEON. The calling code has made the arguments
                // as the body requires.
                CpuTier::Neon => unsafe { $body::<simd::Neon, 12>($($arg),*) },
                // SAFETY: `Generic` is plain Rust, which every processor runs. The calling code has
                // made the arguments as the body requires.
                _ => unsafe { $body::<simd::Generic, 4>($($arg),*) },
            }
        }
    };
}
pub(crate) use per_tier;
