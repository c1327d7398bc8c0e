//! A track in memory, and where it comes from.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::error::KeypointError;
use super::table::{Sightings, Table, rising};
use super::{dlc_csv, sleap_csv};
#[cfg(feature = "hdf5")]
use super::{dlc_hdf5, hdf5_file, sleap_hdf5};
use crate::prompt::ObjectId;

/// The individual under which multi-animal projects of DeepLabCut keep body parts that belong to none of the animals.
const UNIQUE_PARTS: &str = "single";
/// Numbers that an object can have in a mask of 8 bits.
const MOST_OBJECTS: usize = 255;

/// What every HDF5 file begins with.
const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Where a body part was seen in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keypoint {
    /// Column in the video, after [`KeypointSelection::scale`].
    pub x: f32,
    /// Row.
    pub y: f32,
    /// 0..1; 1 in files without likelihoods (labelled data).
    pub likelihood: f32,
}

/// One animal of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Individual {
    /// Its name; `None` in tracks of one animal, which have no names.
    pub name: Option<String>,
    /// Its body parts, in the order of the selection, or of the file.
    pub bodyparts: Vec<String>,
}

/// What program wrote a track, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrackKind {
    /// DeepLabCut, CSV.
    DlcCsv,
    /// DeepLabCut, a pandas frame in HDF5.
    DlcHdf5,
    /// SLEAP's analysis table, CSV.
    SleapCsv,
    /// SLEAP's analysis file, HDF5.
    SleapHdf5,
}

/// What to take from a track.
#[derive(Clone, Debug, PartialEq)]
pub struct KeypointSelection {
    /// Body parts, in order; empty = all.
    pub bodyparts: Vec<String>,
    /// The animals to segment; empty = all, but for DeepLabCut's `single`, which holds the body parts of no animal.
    pub individuals: Vec<String>,
    /// Coordinates are multiplied by this: the track may be of a smaller video.
    pub scale: f32,
}

impl Default for KeypointSelection {
    fn default() -> Self {
        Self { bodyparts: Vec::new(), individuals: Vec::new(), scale: 1.0 }
    }
}

/// The requested body parts of every animal in every frame.
///
/// The animals to segment become objects 1 to n, in the order in which the file names them. The others are there too: their body
/// parts can tell the model where an object is not.
#[derive(Clone, Debug, PartialEq)]
pub struct KeypointTrack {
    path: PathBuf,
    kind: TrackKind,
    individuals: Vec<Individual>,
    /// Of each individual, by rising frame.
    sightings: Vec<Sightings>,
    /// Indices of the individuals that are objects.
    objects: Vec<usize>,
    every_frame: bool,
    /// Frame numbers of the file's rows, rising.
    frames: Vec<usize>,
}

impl KeypointTrack {
    /// Reads a track of any kind.
    ///
    /// # Errors
    /// [`KeypointError`] naming the file, the place and what there is instead.
    pub fn read(path: &Path, selection: &KeypointSelection) -> Result<Self, KeypointError> {
        let bytes = std::fs::read(path)
            .map_err(|source| KeypointError::Io { path: path.to_owned(), source })?;
        Self::parse(path, bytes, selection)
    }

