//! The two passes of the scaler, compiled for the processor at hand.
//!
//! The code is plain Rust that vectorises well. The baseline of x86-64 lacks a 32-bit vector multiplication, so a second
//! copy is compiled for AVX2. The only `unsafe` here is the call of that copy. Sums of integers
//! are the same in any order, so both give the same bytes.

#![allow(unsafe_code)]

use super::pillow::{HALF, Kernels, PRECISION_BITS};
use crate::frame::FrameSize;

/// Rows that the horizontal pass handles together, one per lane, so that it vectorises.
const LANES: usize = 16;

/// Samples that the vertical pass sums up in registers.
const BLOCK: usize = 32;

macro_rules! for_this_processor {
    ($(#[$documentation:meta])* $name:ident($($argument:ident: $type:ty),*) = $plain:ident) => {
        $(#[$documentation])*
        pub(super) fn $name($($argument: $type),*) -> Vec<u8> {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn with_avx2($($argument: $type),*) -> Vec<u8> {
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

for_this_processor! {
    /// Horizontal pass: `[height, source width, 3]` to `[height, target width, 3]`.
    scale_rows(source: &[u8], size: FrameSize, kernels: &Kernels) = rows
}

for_this_processor! {
    /// Vertical pass: `[source height, row_bytes]` to `[target height, row_bytes]`.
    scale_columns(source: &[u8], row_bytes: usize, kernels: &Kernels) = columns
}

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

#[inline(always)]
fn rows(source: &[u8], size: FrameSize, kernels: &Kernels) -> Vec<u8> {
    let source_row = size.width as usize * 3;
    let target_row = kernels.len() * 3;
    let mut target = vec![0; size.height as usize * target_row];
    // One vector of rows per sample: `[source width * 3][LANES]`, so that the inner loop runs over rows.
    let mut lanes = vec![[0u8; LANES]; source_row];
    for (rows, out) in source.chunks(source_row * LANES).zip(target.chunks_mut(target_row * LANES))
    {
        for (lane, row) in rows.chunks_exact(source_row).enumerate() {
            for (samples, &sample) in lanes.iter_mut().zip(row) {
                samples[lane] = sample;
            }
        }
        rows_in_lanes(&lanes, kernels, out, target_row);
    }
    target
}

#[inline(always)]
fn rows_in_lanes(lanes: &[[u8; LANES]], kernels: &Kernels, out: &mut [u8], target_row: usize) {
    for (position, (first, kernel)) in kernels.iter().enumerate() {
        let mut sums = [[HALF; LANES]; 3];
        let pixels = lanes[first * 3..].chunks_exact(3);
        for (&weight, pixel) in kernel.iter().zip(pixels) {
            for (sum, samples) in sums.iter_mut().zip(pixel) {
                for lane in 0..LANES {
                    sum[lane] += weight * i32::from(samples[lane]);
                }
            }
        }
        let bytes = sums.map(|sum| sum.map(to_byte));
        for (lane, row) in out.chunks_exact_mut(target_row).enumerate() {
            for (byte, channel) in row[position * 3..position * 3 + 3].iter_mut().zip(&bytes) {
                *byte = channel[lane];
            }
        }
    }
}

#[inline(always)]
fn columns(source: &[u8], row_bytes: usize, kernels: &Kernels) -> Vec<u8> {
    let mut target = vec![0; kernels.len() * row_bytes];
    for (out, (first, kernel)) in target.chunks_exact_mut(row_bytes).zip(kernels.iter()) {
        let source = &source[first * row_bytes..];
        let mut blocks = out.chunks_exact_mut(BLOCK);
        let mut start = 0;
        for block in &mut blocks {
            let mut sums = [HALF; BLOCK];
            for (&weight, row) in kernel.iter().zip(source.chunks_exact(row_bytes)) {
                for (sum, &sample) in sums.iter_mut().zip(&row[start..start + BLOCK]) {
                    *sum += weight * i32::from(sample);
                }
            }
            for (byte, &sum) in block.iter_mut().zip(&sums) {
                *byte = to_byte(sum);
            }
            start += BLOCK;
        }
        for (byte, column) in blocks.into_remainder().iter_mut().zip(start..) {
            let samples = source.chunks_exact(row_bytes).map(|row| i32::from(row[column]));
            *byte = to_byte(
                kernel
                    .iter()
                    .zip(samples)
                    .fold(HALF, |sum, (&weight, sample)| sum + weight * sample),
            );
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_copies_give_the_same_bytes() {
        let size = FrameSize { width: 53, height: 37 };
        let source: Vec<u8> = (0..size.rgb_bytes()).map(|at| (at * at * 31 % 251) as u8).collect();
        for target in [1, 20, 64, 117] {
            let (wide, tall) =
                (Kernels::new(size.width, target), Kernels::new(size.height, target));
            assert_eq!(scale_rows(&source, size, &wide), rows(&source, size, &wide));
            assert_eq!(scale_columns(&source, 53 * 3, &tall), columns(&source, 53 * 3, &tall));
        }
    }
}
