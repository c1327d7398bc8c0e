//! Frames as JPEG.

use sam2_frame_provider::RgbFrame;

use crate::error::ReviewError;

/// Good enough to see single hairs, and a tenth of the pixels.
const QUALITY: i32 = 85;

/// Encodes a frame. `low` and `high`, of 0 to 1, become black and white, and `gamma` brightens what lies
/// between them if it is above 1.
pub(crate) fn jpeg(
    frame: &RgbFrame,
    low: f32,
    high: f32,
    gamma: f32,
) -> Result<Vec<u8>, ReviewError> {
    let changed: Vec<u8>;
    let mut pixels = frame.data();
    if (low, high, gamma) != (0.0, 1.0, 1.0) {
        let tone = |value: u8| {
            let place = (f32::from(value) / 255.0 - low) / (high - low).max(1e-6);
            (place.clamp(0.0, 1.0).powf(1.0 / gamma) * 255.0).round() as u8
        };
        let table: Vec<u8> = (0..=255).map(tone).collect();
        changed = pixels.iter().map(|&value| table[usize::from(value)]).collect();
        pixels = &changed;
    }
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let format = turbojpeg::PixelFormat::RGB;
    let image = turbojpeg::Image { pixels, width, pitch: width * 3, height, format };
    let encoded = turbojpeg::compress(image, QUALITY, turbojpeg::Subsamp::Sub2x2)?;
    Ok(encoded.to_vec())
}
