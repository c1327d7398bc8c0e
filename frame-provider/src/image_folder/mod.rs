//! A folder of still images as a clip.

mod decode;
mod gaps;
mod go_pro;
pub(crate) mod names;
mod natural_order;
mod orientation;
mod pattern;
mod series;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use image::metadata::Orientation;

use crate::error::FrameError;
use crate::frame::{FrameSize, RgbFrame};
use crate::intensity::{Intensity, Levels};
use crate::open::OpenOptions;
use crate::picture::Picture;
use crate::source::{DecodeStats, FrameSource, Timing};
use series::Several;

/// Accepted endings, in lower case; the comparison ignores case.
const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "bmp", "tif", "tiff"];

/// A folder of images (`.jpg`, `.jpeg`, `.png`, `.bmp`, `.tif`, `.tiff`), one per frame.
///
/// - **Order:** natural order of the file names: `frame2.png` comes before `frame10.png`. A hyphen before a number is a minus
///   sign where the same name also comes without one (`frame-1.png`, `frame0.png`), at the beginning of a name, and after
///   another separator (`t=-20.png`). Decimals are ordered by value, dates by year, month and day; dates of which it cannot be
///   known whether the day or the month comes first are refused if the order depends on it. Capital letters do not matter.
/// - **Ignored:** files with other endings, hidden files, and folders inside the folder.
/// - **One clip:** a folder whose names show several series (`cam1_000.png` and `cam2_000.png`), masks next to frames, or a
///   file that is not of the series, is refused; [`ImageFolder::from_pattern`] picks one. Numbers that are missing are a
///   warning. Names without numbers are a clip in the order of the names.
/// - **Size:** all images have one size; this is checked when the folder is opened, by reading each file's header.
/// - **JPEG** pixels are those of libjpeg-turbo, bit for bit, which is also what Pillow gives.
/// - **Other depths and colours:** 16 bits become 8 by the [`Intensity`], gray and palette become RGB, alpha is dropped.
/// - **TIFF** files are read as by [`TiffStack`](crate::TiffStack), and have one page each.
/// - **Orientation:** images are turned upright as their EXIF data says (JPEG, and the chunk `eXIf` of PNG), and TIFF files
///   by the tag Orientation: as viewers, OpenCV's `IMREAD_COLOR` and Pillow's `exif_transpose` show them. (OpenCV cannot
///   read TIFF files that are stored lying on their side.) [`OpenOptions::exif`](crate::OpenOptions::exif) leaves the pixels
///   in the order in which they are stored, as the official SAM 2 code does.
#[derive(Debug)]
pub struct ImageFolder {
    name: PathBuf,
    files: Vec<PathBuf>,
    size: FrameSize,
    levels: Levels,
    timing: Timing,
    warnings: Vec<String>,
    /// Whether images are turned upright.
    exif: bool,
    decoded: AtomicU64,
}

