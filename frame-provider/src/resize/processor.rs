//! Code compiled for the present processor.

/// Defines a function that runs `$plain`, which must be `#[inline(always)]`.
///
/// The inner loops of the scalers are plain Rust that vectorises well. The baseline of x86-64 lacks
/// a 32-bit vector multiplication and the widening of bytes, so a second copy is compiled for AVX2.
/// Neither copy fuses products and sums, and both compute the same sums in the same order, so they
/// give the same bytes.
macro_rules! for_this_processor {
    ($(#[$documentation:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty = $plain:ident) => {
        $(#[$documentation])*
        // The only `unsafe` is the call of the copy for AVX2.
        #[allow(unsafe_code)]
        $visibility fn $name($($argument: $type),*) -> $result {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn with_avx2($($argument: $type),*) -> $result {
                    $plain($($argument),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has AVX2, which is all that the function asks for.
                    return unsafe { with_avx2($($argument),*) };
                }
            }
            $plain($($argument),*)
        }
    };
}

pub(super) use for_this_processor;
