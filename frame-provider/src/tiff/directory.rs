//! The header and the directories (IFDs) of classic TIFF and BigTIFF, in both byte orders.

use super::bytes::Bytes;
use super::error::TiffError;

/// Largest number of entries; real directories have a few dozen. With more, overlapping directories
/// of a hostile file could cost a quadratic amount of reading.
const MAX_ENTRIES: u64 = 4096;

/// Number of bytes read at once: enough for almost every directory.
const USUAL_BYTES: u64 = 1024;

/// Tags, by the names of the TIFF 6.0 specification.
#[allow(missing_docs)]
pub(super) mod tag {
    pub(in crate::tiff) const NEW_SUBFILE_TYPE: u16 = 254;
    pub(in crate::tiff) const SUBFILE_TYPE: u16 = 255;
    pub(in crate::tiff) const WIDTH: u16 = 256;
    pub(in crate::tiff) const HEIGHT: u16 = 257;
    pub(in crate::tiff) const BITS_PER_SAMPLE: u16 = 258;
    pub(in crate::tiff) const COMPRESSION: u16 = 259;
    pub(in crate::tiff) const PHOTOMETRIC: u16 = 262;
    pub(in crate::tiff) const FILL_ORDER: u16 = 266;
    pub(in crate::tiff) const DESCRIPTION: u16 = 270;
    pub(in crate::tiff) const STRIP_OFFSETS: u16 = 273;
    pub(in crate::tiff) const ORIENTATION: u16 = 274;
    pub(in crate::tiff) const SAMPLES_PER_PIXEL: u16 = 277;
    pub(in crate::tiff) const ROWS_PER_STRIP: u16 = 278;
    pub(in crate::tiff) const STRIP_BYTE_COUNTS: u16 = 279;
    pub(in crate::tiff) const PLANAR_CONFIGURATION: u16 = 284;
    pub(in crate::tiff) const PREDICTOR: u16 = 317;
    pub(in crate::tiff) const COLOR_MAP: u16 = 320;
    pub(in crate::tiff) const TILE_WIDTH: u16 = 322;
    pub(in crate::tiff) const TILE_LENGTH: u16 = 323;
    pub(in crate::tiff) const TILE_OFFSETS: u16 = 324;
    pub(in crate::tiff) const TILE_BYTE_COUNTS: u16 = 325;
    pub(in crate::tiff) const SOFTWARE: u16 = 305;
    pub(in crate::tiff) const EXTRA_SAMPLES: u16 = 338;
    pub(in crate::tiff) const SAMPLE_FORMAT: u16 = 339;
    pub(in crate::tiff) const JPEG_TABLES: u16 = 347;
    pub(in crate::tiff) const IMAGE_DEPTH: u16 = 32997;
    /// MetaMorph: one entry for each plane of a stack.
    pub(in crate::tiff) const UIC2: u16 = 33629;
    /// MetaMorph: the wavelength of each plane.
    pub(in crate::tiff) const UIC3: u16 = 33630;
    /// Olympus FluoView: the axes.
    pub(in crate::tiff) const FLUO_VIEW: u16 = 34361;
    /// Zeiss LSM: the axes.
    pub(in crate::tiff) const LSM: u16 = 34412;
}

/// The byte order of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    /// Reads an unsigned number of up to eight bytes.
    pub(crate) fn number(self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        match self {
            Self::Little => bytes.iter().rev().fold(0, add),
            Self::Big => bytes.iter().fold(0, add),
        }
    }
}

/// Returns true if these are the first bytes of a TIFF or BigTIFF.
pub(crate) fn is_tiff(head: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| head.starts_with(*magic))
}

/// An open TIFF: its bytes and the content of its header.
#[derive(Debug)]
pub(crate) struct Tiff {
    pub(crate) bytes: Bytes,
    pub(crate) order: Order,
    big: bool,
    /// Offset of the first directory.
    pub(super) first: u64,
}

