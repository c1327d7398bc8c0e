//! Reads HDF5 files as far as tracks need them: groups, attributes, and data sets of numbers, texts
//! and records.

use std::cell::Cell;
use std::ops::Deref;

use hdf5_reader::messages::datatype::{Datatype, StringSize};
use hdf5_reader::{ByteOrder, Hdf5File, OpenOptions};

use super::keypoint::Keypoint;

pub(super) use hdf5_reader::Dataset;
pub(super) use hdf5_reader::group::Group;

/// Size in bytes up to which a file counts as small.
const SMALL_FILE: usize = 5 << 20;
/// Memory in bytes that everything read from a small file may take. [`LEAST_CHUNK`] limits a single
/// chunk.
const LEAST_LIMIT: usize = 352 << 20;
const LEAST_CHUNK: usize = 64 << 20;
/// Additional memory for each byte of a larger file. Deflate can gain this much, and does for
/// tracks that are empty for most of a recording.
const GAIN: usize = 1024;
/// Largest size of a data set in bytes, whatever the size of the file. An hour of ten animals takes
/// a tenth of it.
const MOST: usize = 4 << 30;
/// Approximate memory of a row in bytes.
const ROW_BYTES: usize = 64;

/// A file, and the memory that may still be taken for its contents. A file can claim data sets of
/// any size, and mention one any number of times.
pub(super) struct File {
    file: Hdf5File,
    left: Cell<usize>,
}

impl Deref for File {
    type Target = Hdf5File;

    fn deref(&self) -> &Hdf5File {
        &self.file
    }
}

impl File {
    /// Opens a file that is in memory. Does not follow links to other files.
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, String> {
        let more = bytes.len().saturating_sub(SMALL_FILE).saturating_mul(GAIN);
        let limit = LEAST_LIMIT.saturating_add(more);
        let options = OpenOptions::default()
            .with_max_read_bytes(limit.min(MOST))
            .with_max_chunk_bytes(LEAST_CHUNK.saturating_add(more).min(MOST))
            .with_chunk_cache_bytes(0);
        let file = Hdf5File::from_vec_with_options(bytes, options).map_err(broken)?;
        Ok(Self { file, left: Cell::new(limit) })
    }

    /// Takes this many bytes from the memory limit.
    ///
    /// # Errors
    /// More memory has been taken than a file of this size can need.
    pub(super) fn take(&self, bytes: usize) -> Result<(), String> {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.ok_or("its HDF5 claims more than a file of its size can hold: export the track again, with only the tracks and frames that are needed")?);
        Ok(())
    }

    /// Takes the memory of a row with this many points of an animal.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(super) fn take_points(&self, points: usize) -> Result<(), String> {
        self.take(size_of::<usize>() + points.saturating_mul(size_of::<Option<Keypoint>>()))
    }

    /// Takes the memory of this many rows.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(super) fn take_rows(&self, rows: usize) -> Result<(), String> {
        self.take(rows.saturating_mul(ROW_BYTES))
    }
}

/// Converts a message of the HDF5 reader to one of ours.
pub(super) fn broken(error: hdf5_reader::error::Error) -> String {
    let text: String = error.to_string().chars().take(200).collect();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("its HDF5 cannot be read ({})", line.escape_debug())
}

/// Reads an attribute that holds a text.
pub(super) fn text_attribute(group: &Group, name: &str) -> Option<String> {
    group.attribute(name).ok()?.read_string().ok()
}

/// Returns `true` if a data set holds texts.
pub(super) fn holds_texts(dataset: &Dataset) -> bool {
    matches!(dataset.dtype(), Datatype::String { .. } | Datatype::VarLen { .. })
}

/// Reads the texts of a data set, of fixed or of variable length. A text that is mentioned many
/// times counts each time.
pub(super) fn texts(file: &File, dataset: &Dataset) -> Result<Vec<String>, String> {
    let is_fixed = match dataset.dtype() {
        Datatype::String { size: StringSize::Fixed(_), .. } => true,
        Datatype::String { size: StringSize::Variable, .. } | Datatype::VarLen { .. } => false,
        _ => {
            let name = dataset.name().escape_debug();
            return Err(format!("its data set '{name}' does not hold texts"));
        }
    };
    let elements = Elements::read(file, dataset)?;
    let text = |element: &[u8]| {
        let bytes = match is_fixed {
            true => element.to_vec(),
            false => dataset.resolve_vlen_reference_bytes(element, 1).map_err(broken)?,
        };
        let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        file.take(end + size_of::<String>())?;
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    };
    elements.iter().map(text).collect()
}

/// Numbers inside the elements of a data set: `count` of them from `offset` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    offset: usize,
    count: usize,
    format: Format,
}

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Format {
    bytes: usize,
    is_float: bool,
    is_signed: bool,
    is_little: bool,
}

