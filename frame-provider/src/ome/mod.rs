//! OME-TIFF recordings in several files, or with several images in one.

mod found;
mod xml;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::axes::Axes;
use crate::endings::has_tiff_ending;
use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::intensity::{Intensity, Levels};
use crate::picture::Picture;
use crate::source::FrameSource;
use crate::source_info::{DecodeStats, SourceInfo, Timing};
use crate::tiff::{Bytes, Tiff, TiffError, description_of, page_at};
use found::Found;
use xml::Metadata;

/// Largest size of the XML in bytes. The XML of a hundred thousand planes has about 20 MB.
const XML_BYTES: u64 = 1 << 28;

/// Number of bytes read from a file to learn its UUID.
const HEAD_BYTES: u64 = 1 << 12;

/// The ending of an XML file that several files share.
const COMPANION: &str = ".companion.ome";

/// An OME-TIFF recording whose XML places its planes in several files, or that holds several images
/// (positions) in one file.
///
/// The files are found by the names and UUIDs in the XML, in the folder of the file that is opened;
/// a renamed file is found by its UUID. All files that hold frames must exist. [`Axes`] (`time`,
/// `channel`, `z`, `position`) chooses the frames. The XML may be in the files themselves or in a
/// `.companion.ome` next to them.
///
/// **Cost:** opening reads the directories of the files that hold frames, and no pixels. At most 64
/// files are open at once.
#[derive(Debug)]
pub struct OmeTiff {
    name: PathBuf,
    files: Vec<PathBuf>,
    /// The file and the directory of each frame.
    frames: Vec<(usize, u64)>,
    open: Mutex<LruCache<usize, Arc<Tiff>>>,
    /// The facts that reading does not change.
    fixed: SourceInfo,
    levels: Levels,
    decoded: AtomicU64,
}

impl OmeTiff {
    /// Opens the recording that a file is part of: one of its TIFF files, or its `.companion.ome`.
    /// `Ok(None)` means that the file is not an OME-TIFF, or is the whole recording, which
    /// [`TiffStack`](crate::TiffStack) reads.
    ///
    /// # Errors
    /// [`FrameError::NotFound`], [`FrameError::Io`], [`FrameError::NotAnImage`] for a damaged file
    /// of the recording, [`FrameError::Unsupported`] for files that are missing or belong to
    /// another recording, or for axes that the recording lacks.
    pub fn find(file: impl AsRef<Path>, axes: &Axes) -> Result<Option<Self>, FrameError> {
        let file = file.as_ref();
        let found = found_with(file)?;
        found.map(|found| found.open(file.to_owned(), axes)).transpose()
    }

    /// Opens the recording in a folder, if the folder's TIFF files belong to one recording in
    /// several files.
    ///
    /// # Errors
    /// Those of [`OmeTiff::find`]; [`FrameError::Unsupported`] if the folder holds other TIFF files
    /// as well.
    pub fn in_folder(folder: impl AsRef<Path>, axes: &Axes) -> Result<Option<Self>, FrameError> {
        let folder = folder.as_ref();
        let found = found_in(folder)?;
        found.map(|found| found.open(folder.to_owned(), axes)).transpose()
    }

    /// Returns the files of the recording, whether or not they hold frames.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Returns the same recording with another conversion to 8 bits.
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

