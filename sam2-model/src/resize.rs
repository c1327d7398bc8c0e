//! Separable image resizing: our own kernels read only the few nonzero weights; elsewhere it is two
//! small matrix products.
//!
//! PyTorch's `F.interpolate` weights depend only on the two sizes, so each axis is one matrix
//! `[out, in]` and a resize is `rows · x · columnsᵀ`. The matrices are built here once in `f32`
//! with PyTorch's own formulas (`aten/src/ATen/native/UpSample.h`, `align_corners=False`
//! throughout). This gives three properties that burn's `interpolate` lacks: antialiasing, speed on
//! the CPU (its bilinear path takes 14 times PyTorch's time), and bit-equal behaviour across
//! devices up to the order of the sum.

use burn::tensor::{Device, Tensor, TensorData};

use crate::kernels::{self, Finish, Taps};
use crate::upload::upload;

/// The interpolation kernels that SAM 2 uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// `mode="bilinear"`: two neighbours at every scale.
    Bilinear,
    /// `mode="bilinear", antialias=True`: the kernel widens when shrinking.
    BilinearAntialias,
    /// `mode="bicubic"`: four neighbours, a = -0.75.
    Bicubic,
}

/// A resize between two fixed sizes, with its matrices on the device.
#[derive(Clone, Debug)]
pub struct Resize {
    rows: Option<Axis>,
    columns: Option<Axis>,
    to: [usize; 2],
}

/// The weights of one axis, `[out, in]`: as a matrix for any device, and only the nonzero ones for
/// our own kernels.
#[derive(Clone, Debug)]
struct Axis {
    matrix: Tensor<2>,
    taps: Taps,
    table: Tensor<2>,
}

impl Resize {
    /// Prepares a resize from `from` to `to`, both `[height, width]` with values of at least 1.
    pub fn new(kind: Interpolation, from: [usize; 2], to: [usize; 2], device: &Device) -> Self {
        let matrix = |axis: usize| {
            (from[axis] != to[axis]).then(|| {
                let data = axis_weights(kind, from[axis], to[axis]);
                let taps = Taps::of(&data, from[axis]);
                let data = TensorData::new(data, [to[axis], from[axis]]);
                let (table, shape) = taps.table();
                let table = upload(table, shape, device);
                Axis { matrix: Tensor::from_data(data, device), taps, table }
            })
        };
        Self { rows: matrix(0), columns: matrix(1), to }
    }

    /// Resizes `[batch, channels, height, width]` from the `from` size to the `to` size.
    pub fn forward(&self, image_bchw: Tensor<4>) -> Tensor<4> {
        self.run(image_bchw, None)
    }

    /// Resizes logits, and then applies `finish`.
    pub fn forward_finished(&self, logits_bchw: Tensor<4>, finish: Finish) -> Tensor<4> {
        self.run(logits_bchw, Some(finish))
    }

    fn run(&self, image_bchw: Tensor<4>, finish: Option<Finish>) -> Tensor<4> {
        let rows = self.rows.as_ref().map(|axis| &axis.taps);
        let columns = self.columns.as_ref().map(|axis| &axis.taps);
        let tables = [&self.rows, &self.columns].map(|axis| axis.as_ref().map(|axis| &axis.table));
        kernels::resample(image_bchw, rows, columns, tables, self.to, finish).unwrap_or_else(
            |image_bchw| {
                let resized = self.forward_on_any_device(*image_bchw);
                match finish {
                    Some(finish) => finish.on_any_device(resized),
                    None => resized,
                }
            },
        )
    }

    /// Does the same with burn's operations, on any device.
    pub fn forward_on_any_device(&self, image_bchw: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = image_bchw.dims();
        let mut planes = image_bchw.reshape([batch * channels, height, width]);
        // Starting with the rows keeps the wide product small.
        if let Some(rows) = &self.rows {
            planes = rows.matrix.clone().unsqueeze::<3>().matmul(planes);
        }
        if let Some(columns) = &self.columns {
            // One tall product instead of a batch of products: every row uses the same weights.
            let tall = planes.reshape([batch * channels * self.to[0], width]);
            planes = tall.matmul(columns.matrix.clone().transpose()).reshape([
                batch * channels,
                self.to[0],
                self.to[1],
            ]);
        }
        planes.reshape([batch, channels, self.to[0], self.to[1]])
    }
}

