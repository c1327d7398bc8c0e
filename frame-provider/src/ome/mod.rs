//! OME-TIFF recordings in several files, or with several images in one.

mod xml;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::axes::{Axes, Coordinate, Table};
use crate::error::FrameError;
use crate::frame::{FrameSize, RgbFrame};
use crate::intensity::{Intensity, Levels};
use crate::picture::Picture;
use crate::source::{DecodeStats, Flaws, FrameSource, StackNotes, Timing};
use crate::tiff::{
    Bytes, Chain, Tiff, TiffError, description_of, has_tiff_ending, page_at, page_size,
};
use xml::{FileRef, Metadata};

/// Files that are kept open; a recording can have one for each plane.
const OPEN_FILES: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// The XML of a hundred thousand planes is some 20 MB.
const XML_BYTES: u64 = 1 << 28;

/// What is read of a file to learn its UUID.
const HEAD_BYTES: u64 = 1 << 12;

/// Files listed in a message.
const SHOWN: usize = 5;

/// The ending of XML that several files share.
const COMPANION: &str = ".companion.ome";

/// An OME-TIFF recording whose XML places its planes in several files, or that holds several images (positions) in one.
///
/// The files are found by the names and UUIDs of the XML, in the folder of the file that is opened; a file that was renamed is
/// found by its UUID. All files that hold frames have to be there. [`Axes`] (`time`, `channel`, `z`, `position`) chooses the
/// frames. The XML may be in the files themselves or in a `.companion.ome` next to them.
///
/// **Cost:** opening reads the directories of the files that hold frames, and no pixels. At most 64 files are open at once.
#[derive(Debug)]
pub struct OmeTiff {
    name: PathBuf,
    files: Vec<PathBuf>,
    /// The file and the directory of each frame.
    frames: Vec<(usize, u64)>,
    open: Mutex<LruCache<usize, Arc<Tiff>>>,
    size: FrameSize,
    levels: Levels,
    timing: Timing,
    notes: StackNotes,
    decoded: AtomicU64,
}

impl OmeTiff {
    /// Opens the recording that a file is part of: one of its TIFF files, or its `.companion.ome`. `Ok(None)` means that the
    /// file is no OME-TIFF or is all of its recording, which [`TiffStack`](crate::TiffStack) reads.
    ///
    /// # Errors
    /// [`FrameError::NotFound`], [`FrameError::Io`], [`FrameError::NotAnImage`] for a damaged file of the recording,
    /// [`FrameError::Unsupported`] for files that are missing or belong to another recording, or for axes that the recording
    /// lacks.
    pub fn find(file: impl AsRef<Path>, axes: &Axes) -> Result<Option<Self>, FrameError> {
        let file = file.as_ref();
        let found = match read_metadata(file)? {
            Some(metadata) => Found::new(file, metadata)?,
            None => return Ok(None),
        };
        found.map(|found| found.open(file.to_owned(), axes)).transpose()
    }

    /// Opens the recording in a folder, if its TIFF files are those of one recording in several files.
    ///
    /// # Errors
    /// Those of [`OmeTiff::find`]; [`FrameError::Unsupported`] if the folder holds other TIFF files as well.
    pub fn in_folder(folder: impl AsRef<Path>, axes: &Axes) -> Result<Option<Self>, FrameError> {
        let folder = folder.as_ref();
        let files = tiff_files(folder)?;
        let is_named_so =
            |file: &&PathBuf| file.to_string_lossy().to_ascii_lowercase().contains(".ome.");
        let Some(first) = files.iter().find(is_named_so).or(files.first()) else { return Ok(None) };
        // What is wrong with a file that is no OME-TIFF is not said here.
        let metadata = match read_metadata(first) {
            Ok(Some(metadata)) => metadata,
            _ => return Ok(None),
        };
        let Some(found) = Found::new(first, metadata)? else { return Ok(None) };
        if found.files.len() < 2 {
            return Ok(None);
        }
        if let Some(other) = files.iter().find(|file| !found.files.contains(file)) {
            let what = format!(
                "does not belong to the OME-TIFF recording of {} files in the same folder; open {} to read that recording, or \
                 keep each recording in a folder of its own",
                found.files.len(),
                first.display()
            );
            return Err(FrameError::Unsupported { path: other.clone(), what });
        }
        found.open(folder.to_owned(), axes).map(Some)
    }

