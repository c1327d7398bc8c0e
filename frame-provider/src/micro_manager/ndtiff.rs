//! NDTiff: an index of all images next to the files that hold them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use miniserde::json::{Number, Object, Value};

use crate::axes::{Axes, Coordinate, Table};
use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::intensity::{Intensity, Levels};
use crate::picture::{Picture, Samples};
use crate::size::FrameSize;
use crate::source::FrameSource;
use crate::source_info::{DecodeStats, SourceInfo, Timing};
use crate::tiff::{Bytes, Order, TiffError, is_tiff};

/// The name of the index, in the folder of the recording.
pub(super) const INDEX: &str = "NDTiff.index";

/// An NDTiff recording (versions 2 and 3): a folder with `NDTiff.index` and `*NDTiffStack*.tif`.
///
/// The index gives the offset of the pixels of each image, so a frame is found without searching
/// the files. [`Axes`] chooses the frames of recordings with channels, slices or positions.
/// Supported are gray with 8, 10, 11, 12, 14 or 16 bits, which become 8 bits as the [`Intensity`]
/// says, and RGB with 8 bits. Of a pyramid, the full resolution is read.
///
/// **Damaged recordings:** an index that ends early, for example after a crash, yields the images
/// before that point, with a warning. An entry that lies outside of its file causes an error of
/// that frame when it is read.
#[derive(Debug)]
pub struct NdTiff {
    folder: PathBuf,
    files: Vec<DataFile>,
    frames: Vec<Entry>,
    /// The facts that reading does not change.
    fixed: SourceInfo,
    levels: Levels,
    decoded: AtomicU64,
}

#[derive(Debug)]
struct DataFile {
    path: PathBuf,
    bytes: Bytes,
    order: Order,
}

/// One image of the index.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Index of the file.
    file: usize,
    offset: u64,
    size: FrameSize,
    /// The kind of pixels, as stored.
    kind: u32,
    /// 0 means none, and is the only value that exists.
    compression: u32,
}

/// The index, as read.
#[derive(Default)]
struct Index {
    /// Names of the files, in order of first appearance.
    files: Vec<String>,
    entries: Vec<Entry>,
    table: Table,
    /// Why it ends too early, if it does.
    broken: Option<String>,
}

impl NdTiff {
    /// Opens the recording in `folder` with the default axes.
    ///
    /// # Errors
    /// [`FrameError::NotFound`], [`FrameError::Io`], [`FrameError::NotAnImage`] for an index that
    /// is damaged from its start or a file that is not a TIFF, [`FrameError::NoFrames`] if the
    /// index is empty, [`FrameError::Unsupported`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, FrameError> {
        Self::open_with(folder, &Axes::default())
    }

    /// Opens the recording in `folder`.
    ///
    /// # Errors
    /// Those of [`NdTiff::open`]; [`FrameError::Unsupported`] for axes that the recording lacks.
    pub fn open_with(folder: impl AsRef<Path>, axes: &Axes) -> Result<Self, FrameError> {
        let asked = folder.as_ref();
        let folder = super::ndtiff_folder(asked).unwrap_or_else(|| asked.to_owned());
        let index_path = folder.join(INDEX);
        let data =
            std::fs::read(&index_path).map_err(|error| FrameError::from_io(&index_path, error))?;
        let index = Index::parse(&data);
        if index.entries.is_empty() {
            return Err(match index.broken {
                Some(reason) => FrameError::NotAnImage { path: index_path, reason, source: None },
                None => FrameError::NoFrames { path: index_path },
            });
        }
        let mut warnings = Vec::new();
        if let Some(reason) = index.broken {
            warnings.push(format!(
                "{}: damaged after image {} ({reason}); the images before are read",
                index_path.display(),
                index.entries.len() - 1
            ));
        }
        let choice = index.table.choose(&folder, axes)?;
        warnings.extend(choice.warnings);
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let mut frames: Vec<Entry> =
            choice.images.into_iter().map(|image| index.entries[image]).collect();
        let files = open_files(&folder, &index.files, &mut frames)?;
        let size = frames.first().map(|entry| entry.size);
        let size = size.ok_or_else(|| FrameError::NoFrames { path: index_path })?;
        Ok(Self {
            fixed: SourceInfo::of_path(&folder, frames.len(), size).with_warnings(warnings),
            folder,
            files,
            frames,
            levels: Levels::new(Intensity::default()),
            decoded: AtomicU64::new(0),
        })
    }

    /// Returns the same recording with another conversion from 16 bits to 8.
    #[must_use]
    pub fn with_intensity(mut self, intensity: Intensity) -> Self {
        self.levels = Levels::new(intensity);
        self
    }

    /// Returns the same recording with a frame rate; a rate in its metadata is not read.
    #[must_use]
    pub fn with_frames_per_second(mut self, frames_per_second: f64) -> Self {
        self.fixed.timing = Timing::from_rate(frames_per_second);
        self
    }

    /// Returns image `index` as stored.
    fn picture(&self, index: usize) -> Result<Picture, FrameError> {
        let entry = self.frames.get(index).ok_or_else(|| FrameError::IndexOutOfRange {
            index,
            count: self.fixed.frame_count,
            path: self.folder.clone(),
        })?;
        let file = &self.files[entry.file];
        if entry.size != self.fixed.size {
            return Err(FrameError::SizeChanged {
                path: file.path.clone(),
                index,
                expected: self.fixed.size,
                found: entry.size,
            });
        }
        let picture = entry.read(file).map_err(|error| error.in_frame(&file.path, index))?;
        self.decoded.fetch_add(1, Ordering::Relaxed);
        Ok(picture)
    }
}