impl Tiff {
    pub(crate) fn new(bytes: Bytes) -> Result<Self, TiffError> {
        let head = bytes.read_up_to(0, 16)?;
        if head.is_empty() {
            return Err(TiffError::malformed("the file is empty"));
        }
        if !is_tiff(&head) {
            return Err(TiffError::malformed("it does not start as a TIFF does"));
        }
        let order = if head[0] == b'I' { Order::Little } else { Order::Big };
        let big = order.number(&head[2..4]) == 43;
        let first = match (big, head.get(4..8), head.get(8..16)) {
            (true, Some(sizes), Some(first)) if order.number(&sizes[..2]) == 8 => {
                order.number(first)
            }
            (false, Some(first), _) => order.number(first),
            _ => return Err(TiffError::malformed("its header is cut off or damaged")),
        };
        Ok(Self { bytes, order, big, first })
    }

    /// Returns the directory at `offset`.
    pub(crate) fn directory(&self, offset: u64) -> Result<Directory<'_>, TiffError> {
        let (count_bytes, entry_bytes, next_bytes) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let mut data = self.bytes.read_up_to(offset, USUAL_BYTES)?;
        let cut_off = || {
            TiffError::malformed(format!("the directory at {offset} is past the end of the file"))
        };
        let entries = self.order.number(data.get(..count_bytes).ok_or_else(cut_off)?);
        if entries == 0 || entries > MAX_ENTRIES {
            return Err(TiffError::malformed(format!(
                "the directory at {offset} claims {entries} entries"
            )));
        }
        let needed = count_bytes + entries as usize * entry_bytes + next_bytes;
        if data.len() < needed {
            data = self.bytes.read(offset, needed as u64).map_err(|error| match error {
                TiffError::Io(_) => error,
                _ => cut_off(),
            })?;
        }
        let next = self.order.number(&data[needed - next_bytes..needed]);
        data.truncate(needed - next_bytes);
        data.drain(..count_bytes);
        Ok(Directory { tiff: self, data, entry_bytes, next })
    }
}

/// One directory: tags and their values.
#[derive(Debug)]
pub(crate) struct Directory<'a> {
    tiff: &'a Tiff,
    /// The entries, concatenated.
    data: Vec<u8>,
    entry_bytes: usize,
    /// Offset of the next directory; 0 after the last.
    pub(super) next: u64,
}

/// Location of the values of one tag.
struct Values {
    kind: u64,
    count: u64,
    /// The values themselves if they fit, otherwise their offset: 4 or 8 bytes.
    field: Vec<u8>,
}

