//! Reads one image of object numbers, or of a single object: a PNG file, or one page of a TIFF
//! file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tiff::decoder::{Decoder, DecodingResult};

use crate::mask::Mask;

/// Limit on the bytes of a decoded TIFF page: four 8-bit samples per pixel at 8192 x 8192.
const MOST_BYTES: usize = 256 << 20;
/// Limit on the pixels of an image: 8192 x 8192. A compressed file of a few hundred kilobytes can
/// claim gigabytes.
const MOST_PIXELS: u64 = 1 << 26;
/// A grey image without a palette that has more distinct values than this holds shades of grey, not
/// objects.
const MOST_SHADES: usize = 32;

/// A mask image that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the mask '{path}': {message}")]
pub struct LabelImageError {
    path: PathBuf,
    message: String,
}

/// An image whose pixels say which object they belong to; 0 is background.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelImage {
    path: PathBuf,
    width: u32,
    height: u32,
    labels: Vec<u16>,
    kind: Kind,
}

/// The meaning of the pixel values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Palette indices, which are object numbers.
    Palette,
    /// Grey values: object numbers, or a single value for one object.
    Grey,
    /// Colours: black is background, everything else is foreground.
    Colour,
}

impl LabelImage {
    /// Reads a PNG file, a single-page TIFF file, or page `page` of a TIFF stack.
    ///
    /// # Errors
    /// [`LabelImageError`] if the file cannot be read, has another format, is too large or has no
    /// such page.
    pub fn read(path: &Path, page: usize) -> Result<Self, LabelImageError> {
        let failed = |message: String| LabelImageError { path: path.to_owned(), message };
        let (width, height, labels, kind) = decode(path, page).map_err(failed)?;
        if labels.len() != width as usize * height as usize {
            return Err(failed("it holds fewer pixels than it says".into()));
        }
        Ok(Self { path: path.to_owned(), width, height, labels, kind })
    }

    /// Returns the number of columns.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Returns the number of rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns the mask of all pixels that are not background.
    pub fn foreground(&self) -> Mask {
        self.mask(|label| label > 0)
    }

    /// Returns the objects with their numbers, in ascending order.
    ///
    /// Palette indices are object numbers. Grey values are object numbers too, with one exception:
    /// if the only value besides 0 is the highest possible one (255 or 65535), it stands for
    /// object 1. In a colour image everything that is not black belongs to object 1.
    ///
    /// # Errors
    /// [`LabelImageError`] if the values cannot be object numbers: they are above 255, or there are
    /// so many that they must be shades of grey.
    pub fn objects(&self) -> Result<Vec<(u32, Mask)>, LabelImageError> {
        let values: BTreeSet<u16> =
            self.labels.iter().copied().filter(|&label| label > 0).collect();
        let failed = |message: String| LabelImageError { path: self.path.clone(), message };
        let mut rising = values.iter().copied();
        let only = (values.len() == 1).then(|| rising.next()).flatten();
        if self.kind == Kind::Colour
            || (self.kind == Kind::Grey && matches!(only, Some(255 | u16::MAX)))
        {
            return Ok(only.map(|_| (1, self.foreground())).into_iter().collect());
        }
        if let Some(&large) = values.last().filter(|&&value| value > 255) {
            return Err(failed(format!(
                "{large} is not an object number (1 to 255); say which object it is"
            )));
        }
        if self.kind == Kind::Grey && values.len() > MOST_SHADES {
            return Err(failed(format!(
                "it has {} shades of grey, too many to be object numbers; make it black and white, or say which object it is",
                values.len()
            )));
        }
        Ok(values
            .iter()
            .map(|&value| (u32::from(value), self.mask(|label| label == value)))
            .collect())
    }

    fn mask(&self, is_inside: impl Fn(u16) -> bool) -> Mask {
        let pixels = self.labels.iter().map(|&label| is_inside(label));
        // The number of labels equals the number of pixels by construction.
        Mask::from_pixels(self.width, self.height, pixels)
            .unwrap_or_else(|_| Mask::empty(self.width, self.height))
    }
}

/// Rejects an image that is too large before any of it is decoded.
fn check_size(width: u32, height: u32) -> Result<(), String> {
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(format!(
            "it claims {width} x {height} pixels, more than 8192 x 8192; give a mask of the recording's size"
        ));
    }
    Ok(())
}

/// Width, height, one label per pixel, and how the labels are to be interpreted.
type Decoded = (u32, u32, Vec<u16>, Kind);

