//! The content of one page's directory, checked against the file before anything is allocated.

use super::bytes::Bytes;
use super::directory::{Directory, tag};
use super::error::TiffError;
use crate::picture::RealKind;
use crate::size::FrameSize;

/// No frame of a recording is this large; files that claim more are damaged or hostile.
const MAX_PAGE_BYTES: u64 = 1 << 30;

/// The supported compressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Jpeg,
    Deflate,
    PackBits,
    Zstd,
}

impl Compression {
    fn from_number(number: u64) -> Result<Self, TiffError> {
        Ok(match number {
            1 => Self::None,
            5 => Self::Lzw,
            7 => Self::Jpeg,
            8 | 32946 => Self::Deflate,
            32773 => Self::PackBits,
            // 34926 was libtiff's number before 50000 was registered.
            50000 | 34926 => Self::Zstd,
            other => {
                return Err(TiffError::Unsupported(format!(
                    "has pages with compression {other}, which is not supported; save it uncompressed or with LZW, \
                     deflate, PackBits, zstd or JPEG"
                )));
            }
        })
    }

    /// Returns the largest number of bytes that one compressed byte can become, so that a small
    /// file cannot claim a huge page.
    fn largest_ratio(self) -> u64 {
        match self {
            Self::None => 1,
            // Two bytes become up to 128.
            Self::PackBits => 64,
            Self::Deflate => 1032,
            // 4,096 codes of 9 to 12 bits, each one sample longer than the previous one.
            Self::Lzw => 1400,
            // A block of four bytes becomes up to 128 KiB.
            Self::Zstd => 1 << 15,
            // One bit for each block of 64 samples; with 4:2:0, three samples for half as many
            // blocks.
            Self::Jpeg => 1024,
        }
    }
}

/// The meaning of the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    BlackIsZero,
    WhiteIsZero,
    Rgb,
    /// Red, green and blue of each index, for 256 indices or fewer.
    Palette(Vec<[u8; 3]>),
    /// Only within JPEG, whose decoder converts it to RGB.
    YCbCr,
}

/// How rows were transformed to compress better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    /// They hold differences (2).
    Differences,
    /// They hold differences of the bytes of floating-point numbers, the highest bytes of all first
    /// (3).
    FloatingPoint,
}

/// A page that has been checked: every chunk lies within the file and is large enough for what it
/// claims.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) size: FrameSize,
    /// 1, 2, 4, 8, 16, 32 or 64.
    pub(super) bits: u32,
    /// The type of the samples, unless they are unsigned with at most 16 bits.
    pub(super) real: Option<RealKind>,
    /// Samples per pixel as stored, including alpha.
    pub(super) samples: usize,
    /// True if each channel has separate chunks (planar configuration 2).
    pub(super) planar: bool,
    pub(super) meaning: Meaning,
    pub(super) compression: Compression,
    pub(super) predictor: Predictor,
    /// Strips or tiles.
    pub(super) chunks: Chunks,
    /// Quantisation and Huffman tables that all JPEG chunks share.
    pub(super) jpeg_tables: Vec<u8>,
}

/// Strips (as wide as the page) or tiles.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Pixels per row of a chunk.
    pub(super) width: usize,
    /// Rows of a chunk; the last strip may have fewer.
    pub(super) height: usize,
    /// Chunks per row of chunks.
    pub(super) across: usize,
    /// Rows of chunks.
    pub(super) down: usize,
    /// True if chunks at the edges are padded to full size.
    pub(super) tiled: bool,
    /// `(offset, length in bytes)`, `[plane, row, column]`.
    pub(super) places: Vec<(u64, u64)>,
}

