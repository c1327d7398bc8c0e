//! One image file to its samples.
//!
//! The format is told by the first bytes, not by the ending: files named `.jpg` that hold a PNG are common.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader};
use turbojpeg::{Colorspace, DecompressHeader, Decompressor, Image, PixelFormat};

use super::orientation::{self, upright, upright_size};
use crate::error::FrameError;
use crate::foreign;
use crate::frame::FrameSize;
use crate::picture::{Picture, Samples};
use crate::tiff;

/// Enough for the header of almost every JPEG; one with a larger preview inside is read in full.
const HEADER_BYTES: u64 = 64 * 1024;

/// Reads only as much as is needed to know the image's size, and how it is to be turned if `exif` counts.
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

/// The size as stored, and the orientation.
fn read_stored_header(path: &Path, index: usize) -> Result<(FrameSize, Orientation), FrameError> {
    let io_error = |error| FrameError::from_io(path, error);
    let mut head = Vec::new();
    let mut file = File::open(path).map_err(io_error)?;
    file.by_ref().take(HEADER_BYTES).read_to_end(&mut head).map_err(io_error)?;
    if is_jpeg(&head) {
        if let Ok(header) = turbojpeg::read_header(&head) {
            return Ok((jpeg_size(path, header)?, orientation::of_jpeg(&head)));
        }
        file.read_to_end(&mut head).map_err(io_error)?;
        let header = turbojpeg::read_header(&head)
            .map_err(|error| FrameError::decode(path, index, error))?;
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

/// A TIFF with several pages would silently become one frame, so it is refused.
fn only_page(path: &Path) -> Result<(FrameSize, Orientation), FrameError> {
    let tiff::OnlyPage { size, orientation, has_more } = tiff::only_page(path)?;
    if has_more {
        let what = "is a TIFF with several pages; open it by itself, or save one page per file";
        return Err(FrameError::Unsupported { path: path.to_owned(), what: what.into() });
    }
    Ok((size, orientation::of_tiff(orientation)))
}

/// Reads and decodes the whole image, upright if `exif` counts.
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

fn jpeg_size(path: &Path, header: DecompressHeader) -> Result<FrameSize, FrameError> {
    // libjpeg-turbo has no conversion from these, and what Pillow does depends on who wrote the file.
    if matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK) {
        let what = "is a CMYK JPEG, which is not supported; convert it to RGB".into();
        return Err(FrameError::Unsupported { path: path.to_owned(), what });
    }
    // JPEG sides are 16-bit numbers.
    Ok(FrameSize { width: header.width as u32, height: header.height as u32 })
}

fn decode_jpeg(path: &Path, index: usize, bytes: &[u8]) -> Result<Picture, FrameError> {
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
    Ok(Picture { size, channels: 3, samples: Samples::Eight(pixels) })
}

fn decode_other(path: &Path, index: usize, bytes: &[u8]) -> Result<Picture, FrameError> {
    let decode_error = |error| FrameError::decode(path, index, error);
    let mut decoder = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| FrameError::from_io(path, error))?
        .into_decoder()
        .map_err(decode_error)?;
    // The default limit of 512 MiB refuses nothing that is a video frame, and stops files that lie about their size.
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

/// `[height, width, STORED]` to `[height, width, KEPT]`.
fn without_alpha<const STORED: usize, const KEPT: usize, T: Copy>(samples: &[T]) -> Vec<T> {
    samples.chunks_exact(STORED).flat_map(|pixel| pixel[..KEPT].iter().copied()).collect()
}
