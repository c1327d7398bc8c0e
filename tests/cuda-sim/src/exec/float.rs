//! Floating-point arithmetic as the PTX manual defines it: rounding modes, flushing of subnormal
//! numbers, and the narrow formats.

use super::lanes::{LANES, V32};

/// A rounding mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// To nearest, ties to even: `.rn`, `.rni`.
    Near,
    /// To nearest, ties away from zero: `.rna`.
    Away,
    /// Towards zero: `.rz`, `.rzi`.
    Zero,
    /// Towards minus infinity: `.rm`, `.rmi`.
    Down,
    /// Towards infinity: `.rp`, `.rpi`.
    Up,
}

/// A format of floating-point numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Bits of the fraction.
    pub fraction: i32,
    /// Smallest exponent of a normal number.
    pub least: i32,
    /// Largest exponent.
    pub most: i32,
}

/// IEEE half precision.
pub const F16: Format = Format { fraction: 10, least: -14, most: 15 };
/// bfloat16.
pub const BF16: Format = Format { fraction: 7, least: -126, most: 127 };
/// tf32.
pub const TF32: Format = Format { fraction: 10, least: -126, most: 127 };
/// IEEE single precision.
pub const F32: Format = Format { fraction: 23, least: -126, most: 127 };

/// Rounds to an integer.
pub fn integral(x: f64, round: Round) -> f64 {
    match round {
        Round::Near => x.round_ties_even(),
        Round::Away => x.round(),
        Round::Zero => x.trunc(),
        Round::Down => x.floor(),
        Round::Up => x.ceil(),
    }
}