impl Numbers {
    /// Describes the numbers in elements that are numbers or arrays of numbers.
    fn of(datatype: &Datatype, offset: usize) -> Option<Self> {
        let is_little = |order: &ByteOrder| *order == ByteOrder::LittleEndian;
        let format = match datatype {
            Datatype::FixedPoint { size, signed, byte_order } => Format {
                bytes: usize::from(*size),
                is_float: false,
                is_signed: *signed,
                is_little: is_little(byte_order),
            },
            Datatype::FloatingPoint { size, byte_order } => Format {
                bytes: usize::from(*size),
                is_float: true,
                is_signed: true,
                is_little: is_little(byte_order),
            },
            Datatype::Array { base, dims } => {
                let inner = Self::of(base, offset).filter(|inner| inner.count == 1)?;
                let count = dims.iter().try_fold(1_usize, |count, &dim| {
                    count.checked_mul(usize::try_from(dim).ok()?)
                })?;
                return Some(Self { count, ..inner });
            }
            // h5py stores Booleans as an enumeration of 0 and 1.
            Datatype::Enum { base, .. } => return Self::of(base, offset),
            _ => return None,
        };
        let fits = if format.is_float {
            [4, 8].contains(&format.bytes)
        } else {
            (1..=8).contains(&format.bytes)
        };
        fits.then_some(Self { offset, count: 1, format })
    }

    /// Returns how many numbers an element has.
    pub(super) fn count(self) -> usize {
        self.count
    }

    /// Reads number `index` of an element. Returns `None` if the element is too short.
    pub(super) fn read(self, element: &[u8], index: usize) -> Option<f64> {
        let Format { bytes, is_float, is_signed, is_little } = self.format;
        let start = index.checked_mul(bytes)?.checked_add(self.offset)?;
        let stored = element.get(start..start.checked_add(bytes)?)?;
        let mut little = [0; 8];
        for (to, from) in little.iter_mut().zip(0..bytes) {
            *to = stored[if is_little { from } else { bytes - 1 - from }];
        }
        if is_float {
            let [a, b, c, d, ..] = little;
            let short = f64::from(f32::from_le_bytes([a, b, c, d]));
            return Some(if bytes == 4 { short } else { f64::from_le_bytes(little) });
        }
        let unused = 64 - 8 * bytes as u32;
        let value = u64::from_le_bytes(little);
        Some(if is_signed { ((value << unused) as i64 >> unused) as f64 } else { value as f64 })
    }
}

/// A data set in memory.
#[derive(Debug)]
pub(super) struct Elements {
    bytes: Vec<u8>,
    datatype: Datatype,
    shape: Vec<usize>,
    element: usize,
}

impl Elements {
    pub(super) fn read(file: &File, dataset: &Dataset) -> Result<Self, String> {
        let shape: Option<Vec<usize>> =
            dataset.shape().iter().map(|&length| usize::try_from(length).ok()).collect();
        let shape = shape.ok_or("its HDF5 claims more than fits in memory")?;
        let count = shape.iter().try_fold(1_usize, |count, &length| count.checked_mul(length));
        let count = count.ok_or("its HDF5 claims more than fits in memory")?;
        let element = dataset.raw_element_size().map_err(broken)?;
        file.take(count.saturating_mul(element))?;
        let bytes =
            if count == 0 { Vec::new() } else { dataset.read_raw_bytes().map_err(broken)? };
        if element == 0 || count.checked_mul(element) != Some(bytes.len()) {
            return Err(format!("its data set '{}' is damaged", dataset.name().escape_debug()));
        }
        Ok(Self { bytes, datatype: dataset.dtype().clone(), shape, element })
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Iterates over the elements, the last axis fastest.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.element)
    }

    /// Returns one element.
    pub(super) fn get(&self, index: usize) -> Option<&[u8]> {
        self.bytes.get(index.checked_mul(self.element)?..)?.get(..self.element)
    }

    /// Returns where the numbers are in each element.
    pub(super) fn numbers(&self) -> Option<Numbers> {
        Numbers::of(&self.datatype, 0)
    }

    /// Returns where the numbers are in a field of records.
    pub(super) fn field(&self, name: &str) -> Option<Numbers> {
        let Datatype::Compound { fields, .. } = &self.datatype else { return None };
        let field = fields.iter().find(|field| field.name == name)?;
        Numbers::of(&field.datatype, field.byte_offset as usize)
    }

    /// Reads the text in a field of one record, if the field has a fixed length.
    pub(super) fn text(&self, name: &str, index: usize) -> Option<String> {
        let Datatype::Compound { fields, .. } = &self.datatype else { return None };
        let field = fields.iter().find(|field| field.name == name)?;
        let Datatype::String { size: StringSize::Fixed(length), .. } = field.datatype else {
            return None;
        };
        let start = field.byte_offset as usize;
        let bytes = self.get(index)?.get(start..start.checked_add(length as usize)?)?;
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }
}
