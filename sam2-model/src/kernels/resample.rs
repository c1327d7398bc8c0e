//! Resizing by a few weighted neighbours.

use burn::tensor::Tensor;
use sam2_cpu_kernels::{self as cpu, CpuTier, Taps};

use super::bridge::{from_values, into_flex, values};
use super::on_gpu;
use super::pointwise::scaled_sigmoid;

/// The step applied to a resized logit: `curve(logit) * scale + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finish {
    /// The curve that maps the logit to 0..1.
    pub curve: Curve,
    /// The factor.
    pub scale: f32,
    /// The offset, added last.
    pub shift: f32,
}

/// The curve that maps a logit to 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// 1 above 0, else 0.
    Step,
}

impl Finish {
    /// Applies this step by itself, on any device.
    pub fn on_any_device(self, logits: Tensor<4>) -> Tensor<4> {
        match self.curve {
            Curve::Sigmoid => scaled_sigmoid(logits, self.scale, self.shift),
            Curve::Step => logits.greater_scalar(0.0).float() * self.scale + self.shift,
        }
    }
}

/// Resizes each plane of `[batch, channels, height, width]` to `size`, then applies `finish`. An
/// axis without taps keeps its length. Gives the tensor back if it is on neither the CPU nor a GPU,
/// or does not fit. `tables` are [`Taps::table`] of rows and of columns, on the device.
pub(crate) fn resample(
    x_bchw: Tensor<4>,
    rows: Option<&Taps>,
    columns: Option<&Taps>,
    tables: [Option<&Tensor<2>>; 2],
    size: [usize; 2],
    finish: Option<Finish>,
) -> Result<Tensor<4>, Box<Tensor<4>>> {
    let [batch, channels, height, width] = x_bchw.dims();
    let x = match into_flex(x_bchw.clone()) {
        Ok(x) => x,
        Err(x_bchw) => return on_gpu::resample(&x_bchw, tables, size, finish).ok_or(x_bchw),
    };
    match cpu::resample(CpuTier::current(), values(&x), [height, width], rows, columns) {
        Some(out) => {
            let resized = from_values(out, [batch, channels, size[0], size[1]]);
            Ok(match finish {
                Some(finish) => finish.on_any_device(resized),
                None => resized,
            })
        }
        None => Err(Box::new(x_bchw)),
    }
}
