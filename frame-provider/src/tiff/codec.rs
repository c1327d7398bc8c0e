//! Decompresses one strip or tile, into no more memory than its size allows.

use std::io::Read;

use super::error::TiffError;
use super::page::{Compression, Meaning, Page};
use crate::jpeg::{self, Colours, JpegError, Layout};

/// Decodes `data` to at most `limit` bytes. A shorter result means that the data ended early.
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
        Compression::Zstd => zstandard(&data, limit),
        Compression::Jpeg => jpeg(page, data, limit),
    }
}

#[cfg(feature = "zstd")]
fn zstandard(data: &[u8], limit: usize) -> Result<Vec<u8>, TiffError> {
    // In one piece: a streaming decoder would allocate the window that the data asks for.
    zstd::bulk::decompress(data, limit)
        .map_err(|error| TiffError::malformed(format!("its zstd data is damaged: {error}")))
}

#[cfg(not(feature = "zstd"))]
fn zstandard(_: &[u8], _: usize) -> Result<Vec<u8>, TiffError> {
    Err(TiffError::Unsupported(
        "is compressed with Zstandard, which this build cannot read: build sam2-frame-provider with the feature `zstd`"
            .to_owned(),
    ))
}

/// Decodes PackBits, TIFF 6.0 specification, section 9.
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
    let damaged =
        |error: JpegError| TiffError::malformed(format!("its JPEG data is damaged: {error}"));
    let data = complete_jpeg(page, data);
    let header = jpeg::header(&data).map_err(damaged)?;
    let layout = match (page.samples_in_chunk(), header.colours) {
        (1, _) => Layout::Gray,
        (3, Colours::Rgb | Colours::YCbCr) => Layout::Rgb,
        (samples, colours) => {
            return Err(TiffError::Unsupported(format!(
                "has JPEG pages with {samples} samples as {colours:?}, which are not supported; save it with another \
                 compression"
            )));
        }
    };
    let bytes = header.width.checked_mul(header.height);
    let bytes = bytes.and_then(|area| area.checked_mul(layout.channels()));
    if !bytes.is_some_and(|bytes| header.width == page.chunks.width && bytes <= limit) {
        return Err(TiffError::malformed(format!(
            "a JPEG strip or tile is {}x{} instead of {}x{}",
            header.width, header.height, page.chunks.width, page.chunks.height
        )));
    }
    jpeg::decode(&data, header, layout).map_err(damaged)
}

/// Inserts the shared tables, and the marker that tells libjpeg the colours, into an abbreviated
/// JPEG stream.
fn complete_jpeg(page: &Page, data: Vec<u8>) -> Vec<u8> {
    const START: [u8; 2] = [0xff, 0xd8];
    const END: [u8; 2] = [0xff, 0xd9];
    // Without Adobe's marker, libjpeg assumes that three components are YCbCr.
    const ADOBE_RGB: [u8; 16] = *b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00";
    let Some(image) = data.strip_prefix(&START) else { return data };
    let tables = page.jpeg_tables.strip_prefix(&START).unwrap_or_default();
    let tables = tables.strip_suffix(&END).unwrap_or(tables);
    let colours: &[u8] = if page.meaning == Meaning::Rgb { &ADOBE_RGB } else { &[] };
    [&START, colours, tables, image].concat()
}
