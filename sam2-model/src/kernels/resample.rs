//! Resizing by a few weighted neighbours.

use burn::tensor::Tensor;

use super::bridge::{from_values, into_flex, values};
use super::cpu::{CpuTier, resample as cpu};

pub(crate) use super::cpu::resample::Taps;
use super::on_gpu;

/// Resizes each plane of `[batch, channels, height, width]` to `size`, an axis without taps not at all. Gives the tensor back where it does not lie on the
/// CPU or a GPU, or does not fit. `tables`: [`Taps::table`] of rows and of columns, on the device.
pub(crate) fn resample(
    x_bchw: Tensor<4>,
    rows: Option<&Taps>,
    columns: Option<&Taps>,
    tables: [Option<&Tensor<2>>; 2],
    size: [usize; 2],
) -> Result<Tensor<4>, Box<Tensor<4>>> {
    let [batch, channels, height, width] = x_bchw.dims();
    let x = match into_flex(x_bchw.clone()) {
        Ok(x) => x,
        Err(x_bchw) => return on_gpu::resample(&x_bchw, tables, size).ok_or(x_bchw),
    };
    match cpu::resample(CpuTier::current(), values(&x), [height, width], rows, columns) {
        Some(out) => Ok(from_values(out, [batch, channels, size[0], size[1]])),
        None => Err(Box::new(x_bchw)),
    }
}
