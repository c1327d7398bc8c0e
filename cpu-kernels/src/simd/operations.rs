//! The operations on vectors of `f32` that kernels are written with.

#![allow(unsafe_code)]

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
/// Every method may use the tier's instructions. Call them only if [`CpuTier::is_available`](crate::CpuTier::is_available) has
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
