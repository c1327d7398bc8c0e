//! Products with AMX: registers of 16 rows of 64 bytes, and one instruction for the 8,192 products
//! of two of them.
//!
//! Rust has no stable intrinsics for AMX yet, so this is inline assembly. Linux lets a process use
//! the registers once the process has asked for it.

#![allow(unsafe_code)]

use std::arch::asm;

use super::dot::Dot;
use super::products::{BLOCK, Products};
use crate::simd::Avx512;

/// AMX tiles for products, AVX-512 for the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amx;

/// The operand of `ldtilecfg` (Intel's Architecture Instruction Set Extensions reference, 3.1):
/// rows and bytes per row of each register.
#[repr(C, align(64))]
struct TileConfig {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_per_row: [u16; 16],
    rows: [u8; 16],
}

/// All eight registers with 16 rows of 64 bytes: 16 x 32 bfloat16, or 16 x 16 `f32`.
static FULL_TILES: TileConfig = TileConfig {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes_per_row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

// SAFETY: the trait's contract guarantees the instructions and the values behind the pointers.
unsafe impl Products for Amx {
    type Vectors = Avx512;

    #[inline(always)]
    unsafe fn begin() {
        // SAFETY: the processor has AMX and the process may use it. No other code uses the
        // registers: the compiler does not know them, and the system saves them per thread.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const FULL_TILES, options(nostack, readonly))
        };
    }

    #[inline(always)]
    unsafe fn end() {
        // SAFETY: as above. After the release, the registers need not be saved when the thread is
        // switched.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }

    /// Uses two by two registers of sums. Each step loads two of `a` and two of `b` and multiplies
    /// each with each.
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
        debug_assert!(depth > 0 && depth.is_multiple_of(BLOCK));
        // SAFETY: only the rows named by the trait are read and written: 32 of `a` and `c`, and
        // `depth / 2` of the panel.
        unsafe {
            asm!(
                "test {add}, {add}",
                "jnz 3f",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "jmp 2f",
                "3:",
                "tileloadd tmm0, [{c0} + {c_step}*1]",
                "tileloadd tmm1, [{c0} + {c_step}*1 + 64]",
                "tileloadd tmm2, [{c1} + {c_step}*1]",
                "tileloadd tmm3, [{c1} + {c_step}*1 + 64]",
                "2:",
                "tileloadd tmm6, [{b} + {b_step}*1]",
                "tileloadd tmm4, [{a0} + {a_step}*1]",
                "tileloadd tmm7, [{b} + {b_step}*1 + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{a1} + {a_step}*1]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "add {a0}, 64",
                "add {a1}, 64",
                "add {b}, 2048",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{c0} + {c_step}*1], tmm0",
                "tilestored [{c0} + {c_step}*1 + 64], tmm1",
                "tilestored [{c1} + {c_step}*1], tmm2",
                "tilestored [{c1} + {c_step}*1 + 64], tmm3",
                add = in(reg) usize::from(add),
                a0 = inout(reg) a => _,
                a1 = inout(reg) a.add(16 * a_by_row) => _,
                a_step = in(reg) 2 * a_by_row,
                b = inout(reg) b => _,
                b_step = in(reg) 4 * BLOCK,
                c0 = in(reg) c,
                c1 = in(reg) c.add(16 * c_by_row),
                c_step = in(reg) 4 * c_by_row,
                steps = inout(reg) depth / BLOCK => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }

    #[inline(always)]
    unsafe fn round(from: *const f32, to: *mut u16, count: usize) {
        // SAFETY: the caller guarantees the same.
        unsafe { Dot::round(from, to, count) };
    }

    #[inline(always)]
    unsafe fn round_pairs(first: *const f32, second: *const f32, to: *mut u16) {
        // SAFETY: the caller guarantees the same.
        unsafe { Dot::round_pairs(first, second, to) };
    }

    #[inline(always)]
    unsafe fn transpose_pairs(rows: *const u16, to: *mut u16, by_pair: usize) {
        // SAFETY: the caller guarantees the same.
        unsafe { Dot::transpose_pairs(rows, to, by_pair) };
    }
}
