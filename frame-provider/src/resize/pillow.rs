//! Pillow's bicubic filter.
//!
//! Four properties matter for equality: a = -0.5; antialiasing (when shrinking, the kernel is
//! stretched by the factor); separable passes, rows first and then columns, **rounded to 8 bits in
//! between**; and coefficients rounded to fixed point.

use super::kernels::Kernels;
use super::passes::{scale_both, scale_columns, scale_rows};
use crate::frame::RgbFrame;
use crate::size::FrameSize;

/// Fractional bits of a coefficient: 8 bits of pixel and 2 of headroom leave 22 of 32.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Half a unit, so that the shift at the end rounds.
pub(super) const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// The kernel reaches two source pixels to each side before it is stretched.
const SUPPORT: f64 = 2.0;

/// Scales `frame` to `width` x `height` with the result of Pillow's `Image.resize((width,
/// height))`, bit for bit (for Pillow 13, see the [module](super)).
///
/// Works in both directions and with any factor. A side of 0 counts as 1.
pub fn pillow_bicubic(frame: &RgbFrame, width: u32, height: u32) -> RgbFrame {
    let size = FrameSize { width: width.max(1), height: height.max(1) };
    // Like Pillow, skip the pass of an axis that keeps its size. That pass would change nothing.
    let wide = (size.width != frame.width()).then(|| kernels(frame.width(), size.width));
    let tall = (size.height != frame.height()).then(|| kernels(frame.height(), size.height));
    let source = frame.data();
    let data = match (wide, tall) {
        (None, None) => source.to_vec(),
        (Some(wide), None) => scale_rows(source, frame.size(), &wide),
        (None, Some(tall)) => scale_columns(source, size.width as usize * 3, &tall),
        (Some(wide), Some(tall)) => scale_both(source, frame.size(), &wide, &tall),
    };
    RgbFrame::from_parts(size, data)
}

/// Returns fixed-point weights. The arithmetic, its order and its types are those of Pillow's
/// `precompute_coeffs` and `normalize_coeffs_8bpc`.
pub(super) fn kernels(source: u32, target: u32) -> Kernels<i32> {
    let scale = f64::from(source) / f64::from(target);
    let stretch = scale.max(1.0);
    let support = SUPPORT * stretch;
    let kernels: Vec<(usize, Vec<i32>)> = (0..target)
        .map(|position| {
            let centre = (f64::from(position) + 0.5) * scale;
            // Casts truncate towards zero and clamp negative values to it, like C's cast followed
            // by the test for < 0.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(source as usize);
            let kernel: Vec<f64> = (first..end)
                .map(|at| bicubic((at as f64 - centre + 0.5) * (1.0 / stretch)))
                .collect();
            let sum: f64 = kernel.iter().sum();
            let fixed = kernel.into_iter().map(|weight| {
                let weight = if sum == 0.0 { weight } else { weight / sum };
                let scaled = weight * f64::from(1 << PRECISION_BITS);
                if weight < 0.0 { (scaled - 0.5) as i32 } else { (scaled + 0.5) as i32 }
            });
            (first, fixed.collect())
        })
        .collect();
    Kernels::new(source, &kernels)
}

/// Evaluates Keys' cubic with a = -0.5, in Pillow's order of operations.
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