/// Rounds to a narrower format and returns the result as f64.
pub fn narrow(x: f64, format: Format, round: Round) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let exponent = ((x.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(format.least);
    // The distance between neighbouring numbers is a power of two, so that scaling by it is exact.
    let step = f64::from_bits(((exponent - format.fraction + 1023).max(1) as u64) << 52);
    let rounded = integral(x / step, round) * step;
    let largest = (2.0 - 2f64.powi(-format.fraction)) * 2f64.powi(format.most);
    if rounded.abs() <= largest {
        return rounded;
    }
    let infinite = match round {
        Round::Near | Round::Away => true,
        Round::Zero => false,
        Round::Down => x < 0.0,
        Round::Up => x > 0.0,
    };
    if infinite { f64::INFINITY.copysign(x) } else { largest.copysign(x) }
}

/// Returns the sum as f64, and its rounding error.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// Returns the sum rounded to odd: a later rounding to a narrower format then gives the same result
/// as a single rounding.
fn odd_sum(a: f64, b: f64) -> f64 {
    let (sum, lost) = two_sum(a, b);
    if lost == 0.0 || !sum.is_finite() || sum.to_bits() & 1 == 1 {
        return sum;
    }
    // The neighbour in the direction of the rounding error has an odd last bit.
    let up = (lost > 0.0) == (sum > 0.0);
    f64::from_bits(if up { sum.to_bits() + 1 } else { sum.to_bits() - 1 })
}

/// Returns `a * b + c` of three narrow numbers (f32 or less), rounded once.
pub fn fma(a: f64, b: f64, c: f64, format: Format, round: Round) -> f64 {
    let sum = odd_sum(a * b, c);
    narrow(keep_sign_of_zero(sum, a * b, c, round), format, round)
}

/// Fixes the sign of zero: a sum of exactly zero is -0 when rounding down, unless both parts are
/// +0.
fn keep_sign_of_zero(sum: f64, a: f64, b: f64, round: Round) -> f64 {
    if sum == 0.0 && round == Round::Down && (a != 0.0 || b != 0.0) { -0.0 } else { sum }
}

/// Returns `a + b` of two numbers of f32 or less, rounded once.
pub fn add(a: f64, b: f64, format: Format, round: Round) -> f64 {
    narrow(keep_sign_of_zero(odd_sum(a, b), a, b, round), format, round)
}

/// Returns `a - b`, as [`add`].
pub fn sub(a: f64, b: f64, format: Format, round: Round) -> f64 {
    add(a, -b, format, round)
}

/// Replaces a subnormal f32 by a zero of the same sign.
#[inline(always)]
pub fn flush(bits: u32) -> u32 {
    if bits & 0x7f80_0000 == 0 { bits & 0x8000_0000 } else { bits }
}

/// Returns the smaller number. A NaN counts as missing, and -0 is smaller than +0.
#[inline(always)]
pub fn min(x: f32, y: f32) -> f32 {
    let smaller = if x < y || (x == y && x.is_sign_negative()) { x } else { y };
    if x.is_nan() {
        y
    } else if y.is_nan() {
        x
    } else {
        smaller
    }
}

/// Returns the larger number. A NaN counts as missing.
#[inline(always)]
pub fn max(x: f32, y: f32) -> f32 {
    -min(-x, -y)
}

/// Returns the value of an f16.
pub fn f16_to_f32(bits: u32) -> f32 {
    let sign = (bits & 0x8000) << 16;
    let (exponent, fraction) = (bits >> 10 & 0x1f, bits & 0x3ff);
    let magnitude = match exponent {
        0 => fraction as f32 * 2f32.powi(-24),
        0x1f => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    f32::from_bits(magnitude.to_bits() | sign)
}

/// Returns the bits of a value that f16 represents exactly, or of an infinity or a NaN.
fn encode_f16(x: f64) -> u32 {
    let sign = if x.is_sign_negative() { 0x8000 } else { 0 };
    let x = x.abs();
    if x.is_nan() {
        return 0x7fff;
    }
    if x.is_infinite() {
        return sign | 0x7c00;
    }
    if x < 2f64.powi(-14) {
        return sign | (x * 2f64.powi(24)) as u32;
    }
    let bits = x.to_bits();
    let exponent = (bits >> 52) as u32 + 15 - 1023;
    sign | exponent << 10 | (bits >> 42) as u32 & 0x3ff
}

/// Rounds to f16 and returns the bits.
pub fn to_f16(x: f64, round: Round) -> u32 {
    encode_f16(narrow(x, F16, round))
}

/// Rounds to bf16 and returns the bits.
pub fn to_bf16(x: f64, round: Round) -> u32 {
    if x.is_nan() {
        return 0x7fff;
    }
    (narrow(x, BF16, round) as f32).to_bits() >> 16
}

/// Rounds an f32 to the nearest f16.
#[inline]
pub fn f32_to_f16(x: f32) -> u32 {
    #[cfg(target_feature = "f16c")]
    {
        use std::arch::x86_64::{
            _MM_FROUND_TO_NEAREST_INT, _mm_cvtps_ph, _mm_cvtsi128_si32, _mm_set_ss,
        };
        if x.is_nan() {
            return 0x7fff;
        }
        // SAFETY: this code is compiled only if the whole crate targets F16C, and the intrinsics do
        // not access memory.
        let packed =
            unsafe { _mm_cvtsi128_si32(_mm_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm_set_ss(x))) };
        packed as u32 & 0xffff
    }
    #[cfg(not(target_feature = "f16c"))]
    to_f16(f64::from(x), Round::Near)
}

/// Rounds an f32 to the nearest bf16.
#[inline]
pub fn f32_to_bf16(x: f32) -> u32 {
    let bits = x.to_bits();
    if x.is_nan() { 0x7fff } else { (bits + 0x7fff + (bits >> 16 & 1)) >> 16 }
}

/// Returns the value of a bf16.
#[inline(always)]
pub fn bf16_to_f32(bits: u32) -> f32 {
    f32::from_bits(bits << 16)
}

/// Converts the f16 in the low half of every lane to f32.
#[inline]
pub fn widen_f16(a: &V32, d: &mut [f32; LANES]) {
    #[cfg(target_feature = "f16c")]
    {
        use std::arch::x86_64::{_mm_loadu_si128, _mm256_cvtph_ps, _mm256_storeu_ps};
        let mut packed = [0u16; LANES];
        for (to, from) in packed.iter_mut().zip(&a.0) {
            *to = *from as u16;
        }
        for part in 0..LANES / 8 {
            // SAFETY: eight values are read and written, and both arrays have that many from `8 *
            // part` on.
            unsafe {
                let eight = _mm_loadu_si128(packed.as_ptr().add(8 * part).cast());
                _mm256_storeu_ps(d.as_mut_ptr().add(8 * part), _mm256_cvtph_ps(eight));
            }
        }
    }
    #[cfg(not(target_feature = "f16c"))]
    for (to, from) in d.iter_mut().zip(&a.0) {
        *to = f16_to_f32(from & 0xffff);
    }
}

/// Converts the two f16 of every lane to f32, the lower one first.
#[inline]
pub fn widen_pairs(a: &V32, d: &mut [f32; 2 * LANES]) {
    #[cfg(target_feature = "f16c")]
    for part in 0..LANES / 4 {
        use std::arch::x86_64::{_mm_loadu_si128, _mm256_cvtph_ps, _mm256_storeu_ps};
        // SAFETY: four lanes are read and eight values written, and both arrays have that many from
        // there on. x86 stores the lower half first.
        unsafe {
            let eight = _mm_loadu_si128(a.0.as_ptr().add(4 * part).cast());
            _mm256_storeu_ps(d.as_mut_ptr().add(8 * part), _mm256_cvtph_ps(eight));
        }
    }
    #[cfg(not(target_feature = "f16c"))]
    for (to, from) in d.chunks_exact_mut(2).zip(&a.0) {
        to[0] = f16_to_f32(from & 0xffff);
        to[1] = f16_to_f32(from >> 16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_f16_survives_the_way_to_f32_and_back() {
        for bits in 0..=0xffffu32 {
            let value = f16_to_f32(bits);
            let expected = if value.is_nan() { 0x7fff } else { bits };
            assert_eq!(f32_to_f16(value), expected, "{bits:#x}");
            assert_eq!(to_f16(f64::from(value), Round::Near), expected, "{bits:#x}");
            let mut wide = [0.0; LANES];
            widen_f16(&V32::splat(bits), &mut wide);
            // The hardware turns a signalling NaN into a quiet one.
            assert!(wide[7].to_bits() == value.to_bits() || wide[7].is_nan() && value.is_nan());
        }
    }

    #[test]
    fn rounds_halfway_cases() {
        // 2049 lies between the f16 values 2048 and 2050.
        assert_eq!(f16_to_f32(f32_to_f16(2049.0)), 2048.0);
        assert_eq!(f16_to_f32(to_f16(2049.0, Round::Up)), 2050.0);
        assert_eq!(f16_to_f32(to_f16(-2049.0, Round::Up)), -2048.0);
        assert_eq!(f16_to_f32(to_f16(2049.0, Round::Away)), 2050.0);
        assert_eq!(f32_to_f16(65520.0), 0x7c00);
        assert_eq!(to_f16(65520.0, Round::Zero), 0x7bff);
        assert_eq!(bf16_to_f32(f32_to_bf16(1.0 + 1.0 / 256.0)), 1.0);
        assert_eq!(bf16_to_f32(f32_to_bf16(1.0 + 3.0 / 256.0)), 1.0 + 4.0 / 256.0);
    }

    #[test]
    fn a_fused_product_is_rounded_once() {
        // The sum is slightly below the midpoint of 2048 and 2050.
        let (a, b) = (1.0 + 2f64.powi(-10), 1.0 - 2f64.powi(-10));
        assert_eq!(fma(a, b, 2048.0, F16, Round::Near), 2048.0);
        assert_eq!(fma(a, b, 2048.0, F16, Round::Up), 2050.0);
        let mine = fma(f64::from(1.1f32), f64::from(3.3f32), f64::from(-7.7f32), F32, Round::Near);
        assert_eq!(mine as f32, 1.1f32.mul_add(3.3, -7.7));
        let below = fma(1.0, f64::from(f32::MIN_POSITIVE), 1.0, F32, Round::Down);
        let above = fma(1.0, f64::from(f32::MIN_POSITIVE), 1.0, F32, Round::Up);
        assert_eq!((below, above as f32), (1.0, 1.0 + f32::EPSILON));
    }

    #[test]
    fn minimum_ignores_nan_and_knows_negative_zero() {
        assert_eq!(min(f32::NAN, 2.0), 2.0);
        assert_eq!(max(2.0, f32::NAN), 2.0);
        assert!(min(0.0, -0.0).is_sign_negative());
        assert!(max(-0.0, 0.0).is_sign_positive());
        assert!(min(f32::NAN, f32::NAN).is_nan());
    }
}
