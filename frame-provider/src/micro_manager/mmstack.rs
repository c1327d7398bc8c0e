//! Micro-Manager's image stacks: OME-TIFF files with an additional index map.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use miniserde::json::{Number, Object, Value};

use crate::axes::{Axes, Coordinate, Table};
use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::intensity::{Intensity, Levels};
use crate::picture::Picture;
use crate::source::FrameSource;
use crate::source_info::{DecodeStats, SourceInfo, Timing};
use crate::tiff::{Bytes, Chain, Tiff, TiffError, page_at, page_size};

/// Marks the offset of the index map in the header.
const MAP_IN_HEADER: u64 = 54_773_648;

/// Starts the index map itself.
const MAP: u64 = 3_453_623;

/// Number of bytes of an entry of the index map: channel, slice, frame, position and the offset of
/// the directory, 32 bits each.
const MAP_ENTRY: u64 = 20;

/// Micro-Manager's metadata of one page, in JSON.
const PAGE_METADATA: u16 = 51123;

/// A Micro-Manager recording of the kind *image stack file*: one or more `*_MMStack*.ome.tif` in a
/// folder.
///
/// Each file has an index map with the offset of each of its images; the files of a recording are
/// combined. [`Axes`] (`time`, `channel`, `z`, `position`) chooses the frames. A file without a
/// sound map, for example after a crash, is read by the metadata of its pages instead, with a
/// warning.
#[derive(Debug)]
pub struct MmStack {
    name: PathBuf,
    files: Vec<(PathBuf, Tiff)>,
    /// The file and the directory of each frame.
    frames: Vec<(usize, u64)>,
    /// The facts that reading does not change.
    fixed: SourceInfo,
    levels: Levels,
    decoded: AtomicU64,
}

