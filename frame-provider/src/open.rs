//! Opens a path according to what it holds.

use std::fs::File;
use std::io::Read;
use std::iter;
use std::path::{Path, PathBuf};

use crate::endings::{has_image_ending, has_tiff_ending};
use crate::error::FrameError;
use crate::foreign;
use crate::image_folder::ImageFolder;
#[cfg(feature = "video")]
use crate::intensity::Intensity;
#[cfg(feature = "video")]
use crate::joined::JoinedFrames;
#[cfg(feature = "video")]
use crate::mapped::MappedFrames;
use crate::micro_manager::{MmStack, NdTiff, is_mmstack_name, mmstack_files, ndtiff_folder};
use crate::numpy::{NumpyFrames, is_numpy};
use crate::ome::{OmeTiff, is_companion};
use crate::open_options::OpenOptions;
use crate::source::FrameSource;
use crate::tiff::{TiffStack, is_tiff};
#[cfg(feature = "video")]
use crate::video::{VideoFrames, check_video};
use crate::video_folder::video_files;
#[cfg(feature = "video")]
use crate::video_folder::{list, missing_parts, order_files};
#[cfg(not(feature = "video"))]
use crate::video_options::VideoOptions;

/// Opens whatever `path` holds: a video file, a TIFF stack, a folder of images, a recording of
/// Micro-Manager, or a single image as a clip of one frame.
///
/// The result reads on demand; wrap it in [`LazyFrames`](crate::LazyFrames) for caching and
/// prefetching.
///
/// # Errors
/// Those of [`open_with`].
pub fn open(path: impl AsRef<Path>) -> Result<Box<dyn FrameSource>, FrameError> {
    open_with(path, &OpenOptions::default())
}

/// Opens whatever `path` holds, with options:
///
/// | at the path | read as |
/// |---|---|
/// | a folder with `NDTiff.index` | [`NdTiff`] |
/// | a folder with `*_MMStack*.tif` | [`MmStack`] |
/// | another folder, with video files and no images | [`JoinedFrames`] of them, with a warning that states their order |
/// | a folder with the files of one OME-TIFF recording | [`OmeTiff`] |
/// | another folder | [`ImageFolder`] |
/// | a file `*_MMStack*.tif` | [`MmStack::open_file`] |
/// | one of several files of an OME-TIFF recording, or its `.companion.ome` | [`OmeTiff`] |
/// | a file that ends with `.tif`, `.tiff`, `.btf`, `.stk` or `.lsm`, or starts as a TIFF does | [`TiffStack`] |
/// | a file with the ending of another image | [`ImageFolder`] with one frame |
/// | a file that starts as a NumPy array does (`.npy`) | [`NumpyFrames`] |
/// | any other file | [`VideoFrames`] |
/// | nothing, but images match the name as a pattern | [`ImageFolder::from_pattern`] |
///
/// # Errors
/// Those of the source found. [`FrameError::Unsupported`] for axes or a video stream where there is
/// nothing to choose from, and for formats of other programs (HDF5, Zarr, ND2, CZI, ...); the
/// message then names the format and the remedy.
pub fn open_with(
    path: impl AsRef<Path>,
    options: &OpenOptions,
) -> Result<Box<dyn FrameSource>, FrameError> {
    let path = path.as_ref();
    let source = if options.join.is_empty() {
        open_by_kind(path, options)?
    } else {
        let files = iter::once(path).chain(options.join.iter().map(PathBuf::as_path));
        open_joined(files.map(Path::to_owned).collect(), options, None)?
    };
    check_stream(source.as_ref(), path, options)?;
    Ok(source)
}

/// Checks whether [`open_with`] could open `path`, without reading whole videos: only the first
/// frame of a video is decoded. All other sources are opened fully.
///
/// A program with many recordings can thus report a damaged one before it starts on the first.
///
/// # Errors
/// Those of [`open_with`]. Damage after the start of a video is not detected.
pub fn check_opens(path: impl AsRef<Path>, options: &OpenOptions) -> Result<(), FrameError> {
    let path = path.as_ref();
    let files = match options.join.as_slice() {
        [] => match find(path, options)? {
            Found::Videos(files) => files,
            Found::Video => vec![path.to_owned()],
            Found::Source(source) => return check_stream(source.as_ref(), path, options),
        },
        further => {
            let files: Vec<PathBuf> =
                iter::once(path.to_owned()).chain(further.iter().cloned()).collect();
            check_joinable(&files)?;
            files
        }
    };
    files.iter().try_for_each(|file| check_video(file, &options.video))
}

/// Returns an error if a video stream was chosen but the source has none.
fn check_stream(
    source: &dyn FrameSource,
    path: &Path,
    options: &OpenOptions,
) -> Result<(), FrameError> {
    if options.video.stream.is_some() && source.info().video.is_none() {
        let what = "is not a video, so it has no video streams; leave --stream out".into();
        return Err(FrameError::Unsupported { path: path.to_owned(), what });
    }
    Ok(())
}