impl Page {
    /// Returns the number of samples per pixel within one chunk.
    pub(super) fn samples_in_chunk(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Returns the number of bytes of one decompressed row of a chunk.
    pub(super) fn row_bytes(&self) -> usize {
        (self.chunks.width * self.samples_in_chunk() * self.bits as usize).div_ceil(8)
    }

    /// Returns the number of bytes of the pixels of one uncompressed page.
    pub(super) fn stored_bytes(&self) -> u64 {
        let planes = if self.planar { self.samples as u64 } else { 1 };
        self.row_bytes() as u64 * u64::from(self.size.height) * planes
    }

    /// Returns where the pixels start, if they are uncompressed and contiguous; then pages without
    /// their own directory can follow.
    pub(super) fn contiguous_start(&self) -> Option<u64> {
        if self.compression != Compression::None || self.chunks.tiled {
            return None;
        }
        let &(start, _) = self.chunks.places.first()?;
        let mut end = start;
        let is_contiguous = self.chunks.places.iter().all(|&(offset, length)| {
            let follows = offset == end;
            end = offset + length;
            follows
        });
        is_contiguous.then_some(start)
    }

    /// Returns the same layout with all pixels `distance` bytes further on.
    pub(super) fn moved(mut self, distance: u64, bytes: &Bytes) -> Result<Self, TiffError> {
        for (offset, length) in &mut self.chunks.places {
            *offset = offset
                .checked_add(distance)
                .filter(|start| start.checked_add(*length).is_some_and(|end| end <= bytes.length()))
                .ok_or_else(|| TiffError::malformed("its pixels are past the end of the file"))?;
        }
        Ok(self)
    }

    pub(super) fn read(directory: &Directory<'_>, bytes: &Bytes) -> Result<Self, TiffError> {
        let side = |tag, name: &str| -> Result<u32, TiffError> {
            let value = directory.number(tag, 0)?;
            u32::try_from(value)
                .ok()
                .filter(|&side| side > 0)
                .ok_or_else(|| TiffError::malformed(format!("its {name} is {value} pixels")))
        };
        let size =
            FrameSize { width: side(tag::WIDTH, "width")?, height: side(tag::HEIGHT, "height")? };
        if size.pixels() > FrameSize::MOST_PIXELS {
            return Err(TiffError::Unsupported(format!(
                "claims frames of {size} pixels, more than 8192x8192, which are not read; scale or cut it first"
            )));
        }
        let samples = directory.number(tag::SAMPLES_PER_PIXEL, 1)?;
        if samples == 0 || samples > 0xffff {
            return Err(TiffError::malformed(format!("it claims {samples} samples per pixel")));
        }
        let (bits, real) = read_bits(directory, samples)?;
        let area = u64::from(size.width) * u64::from(size.height);
        // In memory, types other than 8 and 16 bits take eight bytes.
        let sample_bytes = if real.is_some() { 8 } else { bits.div_ceil(8) };
        let claimed =
            area.checked_mul(samples).and_then(|all| all.checked_mul(sample_bytes.into()));
        if claimed.is_none_or(|bytes| bytes > MAX_PAGE_BYTES) {
            return Err(TiffError::malformed(format!(
                "a page of {size} with {samples} samples of {bits} bits is larger than 1 GiB"
            )));
        }
        let compression = Compression::from_number(directory.number(tag::COMPRESSION, 1)?)?;
        let meaning = read_meaning(directory, samples, bits, compression)?;
        if meaning == Meaning::WhiteIsZero && real.is_some_and(|kind| kind.upper_byte().is_none()) {
            let what = "has floating-point samples with white as zero, which are not supported; save it with black as zero";
            return Err(TiffError::Unsupported(what.into()));
        }
        let planar = match directory.number(tag::PLANAR_CONFIGURATION, 1)? {
            _ if samples == 1 => false,
            1 => false,
            2 => true,
            other => {
                return Err(TiffError::malformed(format!("its planar configuration is {other}")));
            }
        };
        let predictor = read_predictor(directory, compression, bits, real)?;
        let mut page = Self {
            size,
            bits,
            real,
            samples: samples as usize,
            planar,
            meaning,
            compression,
            predictor,
            chunks: read_grid(directory, size)?,
            jpeg_tables: directory.bytes(tag::JPEG_TABLES, 1 << 16)?,
        };
        page.chunks.places = page.read_places(directory, bytes)?;
        Ok(page)
    }

    /// Reads where the chunks are, and checks that each can hold the claimed size.
    fn read_places(
        &self,
        directory: &Directory<'_>,
        bytes: &Bytes,
    ) -> Result<Vec<(u64, u64)>, TiffError> {
        let Chunks { across, down, tiled, height, .. } = self.chunks;
        let planes = if self.planar { self.samples } else { 1 };
        let needed = across as u64 * down as u64 * planes as u64;
        let (offsets_tag, counts_tag) = if tiled {
            (tag::TILE_OFFSETS, tag::TILE_BYTE_COUNTS)
        } else {
            (tag::STRIP_OFFSETS, tag::STRIP_BYTE_COUNTS)
        };
        let offsets = directory.numbers(offsets_tag, needed)?;
        let mut counts = directory.numbers(counts_tag, needed)?;
        let row_bytes = self.row_bytes() as u64;
        if counts.is_empty() && self.compression == Compression::None && needed == 1 {
            // Some old writers left it out, since one uncompressed strip needs no length.
            counts.push(row_bytes * u64::from(self.size.height));
        }
        if (offsets.len() as u64) < needed || (counts.len() as u64) < needed {
            return Err(TiffError::malformed(format!(
                "it needs {needed} strips or tiles but lists {} offsets and {} lengths",
                offsets.len(),
                counts.len()
            )));
        }
        let mut places: Vec<(u64, u64)> = offsets.into_iter().zip(counts).collect();
        for (at, (offset, length)) in places.iter_mut().enumerate() {
            let rows = if tiled { height } else { self.strip_rows(at % (across * down)) };
            let decoded = row_bytes
                .checked_mul(rows as u64)
                .filter(|&decoded| decoded <= MAX_PAGE_BYTES)
                .ok_or_else(|| TiffError::malformed("a strip or tile claims more than 1 GiB"))?;
            if self.compression == Compression::None {
                // Padding after a strip is ignored.
                *length = (*length).min(decoded);
            }
            if length.saturating_mul(self.compression.largest_ratio()) < decoded {
                return Err(TiffError::malformed(format!(
                    "strip or tile {at} claims {decoded} bytes of pixels but holds only {length}"
                )));
            }
            if offset.checked_add(*length).is_none_or(|end| end > bytes.length()) {
                return Err(TiffError::malformed(format!(
                    "strip or tile {at} ({length} bytes at {offset}) is past the end of the file"
                )));
            }
        }
        Ok(places)
    }

    /// Returns the number of rows of the strip with this index.
    pub(super) fn strip_rows(&self, strip: usize) -> usize {
        let start = strip * self.chunks.height;
        self.chunks.height.min((self.size.height as usize).saturating_sub(start))
    }
}

/// Reads the bits per sample, and the type of samples that are not unsigned with at most 16 bits.
fn read_bits(
    directory: &Directory<'_>,
    samples: u64,
) -> Result<(u32, Option<RealKind>), TiffError> {
    const UNSIGNED: u64 = 1;
    const SIGNED: u64 = 2;
    const FLOATING_POINT: u64 = 3;
    // "Undefined", which writers use for plain numbers.
    const UNDEFINED: u64 = 4;
    let bits = directory.numbers(tag::BITS_PER_SAMPLE, samples)?;
    let first = bits.first().copied().unwrap_or(1);
    let format = directory.number(tag::SAMPLE_FORMAT, UNSIGNED)?;
    let is_uniform = bits.iter().all(|&other| other == first);
    let real = match (format, first) {
        (UNSIGNED | UNDEFINED, 1 | 2 | 4) if samples == 1 => Some(None),
        (UNSIGNED | UNDEFINED, 8 | 16) => Some(None),
        (UNSIGNED | UNDEFINED, 32) => Some(Some(RealKind::U32)),
        (SIGNED, 8) => Some(Some(RealKind::I8)),
        (SIGNED, 16) => Some(Some(RealKind::I16)),
        (SIGNED, 32) => Some(Some(RealKind::I32)),
        (FLOATING_POINT, 16) => Some(Some(RealKind::F16)),
        (FLOATING_POINT, 32) => Some(Some(RealKind::F32)),
        (FLOATING_POINT, 64) => Some(Some(RealKind::F64)),
        _ => None,
    };
    real.filter(|_| is_uniform).map(|real| (first as u32, real)).ok_or_else(|| {
        let kind = match format {
            UNSIGNED | UNDEFINED => "unsigned",
            SIGNED => "signed",
            FLOATING_POINT => "floating-point",
            _ => "complex",
        };
        TiffError::Unsupported(format!(
            "has {kind} samples of {first} bits, which are not supported; save it with 8 or 16 unsigned bits"
        ))
    })
}

fn read_meaning(
    directory: &Directory<'_>,
    samples: u64,
    bits: u32,
    compression: Compression,
) -> Result<Meaning, TiffError> {
    if directory.number(tag::IMAGE_DEPTH, 1)? > 1 {
        let what = "holds volumes, which are not supported; save it with one plane per page";
        return Err(TiffError::Unsupported(what.into()));
    }
    if bits < 8 && directory.number(tag::FILL_ORDER, 1)? != 1 {
        let what = "fills its bytes from the lowest bit (FillOrder 2), which is not supported; save it with 8 bits";
        return Err(TiffError::Unsupported(what.into()));
    }
    let default = if samples >= 3 { 2 } else { 1 };
    match directory.number(tag::PHOTOMETRIC, default)? {
        0 => Ok(Meaning::WhiteIsZero),
        1 => Ok(Meaning::BlackIsZero),
        2 if samples >= 3 => Ok(Meaning::Rgb),
        3 if bits <= 8 && samples == 1 => {
            let colours = 1 << bits;
            let map = directory.numbers(tag::COLOR_MAP, 3 * colours)?;
            if map.len() as u64 != 3 * colours {
                return Err(TiffError::malformed("its colour map is too short"));
            }
            // 16-bit values, first all red ones, then green, then blue.
            let upper = |at: usize| (map[at] >> 8) as u8;
            let colours = colours as usize;
            let palette =
                (0..colours).map(|i| [upper(i), upper(colours + i), upper(2 * colours + i)]);
            Ok(Meaning::Palette(palette.collect()))
        }
        6 if compression == Compression::Jpeg && samples == 3 => Ok(Meaning::YCbCr),
        other => Err(TiffError::Unsupported(format!(
            "has colours of kind {other} with {samples} samples of {bits} bits, which are not supported; save it as gray \
             or RGB"
        ))),
    }
}

fn read_predictor(
    directory: &Directory<'_>,
    compression: Compression,
    bits: u32,
    real: Option<RealKind>,
) -> Result<Predictor, TiffError> {
    // Readers ignore the tag for compressions that would not profit from it.
    if !matches!(compression, Compression::Lzw | Compression::Deflate | Compression::Zstd) {
        return Ok(Predictor::None);
    }
    let is_float = matches!(real, Some(RealKind::F16 | RealKind::F32 | RealKind::F64));
    match directory.number(tag::PREDICTOR, 1)? {
        1 => Ok(Predictor::None),
        2 if bits >= 8 => Ok(Predictor::Differences),
        3 if is_float => Ok(Predictor::FloatingPoint),
        other => Err(TiffError::Unsupported(format!(
            "uses predictor {other} with {bits} bits, which is not supported; save it without a predictor"
        ))),
    }
}

/// Reads the grid of strips or tiles, without their offsets.
fn read_grid(directory: &Directory<'_>, size: FrameSize) -> Result<Chunks, TiffError> {
    let (page_width, page_height) = (size.width as usize, size.height as usize);
    let tile = (directory.number(tag::TILE_WIDTH, 0)?, directory.number(tag::TILE_LENGTH, 0)?);
    let tiled = tile != (0, 0);
    let (width, height) = if tiled {
        let side = |value: u64| {
            usize::try_from(value)
                .ok()
                .filter(|side| (1..=1 << 20).contains(side))
                .ok_or_else(|| TiffError::malformed(format!("its tiles are {}x{}", tile.0, tile.1)))
        };
        (side(tile.0)?, side(tile.1)?)
    } else {
        let rows = directory.number(tag::ROWS_PER_STRIP, u64::from(u32::MAX))?;
        if rows == 0 {
            return Err(TiffError::malformed("its strips have no rows"));
        }
        (page_width, rows.min(page_height as u64) as usize)
    };
    Ok(Chunks {
        width,
        height,
        across: page_width.div_ceil(width),
        down: page_height.div_ceil(height),
        tiled,
        places: Vec::new(),
    })
}