/// Returns the row-major `[out, in]` weights of one axis. Each row sums to 1.
fn axis_weights(kind: Interpolation, input: usize, output: usize) -> Vec<f32> {
    let mut weights = vec![0.0_f32; input * output];
    let scale = input as f32 / output as f32;
    for (target, row) in weights.chunks_exact_mut(input).enumerate() {
        match kind {
            Interpolation::Bilinear => {
                let source = (scale * (target as f32 + 0.5) - 0.5).max(0.0);
                let low = (source as usize).min(input - 1);
                let fraction = (source - low as f32).clamp(0.0, 1.0);
                row[low] += 1.0 - fraction;
                row[(low + 1).min(input - 1)] += fraction;
            }
            Interpolation::Bicubic => {
                let source = scale * (target as f32 + 0.5) - 0.5;
                let low = source.floor();
                let fraction = source - low;
                for (tap, weight) in cubic_taps(fraction).into_iter().enumerate() {
                    let position = low as i64 - 1 + tap as i64;
                    row[position.clamp(0, input as i64 - 1) as usize] += weight;
                }
            }
            Interpolation::BilinearAntialias => {
                let support = scale.max(1.0);
                let center = scale * (target as f32 + 0.5);
                let first = ((center - support + 0.5) as i64).max(0) as usize;
                let end = ((center + support + 0.5) as i64).clamp(0, input as i64) as usize;
                let tap =
                    |position: usize| (position as f32 - center + 0.5).abs() * (1.0 / support);
                let mut total = 0.0_f32;
                for (position, weight) in row.iter_mut().enumerate().take(end).skip(first) {
                    *weight = (1.0 - tap(position)).max(0.0);
                    total += *weight;
                }
                if total != 0.0 {
                    row[first..end].iter_mut().for_each(|w| *w /= total);
                }
            }
        }
    }
    weights
}

/// Returns the four bicubic coefficients for a fractional position, a = -0.75
/// (`get_cubic_upsample_coefficients`).
fn cubic_taps(t: f32) -> [f32; 4] {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights_sum_to_one(kind: Interpolation) {
        for (input, output) in [(1, 5), (5, 1), (7, 64), (64, 7), (256, 896), (900, 256), (3, 3)] {
            let weights = axis_weights(kind, input, output);
            for row in weights.chunks_exact(input) {
                let sum: f32 = row.iter().sum();
                assert!((sum - 1.0).abs() < 1e-5, "{kind:?} {input}->{output}: {sum}");
            }
        }
    }

    #[test]
    fn every_output_is_a_weighted_mean() {
        weights_sum_to_one(Interpolation::Bilinear);
        weights_sum_to_one(Interpolation::BilinearAntialias);
        weights_sum_to_one(Interpolation::Bicubic);
    }

    #[test]
    fn doubling_matches_hand_calculation() {
        let device = Device::flex();
        let image = Tensor::<4>::from_data([[[[0.0, 4.0]]]], &device);
        let resize = Resize::new(Interpolation::Bilinear, [1, 2], [2, 4], &device);
        let out: Vec<f32> = resize.forward(image).into_data().try_to_vec().unwrap();
        assert_eq!(out, [0.0, 1.0, 3.0, 4.0, 0.0, 1.0, 3.0, 4.0]);
    }

    #[test]
    fn antialias_equals_plain_bilinear_when_enlarging() {
        assert_eq!(
            axis_weights(Interpolation::Bilinear, 16, 64),
            axis_weights(Interpolation::BilinearAntialias, 16, 64)
        );
    }

    #[test]
    fn quarter_size_averages_with_a_triangle() {
        // Support 4 around each centre: weights 1,3,5,7,7,5,3,1 over 32, clipped at the border.
        let weights = axis_weights(Interpolation::BilinearAntialias, 16, 4);
        let expected: Vec<f32> = [1., 3., 5., 7., 7., 5., 3., 1.].map(|w| w / 32.0).to_vec();
        assert_eq!(&weights[16 + 2..16 + 10], expected);
    }
}
