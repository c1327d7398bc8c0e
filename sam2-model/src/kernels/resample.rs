//! Resizing by a few weighted neighbours.

use burn::tensor::Tensor;

use super::bridge::{from_values, into_flex, values};
use super::cpu::{CpuTier, resample as cpu};

pub(crate) use super::cpu::resample::Taps;

/// Resizes each plane of `[batch, channels, height, width]` to `size`, an axis without taps not at all. Gives the tensor back where it does not lie on the
/// CPU, or does not fit.
pub(crate) fn resample(
    x_bchw: Tensor<4>,
    rows: Option<&Taps>,
    columns: Option<&Taps>,
    size: [usize; 2],
) -> Result<Tensor<4>, Box<Tensor<4>>> {
    let [batch, channels, height, width] = x_bchw.dims();
    let x = into_flex(x_bchw.clone())?;
    match cpu::resample(CpuTier::current(), values(&x), [height, width], rows, columns) {
        Some(out) => Ok(from_values(out, [batch, channels, size[0], size[1]])),
        None => Err(Box::new(x_bchw)),
    }
}