/// Content of a path.
enum Found {
    /// An open source of any kind but video.
    Source(Box<dyn FrameSource>),
    /// A file that must be a video, since it is nothing else.
    Video,
    /// A folder with the video files of one recording.
    Videos(Vec<PathBuf>),
}

fn open_by_kind(path: &Path, options: &OpenOptions) -> Result<Box<dyn FrameSource>, FrameError> {
    match find(path, options)? {
        Found::Source(source) => return Ok(source),
        Found::Videos(files) => return open_joined(files, options, Some(path)),
        Found::Video => {}
    }
    open_video(path, options)
}

#[cfg(feature = "video")]
fn open_video(path: &Path, options: &OpenOptions) -> Result<Box<dyn FrameSource>, FrameError> {
    let intensity = options.intensity;
    let video = VideoFrames::open_with(path, options.video.clone())?.with_intensity(intensity);
    Ok(match intensity {
        // Gray and RGB samples of more than 8 bits are mapped before they lose any bits.
        _ if video.maps_samples() => Box::new(video),
        // FFmpeg has already converted all other samples to 8 bits.
        Intensity::Auto | Intensity::Full => Box::new(video),
        _ => Box::new(MappedFrames::new(video, intensity)),
    })
}

/// Finds out what a path holds, and opens it unless it is a video.
fn find(path: &Path, options: &OpenOptions) -> Result<Found, FrameError> {
    let intensity = options.intensity;
    let open = |source: Box<dyn FrameSource>| Ok(Found::Source(source));
    if !path.exists() && ImageFolder::is_pattern(path) {
        refuse_axes(path, options)?;
        return open(Box::new(ImageFolder::from_pattern(path, options)?));
    }
    let metadata = std::fs::metadata(path).map_err(|error| FrameError::from_io(path, error))?;
    if metadata.is_dir() {
        if let Some(folder) = ndtiff_folder(path) {
            let source = NdTiff::open_with(folder, &options.axes)?;
            return open(Box::new(source.with_intensity(intensity)));
        }
        if !mmstack_files(path)?.is_empty() {
            let source = MmStack::open_with(path, &options.axes)?;
            return open(Box::new(source.with_intensity(intensity)));
        }
        foreign::refuse_folder(path)?;
        if let Some(source) = OmeTiff::in_folder(path, &options.axes)? {
            return open(Box::new(source.with_intensity(intensity)));
        }
        refuse_axes(path, options)?;
        let videos = video_files(path)?;
        if let (Some(video), Some(image)) = (videos.first(), an_image(path)?) {
            let (videos, video, image) = (videos.len(), name_of(video), name_of(&image));
            let held = match videos {
                1 => format!("a video file ({video})"),
                _ => format!("{videos} video files (such as {video})"),
            };
            let what = format!(
                "holds {held} and images (such as {image}): it cannot be told which of them are the recording; give the video file, \
                 several with --join, or a pattern of the images in quotes"
            );
            return Err(FrameError::Unsupported { path: path.to_owned(), what });
        }
        if !videos.is_empty() {
            return Ok(Found::Videos(videos));
        }
        return open(Box::new(ImageFolder::open_with(path, options)?));
    }
    if metadata.is_file() && is_mmstack_name(path) {
        let source = MmStack::open_file(path, &options.axes)?;
        return open(Box::new(source.with_intensity(intensity)));
    }
    if metadata.is_file() && is_numpy(&head(path)) {
        refuse_axes(path, options)?;
        return open(Box::new(NumpyFrames::open(path)?.with_intensity(intensity)));
    }
    foreign::refuse_file(path)?;
    if is_companion(path) {
        let source = OmeTiff::find(path, &options.axes)?;
        let source = source.ok_or_else(|| FrameError::Unsupported {
            path: path.to_owned(),
            what: "is not the XML of an OME-TIFF recording; open one of its TIFF files".into(),
        })?;
        return open(Box::new(source.with_intensity(intensity)));
    }
    if has_tiff_ending(path) && !holds_another_image(path) || starts_as_tiff(path) {
        if let Some(source) = OmeTiff::find(path, &options.axes)? {
            return open(Box::new(source.with_intensity(intensity)));
        }
        let source = TiffStack::open_with(path, &options.axes)?;
        return open(Box::new(source.with_intensity(intensity)));
    }
    refuse_axes(path, options)?;
    if has_image_ending(path) {
        // FFmpeg would open these too, but its JPEG decoder is not bit-identical to the reference.
        return open(Box::new(ImageFolder::from_files_with(vec![path.to_owned()], options)?));
    }
    Ok(Found::Video)
}

