//! Decodes one image file to samples.
//!
//! The first bytes determine the format, not the ending: files named `.jpg` that hold a PNG are
//! common.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader};

use super::orientation::{self, upright, upright_size};
use crate::error::FrameError;
use crate::foreign;
use crate::jpeg::{self, Colours, JpegError, Layout};
use crate::picture::{Picture, Samples};
use crate::size::FrameSize;
use crate::tiff;

/// Enough bytes for the header of almost every JPEG; a file with a larger preview inside is read in
/// full.
const HEADER_BYTES: u64 = 64 * 1024;

/// Reads only as much as is needed for the image's size and, if `exif` is set, its orientation.
pub(super) fn read_header(
    path: &Path,
    index: usize,
    exif: bool,
) -> Result<(FrameSize, Orientation), FrameError> {
    let (size, orientation) = read_stored_header(path, index)?;
    size.check(path)?;
    let orientation = if exif { orientation } else { Orientation::NoTransforms };
    Ok((upright_size(size, orientation), orientation))
}

/// Returns the size as stored, and the orientation.
fn read_stored_header(path: &Path, index: usize) -> Result<(FrameSize, Orientation), FrameError> {
    let io_error = |error| FrameError::from_io(path, error);
    let mut head = Vec::new();
    let mut file = File::open(path).map_err(io_error)?;
    file.by_ref().take(HEADER_BYTES).read_to_end(&mut head).map_err(io_error)?;
    if is_jpeg(&head) {
        if let Ok(header) = jpeg::header(&head) {
            return Ok((jpeg_size(path, header)?, orientation::of_jpeg(&head)));
        }
        file.read_to_end(&mut head).map_err(io_error)?;
        let header = jpeg::header(&head).map_err(|error| FrameError::decode(path, index, error))?;
        return Ok((jpeg_size(path, header)?, orientation::of_jpeg(&head)));
    }
    if tiff::is_tiff(&head) {
        return only_page(path);
    }
    foreign::refuse_animation(path, &head)?;
    let (width, height) = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(io_error)?
        .into_dimensions()
        .map_err(|error| FrameError::decode(path, index, error))?;
    let orientation =
        if is_png(&head) { orientation::of_png(&mut file) } else { Orientation::NoTransforms };
    Ok((FrameSize { width, height }, orientation))
}

/// Returns the header of the only page of a TIFF. A TIFF with several pages is rejected, since it
/// would silently become one frame.
fn only_page(path: &Path) -> Result<(FrameSize, Orientation), FrameError> {
    let tiff::OnlyPage { size, orientation, has_more } = tiff::only_page(path)?;
    if has_more {
        let what = "is a TIFF with several pages; open it by itself, or save one page per file";
        return Err(FrameError::Unsupported { path: path.to_owned(), what: what.into() });
    }
    Ok((size, orientation::of_tiff(orientation)))
}

/// Reads and decodes the whole image, turned upright if `exif` is set.
pub(super) fn read_picture(path: &Path, index: usize, exif: bool) -> Result<Picture, FrameError> {
    let bytes = std::fs::read(path).map_err(|error| FrameError::from_io(path, error))?;
    let (picture, orientation) = if is_jpeg(&bytes) {
        (decode_jpeg(path, index, &bytes)?, orientation::of_jpeg(&bytes))
    } else if tiff::is_tiff(&bytes) {
        let (picture, tag) = tiff::first_page(bytes, path, index)?;
        (picture, orientation::of_tiff(tag))
    } else if is_png(&bytes) {
        let orientation = orientation::of_png(&mut Cursor::new(&bytes));
        (decode_other(path, index, &bytes)?, orientation)
    } else {
        (decode_other(path, index, &bytes)?, Orientation::NoTransforms)
    };
    Ok(if exif { upright(picture, orientation) } else { picture })
}

fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n")
}

fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8])
}

fn jpeg_size(path: &Path, header: jpeg::Header) -> Result<FrameSize, FrameError> {
    // libjpeg-turbo has no conversion from these colour spaces, and Pillow's result depends on the
    // program that wrote the file.
    if matches!(header.colours, Colours::Inks(_)) {
        let what = "is a CMYK JPEG, which is not supported; convert it to RGB".into();
        return Err(FrameError::Unsupported { path: path.to_owned(), what });
    }
    // JPEG sides are 16-bit numbers.
    Ok(FrameSize { width: header.width as u32, height: header.height as u32 })
}

fn decode_jpeg(path: &Path, index: usize, bytes: &[u8]) -> Result<Picture, FrameError> {
    let jpeg_error = |error: JpegError| FrameError::decode(path, index, error);
    let header = jpeg::header(bytes).map_err(jpeg_error)?;
    let size = jpeg_size(path, header)?;
    let pixels = jpeg::decode(bytes, header, Layout::Rgb).map_err(jpeg_error)?;
    Ok(Picture { size, channels: 3, samples: Samples::Eight(pixels) })
}

fn decode_other(path: &Path, index: usize, bytes: &[u8]) -> Result<Picture, FrameError> {
    let decode_error = |error| FrameError::decode(path, index, error);
    let mut decoder = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| FrameError::from_io(path, error))?
        .into_decoder()
        .map_err(decode_error)?;
    // The default limit of 512 MiB rejects no real video frame, but stops files that claim a wrong
    // size.
    decoder.set_limits(image::Limits::default()).map_err(decode_error)?;
    let image = DynamicImage::from_decoder(decoder).map_err(decode_error)?;
    let size = FrameSize { width: image.width(), height: image.height() };
    let (channels, samples) = match image {
        DynamicImage::ImageRgb8(pixels) => (3, Samples::Eight(pixels.into_raw())),
        DynamicImage::ImageLuma8(pixels) => (1, Samples::Eight(pixels.into_raw())),
        DynamicImage::ImageLumaA8(pixels) => (1, Samples::Eight(without_alpha::<2, 1, _>(&pixels))),
        DynamicImage::ImageRgba8(pixels) => (3, Samples::Eight(without_alpha::<4, 3, _>(&pixels))),
        DynamicImage::ImageLuma16(pixels) => (1, Samples::Sixteen(pixels.into_raw())),
        DynamicImage::ImageLumaA16(pixels) => {
            (1, Samples::Sixteen(without_alpha::<2, 1, _>(&pixels)))
        }
        DynamicImage::ImageRgb16(pixels) => (3, Samples::Sixteen(pixels.into_raw())),
        DynamicImage::ImageRgba16(pixels) => {
            (3, Samples::Sixteen(without_alpha::<4, 3, _>(&pixels)))
        }
        other => {
            let what = format!(
                "has {:?} pixels, which are not supported; save it with 8 or 16 bits",
                other.color()
            );
            return Err(FrameError::Unsupported { path: path.to_owned(), what });
        }
    };
    Ok(Picture { size, channels, samples })
}

/// Converts `[height, width, STORED]` to `[height, width, KEPT]`.
fn without_alpha<const STORED: usize, const KEPT: usize, T: Copy>(samples: &[T]) -> Vec<T> {
    samples.chunks_exact(STORED).flat_map(|pixel| pixel[..KEPT].iter().copied()).collect()
}
