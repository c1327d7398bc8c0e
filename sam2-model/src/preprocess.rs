//! Pixels to network input (`utils/misc.py`): `/255`, then the ImageNet mean and standard deviation.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::kernels::is_on_cpu;

/// Mean of red, green, blue in 0..1.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of red, green, blue in 0..1.
const STANDARD_DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// RGB8 pixels `[side, side, 3]` to a normalised `[1, 3, side, side]`.
///
/// There are only 256 values per channel, so each is computed once, rounded exactly as the official code
/// rounds it (a division in f64, then f32). To a GPU the pixels go as bytes, a quarter of the numbers' size, and are looked up there: every device sees the
/// same image, bit for bit.
///
/// # Panics
/// If `rgb` is not `side * side * 3` bytes long.
pub fn normalise(rgb: &[u8], side: usize, device: &Device) -> Tensor<4> {
    assert_eq!(rgb.len(), side * side * 3, "an image of {side} x {side} RGB pixels");
    let table = table();
    // Four bytes make a word; all input sizes of the model are multiples of 32.
    if !is_on_cpu(device) && rgb.len().is_multiple_of(4) {
        return look_up(rgb, side, &table, device);
    }
    let mut data = Vec::with_capacity(rgb.len());
    for (channel, values) in table.iter().enumerate() {
        data.extend(rgb.iter().skip(channel).step_by(3).map(|&value| values[value as usize]));
    }
    Tensor::from_data(TensorData::new(data, [1, 3, side, side]), device)
}

/// What each value of each channel becomes.
fn table() -> [[f32; 256]; 3] {
    std::array::from_fn(|channel| {
        std::array::from_fn(|value| {
            ((value as f64 / 255.0) as f32 - MEAN[channel]) / STANDARD_DEVIATION[channel]
        })
    })
}

/// The same on the device. Pixels travel four to a 32-bit word, since some devices have no integers of 8 bits.
fn look_up(rgb: &[u8], side: usize, table: &[[f32; 256]; 3], device: &Device) -> Tensor<4> {
    let words: Vec<i32> =
        rgb.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let count = words.len();
    let words = Tensor::<1, Int>::from_data(TensorData::new(words, [count]), device);
    let shifts = Tensor::<1, Int>::from_data([0, 8, 16, 24], device).reshape([1, 4]);
    // At once, not byte after byte put together: see `kernels::join`.
    let words = words.reshape([count, 1]).expand([count, 4]);
    let values = words.bitwise_right_shift(shifts.expand([count, 4])).bitwise_and_scalar(255);
    let planes = values.reshape([side, side, 3]).permute([2, 0, 1]);
    let starts = Tensor::<1, Int>::from_data([0, 256, 512], device).reshape([3, 1, 1]);
    let table = Tensor::<1>::from_floats(table.as_flattened(), device);
    table.select(0, (planes + starts).reshape([3 * side * side])).reshape([1, 3, side, side])
}

/// RGB8 pixels `[height, width, 3]` to `[1, 3, height, width]` in 0..1.
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

/// Subtracts the mean and divides by the standard deviation: `[1, 3, height, width]` in 0..1 to network input.
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
    fn looking_up_on_the_device_gives_the_same_numbers() {
        let (side, device) = (32, Device::flex());
        let rgb: Vec<u8> = (0..3 * side * side).map(|i| (i * 37 % 256) as u8).collect();
        let table = table();
        assert_eq!(
            look_up(&rgb, side, &table, &device).into_data(),
            normalise(&rgb, side, &device).into_data()
        );
    }

    #[test]
    fn planes_are_separate_and_normalised() {
        let rgb = [255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0];
        let image: Vec<f32> = normalise(&rgb, 2, &Device::flex()).into_data().try_to_vec().unwrap();
        let expect =
            |value: f32, channel: usize| (value - MEAN[channel]) / STANDARD_DEVIATION[channel];
        assert_eq!(image[0], expect(1.0, 0));
        assert_eq!(image[1], expect(0.0, 0));
        assert_eq!(image[5], expect(1.0, 1));
        assert_eq!(image[10], expect(1.0, 2));
    }
}