/// Opens video files as one recording: the files found in `folder`, or without a folder, files in
/// the given order.
#[cfg(feature = "video")]
fn open_joined(
    files: Vec<PathBuf>,
    options: &OpenOptions,
    folder: Option<&Path>,
) -> Result<Box<dyn FrameSource>, FrameError> {
    check_joinable(&files)?;
    let Some(first) = files.first() else {
        return Err(FrameError::Empty { what: "a recording in several files".into() });
    };
    let intensity = options.intensity;
    let is_deep = VideoFrames::open_with(first, options.video.clone())?.maps_samples();
    let is_measured =
        matches!(intensity, Intensity::Auto | Intensity::MinMax | Intensity::Percentile { .. });
    if is_deep && is_measured && files.len() > 1 {
        let what = "has samples of more than 8 bits, and each of several files would get a range of its own; give one for \
                    all of them with --intensity LO,HI, or --intensity full";
        return Err(FrameError::Unsupported { path: first.clone(), what: what.to_owned() });
    }
    let names: Vec<String> = files.iter().map(|file| name_of(file)).collect();
    let gaps = missing_parts(&files);
    // How the file names were interpreted. Files that the user listed stay in the given order.
    let taken = match folder {
        Some(_) => order_files(files.clone())?.warnings,
        None => Vec::new(),
    };
    let place = folder.or(first.parent()).unwrap_or(first).to_owned();
    let mut joined = JoinedFrames::open_with(files, options.video.clone(), move |video, _| {
        Ok(Box::new(video.with_intensity(intensity)))
    })?;
    if let (Some(folder), [name]) = (folder, &names[..]) {
        tracing::info!("{}: its only video file, {name}, is the recording", folder.display());
    } else if let Some(folder) = folder {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let folder = folder.display();
        joined = joined.with_warning(format!(
            "{folder}: its {} video files are read as one recording, in this order: {}; if they are several recordings, give \
             them one by one",
            names.len(),
            list(&names)
        ));
        joined = taken.into_iter().fold(joined, JoinedFrames::with_warning);
    }
    if !gaps.is_empty() {
        joined = joined.with_warning(format!(
            "{}: there is no file with {}; frames may be missing there",
            place.display(),
            gaps.join(", ")
        ));
    }
    Ok(match intensity {
        Intensity::Auto | Intensity::Full => Box::new(joined),
        _ if is_deep => Box::new(joined),
        // One range applies to all files.
        _ => Box::new(MappedFrames::new(joined, intensity)),
    })
}

#[cfg(not(feature = "video"))]
fn open_joined(
    files: Vec<PathBuf>,
    options: &OpenOptions,
    _: Option<&Path>,
) -> Result<Box<dyn FrameSource>, FrameError> {
    check_joinable(&files)?;
    match files.first() {
        Some(first) => open_video(first, options),
        None => Err(FrameError::Empty { what: "a recording in several files".into() }),
    }
}

/// Fails: a build without the feature `video` reads no videos.
#[cfg(not(feature = "video"))]
fn open_video(path: &Path, options: &OpenOptions) -> Result<Box<dyn FrameSource>, FrameError> {
    check_video(path, &options.video)?;
    Err(FrameError::Empty { what: path.display().to_string() })
}

/// Fails: a build without the feature `video` reads no videos.
#[cfg(not(feature = "video"))]
fn check_video(path: &Path, _: &VideoOptions) -> Result<(), FrameError> {
    let what = "may be a video, which this build cannot read: build sam2-frame-provider with the feature `video`";
    Err(FrameError::Unsupported { path: path.to_owned(), what: what.to_owned() })
}

/// Rejects still images and stacks among files that are to be joined.
fn check_joinable(files: &[PathBuf]) -> Result<(), FrameError> {
    let is_still = |file: &&PathBuf| has_image_ending(file) || has_tiff_ending(file);
    let Some(still) = files.iter().find(is_still) else { return Ok(()) };
    let what = "is not a video; --join joins video files".to_owned();
    Err(FrameError::Unsupported { path: still.clone(), what })
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into())
}

/// Returns a file in the folder that has the ending of an image.
fn an_image(folder: &Path) -> Result<Option<PathBuf>, FrameError> {
    let entries = std::fs::read_dir(folder).map_err(|error| FrameError::from_io(folder, error))?;
    let is_hidden = |path: &Path| name_of(path).starts_with('.');
    Ok(entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| has_image_ending(path) && !is_hidden(path))
        .min())
}

fn refuse_axes(path: &Path, options: &OpenOptions) -> Result<(), FrameError> {
    if options.axes.is_default() {
        return Ok(());
    }
    let what = "has no axes to choose from; leave the axes option out".into();
    Err(FrameError::Unsupported { path: path.to_owned(), what })
}

/// Returns the first bytes of a regular file. Returns no bytes if the file cannot be read; the
/// source reports the error in more detail.
fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if path.is_file()
        && let Ok(file) = File::open(path)
    {
        // The bytes read before an error are useful too.
        let _ = file.take(8).read_to_end(&mut head);
    }
    head
}

pub(crate) fn starts_as_tiff(path: &Path) -> bool {
    is_tiff(&head(path))
}

/// Returns true if a file is a JPEG, PNG or BMP, regardless of its ending.
fn holds_another_image(path: &Path) -> bool {
    let head = head(path);
    has_image_ending(path)
        && (head.starts_with(&[0xff, 0xd8])
            || head.starts_with(b"\x89PNG")
            || head.starts_with(b"BM"))
}