/// Returns the label of a pixel from its samples. Transparent pixels are background.
fn label(pixel: &[u16]) -> u16 {
    match pixel {
        [_, 0] | [_, _, _, 0] => 0,
        [value] | [value, _] => *value,
        colours => u16::from(colours.iter().take(3).any(|&value| value > 0)),
    }
}

fn decode(path: &Path, page: usize) -> Result<Decoded, String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let mut start = Vec::new();
    file.by_ref().take(8).read_to_end(&mut start).map_err(|error| error.to_string())?;
    file.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
    if start == b"\x89PNG\r\n\x1a\n" {
        return decode_png(file);
    }
    if start.starts_with(b"II") || start.starts_with(b"MM") {
        return decode_tiff(file, page);
    }
    Err("it is neither a PNG nor a TIFF file".into())
}

fn decode_png(file: File) -> Result<Decoded, String> {
    let text = |error: png::DecodingError| error.to_string();
    let limits = png::Limits { bytes: MOST_BYTES };
    let mut decoder = png::Decoder::new_with_limits(BufReader::new(file), limits);
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(text)?;
    check_size(reader.info().width, reader.info().height)?;
    let (colour, depth) = reader.output_color_type();
    let (channels, depth) = (colour.samples(), depth as usize);
    let (width, height) = (reader.info().width, reader.info().height);
    let kind = match colour {
        png::ColorType::Indexed => Kind::Palette,
        _ if channels > 2 => Kind::Colour,
        _ => Kind::Grey,
    };
    let in_row = width as usize * channels;
    let mut labels = Vec::new();
    let mut samples = Vec::with_capacity(in_row);
    let mut add = |row: &[u8]| {
        samples.clear();
        samples.extend(unpack(row, depth, in_row));
        labels.extend(samples.chunks_exact(channels).map(label));
    };
    if reader.info().interlaced {
        // The rows of an interlaced image arrive in seven passes.
        let size = reader.output_buffer_size().filter(|&size| size <= MOST_BYTES);
        let mut bytes = vec![0; size.ok_or("it is too large for an interlaced image")?];
        let info = reader.next_frame(&mut bytes).map_err(text)?;
        let rows = bytes.chunks_exact(info.line_size.max(1)).take(height as usize);
        rows.for_each(&mut add);
    } else {
        // Decoded row by row, because a decoded image can be a thousand times as large as its file.
        while let Some(row) = reader.next_row().map_err(text)? {
            add(row.data());
        }
    }
    Ok((width, height, labels, kind))
}

/// Unpacks samples of 1, 2, 4, 8 or 16 bits, highest bits first.
fn unpack(row: &[u8], depth: usize, count: usize) -> impl Iterator<Item = u16> {
    let sample = move |index: usize| match depth {
        16 => u16::from_be_bytes([row[2 * index], row[2 * index + 1]]),
        8 => u16::from(row[index]),
        _ => {
            let bit = index * depth;
            let shift = 8 - depth - bit % 8;
            u16::from((row[bit / 8] >> shift) & ((1 << depth) - 1))
        }
    };
    let held = row.len() * 8 / depth.max(1);
    (0..count.min(held)).map(sample)
}

fn decode_tiff(file: File, page: usize) -> Result<Decoded, String> {
    let text = |error: tiff::TiffError| error.to_string();
    let mut limits = tiff::decoder::Limits::default();
    limits.decoding_buffer_size = MOST_BYTES;
    let mut decoder = Decoder::new(BufReader::new(file)).map_err(text)?.with_limits(limits);
    if decoder.more_images() {
        for earlier in 0..page {
            if !decoder.more_images() {
                return Err(format!("it has {} pages, and none for frame {page}", earlier + 1));
            }
            decoder.next_image().map_err(text)?;
        }
    }
    let (width, height) = decoder.dimensions().map_err(text)?;
    check_size(width, height)?;
    let colours = decoder.colortype().map_err(text)?;
    let pixels = width as usize * height as usize;
    let (labels, channels) = match decoder.read_image().map_err(text)? {
        DecodingResult::U8(bytes) => {
            let line = (width as usize).div_ceil(8);
            if colours == tiff::ColorType::Gray(1) && bytes.len() == line * height as usize {
                let rows = bytes.chunks_exact(line.max(1));
                let bits = rows.flat_map(|row| unpack(row, 1, width as usize));
                // In a 1-bit image, 1 is the highest possible value.
                (bits.map(|bit| bit * 255).collect(), 1)
            } else {
                labels_of(&bytes, pixels)?
            }
        }
        DecodingResult::U16(samples) => labels_of(&samples, pixels)?,
        _ => return Err("its pixels are neither 8- nor 16-bit integers".into()),
    };
    let kind = match colours {
        _ if channels > 2 => Kind::Colour,
        tiff::ColorType::Palette(_) => Kind::Palette,
        _ => Kind::Grey,
    };
    Ok((width, height, labels, kind))
}