/// Opens the files that the frames need, and updates the file indices of the entries.
fn open_files(
    folder: &Path,
    names: &[String],
    frames: &mut [Entry],
) -> Result<Vec<DataFile>, FrameError> {
    let mut files = Vec::new();
    let mut opened: HashMap<usize, usize> = HashMap::new();
    for entry in frames {
        let number = match opened.get(&entry.file) {
            Some(&number) => number,
            None => {
                let path = folder.join(&names[entry.file]);
                let bytes = Bytes::open(&path)?;
                let head = bytes.read_up_to(0, 4).map_err(|error| error.while_opening(&path))?;
                if !is_tiff(&head) {
                    let error = TiffError::malformed("it does not start as a TIFF does");
                    return Err(error.while_opening(&path));
                }
                let order = if head[0] == b'I' { Order::Little } else { Order::Big };
                files.push(DataFile { path, bytes, order });
                opened.insert(entry.file, files.len() - 1);
                files.len() - 1
            }
        };
        entry.file = number;
    }
    Ok(files)
}

impl Entry {
    /// Reads the pixels.
    fn read(&self, file: &DataFile) -> Result<Picture, TiffError> {
        // 0 is 8 bits, 1 is 16, 2 is RGB, and 3 to 6 are 10, 12, 14 and 11 bits in 16.
        let (channels, sample_bytes) = match self.kind {
            0 => (1, 1),
            2 => (3, 1),
            1 | 3..=6 => (1, 2),
            other => {
                return Err(TiffError::Unsupported(format!(
                    "has NDTiff pixels of kind {other}, which are not supported; save it with 8 or 16 bits"
                )));
            }
        };
        if self.compression != 0 {
            return Err(TiffError::Unsupported(format!(
                "has NDTiff pixels with compression {}, which is not supported; save it uncompressed",
                self.compression
            )));
        }
        let FrameSize { width, height } = self.size;
        let samples =
            u64::from(width).checked_mul(height.into()).and_then(|area| area.checked_mul(channels));
        let length = samples
            .and_then(|samples| samples.checked_mul(sample_bytes))
            .filter(|&length| length > 0)
            .ok_or_else(|| TiffError::malformed(format!("its image is {}", self.size)))?;
        let data = file.bytes.read(self.offset, length)?;
        let samples = if sample_bytes == 1 {
            Samples::Eight(data)
        } else {
            let pairs = data.chunks_exact(2).map(|pair| file.order.number(pair) as u16);
            Samples::Sixteen(pairs.collect())
        };
        Ok(Picture { size: self.size, channels: channels as usize, samples })
    }
}

