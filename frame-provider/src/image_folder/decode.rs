//! One image file to RGB8.
//!
//! The format is told by the first bytes, not by the ending: files named `.jpg` that hold a PNG are common.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader};
use turbojpeg::{Colorspace, DecompressHeader, Decompressor, Image, PixelFormat};

use crate::error::FrameError;
use crate::frame::{FrameSize, RgbFrame};

/// Enough for the header of almost every JPEG; one with a larger preview inside is read in full.
const HEADER_BYTES: u64 = 64 * 1024;

/// Reads only as much as is needed to know the image's size.
pub(super) fn read_size(path: &Path, index: usize) -> Result<FrameSize, FrameError> {
    let io_error = |error| FrameError::from_io(path, error);
    let mut head = Vec::new();
    let mut file = File::open(path).map_err(io_error)?;
    file.by_ref().take(HEADER_BYTES).read_to_end(&mut head).map_err(io_error)?;
    if is_jpeg(&head) {
        if let Ok(header) = turbojpeg::read_header(&head) {
            return jpeg_size(path, header);
        }
        file.read_to_end(&mut head).map_err(io_error)?;
        let header = turbojpeg::read_header(&head)
            .map_err(|error| FrameError::decode(path, index, error))?;
        return jpeg_size(path, header);
    }
    if is_tiff(&head) {
        refuse_stack(path, BufReader::new(File::open(path).map_err(io_error)?))?;
    }
    let (width, height) = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(io_error)?
        .into_dimensions()
        .map_err(|error| FrameError::decode(path, index, error))?;
    Ok(FrameSize { width, height })
}

/// Reads and decodes the whole image.
pub(super) fn read_frame(path: &Path, index: usize) -> Result<RgbFrame, FrameError> {
    let bytes = std::fs::read(path).map_err(|error| FrameError::from_io(path, error))?;
    if is_jpeg(&bytes) {
        decode_jpeg(path, index, &bytes)
    } else {
        decode_other(path, index, &bytes)
    }
}

fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8])
}

fn is_tiff(bytes: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| bytes.starts_with(*magic))
}

fn jpeg_size(path: &Path, header: DecompressHeader) -> Result<FrameSize, FrameError> {
    // libjpeg-turbo has no conversion from these, and what Pillow does depends on who wrote the file.
    if matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK) {
        let what = "is a CMYK JPEG, which is not supported; convert it to RGB".into();
        return Err(FrameError::Unsupported { path: path.to_owned(), what });
    }
    // JPEG sides are 16-bit numbers.
    Ok(FrameSize { width: header.width as u32, height: header.height as u32 })
}

fn decode_jpeg(path: &Path, index: usize, bytes: &[u8]) -> Result<RgbFrame, FrameError> {
    let jpeg_error = |error: turbojpeg::Error| FrameError::decode(path, index, error);
    let mut decompressor = Decompressor::new().map_err(jpeg_error)?;
    let size = jpeg_size(path, decompressor.read_header(bytes).map_err(jpeg_error)?)?;
    let (width, height) = (size.width as usize, size.height as usize);
    let mut pixels = vec![0; size.rgb_bytes()];
    let target = Image {
        pixels: pixels.as_mut_slice(),
        width,
        pitch: width * 3,
        height,
        format: PixelFormat::RGB,
    };
    decompressor.decompress(bytes, target).map_err(jpeg_error)?;
    RgbFrame::new(size.width, size.height, pixels)
}

fn decode_other(path: &Path, index: usize, bytes: &[u8]) -> Result<RgbFrame, FrameError> {
    let decode_error = |error| FrameError::decode(path, index, error);
    let mut decoder = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| FrameError::from_io(path, error))?
        .into_decoder()
        .map_err(decode_error)?;
    // The default limit of 512 MiB refuses nothing that is a video frame, and stops files that lie about their size.
    decoder.set_limits(image::Limits::default()).map_err(decode_error)?;
    let image = DynamicImage::from_decoder(decoder).map_err(decode_error)?;
    let (width, height) = (image.width(), image.height());
    // `DynamicImage::to_rgb8` would round 16-bit samples; the upper byte is what other tools take.
    let data = match image {
        DynamicImage::ImageRgb8(pixels) => pixels.into_raw(),
        DynamicImage::ImageLuma8(pixels) => {
            pixels.as_raw().iter().flat_map(|&gray| [gray; 3]).collect()
        }
        DynamicImage::ImageLumaA8(pixels) => {
            pixels.pixels().flat_map(|pixel| [pixel.0[0]; 3]).collect()
        }
        DynamicImage::ImageRgba8(pixels) => {
            pixels.pixels().flat_map(|pixel| first_three(pixel.0)).collect()
        }
        DynamicImage::ImageLuma16(pixels) => {
            pixels.as_raw().iter().flat_map(|&gray| [upper(gray); 3]).collect()
        }
        DynamicImage::ImageLumaA16(pixels) => {
            pixels.pixels().flat_map(|pixel| [upper(pixel.0[0]); 3]).collect()
        }
        DynamicImage::ImageRgb16(pixels) => {
            pixels.as_raw().iter().map(|&sample| upper(sample)).collect()
        }
        DynamicImage::ImageRgba16(pixels) => {
            pixels.pixels().flat_map(|pixel| first_three(pixel.0).map(upper)).collect()
        }
        other => {
            let what = format!(
                "has {:?} pixels, which are not supported; save it with 8 or 16 bits",
                other.color()
            );
            return Err(FrameError::Unsupported { path: path.to_owned(), what });
        }
    };
    RgbFrame::new(width, height, data)
}

fn upper(sample: u16) -> u8 {
    (sample >> 8) as u8
}

fn first_three<T: Copy>([red, green, blue, _]: [T; 4]) -> [T; 3] {
    [red, green, blue]
}

/// A TIFF with several pages would silently become one frame, so it is refused.
fn refuse_stack(path: &Path, reader: impl Read + io::Seek) -> Result<(), FrameError> {
    match has_second_page(reader) {
        Ok(false) => Ok(()),
        Ok(true) => {
            let what =
                "is a TIFF with several pages; save one page per file, or convert it to a video"
                    .into();
            Err(FrameError::Unsupported { path: path.to_owned(), what })
        }
        Err(error) => Err(FrameError::decode(path, 0, error)),
    }
}

/// Whether the first directory of a TIFF or BigTIFF is followed by another one.
fn has_second_page(mut reader: impl Read + io::Seek) -> io::Result<bool> {
    let mut head = [0; 8];
    reader.read_exact(&mut head)?;
    let little = head[0] == b'I';
    let big_tiff = head[if little { 2 } else { 3 }] == 43;
    let mut number = |position: u64, bytes: usize| -> io::Result<u64> {
        let mut buffer = [0; 8];
        reader.seek(io::SeekFrom::Start(position))?;
        reader.read_exact(&mut buffer[..bytes])?;
        if !little {
            buffer[..bytes].reverse();
        }
        Ok(u64::from_le_bytes(buffer))
    };
    let (offset_at, offset_bytes, count_bytes, entry_bytes) =
        if big_tiff { (8, 8, 8, 20) } else { (4, 4, 2, 12) };
    let first = number(offset_at, offset_bytes)?;
    let entries = number(first, count_bytes)?;
    let next_at = entries
        .checked_mul(entry_bytes)
        .and_then(|size| size.checked_add(first))
        .and_then(|end| end.checked_add(count_bytes as u64))
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(number(next_at, offset_bytes)? != 0)
}
