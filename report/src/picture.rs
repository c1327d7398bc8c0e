//! Pictures of frames, small enough for a page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::error::ReportError;

/// Longest side of a picture in pixels.
const LONGEST_SIDE: u32 = 640;
/// A picture that takes more bytes is compressed more strongly.
const MOST_BYTES: usize = 56 << 10;
/// JPEG qualities, tried in order.
const QUALITIES: [u8; 4] = [82, 68, 50, 30];

/// Returns the size of the picture of a frame: the same proportions, never larger than the frame.
pub(crate) fn picture_size((width, height): (u32, u32)) -> (u32, u32) {
    let longest = width.max(height).max(1);
    let shrink =
        |side: u32| (u64::from(side) * u64::from(LONGEST_SIDE) / u64::from(longest)) as u32;
    if longest <= LONGEST_SIDE {
        (width.max(1), height.max(1))
    } else {
        (shrink(width).max(1), shrink(height).max(1))
    }
}

/// Encodes a frame (RGB8 of size `from`) as a JPEG of size `to`, as a data URL.
pub(crate) fn data_url(
    frame: usize,
    rgb: &[u8],
    from: (u32, u32),
    to: (u32, u32),
) -> Result<String, ReportError> {
    let expected = 3 * from.0 as usize * from.1 as usize;
    if rgb.len() != expected || expected == 0 {
        return Err(ReportError::PictureSize { frame, expected, found: rgb.len() });
    }
    let small = shrink(rgb, from, to);
    // Sides are at most `LONGEST_SIDE`, so that they fit.
    let [width, height] = [to.0 as u16, to.1 as u16];
    let mut url = "data:image/jpeg;base64,".to_owned();
    for quality in QUALITIES {
        let mut jpeg = Vec::new();
        let mut encoder = Encoder::new(&mut jpeg, quality);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder
            .encode(&small, width, height, ColorType::Rgb)
            .map_err(|error| ReportError::Encode { frame, message: error.to_string() })?;
        if jpeg.len() <= MOST_BYTES || quality == QUALITIES[QUALITIES.len() - 1] {
            STANDARD.encode_string(&jpeg, &mut url);
            break;
        }
    }
    Ok(url)
}

/// Shrinks a frame by averaging the pixels that fall into each smaller one.
fn shrink(rgb: &[u8], from: (u32, u32), to: (u32, u32)) -> Vec<u8> {
    let [(from_width, from_height), (width, height)] =
        [from, to].map(|(w, h)| (w as usize, h as usize));
    let span = |i: usize, from: usize, to: usize| {
        let start = i * from / to;
        start..((i + 1) * from / to).max(start + 1)
    };
    let mut small = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            let columns = span(x, from_width, width);
            let mut sum = [0_u32; 3];
            for row in span(y, from_height, height) {
                let row = &rgb
                    [3 * (row * from_width + columns.start)..3 * (row * from_width + columns.end)];
                for pixel in row.chunks_exact(3) {
                    sum.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u32::from(value));
                }
            }
            let count = (span(y, from_height, height).len() * columns.len()) as u32;
            small.extend(sum.map(|sum| (sum / count) as u8));
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_proportions() {
        assert_eq!(picture_size((1920, 1080)), (640, 360));
        assert_eq!(picture_size((320, 240)), (320, 240));
        assert_eq!(picture_size((10_000, 3)), (640, 1));
        assert_eq!(picture_size((0, 0)), (1, 1));
    }

    #[test]
    fn even_noise_stays_small_and_is_a_jpeg() {
        let noise: Vec<u8> =
            (0..3 * 1280 * 1280_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        let url = data_url(0, &noise, (1280, 1280), (640, 640)).unwrap();
        assert!(url.len() < 2 * MOST_BYTES, "{}", url.len());
        let jpeg = STANDARD.decode(url.split_once(',').unwrap().1).unwrap();
        let header = turbojpeg::read_header(&jpeg).unwrap();
        assert_eq!((header.width, header.height), (640, 640));
    }

    #[test]
    fn averages_are_what_is_seen() {
        let rgb = [[0_u8; 3], [100; 3], [200; 3], [100; 3]].concat();
        assert_eq!(shrink(&rgb, (2, 2), (1, 1)), [100; 3]);
        assert_eq!(shrink(&rgb, (2, 2), (2, 2)), rgb);
    }

    #[test]
    fn a_picture_of_another_size_is_refused() {
        let wrong = data_url(7, &[0; 12], (2, 3), (2, 3)).unwrap_err();
        assert_eq!(wrong, ReportError::PictureSize { frame: 7, expected: 18, found: 12 });
    }
}
