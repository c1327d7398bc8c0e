//! Combines the chunks of a page into one picture.

use super::codec::decompress;
use super::directory::{Order, Tiff};
use super::error::TiffError;
use super::page::{Meaning, Page, Predictor};
use crate::picture::{Picture, RealKind, Samples};

/// Reads and decodes a page.
pub(super) fn decode(tiff: &Tiff, page: &Page) -> Result<Picture, TiffError> {
    let size = page.size;
    if let Some(kind) = page.real {
        let values = match page.bits {
            8 => real_values::<u8>(tiff, page, kind),
            16 => real_values::<u16>(tiff, page, kind),
            32 => real_values::<u32>(tiff, page, kind),
            _ => real_values::<u64>(tiff, page, kind),
        };
        let samples = Samples::Real(values?, kind);
        return Ok(Picture { size, channels: kept_channels(page), samples });
    }
    if page.bits == 16 {
        let mut samples: Vec<u16> = assemble(tiff, page)?;
        if page.meaning == Meaning::WhiteIsZero {
            samples.iter_mut().for_each(|sample| *sample = !*sample);
        }
        return Ok(Picture {
            size,
            channels: kept_channels(page),
            samples: Samples::Sixteen(samples),
        });
    }
    let mut samples: Vec<u8> = assemble(tiff, page)?;
    match &page.meaning {
        Meaning::Palette(colours) => {
            // Unpacked indices are below the number of colours by construction.
            let rgb = samples.into_iter().flat_map(|index| colours[usize::from(index)]).collect();
            return Ok(Picture { size, channels: 3, samples: Samples::Eight(rgb) });
        }
        meaning => {
            if page.bits < 8 {
                let white = (1 << page.bits) - 1;
                samples.iter_mut().for_each(|sample| *sample *= 255 / white);
            }
            if *meaning == Meaning::WhiteIsZero {
                samples.iter_mut().for_each(|sample| *sample = !*sample);
            }
        }
    }
    Ok(Picture { size, channels: kept_channels(page), samples: Samples::Eight(samples) })
}

/// Returns samples of signed, 32-bit and floating-point types.
fn real_values<S: Sample + Into<u64>>(
    tiff: &Tiff,
    page: &Page,
    kind: RealKind,
) -> Result<Vec<f64>, TiffError> {
    let samples: Vec<S> = assemble(tiff, page)?;
    let is_inverted = page.meaning == Meaning::WhiteIsZero;
    let value = |sample: S| {
        let bits: u64 = sample.into();
        kind.value(if is_inverted { !bits } else { bits })
    };
    Ok(samples.into_iter().map(value).collect())
}

/// Returns the number of channels to keep: one for gray and palette, three for colours. Alpha and
/// further channels are dropped.
pub(super) fn kept_channels(page: &Page) -> usize {
    match page.meaning {
        Meaning::BlackIsZero | Meaning::WhiteIsZero | Meaning::Palette(_) => 1,
        Meaning::Rgb | Meaning::YCbCr => 3,
    }
}

/// The bits of a sample of one, two, four or eight bytes.
trait Sample: Copy + Default {
    /// Reads one row of a chunk.
    fn read_row(stored: &[u8], bits: u32, order: Order, row: &mut [Self]);
    fn wrapping_add(self, other: Self) -> Self;
}

impl Sample for u8 {
    fn read_row(stored: &[u8], bits: u32, _order: Order, row: &mut [Self]) {
        if bits == 8 {
            row.copy_from_slice(&stored[..row.len()]);
            return;
        }
        let (mask, per_byte) = ((1u8 << bits) - 1, 8 / bits as usize);
        for (at, sample) in row.iter_mut().enumerate() {
            let shift = 8 - bits * (at % per_byte + 1) as u32;
            *sample = stored[at / per_byte] >> shift & mask;
        }
    }

    fn wrapping_add(self, other: Self) -> Self {
        u8::wrapping_add(self, other)
    }
}

/// Implements samples of whole bytes.
macro_rules! sample {
    ($type:ty) => {
        impl Sample for $type {
            fn read_row(stored: &[u8], _bits: u32, order: Order, row: &mut [Self]) {
                let (values, _) = stored.as_chunks::<{ size_of::<$type>() }>();
                match order {
                    Order::Little => row
                        .iter_mut()
                        .zip(values)
                        .for_each(|(to, bytes)| *to = Self::from_le_bytes(*bytes)),
                    Order::Big => row
                        .iter_mut()
                        .zip(values)
                        .for_each(|(to, bytes)| *to = Self::from_be_bytes(*bytes)),
                }
            }

            fn wrapping_add(self, other: Self) -> Self {
                <$type>::wrapping_add(self, other)
            }
        }
    };
}

