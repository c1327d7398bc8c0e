//! PNG images whose pixels are object numbers, coloured by DAVIS's palette.

use crate::error::WriteError;
use std::io::Read;
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
    // PNG filters are designed for samples; they make object numbers compress worse.
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// Returns whether a file in a folder to be replaced was written by [`encode`] for a frame whose
/// name `is_frame` accepts. The name alone does not prove it: photos and exported frames can have
/// the same names.
pub(crate) fn is_own(path: &Path, is_frame: &dyn Fn(&str) -> bool) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_suffix(".png")).is_some_and(is_frame)
        && starts_as_encoded(path).unwrap_or(false)
}

/// Returns whether a file begins as an 8-bit image with DAVIS's palette does.
fn starts_as_encoded(path: &Path) -> std::io::Result<bool> {
    // A link may have been redirected since.
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Ok(false);
    }
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
    // Signature and header with its checksum, then the length and type of the palette chunk.
    let mut start = [0; 33 + 8 + 768];
    std::fs::File::open(path)?.read_exact(&mut start)?;
    Ok(start.starts_with(SIGNATURE)
        && start[24..26] == [8, 3]
        && start[33..41] == *b"\0\0\x03\0PLTE"
        && start[41..] == palette())
}

/// Returns red, green and blue of the numbers 0 to 255, as in the annotations of PASCAL VOC and
/// DAVIS. Each group of three bits of a number, from the lowest up, gives one bit each of red,
/// green and blue, from the highest down.
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
    fn own_images_are_known_by_name_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            is_own(&path, &|name| name == "a")
        };
        let image = encode(folder.path(), (3, 2), &[0, 1, 2, 0, 0, 255]).unwrap();
        assert!(write("a.png", &image));
        assert!(!write("b.png", &image) && !write("a", &image) && !write("a.txt", &image));
        let mut photo = Vec::new();
        let mut encoder = png::Encoder::new(&mut photo, 3, 2);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header().unwrap().write_image_data(&[7; 18]).unwrap();
        assert!(!write("a.png", &photo));
        let mut other_colours = Vec::new();
        let mut encoder = png::Encoder::new(&mut other_colours, 3, 2);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_palette(vec![9; 768]);
        encoder.write_header().unwrap().write_image_data(&[7; 6]).unwrap();
        assert!(
            !write("a.png", &other_colours)
                && !write("a.png", b"")
                && !write("a.png", &image[..50])
        );
        assert!(
            !is_own(folder.path(), &|_| true) && !is_own(&folder.path().join("x.png"), &|_| true)
        );
    }

    #[test]
    fn the_palette_is_that_of_davis() {
        // The first colours, and one whose number has many bits set, from the files of DAVIS 2017.
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