impl Index {
    /// Reads one entry after another: length and JSON of the axes, length and name of the file,
    /// eight numbers. All numbers are little-endian with 32 bits.
    fn parse(data: &[u8]) -> Self {
        let mut index = Self::default();
        let mut numbers = HashMap::new();
        let mut rest = data;
        while !rest.is_empty() {
            let Some((axes, name, fields)) = next_entry(&mut rest) else {
                index.broken = Some("it ends within an entry".into());
                break;
            };
            if axes.is_empty() {
                // The index is allocated in advance, so a crash leaves this.
                index.broken = Some("it was not closed".into());
                break;
            }
            let places = std::str::from_utf8(axes).ok().and_then(places);
            let (Some(places), Ok(name)) = (places, std::str::from_utf8(name)) else {
                index.broken = Some("an entry is not readable".into());
                break;
            };
            if !is_plain_name(name) {
                index.broken = Some(format!("an entry names the file {name:?}"));
                break;
            }
            let file = *numbers.entry(name.to_owned()).or_insert_with_key(|name| {
                index.files.push(name.clone());
                index.files.len() - 1
            });
            let [offset, width, height, kind, compression, ..] = fields;
            index.entries.push(Entry {
                file,
                offset: offset.into(),
                size: FrameSize { width, height },
                kind,
                compression,
            });
            index.table.push(places);
        }
        index
    }
}

/// Takes the next entry from the front of `rest`: the JSON of the axes, the name of the file, the
/// numbers.
fn next_entry<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8], [u32; 8])> {
    let mut take = |length: usize| {
        let (taken, after) = rest.split_at_checked(length)?;
        *rest = after;
        Some(taken)
    };
    let length = |bytes: &[u8]| Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize);
    let axes_length = length(take(4)?)?;
    if axes_length == 0 {
        return Some((&[], &[], [0; 8]));
    }
    let axes = take(axes_length)?;
    let name_length = length(take(4)?)?;
    let name = take(name_length)?;
    let mut fields = [0; 8];
    for (field, bytes) in fields.iter_mut().zip(take(32)?.as_chunks::<4>().0) {
        *field = u32::from_le_bytes(*bytes);
    }
    Some((axes, name, fields))
}

/// Returns axes and positions sorted by name, whatever their order in the file.
fn places(json: &str) -> Option<Vec<(String, Coordinate)>> {
    let axes: Object = miniserde::json::from_str(json).ok()?;
    if axes.len() > Table::MOST_AXES {
        return None;
    }
    let place = |(axis, place): (String, Value)| {
        let place = match place {
            Value::Number(Number::U64(number)) => Coordinate::Number(number.try_into().ok()?),
            Value::Number(Number::I64(number)) => Coordinate::Number(number),
            Value::String(name) => Coordinate::Name(name),
            _ => return None,
        };
        Some((axis, place))
    };
    axes.into_iter().map(place).collect()
}

/// Returns true if the name has no folder. The index of a recording must not refer to files outside
/// of its folder.
fn is_plain_name(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == name)
}

impl FrameSource for NdTiff {
    fn info(&self) -> SourceInfo {
        let frames_decoded = self.decoded.load(Ordering::Relaxed);
        self.fixed
            .clone()
            .with_decode_stats(DecodeStats { frames_decoded, restarts: 0 })
            .with_more_warnings(self.levels.warnings())
            .with_levels(self.levels.range())
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        let picture = self.picture(index)?;
        let frame =
            self.levels.render(picture, self.fixed.frame_count, |index| self.picture(index));
        frame.map(Arc::new).map_err(|error| error.about(&self.folder))
    }
}
