//! A folder of still images as a clip.

mod decode;
mod gaps;
mod go_pro;
pub(crate) mod names;
mod natural_order;
mod orientation;
mod pattern;
mod series;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use image::metadata::Orientation;

use crate::endings::{self, has_image_ending};
use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::intensity::{Intensity, Levels};
use crate::open_options::OpenOptions;
use crate::picture::Picture;
use crate::source::FrameSource;
use crate::source_info::{DecodeStats, SourceInfo, Timing};
use series::Several;

/// A folder of images (`.jpg`, `.jpeg`, `.png`, `.bmp`, `.tif`, `.tiff`), one per frame.
///
/// - **Order:** natural order of the file names: `frame2.png` comes before `frame10.png`. A hyphen
///   before a number is a minus sign where the same name also comes without one (`frame-1.png`,
///   `frame0.png`), at the beginning of a name, and after another separator (`t=-20.png`). Decimals
///   are ordered by value, dates by year, month and day; dates are rejected if it is unclear
///   whether the day or the month comes first and the order depends on it. Letter case does not
///   matter.
/// - **Ignored:** files with other endings, hidden files, and folders inside the folder.
/// - **One clip:** a folder is rejected if its names show several series (`cam1_000.png` and
///   `cam2_000.png`), masks next to frames, or a file that does not belong to the series;
///   [`ImageFolder::from_pattern`] selects one series. Missing numbers cause a warning. Names
///   without numbers are a clip in the order of the names.
/// - **Size:** all images must have the same size; this is checked when the folder is opened, by
///   reading each file's header.
/// - **JPEG** pixels are those of libjpeg-turbo, bit for bit, which is also what Pillow gives.
/// - **Other depths and colours:** 16-bit samples become 8-bit samples as the [`Intensity`] says,
///   gray and palette become RGB, alpha is dropped.
/// - **TIFF** files are read as in [`TiffStack`](crate::TiffStack), and must have one page each.
/// - **Orientation:** images are turned upright as their EXIF data says (JPEG, and the chunk `eXIf`
///   of PNG), and TIFF files as their tag Orientation says. The result is the same as in viewers,
///   OpenCV's `IMREAD_COLOR` and Pillow's `exif_transpose`. (OpenCV cannot read TIFF files that are
///   stored lying on their side.) [`OpenOptions::exif`](crate::OpenOptions::exif) leaves the pixels
///   in the order in which they are stored, as the official SAM 2 code does.
#[derive(Debug)]
pub struct ImageFolder {
    name: PathBuf,
    files: Vec<PathBuf>,
    /// The facts that reading does not change.
    fixed: SourceInfo,
    levels: Levels,
    /// True if images are turned upright.
    exif: bool,
    decoded: AtomicU64,
}

impl ImageFolder {
    /// Opens a folder and checks the header of every image in it.
    ///
    /// # Errors
    /// [`FrameError::NotFound`], [`FrameError::NotADirectory`], [`FrameError::NoImages`],
    /// [`FrameError::SizeChanged`] naming the first file of another size, [`FrameError::Decode`] or
    /// [`FrameError::Unsupported`] for a file whose header cannot be read,
    /// [`FrameError::Unsupported`] for a folder whose names do not form one clip.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FrameError> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// Opens a folder with options; only [`OpenOptions::intensity`] and [`OpenOptions::exif`] have
    /// an effect.
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

    /// Opens the images of one folder whose names match a pattern such as `frames/cam1_*.png`: `*`,
    /// `?` and `[a-z]` in the file name. The names must form one clip, as those of a folder must.
    /// The pattern `frames/*` selects all images of a folder in the order of their names, with a
    /// warning if they form several series.
    ///
    /// # Errors
    /// Those of [`ImageFolder::open`]; [`FrameError::NotFound`] if nothing matches or the name is
    /// not a pattern.
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

    /// Returns true if `path` is a pattern for [`ImageFolder::from_pattern`]: `path` itself is not
    /// a file, its file name has wildcards, and at least two files of its folder match, all of them
    /// still images. TIFF files with several pages are separate recordings and do not count as
    /// still images.
    pub fn is_pattern(path: impl AsRef<Path>) -> bool {
        pattern::matches_images(path.as_ref())
    }

    /// Makes a clip of these image files, in this order.
    ///
    /// # Errors
    /// Those of [`ImageFolder::open`].
    pub fn from_files(files: Vec<PathBuf>) -> Result<Self, FrameError> {
        Self::from_files_with(files, &OpenOptions::default())
    }

    /// Makes a clip of these image files, in this order, with the options of
    /// [`ImageFolder::open_with`].
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
            let accepted = endings::IMAGES.map(|ending| format!(".{ending}")).join(", ");
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
            fixed: SourceInfo::of_path(&name, files.len(), size)
                .with_frame_names(files.iter().map(|file| name_of(file)).collect::<Vec<_>>())
                .with_warnings(warnings),
            name,
            files,
            levels: Levels::new(options.intensity),
            exif,
            decoded: AtomicU64::new(0),
        })
    }

    /// Returns the same clip with a frame rate; image files do not store one.
    #[must_use]
    pub fn with_frames_per_second(mut self, frames_per_second: f64) -> Self {
        self.fixed.timing = Timing::from_rate(frames_per_second);
        self
    }

    /// Returns the same clip with another conversion from 16 bits to 8.
    #[must_use]
    pub fn with_intensity(mut self, intensity: Intensity) -> Self {
        self.levels = Levels::new(intensity);
        self
    }

    /// Returns the image files, in the order of the frames.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Returns image `index` as stored.
    fn picture(&self, index: usize) -> Result<Picture, FrameError> {
        let Some(file) = self.files.get(index) else {
            return Err(FrameError::IndexOutOfRange {
                index,
                count: self.fixed.frame_count,
                path: self.name.clone(),
            });
        };
        let picture = decode::read_picture(file, index, self.exif)?;
        self.decoded.fetch_add(1, Ordering::Relaxed);
        // The file may have been replaced since the folder was opened.
        if picture.size != self.fixed.size {
            return Err(FrameError::SizeChanged {
                path: file.clone(),
                index,
                expected: self.fixed.size,
                found: picture.size,
            });
        }
        Ok(picture)
    }
}

impl FrameSource for ImageFolder {
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

/// Compares two names in natural order.
pub(crate) fn compare_natural(a: &str, b: &str) -> std::cmp::Ordering {
    natural_order::compare(a, b)
}

/// Compares the names of two files in natural order.
pub(crate) fn compare_names(a: &Path, b: &Path) -> std::cmp::Ordering {
    natural_order::compare(&name_of(a), &name_of(b))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns true if the file is hidden. Hidden files with image endings are not frames: macOS leaves
/// `._name.jpg` next to each file it copies.
fn is_hidden(path: &Path) -> bool {
    name_of(path).starts_with('.')
}

/// Returns the images of a folder, or those that match a pattern, in any order.
pub(crate) fn images_of(path: &Path) -> Result<Vec<PathBuf>, FrameError> {
    match pattern::parts(path) {
        Some((folder, name)) if !path.is_dir() => pattern::matching(&folder, &name),
        _ => images_in(path),
    }
}

/// Returns the images of a folder, in any order.
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
