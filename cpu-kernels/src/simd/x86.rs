//! Vectors of x86 processors.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::operations::Simd;

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
            let (low, high) = (_mm256_shuffle_ps::<0x44>(a, b), _mm256_shuffle_ps::<0x44>(c, d));
            let (next_low, next_high) =
                (_mm256_shuffle_ps::<0xee>(a, b), _mm256_shuffle_ps::<0xee>(c, d));
            let first = to.add(2 * half * by);
            _mm256_storeu_ps(first, _mm256_permute2f128_ps::<0x20>(low, high));
            _mm256_storeu_ps(first.add(by), _mm256_permute2f128_ps::<0x20>(next_low, next_high));
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
