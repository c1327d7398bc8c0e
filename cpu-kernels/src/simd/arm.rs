//! Vectors of ARM processors.

#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::operations::Simd;

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