    /// Reads the contents of a file of any kind; `path` is for messages.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(
        path: &Path,
        bytes: Vec<u8>,
        selection: &KeypointSelection,
    ) -> Result<Self, KeypointError> {
        let (kind, table) = if bytes.starts_with(HDF5_SIGNATURE) {
            read_hdf5(bytes, selection)
        } else if sleap_csv::recognise(&bytes) {
            sleap_csv::read(&bytes, selection).map(|table| (TrackKind::SleapCsv, table))
        } else {
            dlc_csv::read(&bytes, selection).map(|table| (TrackKind::DlcCsv, table))
        }
        .map_err(|what| KeypointError::Format { path: path.to_owned(), what })?;
        Self::new(path, kind, table, selection)
    }

    fn new(
        path: &Path,
        kind: TrackKind,
        table: Table,
        selection: &KeypointSelection,
    ) -> Result<Self, KeypointError> {
        let known = table.bodyparts;
        if let Some(name) = selection.bodyparts.iter().find(|name| !known.contains(name)) {
            let (path, name) = (path.to_owned(), name.clone());
            return Err(KeypointError::UnknownBodypart { path, name, available: known });
        }
        let format =
            |what: &str| KeypointError::Format { path: path.to_owned(), what: what.into() };
        if table.frames.is_empty() {
            return Err(format("it has a header but no rows"));
        }
        let individuals = table.individuals;
        if individuals.iter().all(|individual| individual.bodyparts.is_empty()) {
            return Err(format("it names no body parts"));
        }
        let objects = choose(path, &individuals, &selection.individuals)?;
        let twice = |frame: usize| format(&format!("frame {frame} appears twice"));
        let order = rising(&table.frames).map_err(twice)?;
        let frames = order.into_iter().map(|row| table.frames[row]).collect();
        let sightings = table.sightings.into_iter().map(Sightings::sorted);
        let sightings = sightings.collect::<Result<Vec<_>, _>>().map_err(twice)?;
        Ok(Self {
            path: path.to_owned(),
            kind,
            individuals,
            sightings,
            objects,
            every_frame: table.every_frame,
            frames,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What wrote it.
    pub fn kind(&self) -> TrackKind {
        self.kind
    }

    /// Every animal of the file, in its order, also those that are not to be segmented.
    pub fn individuals(&self) -> &[Individual] {
        &self.individuals
    }

    /// The animals to segment and their object numbers: 1 to n in the order of the file.
    pub fn objects(&self) -> impl Iterator<Item = (ObjectId, &Individual)> {
        self.numbered().map(|(object, index)| (object, &self.individuals[index]))
    }

    /// Object numbers and indices into [`Self::individuals`].
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (ObjectId, usize)> {
        (1..).map(ObjectId).zip(self.objects.iter().copied())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Never: a track without rows is an error.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether the file should have a row for every frame of the recording. Labelled data and SLEAP's tables hold only frames on
    /// which there is something.
    pub fn has_every_frame(&self) -> bool {
        self.every_frame
    }

    /// Checks that the rows fit a recording of so many frames: exactly one for each, or, where the file holds only some frames,
    /// none behind the end.
    ///
    /// # Errors
    /// [`KeypointError::RowCount`] with both numbers, [`KeypointError::MissingRows`].
    pub fn check_rows(&self, frames: usize) -> Result<(), KeypointError> {
        let end = self.frames.last().map_or(0, |last| last.saturating_add(1));
        if end > frames || (self.every_frame && end < frames) {
            let rows = self.len().max(end);
            return Err(KeypointError::RowCount { path: self.path.clone(), rows, frames });
        }
        if self.every_frame && self.len() < frames {
            // Frame numbers rise, so the first that is not its own position follows a gap.
            let first = self.frames.iter().zip(0..).find(|(frame, at)| *frame != at);
            let (first, missing) = (first.map_or(0, |(_, at)| at), frames - self.len());
            return Err(KeypointError::MissingRows { path: self.path.clone(), first, missing });
        }
        Ok(())
    }

    /// Whether an individual is an animal, rather than what holds the body parts of none.
    pub(crate) fn is_animal(&self, individual: usize) -> bool {
        self.individuals[individual].name.as_deref() != Some(UNIQUE_PARTS)
    }

    /// The frames of a range in which something of an individual was seen, rising.
    pub(crate) fn frames_of(&self, individual: usize, range: Range<usize>) -> &[usize] {
        let frames = &self.sightings[individual].frames;
        let start = frames.partition_point(|&frame| frame < range.start);
        let end = frames.partition_point(|&frame| frame < range.end).max(start);
        &frames[start..end]
    }

    /// An individual's body parts in a frame: those that were seen with at least this likelihood.
    pub(crate) fn usable(
        &self,
        frame: usize,
        individual: usize,
        min_likelihood: f32,
    ) -> impl Iterator<Item = (&str, Keypoint)> {
        let names = &self.individuals[individual].bodyparts;
        let Sightings { frames, values } = &self.sightings[individual];
        let row = frames.binary_search(&frame).ok();
        let seen = row.map_or(&values[..0], |row| &values[row * names.len()..][..names.len()]);
        names.iter().zip(seen).filter_map(move |(name, keypoint)| {
            let keypoint = (*keypoint)?;
            (keypoint.likelihood >= min_likelihood).then_some((name.as_str(), keypoint))
        })
    }
}

#[cfg(feature = "hdf5")]
fn read_hdf5(bytes: Vec<u8>, selection: &KeypointSelection) -> Result<(TrackKind, Table), String> {
    let file = hdf5_file::open(bytes)?;
    Ok(match sleap_hdf5::recognise(&file) {
        true => (TrackKind::SleapHdf5, sleap_hdf5::read(&file, selection)?),
        false => (TrackKind::DlcHdf5, dlc_hdf5::read(&file, selection)?),
    })
}

#[cfg(not(feature = "hdf5"))]
fn read_hdf5(_bytes: Vec<u8>, _: &KeypointSelection) -> Result<(TrackKind, Table), String> {
    Err("it is an HDF5 file, which this build cannot read (export it as CSV, or build with the feature hdf5)".into())
}

/// Indices of the individuals that are asked for, in the order of the file.
fn choose(
    path: &Path,
    individuals: &[Individual],
    wanted: &[String],
) -> Result<Vec<usize>, KeypointError> {
    let name = |index: usize| individuals[index].name.as_deref();
    let all = 0..individuals.len();
    if let Some(unknown) = wanted.iter().find(|w| !all.clone().any(|i| name(i) == Some(w))) {
        let available = individuals.iter().filter_map(|i| i.name.clone()).collect();
        let (path, name) = (path.to_owned(), unknown.clone());
        return Err(KeypointError::UnknownIndividual { path, name, available });
    }
    let chosen: Vec<usize> = if !wanted.is_empty() {
        all.filter(|&i| name(i).is_some_and(|name| wanted.iter().any(|w| w == name))).collect()
    } else if individuals.len() == 1 {
        all.collect()
    } else {
        all.filter(|&i| name(i) != Some(UNIQUE_PARTS)).collect()
    };
    if chosen.len() > MOST_OBJECTS {
        return Err(KeypointError::TooManyIndividuals {
            path: path.to_owned(),
            count: chosen.len(),
        });
    }
    Ok(chosen)
}
