//! A folder of still images as a clip.

mod decode;
mod natural_order;

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::FrameError;
use crate::frame::{FrameSize, RgbFrame};
use crate::intensity::{Intensity, Levels};
use crate::picture::Picture;
use crate::source::{DecodeStats, FrameSource, Timing};

/// Accepted endings, in lower case; the comparison ignores case.
const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "bmp", "tif", "tiff"];

/// A folder of images (`.jpg`, `.jpeg`, `.png`, `.bmp`, `.tif`, `.tiff`), one per frame.
///
/// - **Order:** natural order of the file names: `frame2.png` comes before `frame10.png`.
/// - **Ignored:** files with other endings, hidden files, and folders inside the folder.
/// - **Size:** all images have one size; this is checked when the folder is opened, by reading each file's header.
/// - **JPEG** pixels are those of libjpeg-turbo, bit for bit, which is also what Pillow gives.
/// - **Other depths and colours:** 16 bits become 8 by the [`Intensity`], gray and palette become RGB, alpha is dropped.
/// - **TIFF** files are read as by [`TiffStack`](crate::TiffStack), and have one page each.
/// - **EXIF orientation is ignored**, as the official SAM 2 code does: pixels come in the order they are stored.
#[derive(Debug)]
pub struct ImageFolder {
    name: PathBuf,
    files: Vec<PathBuf>,
    size: FrameSize,
    levels: Levels,
    timing: Timing,
    warnings: Vec<String>,
    decoded: AtomicU64,
}

impl ImageFolder {
    /// Opens a folder and checks the header of every image in it.
    ///
    /// # Errors
    /// [`FrameError::NotFound`], [`FrameError::NotADirectory`], [`FrameError::NoImages`], [`FrameError::SizeChanged`]
    /// naming the first file of another size, [`FrameError::Decode`] or [`FrameError::Unsupported`] for a file whose
    /// header cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FrameError> {
        let folder = path.as_ref();
        let metadata =
            std::fs::metadata(folder).map_err(|error| FrameError::from_io(folder, error))?;
        if !metadata.is_dir() {
            return Err(FrameError::NotADirectory { path: folder.to_owned() });
        }
        let mut files = Vec::new();
        for entry in
            std::fs::read_dir(folder).map_err(|error| FrameError::from_io(folder, error))?
        {
            let file = entry.map_err(|error| FrameError::from_io(folder, error))?.path();
            // `is_file` follows links: a folder of links to frames is a common way to choose a subset.
            if has_image_ending(&file) && !is_hidden(&file) && file.is_file() {
                files.push(file);
            }
        }
        files.sort_by(|a, b| compare_names(a, b));
        let warnings = naming_warnings(folder, &files);
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        Self::checked(folder.to_owned(), files, warnings)
    }

    /// A clip of these image files, in this order.
    ///
    /// # Errors
    /// Those of [`ImageFolder::open`].
    pub fn from_files(files: Vec<PathBuf>) -> Result<Self, FrameError> {
        let name = match files.as_slice() {
            [only] => only.clone(),
            [first, ..] => first.parent().unwrap_or(first).to_owned(),
            [] => {
                return Err(FrameError::Empty { what: "the list of image files".into() });
            }
        };
        Self::checked(name, files, Vec::new())
    }

    fn checked(
        name: PathBuf,
        files: Vec<PathBuf>,
        warnings: Vec<String>,
    ) -> Result<Self, FrameError> {
        let Some(first) = files.first() else {
            let accepted = ENDINGS.map(|ending| format!(".{ending}")).join(", ");
            return Err(FrameError::NoImages { path: name, accepted });
        };
        let size = decode::read_size(first, 0)?;
        for (index, file) in files.iter().enumerate().skip(1) {
            let found = decode::read_size(file, index)?;
            if found != size {
                return Err(FrameError::SizeChanged {
                    path: file.clone(),
                    index,
                    expected: size,
                    found,
                });
            }
        }
        Ok(Self {
            name,
            files,
            size,
            levels: Levels::new(Intensity::default()),
            timing: Timing::default(),
            warnings,
            decoded: AtomicU64::new(0),
        })
    }

    /// The same clip with a frame rate; image files carry none.
    #[must_use]
    pub fn with_frames_per_second(mut self, frames_per_second: f64) -> Self {
        self.timing = Timing::from_rate(frames_per_second);
        self
    }

    /// The same clip with another way from 16 bits to 8.
    #[must_use]
    pub fn with_intensity(mut self, intensity: Intensity) -> Self {
        self.levels = Levels::new(intensity);
        self
    }

    /// The image files, in the order of the frames.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Image `index` as stored.
    fn picture(&self, index: usize) -> Result<Picture, FrameError> {
        let Some(file) = self.files.get(index) else {
            return Err(FrameError::IndexOutOfRange {
                index,
                count: self.files.len(),
                path: self.name.clone(),
            });
        };
        let picture = decode::read_picture(file, index)?;
        self.decoded.fetch_add(1, Ordering::Relaxed);
        // The file may have been replaced since the folder was opened.
        if picture.size != self.size {
            return Err(FrameError::SizeChanged {
                path: file.clone(),
                index,
                expected: self.size,
                found: picture.size,
            });
        }
        Ok(picture)
    }
}

impl FrameSource for ImageFolder {
    fn frame_count(&self) -> usize {
        self.files.len()
    }

    fn size(&self) -> FrameSize {
        self.size
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        let picture = self.picture(index)?;
        let frame = self.levels.render(picture, self.files.len(), |index| self.picture(index))?;
        Ok(Arc::new(frame))
    }

    fn timing(&self) -> Timing {
        self.timing
    }

    fn frame_name(&self, index: usize) -> Option<String> {
        let name = self.files.get(index)?.file_name()?;
        Some(name.to_string_lossy().into_owned())
    }

    fn describe(&self) -> String {
        self.name
            .file_name()
            .map_or_else(|| self.name.display().to_string(), |name| name.to_string_lossy().into())
    }

    fn decode_stats(&self) -> DecodeStats {
        DecodeStats { frames_decoded: self.decoded.load(Ordering::Relaxed), restarts: 0 }
    }

    fn warnings(&self) -> Vec<String> {
        let measuring = self.levels.warnings();
        self.warnings.iter().cloned().chain(measuring).collect()
    }
}

/// Compares the names of two files in natural order.
pub(crate) fn compare_names(a: &Path, b: &Path) -> std::cmp::Ordering {
    natural_order::compare(&name_of(a), &name_of(b))
}

/// Whether the file's ending is that of an accepted image format.
pub(crate) fn has_image_ending(path: &Path) -> bool {
    ending(path).is_some_and(|found| ENDINGS.contains(&found.as_str()))
}

fn ending(path: &Path) -> Option<String> {
    path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Hidden files with image endings are not frames: macOS leaves `._name.jpg` beside each file it copies.
fn is_hidden(path: &Path) -> bool {
    name_of(path).starts_with('.')
}

/// Signs that the folder holds more than one clip.
fn naming_warnings(folder: &Path, files: &[PathBuf]) -> Vec<String> {
    let mut warnings = Vec::new();
    let endings: BTreeSet<String> = files.iter().filter_map(|file| ending(file)).collect();
    let stems: HashSet<&OsStr> = files.iter().filter_map(|file| file.file_stem()).collect();
    if stems.len() < files.len() {
        warnings.push(format!(
            "{}: {} of the {} images share their name with another one but for the ending ({}); each counts as a frame",
            folder.display(),
            files.len() - stems.len(),
            files.len(),
            endings.into_iter().collect::<Vec<_>>().join(", "),
        ));
    }
    warnings
}
