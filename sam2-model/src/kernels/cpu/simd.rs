//! Vectors of `f32`, as wide as the processor supports.
//!
//! A kernel is written once, generic over [`Simd`], and compiled once per tier inside a function
//! that enables the tier's instructions. The tier is chosen once per process: the processor's best,
//! or the one named by `SAM2_CPU_TIER`.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

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
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Amx => super::bf16::amx_is_permitted() && Self::Avx512Bf16.is_available(),
            #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
            Self::Amx => false,
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 | Self::Avx512Bf16 => false,
        }
    }

    /// Returns true if bfloat16 products are faster on this tier than those of `f32`.
    pub fn multiplies_bf16(self) -> bool {
        matches!(self, Self::Avx512Bf16 | Self::Amx)
    }

    /// Returns the number of `f32` values in a vector.
    pub(super) fn lanes(self) -> usize {
        match self {
            Self::Neon => 4,
            Self::Generic | Self::Avx2 => 8,
            Self::Avx512 | Self::Avx512Bf16 | Self::Amx => 16,
        }
    }

    /// Returns the tier in use: the one named by `SAM2_CPU_TIER` if it is available, otherwise the
    /// best available. Decided at the first call.
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

/// Adding this to a small number puts the nearest integer in the low bits: 1.5 * 2^23.
const ROUND: f32 = 12_582_912.0;
/// Below this, `exp2` returns the smallest normal number instead of a subnormal one.
const EXP2_MIN: f32 = -126.0;
/// Taylor coefficients of 2^x, highest first. On -0.5..=0.5 the error is at most 1.2e-8, less than
/// half a step of `f32`.
const EXP2_TERMS: [f32; 7] = [
    1.525_273_4e-5,
    1.540_353e-4,
    1.333_355_8e-3,
    9.618_129e-3,
    5.550_411e-2,
    2.402_265e-1,
    std::f32::consts::LN_2,
];

/// The coefficients for `exp2_coarse`, fitted to the smallest relative error.
const EXP2_COARSE_TERMS: [f32; 4] = [0.009582853, 0.055906434, 0.24024099, 0.6931242];

/// Operations on vectors of `f32`.
///
/// # Safety
/// Every method may use the tier's instructions. Call them only if [`CpuTier::is_available`] has
/// returned true, and inside a function that enables the instructions; otherwise they become slow
/// calls. Pointers must be valid for [`Simd::LANES`] values and need no alignment.
pub(crate) unsafe trait Simd: Copy + 'static {
    /// The vector type.
    type F32: Copy;
    /// Number of values in a vector.
    const LANES: usize;

    unsafe fn load(from: *const f32) -> Self::F32;
    unsafe fn store(to: *mut f32, v: Self::F32);
    unsafe fn splat(value: f32) -> Self::F32;
    unsafe fn add(a: Self::F32, b: Self::F32) -> Self::F32;
    unsafe fn sub(a: Self::F32, b: Self::F32) -> Self::F32;
    unsafe fn mul(a: Self::F32, b: Self::F32) -> Self::F32;
    unsafe fn div(a: Self::F32, b: Self::F32) -> Self::F32;
    /// Computes `a * b + c`.
    unsafe fn mul_add(a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    unsafe fn max(a: Self::F32, b: Self::F32) -> Self::F32;
    unsafe fn min(a: Self::F32, b: Self::F32) -> Self::F32;
    /// Computes `p * 2^n`, where `n` is the integer in the low bits of `rounded` (an integer plus
    /// 1.5 * 2^23).
    unsafe fn scale_by_exponent(p: Self::F32, rounded: Self::F32) -> Self::F32;
    unsafe fn reduce_add(v: Self::F32) -> f32;
    unsafe fn reduce_max(v: Self::F32) -> f32;

    /// Transposes eight rows of eight values: `to[column * by + row]`.
    #[inline(always)]
    unsafe fn transpose_8x8(rows: [*const f32; 8], to: *mut f32, by: usize) {
        for column in 0..8 {
            for (at, row) in rows.into_iter().enumerate() {
                // SAFETY: the caller guarantees eight readable values in each row, and eight
                // writable ones at each multiple of `by`.
                unsafe { to.add(column * by + at).write(row.add(column).read()) };
            }
        }
    }

    /// Computes 2^x within one unit in the last place. Values of x below -126 count as -126; x must
    /// not be above 127.
    #[inline(always)]
    unsafe fn exp2(x: Self::F32) -> Self::F32 {
        // SAFETY: the caller gives the guarantees that the called methods need.
        unsafe {
            let x = Self::max(x, Self::splat(EXP2_MIN));
            let rounded = Self::add(x, Self::splat(ROUND));
            let f = Self::sub(x, Self::sub(rounded, Self::splat(ROUND)));
            let mut p = Self::splat(EXP2_TERMS[0]);
            for term in &EXP2_TERMS[1..] {
                p = Self::mul_add(p, f, Self::splat(*term));
            }
            Self::scale_by_exponent(Self::mul_add(p, f, Self::splat(1.0)), rounded)
        }
    }

    /// Computes 2^x with a relative error of at most 2^-17, for values that lose half their digits
    /// afterwards. The bounds of x are the same.
    #[inline(always)]
    unsafe fn exp2_coarse(x: Self::F32) -> Self::F32 {
        // SAFETY: the caller gives the guarantees that the called methods need.
        unsafe {
            let x = Self::max(x, Self::splat(EXP2_MIN));
            let rounded = Self::add(x, Self::splat(ROUND));
            let f = Self::sub(x, Self::sub(rounded, Self::splat(ROUND)));
            let mut p = Self::splat(EXP2_COARSE_TERMS[0]);
            for term in &EXP2_COARSE_TERMS[1..] {
                p = Self::mul_add(p, f, Self::splat(*term));
            }
            Self::scale_by_exponent(Self::mul_add(p, f, Self::splat(1.0)), rounded)
        }
    }
}

