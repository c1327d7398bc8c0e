//! Products with AVX-512 BF16: sixteen sums of two products at a time.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::portable::nearest;
use super::products::{BLOCK, Products};
use crate::simd::Avx512;

/// Number of rows whose sums are in registers at the same time.
const ROWS: usize = 8;

/// AVX-512 with products of bfloat16 pairs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dot;

// SAFETY: the trait's contract guarantees the instructions and the values behind the pointers.
unsafe impl Products for Dot {
    type Vectors = Avx512;

    #[inline(always)]
    unsafe fn begin() {}
    #[inline(always)]
    unsafe fn end() {}

    #[inline(always)]
    unsafe fn multiply(
        depth: usize,
        a: *const u16,
        a_by_row: usize,
        b: *const u16,
        c: *mut f32,
        c_by_row: usize,
        add: bool,
    ) {
        for first in (0..BLOCK).step_by(ROWS) {
            // SAFETY: rows of `a` and `c` are below `BLOCK`; a panel row of `b` is two vectors of
            // pairs.
            unsafe {
                let a = a.add(first * a_by_row).cast::<i32>();
                let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
                for pair in 0..depth / 2 {
                    let b = b.add(pair * 2 * BLOCK);
                    let columns: [__m512bh; 2] = [load_bits(b), load_bits(b.add(BLOCK))];
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let at = a.byte_add(row * a_by_row * 2).add(pair);
                        let factor = std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(
                            at.read_unaligned(),
                        ));
                        for (sum, column) in sums.iter_mut().zip(columns) {
                            *sum = _mm512_dpbf16_ps(*sum, factor, column);
                        }
                    }
                }
                for (row, sums) in sums.into_iter().enumerate() {
                    for (half, sum) in sums.into_iter().enumerate() {
                        let to = c.add((first + row) * c_by_row + half * 16);
                        let sum = if add { _mm512_add_ps(_mm512_loadu_ps(to), sum) } else { sum };
                        _mm512_storeu_ps(to, sum);
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn round(from: *const f32, to: *mut u16, count: usize) {
        // SAFETY: whole vectors below `count`, then the rest one value at a time.
        unsafe {
            let mut at = 0;
            while at + 16 <= count {
                let bits = round_bits(from.add(at));
                _mm256_storeu_si256(to.add(at).cast(), bits);
                at += 16;
            }
            for at in at..count {
                *to.add(at) = nearest(*from.add(at));
            }
        }
    }

    #[inline(always)]
    unsafe fn round_pairs(first: *const f32, second: *const f32, to: *mut u16) {
        // SAFETY: the caller guarantees a vector behind each pointer.
        unsafe {
            let low = _mm512_cvtepu16_epi32(round_bits(first));
            let high = _mm512_cvtepu16_epi32(round_bits(second));
            _mm512_storeu_si512(to.cast(), _mm512_or_si512(low, _mm512_slli_epi32::<16>(high)));
        }
    }

    #[inline(always)]
    unsafe fn transpose_pairs(rows: *const u16, to: *mut u16, by_pair: usize) {
        // SAFETY: the caller guarantees 16 rows of a vector, and room for 16 vectors.
        unsafe {
            let zero = _mm512_setzero_si512();
            let mut r = [zero; 16];
            for (row, vector) in r.iter_mut().enumerate() {
                *vector = _mm512_loadu_si512(rows.add(row * 32).cast());
            }
            // `u[4 g + j]` holds in quarter `q` column `4 q + j` of rows `4 g` to `4 g + 3`.
            let mut u = [zero; 16];
            for group in 0..4 {
                let [a, b, c, d] =
                    [r[4 * group], r[4 * group + 1], r[4 * group + 2], r[4 * group + 3]];
                let (ab, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
                let (cd, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
                u[4 * group] = _mm512_unpacklo_epi64(ab, cd);
                u[4 * group + 1] = _mm512_unpackhi_epi64(ab, cd);
                u[4 * group + 2] = _mm512_unpacklo_epi64(ab_high, cd_high);
                u[4 * group + 3] = _mm512_unpackhi_epi64(ab_high, cd_high);
            }
            for j in 0..4 {
                // Quarters 0 and 2, then 1 and 3, of two groups each.
                let even_low = _mm512_shuffle_i32x4::<0x88>(u[j], u[4 + j]);
                let even_high = _mm512_shuffle_i32x4::<0x88>(u[8 + j], u[12 + j]);
                let odd_low = _mm512_shuffle_i32x4::<0xdd>(u[j], u[4 + j]);
                let odd_high = _mm512_shuffle_i32x4::<0xdd>(u[8 + j], u[12 + j]);
                let columns = [
                    _mm512_shuffle_i32x4::<0x88>(even_low, even_high),
                    _mm512_shuffle_i32x4::<0x88>(odd_low, odd_high),
                    _mm512_shuffle_i32x4::<0xdd>(even_low, even_high),
                    _mm512_shuffle_i32x4::<0xdd>(odd_low, odd_high),
                ];
                for (quarter, column) in columns.into_iter().enumerate() {
                    _mm512_storeu_si512(to.add((4 * quarter + j) * by_pair).cast(), column);
                }
            }
        }
    }
}

/// # Safety
/// The processor has AVX-512; 32 values are behind the pointer.
#[inline(always)]
unsafe fn load_bits(from: *const u16) -> __m512bh {
    // SAFETY: guaranteed by the caller; both types are 64 bytes in which any bits are valid.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(from.cast())) }
}

/// # Safety
/// The processor has AVX-512 BF16; 16 values are behind the pointer.
#[inline(always)]
unsafe fn round_bits(from: *const f32) -> __m256i {
    // SAFETY: guaranteed by the caller; both types are 32 bytes in which any bits are valid.
    unsafe { std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(from))) }
}
