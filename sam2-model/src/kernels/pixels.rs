//! Conversion of pixels to network input.

use burn::tensor::{Tensor, TensorData};

use super::on_gpu;

/// Looks up each channel of RGB8 pixels `[side, side, 3]` in `values`, `[3][256]`, and returns
/// `[1, 3, side, side]`. `table` holds the same values, `[3, 256]`, on the device of the result.
/// Pixels are sent to a GPU as bytes, a quarter of the size of the result.
pub(crate) fn look_up_pixels(
    rgb: &[u8],
    side: usize,
    values: &[[f32; 256]; 3],
    table: &Tensor<2>,
) -> Tensor<4> {
    on_gpu::look_up_pixels(rgb, table, side).unwrap_or_else(|| {
        let mut data = Vec::with_capacity(rgb.len());
        for (channel, values) in values.iter().enumerate() {
            data.extend(rgb.iter().skip(channel).step_by(3).map(|&value| values[value as usize]));
        }
        Tensor::from_data(TensorData::new(data, [1, 3, side, side]), &table.device())
    })
}
