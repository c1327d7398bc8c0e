//! Finds the files of an OME-TIFF recording, and the frames in them.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use lru::LruCache;

use super::xml::{self, FileRef, Metadata};
use super::{HEAD_BYTES, OmeTiff, is_companion, open_tiff, sibling, tiff_files};
use crate::axes::{Axes, Coordinate, Table};
use crate::error::FrameError;
use crate::intensity::{Intensity, Levels};
use crate::size::FrameSize;
use crate::source_info::SourceInfo;
use crate::stack_notes::StackNotes;
use crate::tiff::{Bytes, Chain, Tiff, TiffError, description_of, page_size};

/// Number of files kept open; a recording can have one for each plane.
const OPEN_FILES: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Up to this many planes are accepted without reading their files.
const FEW: u64 = 1 << 16;

/// Files listed in a message.
const SHOWN: usize = 5;

/// A recording whose files have been found.
pub(super) struct Found {
    metadata: Metadata,
    /// The path of each file of the metadata, or its name if it is missing.
    pub(super) places: Vec<Result<PathBuf, String>>,
    /// The existing files, each once.
    pub(super) files: Vec<PathBuf>,
}

impl Found {
    /// Searches for the files; `None` if the file is the whole recording.
    pub(super) fn new(file: &Path, metadata: Metadata) -> Result<Option<Self>, FrameError> {
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
        // A single file that was renamed, or changed by another program, is the whole recording.
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
    pub(super) fn open(self, name: PathBuf, axes: &Axes) -> Result<OmeTiff, FrameError> {
        let Self { metadata, places, .. } = self;
        let files: Vec<PathBuf> =
            places.iter().map(|place| place.clone().unwrap_or_else(PathBuf::from)).collect();
        let mut chains: HashMap<usize, (Chain, FrameSize)> = HashMap::new();
        let mut table = Table::default();
        let mut planes: Vec<(usize, u64)> = Vec::new();
        let (mut is_capped, mut believed) = (false, 0u64);
        for block in &metadata.blocks {
            let promised = block.count.unwrap_or(u64::MAX).min(block.room());
            let is_believed = block.count.is_some() && believed.saturating_add(promised) <= FEW;
            let count = match &places[block.file] {
                _ if is_believed => {
                    believed += promised;
                    promised
                }
                // As many as exist, and one more to find out what is missing.
                Ok(path) => {
                    let pages = chain_of(&mut chains, block.file, path)?.0.pages.len() as u64;
                    let present = pages.saturating_sub(block.directory);
                    promised.min(if block.count.is_some() { present + 1 } else { present })
                }
                Err(_) if block.count.is_none() => 1,
                Err(_) => return Err(missing_error(&name, &places, &all_missing(&places))),
            };
            is_capped |= block.count.is_some() && count < promised;
            for at in 0..count {
                let position = ("position", block.image as u64);
                let place = block.places(at).into_iter().rev().chain([position]);
                table.push(place.map(|(axis, place)| (axis, Coordinate::Number(place as i64))));
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
        let missing: Vec<&String> =
            places.iter().filter_map(|place| place.as_ref().err()).collect();
        if !missing.is_empty() {
            notes.warn(format!(
                "{}: {} of the {} files of this OME-TIFF recording are missing ({}); they hold no frame by the chosen axes",
                name.display(),
                missing.len(),
                places.len(),
                listed(&missing)
            ));
        }
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
                // Frames after the gap would have other indices than in the recording.
                let why = format!(
                    "OME places {} frames{}, but page {directory} of {} is not there; the {} frames before are read",
                    chosen.len(),
                    if is_capped { " or more" } else { "" },
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
            fixed: SourceInfo::of_path(&name, frames.len(), size)
                .with_flaws(notes.flaws())
                .with_warnings(notes.warnings),
            name,
            files,
            frames,
            open: Mutex::new(LruCache::new(OPEN_FILES)),
            levels: Levels::new(Intensity::default()),
            decoded: AtomicU64::new(0),
        })
    }
}

/// Returns the pages of a file, and the size of the first page.
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

/// Returns an error if files with frames are missing.
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
    if missing.is_empty() { Ok(()) } else { Err(missing_error(name, places, &missing)) }
}

/// Returns the names of all missing files.
fn all_missing(places: &[Result<PathBuf, String>]) -> Vec<&String> {
    places.iter().filter_map(|place| place.as_ref().err()).collect()
}

/// Returns an error that names the missing files with frames.
fn missing_error(
    name: &Path,
    places: &[Result<PathBuf, String>],
    missing: &[&String],
) -> FrameError {
    let what = format!(
        "is part of an OME-TIFF recording in {} files, of which {} with frames are missing ({}); put them into the same folder",
        places.len(),
        missing.len(),
        listed(missing)
    );
    FrameError::Unsupported { path: name.to_owned(), what }
}

/// Lists the first few names for a message.
fn listed(names: &[&String]) -> String {
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(ToString::to_string).collect();
    if names.len() > SHOWN {
        shown.push(format!("{} more", names.len() - SHOWN));
    }
    shown.join(", ")
}

/// Returns an error for a file with the name, but not the UUID, of a part of the recording.
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

/// Returns the TIFF files of a folder by their UUIDs.
fn uuids_in(folder: &Path) -> HashMap<String, PathBuf> {
    let files = tiff_files(folder).unwrap_or_default();
    files.into_iter().filter_map(|file| Some((uuid_in(&file)?, file))).collect()
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
