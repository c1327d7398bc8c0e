//! PNG images whose pixels are numbers of objects, coloured by DAVIS's palette.

use crate::error::WriteError;
use std::path::Path;

/// Encodes pixels as an 8-bit palette image.
pub(crate) fn encode(
    path: &Path,
    (width, height): (u32, u32),
    pixels: &[u8],
) -> Result<Vec<u8>, WriteError> {
    let failed = |error: png::EncodingError| WriteError::Encode {
        path: path.to_owned(),
        message: error.to_string(),
    };
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette());
    // Filters are made for samples; numbers of objects only get worse by them.
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// Red, green and blue of the numbers 0 to 255, as in the annotations of PASCAL VOC and DAVIS: the bits of a number, three at
/// a time from the lowest on, are one bit each of red, green and blue, from the highest down.
fn palette() -> Vec<u8> {
    let channel = |number: u32, channel: u32| -> u8 {
        (0..8).map(|place| (number >> (3 * place + channel) & 1) << (7 - place)).sum::<u32>() as u8
    };
    (0..256).flat_map(|number| (0..3).map(move |rgb| channel(number, rgb))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_palette_is_that_of_davis() {
        // The first colours and one with many bits, from the files of DAVIS 2017.
        let palette = palette();
        assert_eq!(palette.len(), 768);
        let colour = |number: usize| &palette[3 * number..3 * number + 3];
        assert_eq!(colour(0), [0, 0, 0]);
        assert_eq!(colour(1), [128, 0, 0]);
        assert_eq!(colour(2), [0, 128, 0]);
        assert_eq!(colour(3), [128, 128, 0]);
        assert_eq!(colour(8), [64, 0, 0]);
        assert_eq!(colour(255), [224, 224, 192]);
    }
}
