//! PyTorch's antialiased bilinear scaling, as in torchvision's `Resize`.
//!
//! The kernel is a triangle that extends one pixel to each side, stretched by the factor when
//! shrinking. Columns are scaled first, then rows, in 32-bit floats throughout. Sums run from the
//! first source position to the last, with a rounding after each product, as in PyTorch's plain
//! code. PyTorch's code for AVX2 fuses products and sums, which changes results by up to 2e-7 of
//! the range.

use super::band::Band;
use super::kernels::{Kernels, scale_row};
use super::processor::for_this_processor;
use crate::frame::RgbFrame;
use crate::size::FrameSize;

/// Scales `frame` to `width` x `height` with the result of
/// `torchvision.transforms.functional.resize` of a `uint8` tensor: scaled as 32-bit floats, then
/// rounded half to even.
///
/// The result is bit for bit that of PyTorch's plain code. Where PyTorch uses AVX2, about one pixel
/// in ten thousand differs by 1. The `uint8` path of `transforms.v2` is different and rounds in
/// between.
pub fn torch_bilinear_antialias(frame: &RgbFrame, width: u32, height: u32) -> RgbFrame {
    let size = FrameSize { width: width.max(1), height: height.max(1) };
    RgbFrame::from_parts(size, scale_bytes(frame.data(), frame.size(), &Axes::new(frame, size)))
}

/// Rounds half to even, for `0.0..=255.0`.
///
/// Floats have 23 bits after the first, so floats from 2^23 onwards are whole numbers: adding 2^23
/// rounds as the processor does, and leaves the number in the lowest bits. On plain x86-64,
/// `round_ties_even` is a call of the C library, which took most of the time.
#[inline(always)]
fn to_byte(sample: f32) -> u8 {
    (sample + (1 << 23) as f32).to_bits() as u8
}

/// Scales `frame` to `width` x `height` as the official image predictor does, before it normalises:
/// `Resize((height, width))(ToTensor()(frame))`. Returns `[3, height, width]`, `0.0..=1.0`.
///
/// The result is bit for bit that of PyTorch's plain code, and within 2e-7 of its code for AVX2.
pub fn torch_bilinear_antialias_float(frame: &RgbFrame, width: u32, height: u32) -> Vec<f32> {
    let size = FrameSize { width: width.max(1), height: height.max(1) };
    let scaled = scale_units(frame.data(), frame.size(), &Axes::new(frame, size));
    let pixels = scaled.as_chunks::<3>().0;
    (0..3).flat_map(|channel| pixels.iter().map(move |pixel| pixel[channel])).collect()
}

/// Kernels of the columns and of the rows. PyTorch skips no pass, but a pass that keeps the size
/// changes nothing.
struct Axes {
    wide: Option<Kernels<f32>>,
    tall: Option<Kernels<f32>>,
    target: FrameSize,
}

impl Axes {
    fn new(frame: &RgbFrame, target: FrameSize) -> Self {
        let along = |from: u32, to: u32| (from != to).then(|| kernels(from, to));
        Self {
            wide: along(frame.width(), target.width),
            tall: along(frame.height(), target.height),
            target,
        }
    }
}

for_this_processor! {
    /// Scales `[height, width, 3]` to bytes of another size.
    fn scale_bytes(source: &[u8], size: FrameSize, axes: &Axes) -> Vec<u8> = plain_bytes
}

for_this_processor! {
    /// Scales `[height, width, 3]` to fractions of another size.
    fn scale_units(source: &[u8], size: FrameSize, axes: &Axes) -> Vec<f32> = plain_units
}

#[inline(always)]
fn plain_bytes(source: &[u8], size: FrameSize, axes: &Axes) -> Vec<u8> {
    scale(source, size, axes, f32::from, to_byte)
}

#[inline(always)]
fn plain_units(source: &[u8], size: FrameSize, axes: &Axes) -> Vec<f32> {
    scale(source, size, axes, |sample| f32::from(sample) / 255.0, |sample| sample)
}

/// Scales `[height, width, 3]` to another size, computing in floats.
#[inline(always)]
fn scale<T: Copy + Default>(
    source: &[u8],
    size: FrameSize,
    axes: &Axes,
    from_byte: impl Fn(u8) -> f32,
    from_float: impl Fn(f32) -> T,
) -> Vec<T> {
    let (source_row, target_row) = (size.width as usize * 3, axes.target.width as usize * 3);
    let mut target = vec![T::default(); axes.target.height as usize * target_row];
    let mut band = Band::new(target_row, axes.tall.as_ref().map_or(1, Kernels::taps));
    let mut padded = vec![0.0; source_row + 1];
    let mut sums = vec![0.0; target_row];
    for (number, out) in target.chunks_exact_mut(target_row).enumerate() {
        let (first, weights) = match &axes.tall {
            Some(kernels) => kernels.kernel(number),
            None => (number, [1.0].as_slice()),
        };
        let wanted = first..first + weights.len();
        for number in band.move_to(wanted.clone()) {
            let samples = &source[number * source_row..][..source_row];
            for (to, &byte) in padded.iter_mut().zip(samples) {
                *to = from_byte(byte);
            }
            match &axes.wide {
                Some(kernels) => scale_row(&padded, kernels, 0.0, band.row(number)),
                None => band.row(number).copy_from_slice(&padded),
            }
        }
        let rows = band.rows(wanted);
        let rows = rows.chunks_exact(target_row);
        if axes.tall.is_some() {
            sum_rows(rows, weights, &mut sums);
            out.iter_mut().zip(&sums).for_each(|(to, &sum)| *to = from_float(sum));
        } else {
            out.iter_mut().zip(rows.flatten()).for_each(|(to, &sample)| *to = from_float(sample));
        }
    }
    target
}

#[inline(always)]
fn sum_rows<'a>(rows: impl Iterator<Item = &'a [f32]>, weights: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    for (row, weight) in rows.zip(weights) {
        for (sum, sample) in sums.iter_mut().zip(row) {
            *sum += sample * weight;
        }
    }
}

/// Returns the kernels of one axis. The arithmetic, its order and its types are PyTorch's.
pub(super) fn kernels(source: u32, target: u32) -> Kernels<f32> {
    let scale = source as f32 / target as f32;
    let (support, inverse) = if scale >= 1.0 { (scale, 1.0 / scale) } else { (1.0, 1.0) };
    let kernels: Vec<(usize, Vec<f32>)> = (0..target)
        .map(|position| {
            let centre = scale * (position as f32 + 0.5);
            // Casts truncate towards zero and clamp negative values to it.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(source as usize);
            let mut weights: Vec<f32> = (first..end)
                .map(|at| {
                    let distance = ((at as f32 - centre + 0.5) * inverse).abs();
                    if distance < 1.0 { 1.0 - distance } else { 0.0 }
                })
                .collect();
            let sum: f32 = weights.iter().sum();
            if sum != 0.0 {
                weights.iter_mut().for_each(|weight| *weight /= sum);
            }
            (first, weights)
        })
        .collect();
    Kernels::new(source, &kernels)
}

#[cfg(test)]
mod tests {
    use super::to_byte;

    #[test]
    fn halves_are_rounded_to_even() {
        for at in 0..=255 * 64 {
            let sample = at as f32 / 64.0;
            assert_eq!(to_byte(sample), sample.round_ties_even() as u8, "{sample}");
        }
    }
}
