//! Position encodings: the three fixed ones of SAM 2 and the learned random one of SAM.
//!
//! Source: `modeling/position_encoding.py` and `get_1d_sine_pe` in `modeling/sam2_utils.py`. The
//! two sine conventions differ on purpose: the one for images interleaves sin and cos, the one for
//! time concatenates them.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Distribution, Tensor};

use crate::kernels::{FusedLinear, join};
use crate::upload::upload;

/// Base of the geometric series of wavelengths.
const TEMPERATURE: f32 = 10_000.0;

/// Returns the 2-D sine encoding of a feature map (`PositionEmbeddingSine`, `normalize=True`):
/// `[1, channels, height, width]`.
///
/// The first half of the channels encodes y, the second x. Indices start at 1 and are scaled to 2
/// pi.
pub fn sine_2d(channels: usize, height: usize, width: usize, device: &Device) -> Tensor<4> {
    let tokens = sine_2d_tokens(channels, height, width, device);
    tokens.swap_dims(1, 2).reshape([1, channels, height, width])
}

/// Returns the same encoding as tokens, `[1, height * width, channels]`, without gaps in memory.
pub(crate) fn sine_2d_tokens(
    channels: usize,
    height: usize,
    width: usize,
    device: &Device,
) -> Tensor<3> {
    const EPSILON: f32 = 1e-6;
    let half = channels / 2;
    let wavelengths = wavelengths(half);
    let axis = |length: usize| -> Vec<f32> {
        let mut table = Vec::with_capacity(length * half);
        for index in 1..=length {
            let position =
                index as f32 / (length as f32 + EPSILON) * (2.0 * std::f64::consts::PI) as f32;
            for (channel, wavelength) in wavelengths.iter().enumerate() {
                let angle = position / wavelength;
                table.push(if channel % 2 == 0 { angle.sin() } else { angle.cos() });
            }
        }
        table
    };
    let (y, x) = (axis(height), axis(width));
    let mut data = Vec::with_capacity(channels * height * width);
    for y in y.chunks_exact(half) {
        for x in x.chunks_exact(half) {
            data.extend_from_slice(y);
            data.extend_from_slice(x);
        }
    }
    upload(data, [1, height * width, channels], device)
}

/// Returns the 1-D sine encoding of signed distances in time (`get_1d_sine_pe`):
/// `[positions, channels]`, first all sines, then all cosines.
pub fn sine_1d(positions: &[f32], channels: usize, device: &Device) -> Tensor<2> {
    let half = channels / 2;
    let wavelengths = wavelengths(half);
    let mut data = Vec::with_capacity(positions.len() * channels);
    for position in positions {
        data.extend(wavelengths.iter().map(|wavelength| (position / wavelength).sin()));
        data.extend(wavelengths.iter().map(|wavelength| (position / wavelength).cos()));
    }
    upload(data, [positions.len(), channels], device)
}

/// Returns `10000^(2 * (i / 2) / count)`: each wavelength is used for a sine and a cosine.
fn wavelengths(count: usize) -> Vec<f32> {
    (0..count).map(|i| TEMPERATURE.powf((2 * (i / 2)) as f32 / count as f32)).collect()
}

/// Random Fourier features shared by prompts and the dense grid (`PositionEmbeddingRandom`).
#[derive(Module, Debug)]
pub struct RandomPositionEncoding {
    /// `[2, channels / 2]`: a fixed random projection of (x, y), stored in the checkpoint.
    pub positional_encoding_gaussian_matrix: Param<Tensor<2>>,
}

impl RandomPositionEncoding {
    /// Builds an encoding of `channels` channels with parameters to be loaded.
    pub fn init(channels: usize, device: &Device) -> Self {
        let matrix = Tensor::random([2, channels / 2], Distribution::Normal(0.0, 1.0), device);
        Self { positional_encoding_gaussian_matrix: Param::from_tensor(matrix) }
    }

    /// Encodes coordinates `[batch, points, 2]`, given as (x, y) in 0..1, as
    /// `[batch, points, channels]`.
    pub fn encode(&self, coordinates: Tensor<3>) -> Tensor<3> {
        let [batch, points, _] = coordinates.dims();
        let centered = (coordinates * 2.0 - 1.0).reshape([batch * points, 2]);
        let projection =
            Linear { weight: self.positional_encoding_gaussian_matrix.clone(), bias: None };
        let projected = FusedLinear::new(&projection).forward(centered);
        let angles = projected * (2.0 * std::f64::consts::PI);
        let channels = 2 * angles.dims()[1];
        join(vec![angles.clone().sin(), angles.cos()], 1).reshape([batch, points, channels])
    }

    /// Encodes every cell centre of a square grid: `[1, channels, side, side]`.
    pub fn encode_grid(&self, side: usize) -> Tensor<4> {
        let device = self.positional_encoding_gaussian_matrix.val().device();
        let center = |index: usize| (index as f32 + 0.5) / side as f32;
        let mut data = Vec::with_capacity(2 * side * side);
        for y in 0..side {
            for x in 0..side {
                data.extend([center(x), center(y)]);
            }
        }
        let grid = upload(data, [1, side * side, 2], &device);
        let encoded = self.encode(grid);
        let channels = encoded.dims()[2];
        encoded.swap_dims(1, 2).reshape([1, channels, side, side])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_1d_of_zero_is_zeros_then_ones() {
        let values: Vec<f32> =
            sine_1d(&[0.0], 8, &Device::flex()).into_data().try_to_vec().unwrap();
        assert_eq!(values, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn sine_2d_encodes_y_in_the_first_half_and_x_in_the_second() {
        let map = sine_2d(4, 2, 3, &Device::flex());
        let values: Vec<f32> = map.into_data().try_to_vec().unwrap();
        let y_channel = &values[..6];
        let x_channel = &values[12..18];
        assert_eq!(y_channel[0], y_channel[2]);
        assert_ne!(y_channel[0], y_channel[3]);
        assert_eq!(x_channel[0], x_channel[3]);
        assert_ne!(x_channel[0], x_channel[1]);
    }
}