/// Eight values processed one by one. The compiler vectorises this as far as the target's base
/// instructions allow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Generic;

#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> [f32; 8] {
    std::array::from_fn(f)
}

// SAFETY: plain Rust; only the pointers depend on the caller.
unsafe impl Simd for Generic {
    type F32 = [f32; 8];
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 8] {
        // SAFETY: the caller guarantees eight readable values.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: [f32; 8]) {
        // SAFETY: the caller guarantees eight writable values.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 8] {
        [value; 8]
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        each(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        each(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        each(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn div(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        each(|i| a[i] / b[i])
    }
    // Not `f32::mul_add`, which is a slow library call on processors without the instruction.
    #[inline(always)]
    unsafe fn mul_add(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        each(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn max(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn min(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        each(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn scale_by_exponent(p: [f32; 8], rounded: [f32; 8]) -> [f32; 8] {
        each(|i| f32::from_bits(p[i].to_bits().wrapping_add(rounded[i].to_bits() << 23)))
    }
    #[inline(always)]
    unsafe fn reduce_add(v: [f32; 8]) -> f32 {
        ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]))
    }
    #[inline(always)]
    unsafe fn reduce_max(v: [f32; 8]) -> f32 {
        v.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Simd;

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Avx2;
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Avx512;

    /// Implements [`Simd::transpose_8x8`]: swaps neighbours, then pairs, then halves.
    ///
    /// # Safety
    /// As for that method; in addition, the processor has AVX2.
    #[inline(always)]
    unsafe fn transpose_8x8(rows: [*const f32; 8], to: *mut f32, by: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let rows = rows.map(|row| _mm256_loadu_ps(row));
            for half in 0..2 {
                // Of channels 0, 1, 4, 5, then of 2, 3, 6, 7: two of four rows each.
                let pair = |at: usize| match half {
                    0 => _mm256_unpacklo_ps(rows[at], rows[at + 1]),
                    _ => _mm256_unpackhi_ps(rows[at], rows[at + 1]),
                };
                let (a, b, c, d) = (pair(0), pair(2), pair(4), pair(6));
                let (low, high) =
                    (_mm256_shuffle_ps::<0x44>(a, b), _mm256_shuffle_ps::<0x44>(c, d));
                let (next_low, next_high) =
                    (_mm256_shuffle_ps::<0xee>(a, b), _mm256_shuffle_ps::<0xee>(c, d));
                let first = to.add(2 * half * by);
                _mm256_storeu_ps(first, _mm256_permute2f128_ps::<0x20>(low, high));
                _mm256_storeu_ps(
                    first.add(by),
                    _mm256_permute2f128_ps::<0x20>(next_low, next_high),
                );
                _mm256_storeu_ps(first.add(4 * by), _mm256_permute2f128_ps::<0x31>(low, high));
                _mm256_storeu_ps(
                    first.add(5 * by),
                    _mm256_permute2f128_ps::<0x31>(next_low, next_high),
                );
            }
        }
    }

    // SAFETY: the trait's contract guarantees the instructions and the values behind the pointers.
    #[rustfmt::skip]
    unsafe impl Simd for Avx2 {
        type F32 = __m256;
        const LANES: usize = 8;
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            // SAFETY: the caller guarantees AVX and eight readable values; `loadu` needs no
            // alignment.
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: __m256) {
            // SAFETY: the caller guarantees AVX and eight writable values; `storeu` needs no
            // alignment.
            unsafe { _mm256_storeu_ps(to, v) }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> __m256 {
            // SAFETY: touches registers only. The caller guarantees that `CpuTier::Avx2` is
            // available, and with it AVX.
            unsafe { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            // SAFETY: registers and AVX only, as in `splat`.
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m256, b: __m256) -> __m256 {
            // SAFETY: registers and AVX only, as in `splat`.
            unsafe { _mm256_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m256, b: __m256) -> __m256 {
            // SAFETY: registers and AVX only, as in `splat`.
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: __m256, b: __m256) -> __m256 {
            // SAFETY: registers and AVX only, as in `splat`; a divisor of zero gives infinity or
            // NaN.
            unsafe { _mm256_div_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
            // SAFETY: touches registers only. `CpuTier::Avx2` is available only if the processor
            // also has FMA.
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn max(a: __m256, b: __m256) -> __m256 {
            // SAFETY: registers and AVX only, as in `splat`.
            unsafe { _mm256_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: __m256, b: __m256) -> __m256 {
            // SAFETY: registers and AVX only, as in `splat`.
            unsafe { _mm256_min_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn scale_by_exponent(p: __m256, rounded: __m256) -> __m256 {
            // SAFETY: touches registers only. The shift and the sum of integers need AVX2, which
            // the caller guarantees; the sum wraps.
            unsafe {
                let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(rounded));
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent))
            }
        }
        #[inline(always)]
        unsafe fn reduce_add(v: __m256) -> f32 {
            // SAFETY: touches registers only. A processor with AVX2, which the caller guarantees,
            // has AVX and SSE3 too.
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
            }
        }
        #[inline(always)]
        unsafe fn reduce_max(v: __m256) -> f32 {
            // SAFETY: registers only, with AVX and SSE3 as in `reduce_add`.
            unsafe {
                let four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
                let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
            }
        }
        #[inline(always)]
        unsafe fn transpose_8x8(rows: [*const f32; 8], to: *mut f32, by: usize) {
            // SAFETY: the caller guarantees eight values in each row and at each multiple of `by`,
            // and AVX2.
            unsafe { transpose_8x8(rows, to, by) }
        }
    }

    // SAFETY: as above.
    #[rustfmt::skip]
    unsafe impl Simd for Avx512 {
        type F32 = __m512;
        const LANES: usize = 16;
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            // SAFETY: the caller guarantees AVX-512F and sixteen readable values; `loadu` needs no
            // alignment.
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: __m512) {
            // SAFETY: the caller guarantees AVX-512F and sixteen writable values; `storeu` needs no
            // alignment.
            unsafe { _mm512_storeu_ps(to, v) }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> __m512 {
            // SAFETY: touches registers only. The caller guarantees that `CpuTier::Avx512` is
            // available, and with it AVX-512F.
            unsafe { _mm512_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            // SAFETY: registers and AVX-512F only, as in `splat`.
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            // SAFETY: registers and AVX-512F only, as in `splat`.
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            // SAFETY: registers and AVX-512F only, as in `splat`.
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: __m512, b: __m512) -> __m512 {
            // SAFETY: registers and AVX-512F only, as in `splat`; a divisor of zero gives infinity
            // or NaN.
            unsafe { _mm512_div_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: registers and AVX-512F only, as in `splat`: it has fused products of its own.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn max(a: __m512, b: __m512) -> __m512 {
            // SAFETY: registers and AVX-512F only, as in `splat`.
            unsafe { _mm512_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: __m512, b: __m512) -> __m512 {
            // SAFETY: registers and AVX-512F only, as in `splat`.
            unsafe { _mm512_min_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn scale_by_exponent(p: __m512, rounded: __m512) -> __m512 {
            // SAFETY: registers and AVX-512F only, as in `splat`; the sum of integers wraps.
            unsafe {
                let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(rounded));
                _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), exponent))
            }
        }
        #[inline(always)]
        unsafe fn reduce_add(v: __m512) -> f32 {
            // SAFETY: registers and AVX-512F only, as in `splat`.
            unsafe { _mm512_reduce_add_ps(v) }
        }
        #[inline(always)]
        unsafe fn reduce_max(v: __m512) -> f32 {
            // SAFETY: registers and AVX-512F only, as in `splat`.
            unsafe { _mm512_reduce_max_ps(v) }
        }
        #[inline(always)]
        unsafe fn transpose_8x8(rows: [*const f32; 8], to: *mut f32, by: usize) {
            // SAFETY: the caller guarantees eight values in each row and at each multiple of `by`.
            // Its AVX2 is there: `CpuTier::Avx512` is available only if `CpuTier::Avx2` is.
            unsafe { transpose_8x8(rows, to, by) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::Simd;

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Neon;

    // SAFETY: every aarch64 processor has these instructions; the caller guarantees the values
    // behind the pointers.
    #[rustfmt::skip]
    unsafe impl Simd for Neon {
        type F32 = float32x4_t;
        const LANES: usize = 4;
        #[inline(always)]
        unsafe fn load(from: *const f32) -> float32x4_t {
            // SAFETY: the caller guarantees four readable values; `vld1q` needs no alignment.
            unsafe { vld1q_f32(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: float32x4_t) {
            // SAFETY: the caller guarantees four writable values; `vst1q` needs no alignment.
            unsafe { vst1q_f32(to, v) }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> float32x4_t {
            // SAFETY: touches registers only, and every aarch64 processor has NEON.
            unsafe { vdupq_n_f32(value) }
        }
        #[inline(always)]
        unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: registers and NEON only, as in `splat`.
            unsafe { vaddq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: registers and NEON only, as in `splat`.
            unsafe { vsubq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: registers and NEON only, as in `splat`.
            unsafe { vmulq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: registers and NEON only, as in `splat`; a divisor of zero gives infinity or
            // NaN.
            unsafe { vdivq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
            // SAFETY: registers and NEON only, as in `splat`: it has fused products of its own.
            unsafe { vfmaq_f32(c, a, b) }
        }
        #[inline(always)]
        unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: registers and NEON only, as in `splat`.
            unsafe { vmaxq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: registers and NEON only, as in `splat`.
            unsafe { vminq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn scale_by_exponent(p: float32x4_t, rounded: float32x4_t) -> float32x4_t {
            // SAFETY: registers and NEON only, as in `splat`; the sum of integers wraps.
            unsafe {
                let exponent = vshlq_n_s32::<23>(vreinterpretq_s32_f32(rounded));
                vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(p), exponent))
            }
        }
        #[inline(always)]
        unsafe fn reduce_add(v: float32x4_t) -> f32 {
            // SAFETY: registers and NEON only, as in `splat`.
            unsafe { vaddvq_f32(v) }
        }
        #[inline(always)]
        unsafe fn reduce_max(v: float32x4_t) -> f32 {
            // SAFETY: registers and NEON only, as in `splat`.
            unsafe { vmaxvq_f32(v) }
        }
    }
}

/// Compiles `$body::<Tier, ROWS>(args)` once per tier, each inside a function with the tier's
/// instructions. Defines `$name(tier, args)`, which calls the version for `tier`. `ROWS` is the
/// height of a register tile two vectors wide.
macro_rules! per_tier {
    ($(#[$doc:meta])* fn $name:ident = $body:ident($($arg:ident: $type:ty),* $(,)?)) => {
        $(#[$doc])*
        #[inline]
        fn $name(tier: $crate::kernels::cpu::simd::CpuTier, $($arg: $type),*) {
            use $crate::kernels::cpu::simd;
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
            match tier {
                #[cfg(target_arch = "x86_64")]
                simd::CpuTier::Avx512 | simd::CpuTier::Avx512Bf16 | simd::CpuTier::Amx
                    if simd::CpuTier::Avx512.is_available() =>
                // SAFETY: the guard has found AVX-512F and VL, AVX2 and FMA, all that `avx512`
                // enables. The calling code has made the arguments as the body requires.
                unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the guard has found AVX2 and FMA, all that `avx2` enables. The calling
                // code has made the arguments as the body requires.
                simd::CpuTier::Avx2 if simd::CpuTier::Avx2.is_available() => unsafe { avx2($($arg),*) },
                #[cfg(target_arch = "aarch64")]
                // SAFETY: every aarch64 processor has NEON. The calling code has made the arguments
                // as the body requires.
                simd::CpuTier::Neon => unsafe { $body::<simd::Neon, 12>($($arg),*) },
                // SAFETY: `Generic` is plain Rust, which every processor runs. The calling code has
                // made the arguments as the body requires.
                _ => unsafe { $body::<simd::Generic, 4>($($arg),*) },
            }
        }
    };
}
pub(crate) use per_tier;

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes `exp2` of each value with vectors.
    unsafe fn exp2_all<S: Simd, const ROWS: usize>(values: &[f32], out: &mut [f32]) {
        for (from, to) in values.chunks_exact(S::LANES).zip(out.chunks_exact_mut(S::LANES)) {
            // SAFETY: both chunks are a vector long.
            unsafe { S::store(to.as_mut_ptr(), S::exp2(S::load(from.as_ptr()))) };
        }
    }
    per_tier!(fn exp2_tier = exp2_all(values: &[f32], out: &mut [f32]));

    #[test]
    fn exp2_is_within_two_units_on_every_tier() {
        let values: Vec<f32> =
            (0..64_000).map(|i| -126.0 + i as f32 * (253.0 / 64_000.0)).collect();
        for tier in CpuTier::ALL.into_iter().filter(|tier| tier.is_available()) {
            let mut out = vec![0.0; values.len()];
            exp2_tier(tier, &values, &mut out);
            for (x, y) in values.iter().zip(&out) {
                let expected = f64::from(*x).exp2();
                let off = (f64::from(*y) - expected).abs() / expected;
                assert!(off < 2.4e-7, "{tier}: 2^{x} = {y:e}, not {expected:e}");
            }
            // Far below the range: zero, not NaN.
            let (low, mut out) = (vec![f32::NEG_INFINITY; 16], vec![1.0; 16]);
            exp2_tier(tier, &low, &mut out);
            assert!(out.iter().all(|y| (0.0..1e-37).contains(y)), "{tier}: {out:?}");
        }
    }

    /// Transposes a block of `from`, whose rows are `by_row` apart, into `to`.
    unsafe fn transpose<S: Simd, const ROWS: usize>(
        from: &[f32],
        by_row: usize,
        to: &mut [f32],
        by: usize,
    ) {
        assert!(from.len() >= 7 * by_row + 8 && to.len() >= 7 * by + 8);
        // SAFETY: both are large enough.
        unsafe {
            S::transpose_8x8(
                std::array::from_fn(|row| from[row * by_row..].as_ptr()),
                to.as_mut_ptr(),
                by,
            )
        };
    }
    per_tier!(fn transpose_tier = transpose(from: &[f32], by_row: usize, to: &mut [f32], by: usize));

    #[test]
    fn rows_become_columns_on_every_tier_and_nothing_else_changes() {
        let from: Vec<f32> = (0..120).map(|i| i as f32).collect();
        for tier in CpuTier::ALL.into_iter().filter(|tier| tier.is_available()) {
            for (by_row, by) in [(8, 8), (13, 8), (9, 16), (16, 11)] {
                let mut to = vec![-1.0; 7 * by + 9];
                transpose_tier(tier, &from, by_row, &mut to, by);
                for (at, value) in to.into_iter().enumerate() {
                    let (column, row) = (at / by, at % by);
                    let expected =
                        if row < 8 && column < 8 { (row * by_row + column) as f32 } else { -1.0 };
                    assert_eq!(value, expected, "{tier} {by_row} {by} {at}");
                }
            }
        }
    }

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