sample!(u16);
sample!(u32);
sample!(u64);

/// Combines the chunks: `[height, width, kept channels]`.
fn assemble<S: Sample>(tiff: &Tiff, page: &Page) -> Result<Vec<S>, TiffError> {
    let kept = kept_channels(page);
    let (width, height) = (page.size.width as usize, page.size.height as usize);
    let chunks = &page.chunks;
    let planes = if page.planar { kept } else { 1 };
    let mut picture = vec![S::default(); width * height * kept];
    // One row of a chunk, before the extra channels are removed.
    let mut row = vec![S::default(); chunks.width * page.samples_in_chunk()];
    for plane in 0..planes {
        for at in 0..chunks.across * chunks.down {
            let (left, top) =
                (at % chunks.across * chunks.width, at / chunks.across * chunks.height);
            let rows = chunks.height.min(height - top);
            let stored = read_chunk(tiff, page, plane * chunks.across * chunks.down + at, rows)?;
            for (y, stored) in (top..top + rows).zip(stored.chunks_exact(page.row_bytes())) {
                let channels = page.samples_in_chunk();
                match page.predictor {
                    Predictor::None => S::read_row(stored, page.bits, tiff.order, &mut row),
                    Predictor::Differences => {
                        S::read_row(stored, page.bits, tiff.order, &mut row);
                        undo_differences(&mut row, channels);
                    }
                    Predictor::FloatingPoint => {
                        let bytes = undo_float_predictor(stored, channels, page.bits as usize / 8);
                        S::read_row(&bytes, page.bits, Order::Big, &mut row);
                    }
                }
                let start = y * width * kept;
                let line = &mut picture[start..start + width * kept];
                place_row(&row, page, plane, &mut line[left * kept..]);
            }
        }
    }
    Ok(picture)
}

/// Returns one decompressed chunk with at least `rows` rows.
fn read_chunk(tiff: &Tiff, page: &Page, at: usize, rows: usize) -> Result<Vec<u8>, TiffError> {
    let (offset, length) = page.chunks.places[at];
    let data = tiff.bytes.read(offset, length)?;
    // Some writers pad the last strip to full height.
    let bytes = decompress(page, data, page.row_bytes() * page.chunks.height)?;
    let needed = page.row_bytes() * rows;
    if bytes.len() < needed {
        return Err(TiffError::malformed(format!(
            "strip or tile {at} ends after {} of {needed} bytes",
            bytes.len()
        )));
    }
    Ok(bytes)
}

/// Undoes the horizontal predictor: each sample was stored as the difference from the same channel
/// of the pixel on its left.
fn undo_differences<S: Sample>(row: &mut [S], channels: usize) {
    for at in channels..row.len() {
        row[at] = row[at].wrapping_add(row[at - channels]);
    }
}

/// Undoes Adobe's predictor 3. A row's highest bytes come first, then the next lower ones, and so
/// on, and each byte was stored as the difference from the one `channels` before it. Returns
/// big-endian numbers, whatever the byte order of the file.
fn undo_float_predictor(stored: &[u8], channels: usize, sample_bytes: usize) -> Vec<u8> {
    let mut bytes = stored.to_vec();
    undo_differences(&mut bytes, channels);
    let samples = bytes.len() / sample_bytes;
    let mut row = Vec::with_capacity(bytes.len());
    for sample in 0..samples {
        row.extend((0..sample_bytes).map(|byte| bytes[byte * samples + sample]));
    }
    row
}

/// Copies the part of a chunk's row that is inside the page, without the extra channels. `line`
/// extends from the chunk's left edge to the page's right edge.
fn place_row<S: Sample>(row: &[S], page: &Page, plane: usize, line: &mut [S]) {
    let kept = kept_channels(page);
    if page.planar {
        for (pixel, &sample) in line.chunks_exact_mut(kept).zip(row) {
            pixel[plane] = sample;
        }
    } else if page.samples == kept {
        let length = row.len().min(line.len());
        line[..length].copy_from_slice(&row[..length]);
    } else {
        for (pixel, stored) in line.chunks_exact_mut(kept).zip(row.chunks_exact(page.samples)) {
            pixel.copy_from_slice(&stored[..kept]);
        }
    }
}