/// Returns the labels of the pixels of a decoded page, and the number of samples per pixel.
fn labels_of<T: Copy + Into<u16>>(
    samples: &[T],
    pixels: usize,
) -> Result<(Vec<u16>, usize), String> {
    let channels = samples.len().checked_div(pixels).unwrap_or(0);
    if channels == 0 || samples.len() != pixels * channels {
        return Err("it holds fewer pixels than it says".into());
    }
    let mut pixel = vec![0; channels];
    let labels = samples.chunks_exact(channels).map(|values| {
        pixel.iter_mut().zip(values).for_each(|(to, &value)| *to = value.into());
        label(&pixel)
    });
    Ok((labels.collect(), channels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes a PNG file of 4 x 2 pixels with these rows of packed samples.
    fn png_file(colour: png::ColorType, depth: png::BitDepth, rows: &[u8]) -> tempfile::TempPath {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut encoder = png::Encoder::new(file.as_file(), 4, 2);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if colour == png::ColorType::Indexed {
            encoder.set_palette(vec![7; 48]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(rows).unwrap();
        writer.finish().unwrap();
        file.into_temp_path()
    }

    fn areas(image: &LabelImage) -> Vec<(u32, u64)> {
        image.objects().unwrap().iter().map(|(id, mask)| (*id, mask.area())).collect()
    }

    #[test]
    fn values_are_objects_but_for_black_and_white() {
        use png::{BitDepth, ColorType};
        type Case<'a> = (ColorType, BitDepth, &'a [u8], &'a [(u32, u64)]);
        let cases: [Case<'_>; 8] = [
            (ColorType::Grayscale, BitDepth::Eight, &[0, 255, 255, 0, 0, 0, 0, 255], &[(1, 3)]),
            (ColorType::Grayscale, BitDepth::Eight, &[0, 2, 2, 0, 3, 0, 0, 0], &[(2, 2), (3, 1)]),
            (ColorType::Grayscale, BitDepth::Eight, &[0; 8], &[]),
            (ColorType::Grayscale, BitDepth::One, &[0b0110_0000, 0b1000_0000], &[(1, 3)]),
            (ColorType::Indexed, BitDepth::Four, &[0x01, 0x20, 0x22, 0x00], &[(1, 1), (2, 3)]),
            (ColorType::Indexed, BitDepth::Two, &[0b0001_0011, 0], &[(1, 1), (3, 1)]),
            (
                ColorType::GrayscaleAlpha,
                BitDepth::Eight,
                &[9, 0, 9, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                &[(9, 1)],
            ),
            (
                ColorType::Rgb,
                BitDepth::Eight,
                &[[0, 0, 1], [0; 3], [5, 5, 5], [0; 3], [0; 3], [0; 3], [0; 3], [0; 3]].concat(),
                &[(1, 2)],
            ),
        ];
        for (colour, depth, rows, expected) in cases {
            let image = LabelImage::read(&png_file(colour, depth, rows), 0).unwrap();
            assert_eq!(areas(&image), expected, "{colour:?} {depth:?}");
        }
    }

    #[test]
    fn numbers_that_no_object_can_have() {
        use png::{BitDepth, ColorType};
        let wide = [0, 0, 1, 44, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let image = LabelImage::read(&png_file(ColorType::Grayscale, BitDepth::Sixteen, &wide), 0);
        let image = image.unwrap();
        assert_eq!(image.foreground().area(), 2);
        assert!(image.objects().unwrap_err().to_string().contains("300"));
    }

    #[test]
    fn other_files_are_refused_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello").unwrap();
        let message = LabelImage::read(file.path(), 0).unwrap_err().to_string();
        assert!(message.contains("neither a PNG nor a TIFF"), "{message}");
        assert!(LabelImage::read(Path::new("/missing.png"), 0).is_err());
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(
            at in 8_usize..60, value: u8, length in 8_usize..90, is_tiff: bool,
        ) {
            let rows = [0, 255, 255, 0, 0, 0, 0, 255];
            let path = png_file(png::ColorType::Grayscale, png::BitDepth::Eight, &rows);
            let mut bytes = std::fs::read(&path).unwrap();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            bytes.truncate(length);
            if is_tiff {
                bytes[..4].copy_from_slice(b"II\x2a\0");
            }
            std::fs::write(&path, bytes).unwrap();
            let _ = LabelImage::read(&path, 3).map(|image| image.objects());
        }
    }
}