impl ImageFolder {
    /// Opens a folder and checks the header of every image in it.
    ///
    /// # Errors
    /// [`FrameError::NotFound`], [`FrameError::NotADirectory`], [`FrameError::NoImages`], [`FrameError::SizeChanged`]
    /// naming the first file of another size, [`FrameError::Decode`] or [`FrameError::Unsupported`] for a file whose
    /// header cannot be read, [`FrameError::Unsupported`] for a folder that is not one clip by its names.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FrameError> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// Opens a folder with options, of which [`OpenOptions::intensity`] and [`OpenOptions::exif`] matter.
    ///
    /// # Errors
    /// Those of [`ImageFolder::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, FrameError> {
        let folder = path.as_ref();
        let metadata =
            std::fs::metadata(folder).map_err(|error| FrameError::from_io(folder, error))?;
        if !metadata.is_dir() {
            return Err(FrameError::NotADirectory { path: folder.to_owned() });
        }
        let clip = series::clip_of(folder, images_in(folder)?, Several::Refused)?;
        Self::checked(folder.to_owned(), clip.files, clip.warnings, options)
    }

    /// Opens the images of one folder whose names match a pattern such as `frames/cam1_*.png`: `*`, `?` and `[a-z]` in the
    /// file name. They have to be one clip by their names, as those of a folder do; the pattern `frames/*` takes all images
    /// of a folder in the order of their names, with a warning if they are several series.
    ///
    /// # Errors
    /// Those of [`ImageFolder::open`]; [`FrameError::NotFound`] if nothing matches or the name is no pattern.
    pub fn from_pattern(
        pattern: impl AsRef<Path>,
        options: &OpenOptions,
    ) -> Result<Self, FrameError> {
        let pattern = pattern.as_ref();
        let missing = || FrameError::NotFound { path: pattern.to_owned() };
        let (folder, name) = pattern::parts(pattern).ok_or_else(missing)?;
        let files = pattern::matching(&folder, &name)?;
        if files.is_empty() {
            return Err(missing());
        }
        let several = if name.as_str() == "*" { Several::Joined } else { Several::Refused };
        let clip = series::clip_of(&folder, files, several)?;
        tracing::info!(
            "{}: the {} images that match are the frames of one clip",
            pattern.display(),
            clip.files.len()
        );
        Self::checked(pattern.to_owned(), clip.files, clip.warnings, options)
    }

    /// Whether `path` is a pattern for [`ImageFolder::from_pattern`]: no file itself, with wildcards in its file name, and two
    /// or more files of its folder match, all of them still images. TIFF files with several pages are recordings of their
    /// own.
    pub fn is_pattern(path: impl AsRef<Path>) -> bool {
        pattern::matches_images(path.as_ref())
    }

    /// A clip of these image files, in this order.
    ///
    /// # Errors
    /// Those of [`ImageFolder::open`].
    pub fn from_files(files: Vec<PathBuf>) -> Result<Self, FrameError> {
        Self::from_files_with(files, &OpenOptions::default())
    }

    /// A clip of these image files, in this order, with the options of [`ImageFolder::open_with`].
    ///
    /// # Errors
    /// Those of [`ImageFolder::open`].
    pub fn from_files_with(files: Vec<PathBuf>, options: &OpenOptions) -> Result<Self, FrameError> {
        let name = match files.as_slice() {
            [only] => only.clone(),
            [first, ..] => first.parent().unwrap_or(first).to_owned(),
            [] => {
                return Err(FrameError::Empty { what: "the list of image files".into() });
            }
        };
        Self::checked(name, files, Vec::new(), options)
    }

    fn checked(
        name: PathBuf,
        files: Vec<PathBuf>,
        warnings: Vec<String>,
        options: &OpenOptions,
    ) -> Result<Self, FrameError> {
        let Some(first) = files.first() else {
            let accepted = ENDINGS.map(|ending| format!(".{ending}")).join(", ");
            return Err(FrameError::NoImages { path: name, accepted });
        };
        let exif = options.is_upright();
        let (size, orientation) = decode::read_header(first, 0, exif)?;
        let mut turned = usize::from(orientation != Orientation::NoTransforms);
        for (index, file) in files.iter().enumerate().skip(1) {
            let (found, orientation) = decode::read_header(file, index, exif)?;
            turned += usize::from(orientation != Orientation::NoTransforms);
            if found != size {
                return Err(FrameError::SizeChanged {
                    path: file.clone(),
                    index,
                    expected: size,
                    found,
                });
            }
        }
        if turned > 0 {
            tracing::info!(
                "{}: {turned} of the {} images are stored turned or mirrored; they are read upright, {size}, as viewers and \
                 OpenCV show them (--no-exif reads them as stored)",
                name.display(),
                files.len()
            );
        }
        Ok(Self {
            name,
            files,
            size,
            levels: Levels::new(options.intensity),
            timing: Timing::default(),
            warnings,
            exif,
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
        let picture = decode::read_picture(file, index, self.exif)?;
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
        let frame = self.levels.render(picture, self.files.len(), |index| self.picture(index));
        frame.map(Arc::new).map_err(|error| error.about(&self.name))
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

/// Compares two names in natural order.
pub(crate) fn compare_natural(a: &str, b: &str) -> std::cmp::Ordering {
    natural_order::compare(a, b)
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

/// Returns the images of a folder, or those that a pattern means, in any order.
pub(crate) fn images_of(path: &Path) -> Result<Vec<PathBuf>, FrameError> {
    match pattern::parts(path) {
        Some((folder, name)) if !path.is_dir() => pattern::matching(&folder, &name),
        _ => images_in(path),
    }
}

/// The images of a folder, in any order.
fn images_in(folder: &Path) -> Result<Vec<PathBuf>, FrameError> {
    let io_error = |error| FrameError::from_io(folder, error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io_error)? {
        let file = entry.map_err(io_error)?.path();
        // `is_file` follows links: a folder of links to frames is a common way to choose a subset.
        if has_image_ending(&file) && !is_hidden(&file) && file.is_file() {
            files.push(file);
        }
    }
    Ok(files)
}