    /// The files of the recording, whether they hold frames or not.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The same recording with another way to 8 bits.
    #[must_use]
    pub fn with_intensity(mut self, intensity: Intensity) -> Self {
        self.levels = Levels::new(intensity);
        self
    }

    /// The same recording with a frame rate; what its metadata says about it is not read.
    #[must_use]
    pub fn with_frames_per_second(mut self, frames_per_second: f64) -> Self {
        self.timing = Timing::from_rate(frames_per_second);
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

    /// Image `index` as stored.
    fn picture(&self, index: usize) -> Result<Picture, FrameError> {
        let &(file, directory) = self.frames.get(index).ok_or_else(|| {
            FrameError::IndexOutOfRange { index, count: self.frames.len(), path: self.name.clone() }
        })?;
        let path = &self.files[file];
        let picture = page_at(&*self.tiff(file)?, directory, path, index)?;
        self.decoded.fetch_add(1, Ordering::Relaxed);
        if picture.size != self.size {
            return Err(FrameError::SizeChanged {
                path: path.clone(),
                index,
                expected: self.size,
                found: picture.size,
            });
        }
        Ok(picture)
    }
}

/// Whether the file is XML that several OME-TIFF files share.
pub(crate) fn is_companion(path: &Path) -> bool {
    path.to_string_lossy().to_ascii_lowercase().ends_with(COMPANION)
}

/// The XML of a file, or of its companion; `None` if it has none.
fn read_metadata(file: &Path) -> Result<Option<Metadata>, FrameError> {
    if is_companion(file) {
        let text =
            std::fs::read_to_string(file).map_err(|error| FrameError::from_io(file, error))?;
        return Ok(xml::parse(&text));
    }
    let opening = |error: TiffError| error.while_opening(file);
    // What is wrong with a damaged file is said by whoever reads it as a stack.
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

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file of the same folder; the XML of a recording has no business with files outside of it.
fn sibling(file: &Path, name: &str) -> Result<PathBuf, FrameError> {
    if Path::new(name).file_name().is_some_and(|plain| plain == name) {
        return Ok(file.parent().unwrap_or(Path::new("")).join(name));
    }
    let what = format!("refers to the file {name:?}, which is not in its folder");
    Err(FrameError::Unsupported { path: file.to_owned(), what })
}

/// The TIFF files of a folder, in natural order.
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

/// A recording whose files have been found.
struct Found {
    metadata: Metadata,
    /// Where each file of the metadata is, or its name if it is missing.
    places: Vec<Result<PathBuf, String>>,
    /// The files that are there, each once.
    files: Vec<PathBuf>,
}

impl Found {
    /// Looks for the files; `None` if the file is all of its recording.
    fn new(file: &Path, metadata: Metadata) -> Result<Option<Self>, FrameError> {
        let own_name = file.file_name().map(|name| name.to_string_lossy().into_owned());
        let is_own = |other: &FileRef| match (&other.uuid, &metadata.own.uuid, &other.name) {
            (Some(uuid), Some(own), _) => uuid == own,
            (_, _, Some(name)) => Some(name) == own_name.as_ref(),
            _ => true,
        } && !is_companion(file);
        let others: Vec<&FileRef> = metadata.files.iter().filter(|other| !is_own(other)).collect();
        if others.is_empty() && metadata.images < 2 || metadata.blocks.is_empty() {
            return Ok(None);
        }
        let mut by_uuid = None;
        let mut places = Vec::new();
        for other in &metadata.files {
            if is_own(other) {
                places.push(Ok(file.to_owned()));
                continue;
            }
            let named = match &other.name {
                Some(name) => Some(sibling(file, name)?).filter(|path| path.is_file()),
                None => None,
            };
            let path = match (named, &other.uuid) {
                (Some(path), _) => Some(path),
                (None, Some(uuid)) => {
                    let known = by_uuid.get_or_insert_with(|| uuids_in(folder_of(file)));
                    known.get(uuid).cloned()
                }
                (None, None) => None,
            };
            places.push(path.ok_or_else(|| {
                other
                    .name
                    .clone()
                    .or_else(|| other.uuid.clone())
                    .unwrap_or_else(|| "a file without a name".into())
            }));
        }
        // A single file that was renamed, or that another program changed, is all there is.
        if metadata.files.len() == 1
            && metadata.images < 2
            && places[0].is_err()
            && !is_companion(file)
        {
            return Ok(None);
        }
        let mut files: Vec<PathBuf> = Vec::new();
        for path in places.iter().flatten() {
            if !files.contains(path) {
                files.push(path.clone());
            }
        }
        Ok(Some(Self { metadata, places, files }))
    }

    /// Chooses the frames and finds their directories.
    fn open(self, name: PathBuf, axes: &Axes) -> Result<OmeTiff, FrameError> {
        let Self { metadata, places, .. } = self;
        let files: Vec<PathBuf> =
            places.iter().map(|place| place.clone().unwrap_or_else(PathBuf::from)).collect();
        let mut chains: HashMap<usize, (Chain, FrameSize)> = HashMap::new();
        let mut table = Table::default();
        let mut planes: Vec<(usize, u64)> = Vec::new();
        for block in &metadata.blocks {
            let count = match block.count {
                Some(count) => count,
                None => match &places[block.file] {
                    Ok(path) => chain_of(&mut chains, block.file, path)?.0.pages.len() as u64,
                    Err(_) => 1,
                },
            };
            for at in 0..count.min(block.room()) {
                let position = ("position", block.image as u64);
                let place = block.places(at).into_iter().rev().chain([position]);
                table.push(
                    place.map(|(axis, place)| (axis.to_owned(), Coordinate::Number(place as i64))),
                );
                planes.push((block.file, block.directory.saturating_add(at)));
            }
        }
        if planes.is_empty() {
            return Err(FrameError::NoFrames { path: name });
        }
        let choice = table.choose(&name, axes)?;
        let mut notes = StackNotes::with_warnings(choice.warnings);
        let chosen: Vec<(usize, u64)> = choice.images.iter().map(|&image| planes[image]).collect();
        check_missing(&name, &places, &chosen)?;
        let mut frames = Vec::new();
        let mut size = None;
        for &(file, directory) in &chosen {
            let path = &files[file];
            let (chain, page) = match chains.get(&file) {
                Some(known) => known,
                None => {
                    check_uuid(path, &metadata.files[file], &name)?;
                    chain_of(&mut chains, file, path)?
                }
            };
            let page = *page;
            let Some(&offset) =
                usize::try_from(directory).ok().and_then(|directory| chain.pages.get(directory))
            else {
                // Frames after the gap would have other numbers than the recording gave them.
                let why = format!(
                    "OME places {} frames, but page {directory} of {} is not there; the {} frames before are read",
                    chosen.len(),
                    path.display(),
                    frames.len()
                );
                notes.truncated(&name, why);
                break;
            };
            size.get_or_insert(page);
            frames.push((file, offset));
        }
        let size = size.ok_or_else(|| FrameError::NoFrames { path: name.clone() })?;
        for warning in &notes.warnings {
            tracing::warn!("{warning}");
        }
        if self.files.len() > 1 {
            tracing::info!(
                "{}: one recording in {} OME-TIFF files",
                name.display(),
                self.files.len()
            );
        }
        Ok(OmeTiff {
            name,
            files,
            frames,
            open: Mutex::new(LruCache::new(OPEN_FILES)),
            size,
            levels: Levels::new(Intensity::default()),
            timing: Timing::default(),
            notes,
            decoded: AtomicU64::new(0),
        })
    }
}

/// The pages of a file, and the size of the first.
fn chain_of<'a>(
    chains: &'a mut HashMap<usize, (Chain, FrameSize)>,
    file: usize,
    path: &Path,
) -> Result<&'a (Chain, FrameSize), FrameError> {
    let opening = |error: TiffError| error.while_opening(path);
    match chains.entry(file) {
        std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
        std::collections::hash_map::Entry::Vacant(new) => {
            let tiff = open_tiff(path)?;
            let chain = Chain::read(&tiff, usize::MAX).map_err(opening)?;
            let &first = chain
                .pages
                .first()
                .ok_or_else(|| FrameError::NoFrames { path: path.to_owned() })?;
            let size = page_size(&tiff, first).map_err(opening)?;
            Ok(new.insert((chain, size)))
        }
    }
}

