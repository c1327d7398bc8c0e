//! The chunks of a page to one picture.

use super::codec::decompress;
use super::directory::{Order, Tiff};
use super::error::TiffError;
use super::page::{Meaning, Page};
use crate::picture::{Picture, Samples};

/// Reads and decodes a page.
pub(super) fn decode(tiff: &Tiff, page: &Page) -> Result<Picture, TiffError> {
    let size = page.size;
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

/// Gray and palette keep one sample per pixel, colours three; alpha and further channels are dropped.
fn kept_channels(page: &Page) -> usize {
    match page.meaning {
        Meaning::BlackIsZero | Meaning::WhiteIsZero | Meaning::Palette(_) => 1,
        Meaning::Rgb | Meaning::YCbCr => 3,
    }
}

/// A sample of one or two bytes.
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

impl Sample for u16 {
    fn read_row(stored: &[u8], _bits: u32, order: Order, row: &mut [Self]) {
        let pairs = stored.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        match order {
            Order::Little => {
                row.iter_mut().zip(pairs).for_each(|(to, pair)| *to = u16::from_le_bytes(pair))
            }
            Order::Big => {
                row.iter_mut().zip(pairs).for_each(|(to, pair)| *to = u16::from_be_bytes(pair))
            }
        }
    }

    fn wrapping_add(self, other: Self) -> Self {
        u16::wrapping_add(self, other)
    }
}

/// Puts the chunks together: `[height, width, kept channels]`.
fn assemble<S: Sample>(tiff: &Tiff, page: &Page) -> Result<Vec<S>, TiffError> {
    let kept = kept_channels(page);
    let (width, height) = (page.size.width as usize, page.size.height as usize);
    let chunks = &page.chunks;
    let planes = if page.planar { kept } else { 1 };
    let mut picture = vec![S::default(); width * height * kept];
    // One row of a chunk, before the channels that are not kept are left out.
    let mut row = vec![S::default(); chunks.width * page.samples_in_chunk()];
    for plane in 0..planes {
        for at in 0..chunks.across * chunks.down {
            let (left, top) =
                (at % chunks.across * chunks.width, at / chunks.across * chunks.height);
            let rows = chunks.height.min(height - top);
            let stored = read_chunk(tiff, page, plane * chunks.across * chunks.down + at, rows)?;
            for (y, stored) in (top..top + rows).zip(stored.chunks_exact(page.row_bytes())) {
                S::read_row(stored, page.bits, tiff.order, &mut row);
                if page.predictor {
                    undo_differences(&mut row, page.samples_in_chunk());
                }
                let start = y * width * kept;
                let line = &mut picture[start..start + width * kept];
                place_row(&row, page, plane, &mut line[left * kept..]);
            }
        }
    }
    Ok(picture)
}

/// One chunk, decompressed: at least `rows` rows.
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

/// Each sample was stored as the difference to the same channel of the pixel on its left.
fn undo_differences<S: Sample>(row: &mut [S], channels: usize) {
    for at in channels..row.len() {
        row[at] = row[at].wrapping_add(row[at - channels]);
    }
}

/// Copies the part of a chunk's row that is inside the page, without the channels that are not kept. `line` runs from the
/// chunk's left edge to the page's right edge.
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
