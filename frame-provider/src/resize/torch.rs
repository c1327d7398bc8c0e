//! PyTorch's antialiased bilinear scaling, as torchvision's `Resize` does it.
//!
//! A triangle of one pixel to each side, stretched by the factor when shrinking; columns are scaled first, then rows, in
//! 32-bit floats throughout. Sums run from the first source position to the last, with a rounding after each product, as
//! in PyTorch's plain code. Its code for AVX2 fuses products and sums, which moves results by up to 2e-7 of the range.

use crate::frame::{FrameSize, RgbFrame};

/// For each output position: the first source position and the weights.
type Kernels = Vec<(usize, Vec<f32>)>;

/// Scales `frame` to `width` x `height` with the result of `torchvision.transforms.functional.resize` of a `uint8` tensor:
/// scaled as 32-bit floats, then rounded half to even.
///
/// Bit for bit that of PyTorch's plain code. Where PyTorch uses AVX2, one pixel in some ten thousand differs by 1. The
/// `uint8` path of `transforms.v2` is another one and rounds in between.
pub fn torch_bilinear_antialias(frame: &RgbFrame, width: u32, height: u32) -> RgbFrame {
    let size = FrameSize { width: width.max(1), height: height.max(1) };
    let samples = frame.data().iter().map(|&sample| f32::from(sample)).collect();
    let scaled = scale(samples, frame.size(), size);
    let data = scaled.into_iter().map(to_byte).collect();
    RgbFrame::from_parts(size, data)
}

/// Rounds half to even, for `0.0..=255.0`.
///
/// Floats have 23 bits after the first, so those from 2^23 on are whole numbers: adding it rounds as the processor does,
/// and leaves the number in the lowest bits. `round_ties_even` is a call of the C library on plain x86-64, which took most
/// of the time.
fn to_byte(sample: f32) -> u8 {
    (sample + (1 << 23) as f32).to_bits() as u8
}

/// Scales `frame` to `width` x `height` as the official image predictor does, before it normalises: `Resize((height,
/// width))(ToTensor()(frame))`. Gives `[3, height, width]`, `0.0..=1.0`.
///
/// Bit for bit that of PyTorch's plain code, and within 2e-7 of its code for AVX2.
pub fn torch_bilinear_antialias_float(frame: &RgbFrame, width: u32, height: u32) -> Vec<f32> {
    let size = FrameSize { width: width.max(1), height: height.max(1) };
    let samples = frame.data().iter().map(|&sample| f32::from(sample) / 255.0).collect();
    let scaled = scale(samples, frame.size(), size);
    let pixels = scaled.as_chunks::<3>().0;
    (0..3).flat_map(|channel| pixels.iter().map(move |pixel| pixel[channel])).collect()
}

/// `[height, width, 3]` to the same of another size.
fn scale(samples: Vec<f32>, source: FrameSize, target: FrameSize) -> Vec<f32> {
    // PyTorch leaves out nothing, but a pass that keeps the size is the identity.
    let wide = if source.width == target.width {
        samples
    } else {
        scale_rows(&samples, source, &kernels(source.width, target.width))
    };
    if source.height == target.height {
        return wide;
    }
    scale_columns(&wide, target.width as usize * 3, &kernels(source.height, target.height))
}

fn scale_rows(samples: &[f32], source: FrameSize, kernels: &Kernels) -> Vec<f32> {
    let (source_row, target_row) = (source.width as usize * 3, kernels.len() * 3);
    let mut scaled = vec![0.0; source.height as usize * target_row];
    for (row, line) in samples.chunks_exact(source_row).zip(scaled.chunks_exact_mut(target_row)) {
        let row = row.as_chunks::<3>().0;
        for ((first, weights), sums) in kernels.iter().zip(line.as_chunks_mut::<3>().0) {
            // The first product is added to 0, which changes nothing.
            let [mut red, mut green, mut blue] = [0.0f32; 3];
            for (pixel, weight) in row[*first..].iter().zip(weights) {
                red += pixel[0] * weight;
                green += pixel[1] * weight;
                blue += pixel[2] * weight;
            }
            *sums = [red, green, blue];
        }
    }
    scaled
}

fn scale_columns(samples: &[f32], row: usize, kernels: &Kernels) -> Vec<f32> {
    let mut scaled = vec![0.0; kernels.len() * row];
    for ((first, weights), sums) in kernels.iter().zip(scaled.chunks_exact_mut(row)) {
        for (samples, weight) in samples[first * row..].chunks_exact(row).zip(weights) {
            for (sum, sample) in sums.iter_mut().zip(samples) {
                *sum += sample * weight;
            }
        }
    }
    scaled
}

/// The arithmetic, its order and its types are PyTorch's.
fn kernels(source: u32, target: u32) -> Kernels {
    let scale = source as f32 / target as f32;
    let (support, inverse) = if scale >= 1.0 { (scale, 1.0 / scale) } else { (1.0, 1.0) };
    (0..target)
        .map(|position| {
            let centre = scale * (position as f32 + 0.5);
            // Casts truncate towards zero and take what is below it to it.
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
        .collect()
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
