//! One compressed strip or tile to bytes, into no more room than it is due.

use std::io::Read;

use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat};

use super::error::TiffError;
use super::page::{Compression, Meaning, Page};

/// Decodes `data` to at most `limit` bytes. Fewer mean that the data ended early.
pub(super) fn decompress(page: &Page, data: Vec<u8>, limit: usize) -> Result<Vec<u8>, TiffError> {
    match page.compression {
        Compression::None => Ok(data),
        Compression::PackBits => Ok(pack_bits(&data, limit)),
        Compression::Lzw => lzw(&data, limit),
        Compression::Deflate => {
            let mut bytes = Vec::with_capacity(limit);
            let decoder = flate2::read::ZlibDecoder::new(data.as_slice());
            decoder.take(limit as u64).read_to_end(&mut bytes).map_err(|error| {
                TiffError::malformed(format!("its deflate data is damaged: {error}"))
            })?;
            Ok(bytes)
        }
        Compression::Zstd => {
            // In one piece: a streaming decoder would allocate the window that the data asks for.
            zstd::bulk::decompress(&data, limit)
                .map_err(|error| TiffError::malformed(format!("its zstd data is damaged: {error}")))
        }
        Compression::Jpeg => jpeg(page, data, limit),
    }
}

/// PackBits of the TIFF 6.0 specification, section 9.
fn pack_bits(data: &[u8], limit: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(limit);
    let mut rest = data;
    while let [head, after @ ..] = rest {
        if bytes.len() >= limit {
            break;
        }
        rest = match *head as i8 {
            // "No operation", by the specification.
            -128 => after,
            count @ 0.. => {
                let length = (count as usize + 1).min(after.len());
                bytes.extend_from_slice(&after[..length]);
                &after[length..]
            }
            count => {
                let [byte, after @ ..] = after else { break };
                bytes.extend(std::iter::repeat_n(*byte, usize::from(count.unsigned_abs()) + 1));
                after
            }
        };
    }
    bytes.truncate(limit);
    bytes
}

fn lzw(data: &[u8], limit: usize) -> Result<Vec<u8>, TiffError> {
    let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8);
    let mut bytes = vec![0; limit];
    let (mut read, mut written) = (0, 0);
    while written < limit {
        let result = decoder.decode_bytes(&data[read..], &mut bytes[written..]);
        read += result.consumed_in;
        written += result.consumed_out;
        match result.status {
            Ok(weezl::LzwStatus::Ok) if result.consumed_in + result.consumed_out > 0 => {}
            Ok(_) => break,
            Err(error) => {
                return Err(TiffError::malformed(format!("its LZW data is damaged: {error}")));
            }
        }
    }
    bytes.truncate(written);
    Ok(bytes)
}

fn jpeg(page: &Page, data: Vec<u8>, limit: usize) -> Result<Vec<u8>, TiffError> {
    let damaged = |error: turbojpeg::Error| {
        TiffError::malformed(format!("its JPEG data is damaged: {error}"))
    };
    let data = complete_jpeg(page, data);
    let mut decompressor = Decompressor::new().map_err(damaged)?;
    let header = decompressor.read_header(&data).map_err(damaged)?;
    let (format, channels) = match (page.samples_in_chunk(), header.colorspace) {
        (1, _) => (PixelFormat::GRAY, 1),
        (3, Colorspace::RGB | Colorspace::YCbCr) => (PixelFormat::RGB, 3),
        (samples, space) => {
            return Err(TiffError::Unsupported(format!(
                "has JPEG pages with {samples} samples as {space:?}, which are not supported; save it with another \
                 compression"
            )));
        }
    };
    let bytes = header.width.checked_mul(header.height).and_then(|area| area.checked_mul(channels));
    let Some(bytes) = bytes.filter(|&bytes| header.width == page.chunks.width && bytes <= limit)
    else {
        return Err(TiffError::malformed(format!(
            "a JPEG strip or tile is {}x{} instead of {}x{}",
            header.width, header.height, page.chunks.width, page.chunks.height
        )));
    };
    let mut pixels = vec![0; bytes];
    let target = Image {
        pixels: pixels.as_mut_slice(),
        width: header.width,
        pitch: header.width * channels,
        height: header.height,
        format,
    };
    decompressor.decompress(&data, target).map_err(damaged)?;
    Ok(pixels)
}

/// Puts the shared tables, and what libjpeg needs to know about the colours, into an abbreviated JPEG stream.
fn complete_jpeg(page: &Page, data: Vec<u8>) -> Vec<u8> {
    const START: [u8; 2] = [0xff, 0xd8];
    const END: [u8; 2] = [0xff, 0xd9];
    // Without Adobe's marker libjpeg guesses that three components are YCbCr.
    const ADOBE_RGB: [u8; 16] = *b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00";
    let Some(image) = data.strip_prefix(&START) else { return data };
    let tables = page.jpeg_tables.strip_prefix(&START).unwrap_or_default();
    let tables = tables.strip_suffix(&END).unwrap_or(tables);
    let colours: &[u8] = if page.meaning == Meaning::Rgb { &ADOBE_RGB } else { &[] };
    [&START, colours, tables, image].concat()
}