impl Directory<'_> {
    fn find(&self, tag: u16) -> Option<Values> {
        let order = self.tiff.order;
        let middle = (self.entry_bytes + 4) / 2;
        self.data
            .chunks_exact(self.entry_bytes)
            .find(|entry| order.number(&entry[..2]) == u64::from(tag))
            .map(|entry| Values {
                kind: order.number(&entry[2..4]),
                count: order.number(&entry[4..middle]),
                field: entry[middle..].to_vec(),
            })
    }

    /// Returns how many values a tag claims to have; 0 without the tag.
    pub(super) fn count(&self, tag: u16) -> u64 {
        self.find(tag).map_or(0, |values| values.count)
    }

    /// Returns the first `limit` values of a tag of fractions, as numerator and denominator; empty
    /// without the tag.
    pub(super) fn fractions(&self, tag: u16, limit: u64) -> Result<Vec<(u64, u64)>, TiffError> {
        const BYTES: u64 = 8;
        let Some(Values { kind: 5, count, field }) = self.find(tag) else { return Ok(Vec::new()) };
        let order = self.tiff.order;
        let length = count.min(limit).saturating_mul(BYTES);
        let bytes = if count == 1 && field.len() as u64 >= BYTES {
            field
        } else {
            self.tiff.bytes.read(order.number(&field), length)?
        };
        let pairs = bytes.as_chunks::<8>().0.iter();
        Ok(pairs.map(|pair| (order.number(&pair[..4]), order.number(&pair[4..]))).collect())
    }

    /// Returns the raw bytes of the first `limit` values of a tag, and the size of one value;
    /// `None` without the tag.
    fn raw(&self, tag: u16, limit: u64) -> Result<Option<(Vec<u8>, usize)>, TiffError> {
        let Some(Values { kind, count, field }) = self.find(tag) else { return Ok(None) };
        let size: usize = match kind {
            1 | 2 | 7 => 1,
            3 => 2,
            4 | 13 => 4,
            16 | 18 => 8,
            _ => return Err(TiffError::malformed(format!("tag {tag} has the odd type {kind}"))),
        };
        let taken = count.min(limit);
        let length = taken
            .checked_mul(size as u64)
            .ok_or_else(|| TiffError::malformed(format!("tag {tag} claims {count} values")))?;
        // Values are stored in the entry depending on their true number, not on how many are
        // requested.
        let inline =
            count.checked_mul(size as u64).is_some_and(|total| total <= field.len() as u64);
        let bytes = if inline {
            field[..length as usize].to_vec()
        } else {
            self.tiff.bytes.read(self.tiff.order.number(&field), length)?
        };
        Ok(Some((bytes, size)))
    }

    /// Returns the first `limit` values of a tag; empty without the tag.
    pub(super) fn numbers(&self, tag: u16, limit: u64) -> Result<Vec<u64>, TiffError> {
        Ok(self.raw(tag, limit)?.map_or_else(Vec::new, |(bytes, size)| {
            bytes.chunks_exact(size).map(|value| self.tiff.order.number(value)).collect()
        }))
    }

    /// Returns the first value of a tag, or `default` without the tag.
    pub(super) fn number(&self, tag: u16, default: u64) -> Result<u64, TiffError> {
        Ok(self.numbers(tag, 1)?.first().copied().unwrap_or(default))
    }

    /// Returns the bytes of a tag, at most `limit`; empty without the tag.
    pub(crate) fn bytes(&self, tag: u16, limit: u64) -> Result<Vec<u8>, TiffError> {
        Ok(self.raw(tag, limit)?.map_or_else(Vec::new, |(bytes, _)| bytes))
    }

    /// Returns a text without its closing zero, at most `limit` bytes; empty without the tag or if
    /// it is not a text.
    pub(crate) fn text(&self, tag: u16, limit: u64) -> String {
        let bytes = self.bytes(tag, limit).unwrap_or_default();
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    /// Returns true if this is a thumbnail, a level of a pyramid or a mask rather than a page.
    fn is_no_page(&self) -> Result<bool, TiffError> {
        const REDUCED: u64 = 1;
        const MASK: u64 = 4;
        Ok(self.number(tag::NEW_SUBFILE_TYPE, 0)? & (REDUCED | MASK) != 0
            || self.number(tag::SUBFILE_TYPE, 0)? == 2)
    }
}

/// The pages of a file, in order.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    /// Offset of the directory of each page.
    pub(crate) pages: Vec<u64>,
    /// Number of directories that are thumbnails, levels of a pyramid or masks.
    pub(crate) skipped: usize,
    /// The first page whose size differs from that of the first page.
    pub(crate) odd_size: Option<usize>,
    /// Why the chain ends too early, if it does.
    pub(crate) broken: Option<String>,
}

impl Chain {
    /// Follows the chain of directories, reading nothing else, up to `limit` pages.
    ///
    /// A chain that is damaged after its first page yields the pages before the damage.
    pub(crate) fn read(tiff: &Tiff, limit: usize) -> Result<Self, TiffError> {
        let mut chain = Self::default();
        let mut seen = std::collections::HashSet::new();
        let mut first_size = None;
        let mut offset = tiff.first;
        let mut bytes_read = 0;
        while offset != 0 && chain.pages.len() < limit {
            let directory = if !seen.insert(offset) {
                Err(TiffError::malformed(format!("the directory at {offset} is its own successor")))
            } else if bytes_read > tiff.bytes.length() {
                Err(TiffError::malformed("its directories overlap"))
            } else {
                tiff.directory(offset).and_then(|directory| {
                    let size =
                        (directory.number(tag::WIDTH, 0)?, directory.number(tag::HEIGHT, 0)?);
                    Ok((directory.is_no_page()?, size, directory))
                })
            };
            match directory {
                Ok((is_no_page, size, directory)) => {
                    bytes_read += directory.data.len() as u64;
                    if is_no_page {
                        chain.skipped += 1;
                    } else {
                        if *first_size.get_or_insert(size) != size && chain.odd_size.is_none() {
                            chain.odd_size = Some(chain.pages.len());
                        }
                        chain.pages.push(offset);
                    }
                    offset = directory.next;
                }
                Err(TiffError::Malformed(reason)) if !chain.pages.is_empty() => {
                    chain.broken = Some(reason);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(chain)
    }
}
