//! The two passes of Pillow's scaler.

use super::band::Band;
use super::kernels::{Kernels, scale_row};
use super::pillow::{HALF, PRECISION_BITS};
use super::processor::for_this_processor;
use crate::size::FrameSize;

/// Number of samples that the vertical pass sums up in registers.
const BLOCK: usize = 32;

for_this_processor! {
    /// Runs the horizontal pass: `[height, source width, 3]` to `[height, target width, 3]`.
    pub(super) fn scale_rows(source: &[u8], size: FrameSize, kernels: &Kernels<i32>) -> Vec<u8> = rows
}

for_this_processor! {
    /// Runs the vertical pass: `[source height, row_bytes]` to `[target height, row_bytes]`.
    pub(super) fn scale_columns(source: &[u8], row_bytes: usize, kernels: &Kernels<i32>) -> Vec<u8> = columns
}

for_this_processor! {
    /// Runs both passes, the horizontal one first: `[source height, source width, 3]` to `[target
    /// height, target width, 3]`.
    pub(super) fn scale_both(source: &[u8], size: FrameSize, wide: &Kernels<i32>, tall: &Kernels<i32>) -> Vec<u8> = both
}

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

#[inline(always)]
fn rows(source: &[u8], size: FrameSize, kernels: &Kernels<i32>) -> Vec<u8> {
    let target_row = kernels.len() * 3;
    let mut target = vec![0; size.height as usize * target_row];
    let mut scaler = RowScaler::new(source, size, kernels);
    for (number, row) in target.chunks_exact_mut(target_row).enumerate() {
        scaler.scale(number, row);
    }
    target
}

#[inline(always)]
fn columns(source: &[u8], row_bytes: usize, kernels: &Kernels<i32>) -> Vec<u8> {
    let mut target = vec![0; kernels.len() * row_bytes];
    for (out, (first, kernel)) in target.chunks_exact_mut(row_bytes).zip(kernels.iter()) {
        sum_rows(&source[first * row_bytes..], row_bytes, kernel, out);
    }
    target
}

#[inline(always)]
fn both(source: &[u8], size: FrameSize, wide: &Kernels<i32>, tall: &Kernels<i32>) -> Vec<u8> {
    let target_row = wide.len() * 3;
    let mut target = vec![0; tall.len() * target_row];
    let mut scaler = RowScaler::new(source, size, wide);
    let mut band = Band::new(target_row, tall.taps());
    for (out, (first, kernel)) in target.chunks_exact_mut(target_row).zip(tall.iter()) {
        let wanted = first..first + kernel.len();
        for number in band.move_to(wanted.clone()) {
            scaler.scale(number, band.row(number));
        }
        sum_rows(band.rows(wanted), target_row, kernel, out);
    }
    target
}

/// The horizontal pass, row by row. The sums are integers throughout, since compilers recognise
/// vectors of a single type.
struct RowScaler<'a> {
    source: &'a [u8],
    row_bytes: usize,
    kernels: &'a Kernels<i32>,
    /// A row of the source, and one more sample.
    samples: Vec<i32>,
    /// A row of the result before conversion to bytes, and one more sample.
    sums: Vec<i32>,
}

impl<'a> RowScaler<'a> {
    fn new(source: &'a [u8], size: FrameSize, kernels: &'a Kernels<i32>) -> Self {
        let row_bytes = size.width as usize * 3;
        Self {
            source,
            row_bytes,
            kernels,
            samples: vec![0; row_bytes + 1],
            sums: vec![0; kernels.len() * 3 + 1],
        }
    }

    /// Scales row `number` of the source.
    #[inline(always)]
    fn scale(&mut self, number: usize, target: &mut [u8]) {
        let row = &self.source[number * self.row_bytes..][..self.row_bytes];
        for (to, &byte) in self.samples.iter_mut().zip(row) {
            *to = i32::from(byte);
        }
        scale_row(&self.samples, self.kernels, HALF, &mut self.sums);
        for (to, &sum) in target.iter_mut().zip(&self.sums) {
            *to = to_byte(sum);
        }
    }
}

/// Computes one row of the vertical pass from the rows at the beginning of `source`.
#[inline(always)]
fn sum_rows(source: &[u8], row_bytes: usize, kernel: &[i32], out: &mut [u8]) {
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    for (block, start) in blocks.iter_mut().zip((0..).step_by(BLOCK)) {
        let mut sums = [HALF; BLOCK];
        for (&weight, row) in kernel.iter().zip(source.chunks_exact(row_bytes)) {
            // The compiler knows the length, so the sums stay in registers.
            let Some(samples) = row[start..].first_chunk::<BLOCK>() else { break };
            for (sum, &sample) in sums.iter_mut().zip(samples) {
                *sum += weight * i32::from(sample);
            }
        }
        for (byte, sum) in block.iter_mut().zip(sums) {
            *byte = to_byte(sum);
        }
    }
    for (byte, column) in rest.iter_mut().zip(row_bytes / BLOCK * BLOCK..) {
        let samples = source.chunks_exact(row_bytes).map(|row| i32::from(row[column]));
        let products = kernel.iter().zip(samples).map(|(&weight, sample)| weight * sample);
        *byte = to_byte(products.fold(HALF, |sum, product| sum + product));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resize::pillow::kernels;

    #[test]
    fn both_copies_give_the_same_bytes() {
        let size = FrameSize { width: 53, height: 37 };
        let source: Vec<u8> = (0..size.rgb_bytes()).map(|at| (at * at * 31 % 251) as u8).collect();
        for target in [1, 20, 64, 117] {
            let (wide, tall) = (kernels(size.width, target), kernels(size.height, target));
            assert_eq!(scale_rows(&source, size, &wide), rows(&source, size, &wide));
            assert_eq!(scale_columns(&source, 53 * 3, &tall), columns(&source, 53 * 3, &tall));
            let scaled = scale_both(&source, size, &wide, &tall);
            assert_eq!(scaled, both(&source, size, &wide, &tall));
            let row_bytes = target as usize * 3;
            assert_eq!(scaled, columns(&rows(&source, size, &wide), row_bytes, &tall));
        }
    }
}
