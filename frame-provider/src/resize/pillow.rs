//! Pillow's bicubic filter.
//!
//! It has a = -0.5; it is antialiased (when shrinking, the kernel is stretched by the factor); separable, rows first and
//! then columns, **rounded to 8 bits in between**; with coefficients rounded to fixed point. All four matter for
//! equality.

use super::passes::{scale_columns, scale_rows};
use crate::frame::{FrameSize, RgbFrame};

/// Fractional bits of a coefficient: 8 bits of pixel and 2 of headroom leave 22 of 32.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Half a unit, so that the shift at the end rounds.
pub(super) const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// The kernel reaches two source pixels to each side before it is stretched.
const SUPPORT: f64 = 2.0;

/// Scales `frame` to `width` x `height` with the result of Pillow's `Image.resize((width, height))`, bit for bit (for
/// Pillow 13, see the [module](super)).
///
/// Works in both directions and with any factor. A side of 0 counts as 1.
pub fn pillow_bicubic(frame: &RgbFrame, width: u32, height: u32) -> RgbFrame {
    let size = FrameSize { width: width.max(1), height: height.max(1) };
    // Like Pillow, skip the pass of an axis that keeps its size. It would be the identity anyway.
    let wide = (size.width != frame.width())
        .then(|| scale_rows(frame.data(), frame.size(), &Kernels::new(frame.width(), size.width)));
    let rows = wide.as_deref().unwrap_or(frame.data());
    if size.height == frame.height() {
        return RgbFrame::from_parts(size, wide.unwrap_or_else(|| frame.data().to_vec()));
    }
    let row_bytes = size.width as usize * 3;
    RgbFrame::from_parts(
        size,
        scale_columns(rows, row_bytes, &Kernels::new(frame.height(), size.height)),
    )
}

/// For each output position, the source positions that contribute and their weights.
pub(super) struct Kernels {
    /// Weights per output position; shorter kernels are padded.
    stride: usize,
    /// `[first source position, number of weights]` of each output position.
    bounds: Vec<(usize, usize)>,
    /// Fixed-point weights, `[output position, stride]`.
    weights: Vec<i32>,
}

impl Kernels {
    /// The arithmetic, its order and its types are those of Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc`.
    pub(super) fn new(source: u32, target: u32) -> Self {
        let scale = f64::from(source) / f64::from(target);
        let stretch = scale.max(1.0);
        let support = SUPPORT * stretch;
        let stride = support.ceil() as usize * 2 + 1;
        let mut bounds = Vec::with_capacity(target as usize);
        let mut weights = vec![0; target as usize * stride];
        let mut kernel = Vec::with_capacity(stride);
        for (position, fixed) in weights.chunks_exact_mut(stride).enumerate() {
            let centre = (position as f64 + 0.5) * scale;
            // Casts truncate towards zero and saturate at it, like C's cast followed by the test for < 0.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(source as usize);
            kernel.clear();
            kernel.extend(
                (first..end).map(|at| bicubic((at as f64 - centre + 0.5) * (1.0 / stretch))),
            );
            let sum: f64 = kernel.iter().sum();
            for (fixed, weight) in fixed.iter_mut().zip(&kernel) {
                let weight = if sum == 0.0 { *weight } else { *weight / sum };
                let scaled = weight * f64::from(1 << PRECISION_BITS);
                *fixed = if weight < 0.0 { (scaled - 0.5) as i32 } else { (scaled + 0.5) as i32 };
            }
            bounds.push((first, kernel.len()));
        }
        Self { stride, bounds, weights }
    }

    /// Number of output positions.
    pub(super) fn len(&self) -> usize {
        self.bounds.len()
    }

    /// For each output position: the first source position and the weights.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let kernels = self.weights.chunks_exact(self.stride);
        self.bounds.iter().zip(kernels).map(|(&(first, length), kernel)| (first, &kernel[..length]))
    }
}

/// Keys' cubic with a = -0.5, in Pillow's order of operations.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}
