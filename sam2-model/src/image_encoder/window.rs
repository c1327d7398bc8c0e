//! Cutting a feature map into windows and back (`modeling/backbones/utils.py`).

use burn::tensor::Tensor;
use burn::tensor::ops::PadMode;

/// `[batch, height, width, channels]` to `[batch * windows, side, side, channels]`, zero-padded at the
/// bottom and right to whole windows.
///
/// The padding comes after the norm and takes part in the softmax, as in the official code: the keys of
/// padded tokens are the bias of `qkv`, not nothing.
pub fn partition(x_bhwc: Tensor<4>, side: usize) -> Tensor<4> {
    let [batch, height, width, channels] = x_bhwc.dims();
    let [padded_height, padded_width] = padded([height, width], side);
    let x = if [padded_height, padded_width] == [height, width] {
        x_bhwc
    } else {
        let (bottom, right) = (padded_height - height, padded_width - width);
        x_bhwc.pad([(0, bottom), (0, right), (0, 0)], PadMode::Constant(0.0))
    };
    let (rows, columns) = (padded_height / side, padded_width / side);
    x.reshape([batch, rows, side, columns, side, channels]).swap_dims(2, 3).reshape([
        batch * rows * columns,
        side,
        side,
        channels,
    ])
}

/// The reverse of [`partition`] for a map that is `[height, width]` without the padding.
pub fn unpartition(windows: Tensor<4>, side: usize, [height, width]: [usize; 2]) -> Tensor<4> {
    let [count, _, _, channels] = windows.dims();
    let [padded_height, padded_width] = padded([height, width], side);
    let (rows, columns) = (padded_height / side, padded_width / side);
    let batch = count / (rows * columns);
    let x = windows
        .reshape([batch, rows, columns, side, side, channels])
        .swap_dims(2, 3)
        .reshape([batch, padded_height, padded_width, channels]);
    if [padded_height, padded_width] == [height, width] {
        x
    } else {
        x.slice([0..batch, 0..height, 0..width])
    }
}

/// The size rounded up to whole windows.
fn padded(size: [usize; 2], side: usize) -> [usize; 2] {
    size.map(|length| length.next_multiple_of(side))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    #[test]
    fn unpartition_undoes_partition() {
        let device = Device::flex();
        for (height, width, side) in [(8, 8, 4), (7, 9, 4), (3, 3, 5), (16, 16, 6)] {
            let x = Tensor::<4>::random([2, height, width, 3], Distribution::Default, &device);
            let back = unpartition(partition(x.clone(), side), side, [height, width]);
            assert_eq!(x.into_data(), back.into_data());
        }
    }

    #[test]
    fn windows_are_in_reading_order_and_padding_is_zero() {
        let device = Device::flex();
        let x =
            Tensor::<1>::from_data([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &device).reshape([1, 2, 3, 1]);
        let windows: Vec<f32> = partition(x, 2).into_data().try_to_vec().unwrap();
        assert_eq!(windows, [1.0, 2.0, 4.0, 5.0, 3.0, 0.0, 6.0, 0.0]);
    }
}
