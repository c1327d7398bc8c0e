//! Axial rotary position encoding of the memory attention (`compute_axial_cis`,
//! `apply_rotary_enc`).

use burn::tensor::{Device, Tensor};

use crate::kernels::{self, Rotation};
use crate::upload::upload;

/// Base of the rotation's wavelengths.
const THETA: f32 = 10_000.0;

/// Rotation angles of every token of a square map, as cosines and sines.
///
/// The first half of the channel *pairs* rotates with x, the second with y. Pairs are adjacent
/// channels (2i, 2i + 1), not the two halves of the vector.
#[derive(Clone, Debug)]
pub struct RotaryTable {
    /// `[1, tokens, pairs]`.
    cos: Tensor<3>,
    /// `[1, tokens, pairs]`.
    sin: Tensor<3>,
}

impl RotaryTable {
    /// Builds the table for a `side` x `side` map in row-major order and vectors of `channels` (a
    /// multiple of 4).
    pub fn new(channels: usize, side: usize, device: &Device) -> Self {
        let pairs = channels / 2;
        let frequencies: Vec<f32> =
            (0..channels / 4).map(|i| 1.0 / THETA.powf((4 * i) as f32 / channels as f32)).collect();
        let angles: Vec<f32> = (0..side * side)
            .flat_map(|token| {
                let (x, y) = ((token % side) as f32, (token / side) as f32);
                let along = |position: f32| frequencies.iter().map(move |f| position * f);
                along(x).chain(along(y)).collect::<Vec<_>>()
            })
            .collect();
        let table = |f: fn(f32) -> f32| {
            let data: Vec<f32> = angles.iter().copied().map(f).collect();
            upload(data, [1, side * side, pairs], device)
        };
        Self { cos: table(f32::cos), sin: table(f32::sin) }
    }

    /// Returns the number of tokens that the table covers.
    pub fn tokens(&self) -> usize {
        self.cos.dims()[1]
    }

    /// Rotates `[batch, repeats * tokens, channels]`. The table is used once per repeat, because
    /// each memory frame has the same layout.
    pub fn rotate(&self, x: Tensor<3>) -> Tensor<3> {
        let length = x.dims()[1];
        self.rotate_leading(x, length)
    }

    /// Returns the rotation for the end of a linear layer: it rotates the first `outputs` outputs
    /// of the first `turned` rows of each batch entry.
    pub fn rotation(&self, turned: usize, outputs: usize) -> Rotation<'_> {
        Rotation { cos: &self.cos, sin: &self.sin, turned, outputs }
    }

    /// Rotates the first `turned` tokens, which are `repeats * tokens`. The others are not rotated.
    pub fn rotate_leading(&self, x: Tensor<3>, turned: usize) -> Tensor<3> {
        kernels::rotate(x, self.cos.clone(), self.sin.clone(), turned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;
    use burn::tensor::TensorData;

    #[test]
    fn first_token_is_left_alone_and_lengths_are_kept() {
        let device = Device::flex();
        let table = RotaryTable::new(8, 3, &device);
        let x = noise([2, 18, 8]);
        let y = table.rotate(x.clone());
        let first = |t: &Tensor<3>| -> Vec<f32> {
            t.clone().slice([0..1, 0..1]).into_data().try_to_vec().unwrap()
        };
        assert_eq!(first(&x), first(&y));
        let norms =
            |t: Tensor<3>| -> Vec<f32> { t.square().sum_dim(2).into_data().try_to_vec().unwrap() };
        for (a, b) in norms(x).into_iter().zip(norms(y)) {
            approx::assert_relative_eq!(a, b, max_relative = 1e-5);
        }
    }

    #[test]
    fn second_token_turns_the_x_pairs_by_one_radian_first() {
        let device = Device::flex();
        let table = RotaryTable::new(4, 2, &device);
        let mut data = vec![0.0_f32; 16];
        data[4] = 1.0; // token 1 is (x, y) = (1, 0); its first pair has frequency 1
        let x = Tensor::<3>::from_data(TensorData::new(data, [1, 4, 4]), &device);
        let y: Vec<f32> = table.rotate(x).into_data().try_to_vec().unwrap();
        assert_eq!(&y[4..8], [1.0_f32.cos(), 1.0_f32.sin(), 0.0, 0.0]);
    }
}