impl MmStack {
    /// Opens the recording in `folder` with the default axes.
    ///
    /// # Errors
    /// [`FrameError::NotFound`], [`FrameError::Io`], [`FrameError::NoImages`] without any
    /// `*_MMStack*.tif`, [`FrameError::NotAnImage`] for a file that is not a TIFF,
    /// [`FrameError::NoFrames`], [`FrameError::Unsupported`] if the folder holds several
    /// recordings.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, FrameError> {
        Self::open_with(folder, &Axes::default())
    }

    /// Opens the recording in `folder`.
    ///
    /// # Errors
    /// Those of [`MmStack::open`]; [`FrameError::Unsupported`] for axes that the recording lacks.
    pub fn open_with(folder: impl AsRef<Path>, axes: &Axes) -> Result<Self, FrameError> {
        let folder = folder.as_ref();
        let files = super::mmstack_files(folder)?;
        if files.is_empty() {
            let accepted = "_MMStack*.tif".into();
            return Err(FrameError::NoImages { path: folder.to_owned(), accepted });
        }
        Self::new(folder.to_owned(), files, axes, Vec::new())
    }

    /// Opens one file of a recording, with a warning if there are other files of it in the folder.
    ///
    /// # Errors
    /// Those of [`MmStack::open_with`].
    pub fn open_file(file: impl AsRef<Path>, axes: &Axes) -> Result<Self, FrameError> {
        let file = file.as_ref();
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let beside = super::mmstack_files(folder.unwrap_or(Path::new("."))).unwrap_or_default();
        let others = beside.iter().filter(|other| recording(other) == recording(file)).count();
        let mut warnings = Vec::new();
        if others > 1 {
            warnings.push(format!(
                "{}: one of the {others} files of its recording is read; open the folder to read all",
                file.display()
            ));
        }
        Self::new(file.to_owned(), vec![file.to_owned()], axes, warnings)
    }

    fn new(
        name: PathBuf,
        paths: Vec<PathBuf>,
        axes: &Axes,
        mut warnings: Vec<String>,
    ) -> Result<Self, FrameError> {
        if let Some(other) = paths.iter().find(|path| recording(path) != recording(&paths[0])) {
            let what = format!(
                "belongs to another recording than {} in the same folder; keep each recording in a folder of its own",
                paths[0].file_name().unwrap_or_default().display()
            );
            return Err(FrameError::Unsupported { path: other.clone(), what });
        }
        let mut table = Table::default();
        let mut places = Vec::new();
        let mut files = Vec::new();
        for path in paths {
            let opening = |error: TiffError| error.while_opening(&path);
            let tiff = Tiff::new(Bytes::open(&path)?).map_err(opening)?;
            let images = match index_map(&tiff) {
                Ok(images) => images,
                Err(TiffError::Malformed(reason)) => {
                    warnings.push(format!(
                        "{}: has no sound index map ({reason}); its pages are read one by one instead",
                        path.display()
                    ));
                    by_page(&tiff, places.len()).map_err(opening)?
                }
                Err(error) => return Err(error.while_opening(&path)),
            };
            for image in images {
                table.push(image.axes());
                places.push((files.len(), image.directory));
            }
            files.push((path, tiff));
        }
        if places.is_empty() {
            return Err(FrameError::NoFrames { path: name });
        }
        let choice = table.choose(&name, axes)?;
        warnings.extend(choice.warnings);
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let frames: Vec<_> = choice.images.into_iter().map(|image| places[image]).collect();
        let (file, directory) = frames[0];
        let size = page_size(&files[file].1, directory)
            .map_err(|error| error.while_opening(&files[file].0))?;
        Ok(Self {
            fixed: SourceInfo::of_path(&name, frames.len(), size).with_warnings(warnings),
            name,
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
        let &(file, directory) =
            self.frames.get(index).ok_or_else(|| FrameError::IndexOutOfRange {
                index,
                count: self.fixed.frame_count,
                path: self.name.clone(),
            })?;
        let (path, tiff) = &self.files[file];
        let picture = page_at(tiff, directory, path, index)?;
        self.decoded.fetch_add(1, Ordering::Relaxed);
        if picture.size != self.fixed.size {
            return Err(FrameError::SizeChanged {
                path: path.clone(),
                index,
                expected: self.fixed.size,
                found: picture.size,
            });
        }
        Ok(picture)
    }
}

/// Returns the part of the name that all files of a recording share.
fn recording(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    name.split("_mmstack").next().unwrap_or_default().to_owned()
}

/// One image of a file.
struct Placed {
    channel: i64,
    slice: i64,
    frame: i64,
    position: i64,
    /// Offset of its directory.
    directory: u64,
}

impl Placed {
    fn axes(&self) -> [(String, Coordinate); 4] {
        [
            ("time", self.frame),
            ("position", self.position),
            ("z", self.slice),
            ("channel", self.channel),
        ]
        .map(|(axis, place)| (axis.to_owned(), Coordinate::Number(place)))
    }
}

/// Reads the index map. Its entries with offset 0 are images that were never written.
fn index_map(tiff: &Tiff) -> Result<Vec<Placed>, TiffError> {
    let number = |bytes: &[u8], at: usize| tiff.order.number(&bytes[at * 4..at * 4 + 4]);
    let header = tiff.bytes.read(8, 8)?;
    if number(&header, 0) != MAP_IN_HEADER {
        return Err(TiffError::malformed("its header does not point to one"));
    }
    let at = number(&header, 1);
    let head = tiff.bytes.read(at, 8)?;
    if number(&head, 0) != MAP {
        return Err(TiffError::malformed("there is none where its header points to"));
    }
    let entries = tiff.bytes.read(at + 8, number(&head, 1) * MAP_ENTRY)?;
    let images: Vec<Placed> = entries
        .chunks_exact(MAP_ENTRY as usize)
        .map(|entry| Placed {
            channel: number(entry, 0) as i64,
            slice: number(entry, 1) as i64,
            frame: number(entry, 2) as i64,
            position: number(entry, 3) as i64,
            directory: number(entry, 4),
        })
        .filter(|image| image.directory != 0)
        .collect();
    if images.is_empty() {
        return Err(TiffError::malformed("it is empty"));
    }
    Ok(images)
}

/// Reads the positions from the metadata of each page; pages without metadata count as further time
/// points from `next` onwards.
fn by_page(tiff: &Tiff, next: usize) -> Result<Vec<Placed>, TiffError> {
    const METADATA_BYTES: u64 = 1 << 20;
    let mut images = Vec::new();
    for (page, directory) in Chain::read(tiff, usize::MAX)?.pages.into_iter().enumerate() {
        let json = tiff.directory(directory)?.text(PAGE_METADATA, METADATA_BYTES);
        let json: Object = miniserde::json::from_str(&json).unwrap_or_default();
        let place = |key: &str| match json.get(key) {
            Some(Value::Number(Number::U64(number))) => i64::try_from(*number).ok(),
            _ => None,
        };
        images.push(Placed {
            channel: place("ChannelIndex").unwrap_or(0),
            slice: place("SliceIndex").unwrap_or(0),
            frame: place("FrameIndex").or_else(|| place("Frame")).unwrap_or((next + page) as i64),
            position: place("PositionIndex").unwrap_or(0),
            directory,
        });
    }
    Ok(images)
}

impl FrameSource for MmStack {
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
        frame.map(Arc::new).map_err(|error| error.about(&self.name))
    }
}