/// Refuses a recording of which files with frames are missing.
fn check_missing(
    name: &Path,
    places: &[Result<PathBuf, String>],
    chosen: &[(usize, u64)],
) -> Result<(), FrameError> {
    let mut missing: Vec<&String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for &(file, _) in chosen {
        if let Err(lost) = &places[file]
            && seen.insert(file)
        {
            missing.push(lost);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut shown: Vec<String> = missing.iter().take(SHOWN).map(ToString::to_string).collect();
    if missing.len() > SHOWN {
        shown.push(format!("{} more", missing.len() - SHOWN));
    }
    let what = format!(
        "is part of an OME-TIFF recording in {} files, of which {} with frames are missing ({}); put them into the same folder",
        places.len(),
        missing.len(),
        shown.join(", ")
    );
    Err(FrameError::Unsupported { path: name.to_owned(), what })
}

/// Refuses a file that has the name, but not the UUID, of a part of the recording.
fn check_uuid(path: &Path, expected: &FileRef, name: &Path) -> Result<(), FrameError> {
    let found = uuid_in(path);
    match (&expected.uuid, &found) {
        (Some(expected), Some(found)) if expected != found => {
            let what = format!(
                "has the name of a file of the OME-TIFF recording {}, but another UUID: it belongs to another recording; keep each \
                 recording in a folder of its own",
                name.display()
            );
            Err(FrameError::Unsupported { path: path.to_owned(), what })
        }
        _ => Ok(()),
    }
}

fn uuid_in(path: &Path) -> Option<String> {
    let tiff = Tiff::new(Bytes::open(path).ok()?).ok()?;
    let head = description_of(&tiff, HEAD_BYTES).ok()?;
    xml::uuid_of(&head).map(str::to_owned)
}

/// The TIFF files of a folder by their UUIDs.
fn uuids_in(folder: &Path) -> HashMap<String, PathBuf> {
    let files = tiff_files(folder).unwrap_or_default();
    files.into_iter().filter_map(|file| Some((uuid_in(&file)?, file))).collect()
}

impl FrameSource for OmeTiff {
    fn frame_count(&self) -> usize {
        self.frames.len()
    }

    fn size(&self) -> FrameSize {
        self.size
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        let picture = self.picture(index)?;
        let frame = self.levels.render(picture, self.frames.len(), |index| self.picture(index));
        frame.map(Arc::new).map_err(|error| error.about(&self.name))
    }

    fn timing(&self) -> Timing {
        self.timing
    }

    fn describe(&self) -> String {
        self.name
            .file_name()
            .map_or_else(|| self.name.display().to_string(), |name| name.to_string_lossy().into())
    }

    fn decode_stats(&self) -> DecodeStats {
        DecodeStats { frames_decoded: self.decoded.load(Ordering::Relaxed), restarts: 0 }
    }

    fn flaws(&self) -> Flaws {
        self.notes.flaws()
    }

    fn warnings(&self) -> Vec<String> {
        self.notes.warnings.iter().cloned().chain(self.levels.warnings()).collect()
    }
}
