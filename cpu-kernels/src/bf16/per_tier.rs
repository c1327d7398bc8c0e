//! Compiling a kernel once for each tier that multiplies bfloat16.

/// Compiles `$body::<Products>(args)` once per tier, each inside a function with the tier's
/// instructions and its registers prepared. Defines `$name(tier, args)`, which calls the version
/// for `tier`. Tiers without such instructions use plain Rust.
macro_rules! per_bf16_tier {
    ($(#[$doc:meta])* fn $name:ident = $body:ident($($arg:ident: $type:ty),* $(,)?)) => {
        $(#[$doc])*
        #[inline]
        fn $name(tier: $crate::tier::CpuTier, $($arg: $type),*) {
            use $crate::bf16;
            use $crate::bf16::products::Products;
            #[cfg(target_arch = "x86_64")]
            use $crate::tier::CpuTier;
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma")]
            unsafe fn amx($($arg: $type),*) {
                // SAFETY: this function has the tier's instructions, and its registers are
                // prepared.
                unsafe {
                    bf16::amx::Amx::begin();
                    $body::<bf16::amx::Amx>($($arg),*);
                    bf16::amx::Amx::end();
                }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma")]
            unsafe fn dot($($arg: $type),*) {
                // SAFETY: this function has the tier's instructions.
                unsafe {
                    bf16::dot::Dot::begin();
                    $body::<bf16::dot::Dot>($($arg),*);
                    bf16::dot::Dot::end();
                }
            }
            // The instructions are checked here. What else a body requires concerns its arguments
            // (sizes, and who writes where), and is up to the code that calls this function.
            match tier {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the guard has found AMX, the system's permission to use it, and, but for
                // DQ, the AVX-512 of the arm below. The calling code has made the arguments as the
                // body requires.
                CpuTier::Amx if tier.is_available() => unsafe { amx($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the guard has found what `dot` enables, except for AVX-512 DQ, which all
                // processors with AVX-512 BF16 have. The calling code has made the arguments as the
                // body requires.
                CpuTier::Avx512Bf16 if tier.is_available() => unsafe { dot($($arg),*) },
                // SAFETY: `Portable` is plain Rust, which every processor runs, and prepares
                // nothing. The calling code has made the arguments as the body requires.
                _ => unsafe {
                    bf16::portable::Portable::begin();
                    $body::<bf16::portable::Portable>($($arg),*);
                    bf16::portable::Portable::end();
                },
            }
        }
    };
}
pub(super) use per_bf16_tier;
