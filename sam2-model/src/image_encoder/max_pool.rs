//! 2 x 2 max pooling of a channels-last map.

use burn::tensor::Tensor;

use crate::kernels;

/// Pools `[batch, height, width, channels]` to `[batch, height / 2, width / 2, channels]`. An odd
/// last row or column is dropped (`MaxPool2d(2, 2, ceil_mode=False)`).
///
/// Written as two pairwise maxima because the map stays channels-last. burn's pooling takes
/// channels first, and the two permutations around it cost more than the pooling.
pub fn max_pool_2x2(x_bhwc: Tensor<4>) -> Tensor<4> {
    let channels = x_bhwc.dims()[3];
    max_pool_2x2_of(channels, x_bhwc)
}

/// Does the same for the first `channels` channels only.
pub fn max_pool_2x2_of(channels: usize, x_bhwc: Tensor<4>) -> Tensor<4> {
    kernels::max_pool_2x2(x_bhwc, channels)
        .unwrap_or_else(|x_bhwc| max_pool_2x2_on_any_device(*x_bhwc))
}

/// Does the same with burn's operations, on any device.
fn max_pool_2x2_on_any_device(x_bhwc: Tensor<4>) -> Tensor<4> {
    let [batch, height, width, channels] = x_bhwc.dims();
    let (rows, columns) = (height / 2, width / 2);
    let x = if (2 * rows, 2 * columns) == (height, width) {
        x_bhwc
    } else {
        x_bhwc.slice([0..batch, 0..2 * rows, 0..2 * columns])
    };
    let halves = |x: Tensor<3>| x.clone().slice_dim(1, 0..1).max_pair(x.slice_dim(1, 1..2));
    let rows_pooled = halves(x.reshape([batch * rows, 2, 2 * columns * channels]));
    halves(rows_pooled.reshape([batch * rows * columns, 2, channels]))
        .reshape([batch, rows, columns, channels])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;
    use burn::tensor::module::max_pool2d;
    use burn::tensor::ops::MaxPoolOptions;

    #[test]
    fn equals_burns_pooling() {
        for [height, width] in [[4, 6], [5, 7], [2, 2]] {
            let x = noise([2, height, width, 3]);
            let expected = max_pool2d(x.clone().permute([0, 3, 1, 2]), MaxPoolOptions::new([2, 2]))
                .permute([0, 2, 3, 1]);
            let expected = expected.into_data();
            assert_eq!(max_pool_2x2(x.clone()).into_data(), expected);
            let wide = Tensor::cat(vec![x.clone(), noise([2, height, width, 5])], 3);
            assert_eq!(max_pool_2x2_of(3, wide).into_data(), expected);
            assert_eq!(max_pool_2x2_on_any_device(x).into_data(), expected);
        }
    }
}
