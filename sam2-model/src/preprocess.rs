//! Conversion of pixels to network input (`utils/misc.py`): `/255`, then the ImageNet mean and
//! standard deviation.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::kernels;

/// Mean of red, green and blue, in 0..1.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of red, green and blue, in 0..1.
const STANDARD_DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// Lookup table from the values of each channel to network input, on the CPU and on the device.
///
/// There are only 256 values per channel, so each is computed once and then looked up. It is
/// rounded exactly as in the official code (a division in f64, then f32). Every device sees the
/// same image, bit for bit.
#[derive(Clone, Debug)]
pub struct PixelTable {
    values: Arc<[[f32; 256]; 3]>,
    /// `[3, 256]`.
    on_device: Tensor<2>,
}

impl PixelTable {
    /// Computes the table and copies it to the device.
    pub fn new(device: &Device) -> Self {
        let values: [[f32; 256]; 3] = std::array::from_fn(|channel| {
            std::array::from_fn(|value| {
                ((value as f64 / 255.0) as f32 - MEAN[channel]) / STANDARD_DEVIATION[channel]
            })
        });
        let data = TensorData::new(values.as_flattened().to_vec(), [3, 256]);
        Self { values: Arc::new(values), on_device: Tensor::from_data(data, device) }
    }

    /// Converts RGB8 pixels `[side, side, 3]` to a normalised `[1, 3, side, side]` on the table's
    /// device.
    ///
    /// # Panics
    /// If `rgb` is not `side * side * 3` bytes long.
    pub fn normalise(&self, rgb: &[u8], side: usize) -> Tensor<4> {
        assert_eq!(rgb.len(), side * side * 3, "an image of {side} x {side} RGB pixels");
        kernels::look_up_pixels(rgb, side, &self.values, &self.on_device)
    }
}

/// Converts RGB8 pixels `[height, width, 3]` to `[1, 3, height, width]` in 0..1.
///
/// # Panics
/// If `rgb` is not `height * width * 3` bytes long.
pub fn to_unit_range(rgb: &[u8], height: usize, width: usize, device: &Device) -> Tensor<4> {
    assert_eq!(rgb.len(), height * width * 3, "an image of {width} x {height} RGB pixels");
    let mut data = Vec::with_capacity(rgb.len());
    for channel in 0..3 {
        data.extend(rgb.iter().skip(channel).step_by(3).map(|&value| f32::from(value) / 255.0));
    }
    Tensor::from_data(TensorData::new(data, [1, 3, height, width]), device)
}

/// Subtracts the mean and divides by the standard deviation: turns `[1, 3, height, width]` in 0..1
/// into network input.
pub fn normalise_tensor(image_bchw: Tensor<4>) -> Tensor<4> {
    let device = image_bchw.device();
    let per_channel =
        |values: [f32; 3]| Tensor::<1>::from_floats(values, &device).reshape([1, 3, 1, 1]);
    (image_bchw - per_channel(MEAN)) / per_channel(STANDARD_DEVIATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_separate_and_normalised() {
        let rgb = [255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0];
        let image = PixelTable::new(&Device::flex()).normalise(&rgb, 2);
        let image: Vec<f32> = image.into_data().try_to_vec().unwrap();
        let expect =
            |value: f32, channel: usize| (value - MEAN[channel]) / STANDARD_DEVIATION[channel];
        assert_eq!(image[0], expect(1.0, 0));
        assert_eq!(image[1], expect(0.0, 0));
        assert_eq!(image[5], expect(1.0, 1));
        assert_eq!(image[10], expect(1.0, 2));
    }
}