    fn tiff(&self, file: usize) -> Result<Arc<Tiff>, FrameError> {
        if let Some(tiff) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&file) {
            return Ok(Arc::clone(tiff));
        }
        let tiff = Arc::new(open_tiff(&self.files[file])?);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.put(file, Arc::clone(&tiff));
        Ok(tiff)
    }

    /// Returns image `index` as stored.
    fn picture(&self, index: usize) -> Result<Picture, FrameError> {
        let &(file, directory) =
            self.frames.get(index).ok_or_else(|| FrameError::IndexOutOfRange {
                index,
                count: self.fixed.frame_count,
                path: self.name.clone(),
            })?;
        let path = &self.files[file];
        let picture = page_at(&*self.tiff(file)?, directory, path, index)?;
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

/// Returns true if the file is XML that several OME-TIFF files share.
pub(crate) fn is_companion(path: &Path) -> bool {
    path.to_string_lossy().to_ascii_lowercase().ends_with(COMPANION)
}

/// Returns the TIFF files of the recording in a folder, or of the recording that a file is part of;
/// empty if the recording is not in several files.
///
/// # Errors
/// As [`OmeTiff::find`] and [`OmeTiff::in_folder`].
pub(crate) fn files_of(path: &Path) -> Result<Vec<PathBuf>, FrameError> {
    let found = if path.is_dir() { found_in(path)? } else { found_with(path)? };
    Ok(found.map(|found| found.files).unwrap_or_default())
}

/// Finds the files of the recording that a file is part of.
fn found_with(file: &Path) -> Result<Option<Found>, FrameError> {
    match read_metadata(file)? {
        Some(metadata) => Found::new(file, metadata),
        None => Ok(None),
    }
}

/// Finds the files of the recording in a folder.
fn found_in(folder: &Path) -> Result<Option<Found>, FrameError> {
    let files = tiff_files(folder)?;
    let is_named_so =
        |file: &&PathBuf| file.to_string_lossy().to_ascii_lowercase().contains(".ome.");
    let Some(first) = files.iter().find(is_named_so).or(files.first()) else { return Ok(None) };
    // Errors of a file that is not an OME-TIFF are not reported here.
    let metadata = match read_metadata(first) {
        Ok(Some(metadata)) => metadata,
        _ => return Ok(None),
    };
    let Some(found) = Found::new(first, metadata)? else { return Ok(None) };
    let other = files.iter().find(|file| !found.files.contains(file));
    // A single file of a recording whose other files are missing counts too, if the folder holds
    // nothing else.
    let is_left = other.is_none() && found.places.iter().any(Result::is_err);
    if found.files.len() < 2 && !is_left {
        return Ok(None);
    }
    if let Some(other) = other {
        let what = format!(
            "does not belong to the OME-TIFF recording of {} files in the same folder; open {} to read that recording, or \
             keep each recording in a folder of its own",
            found.places.len(),
            first.display()
        );
        return Err(FrameError::Unsupported { path: other.clone(), what });
    }
    Ok(Some(found))
}

/// Returns the XML of a file, or of its companion; `None` if it has none.
fn read_metadata(file: &Path) -> Result<Option<Metadata>, FrameError> {
    if is_companion(file) {
        let text =
            std::fs::read_to_string(file).map_err(|error| FrameError::from_io(file, error))?;
        return Ok(xml::parse(&text));
    }
    let opening = |error: TiffError| error.while_opening(file);
    // Reading a damaged file as a stack reports what is wrong with it.
    let Ok(tiff) = open_tiff(file) else { return Ok(None) };
    if !description_of(&tiff, HEAD_BYTES).is_ok_and(|text| text.contains("<OME")) {
        return Ok(None);
    }
    let text = description_of(&tiff, XML_BYTES).map_err(opening)?;
    let Some(metadata) = xml::parse(&text) else { return Ok(None) };
    let Some(companion) = &metadata.companion else { return Ok(Some(metadata)) };
    let path = sibling(file, companion)?;
    let text = std::fs::read_to_string(&path).map_err(|_| {
        let what = format!(
            "keeps its metadata in {companion}, which is missing; put it into the same folder"
        );
        FrameError::Unsupported { path: file.to_owned(), what }
    })?;
    let own = metadata.own;
    Ok(xml::parse(&text).map(|metadata| Metadata { own, ..metadata }))
}

fn open_tiff(path: &Path) -> Result<Tiff, FrameError> {
    Tiff::new(Bytes::open(path)?).map_err(|error| error.while_opening(path))
}

/// Returns the path of a file in the same folder. The XML of a recording must not refer to files
/// outside of it.
fn sibling(file: &Path, name: &str) -> Result<PathBuf, FrameError> {
    if Path::new(name).file_name().is_some_and(|plain| plain == name) {
        return Ok(file.parent().unwrap_or(Path::new("")).join(name));
    }
    let what = format!("refers to the file {name:?}, which is not in its folder");
    Err(FrameError::Unsupported { path: file.to_owned(), what })
}

/// Returns the TIFF files of a folder, in natural order.
fn tiff_files(folder: &Path) -> Result<Vec<PathBuf>, FrameError> {
    let io_error = |error| FrameError::from_io(folder, error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io_error)? {
        let file = entry.map_err(io_error)?.path();
        let is_hidden =
            file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if has_tiff_ending(&file) && !is_hidden && file.is_file() {
            files.push(file);
        }
    }
    files.sort_by(|a, b| crate::image_folder::compare_names(a, b));
    Ok(files)
}

impl FrameSource for OmeTiff {
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
