//! A track in memory, and its origin.

use super::keypoint::Individual;
use super::notice::TrackNotice;
use super::selection::KeypointSelection;
use super::track_kind::TrackKind;
use std::path::{Path, PathBuf};

use super::error::KeypointError;

use super::quoting::quote;
use super::table::{Crop, RowTimes, Rows, Sightings, Table};
use super::{annotations, dlc_meta, kinds};

/// Largest object number in a mask of 8 bits.
const MOST_OBJECTS: usize = 255;
/// The individual under which DeepLabCut's multi-animal projects keep body parts that belong to no
/// animal.
pub(super) const UNIQUE_PARTS: &str = "single";

/// The requested body parts of every animal in every row of a file.
///
/// The animals to segment become objects 1 to n, in the order in which the file names them. The
/// other animals are kept too: their body parts can tell the model where an object is not. Rows may
/// be named by images, and may belong to other recordings. A track gets frames only together with a
/// recording, see [`KeypointTrack::locate`].
#[derive(Clone, Debug)]
pub struct KeypointTrack {
    pub(super) path: PathBuf,
    pub(super) kind: TrackKind,
    pub(super) individuals: Vec<Individual>,
    /// The sightings of each individual, by the position of the row.
    pub(super) sightings: Vec<Sightings>,
    /// Indices of the individuals that are objects.
    pub(super) objects: Vec<usize>,
    pub(super) every_frame: bool,
    pub(super) default_min_likelihood: f32,
    pub(super) start_unknown: bool,
    pub(super) rows: Rows,
    pub(super) video: Option<String>,
    pub(super) first_frame: Option<isize>,
    pub(super) pictures: Vec<[u32; 2]>,
    /// The crop that DeepLabCut noted next to the track. It has not been added to coordinates yet.
    pub(super) crop: Option<Crop>,
    /// The offset that the user gave, already added to coordinates.
    pub(super) offset: Option<[f32; 2]>,
    /// The factor by which coordinates were multiplied.
    pub(super) scale: f32,
    pub(super) times: Option<RowTimes>,
    pub(super) notices: Vec<TrackNotice>,
}

impl KeypointTrack {
    /// Reads a track of any kind from a file, or from a folder of Labelme's files. Unless the
    /// selection has an offset, uses the one in DeepLabCut's note next to the track, if there is
    /// one.
    ///
    /// # Errors
    /// [`KeypointError`] with the file, the place and what is there instead.
    pub fn read(path: &Path, selection: &KeypointSelection) -> Result<Self, KeypointError> {
        if path.is_dir() {
            let table = annotations::read_folder(path)
                .and_then(|annotations| annotations.into_table(selection))
                .map_err(|what| KeypointError::Format { path: path.to_owned(), what })?;
            return Self::new(path, TrackKind::Labelme, table, selection);
        }
        let bytes = std::fs::read(path)
            .map_err(|source| KeypointError::Io { path: path.to_owned(), source })?;
        let mut track = Self::parse(path, bytes, selection)?;
        match dlc_meta::read_beside(path) {
            Some(Ok(note)) => {
                track.pictures.extend(note.pictures);
                track.crop = note.crop.filter(|_| selection.offset.is_none());
            }
            Some(Err(what)) if selection.offset.is_none() => {
                track.notices.push(TrackNotice::Warning(what));
            }
            _ => {}
        }
        Ok(track)
    }

    /// Reads the contents of a file of any kind. `path` is used for messages.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(
        path: &Path,
        bytes: Vec<u8>,
        selection: &KeypointSelection,
    ) -> Result<Self, KeypointError> {
        let (kind, table) = kinds::read(bytes, selection)
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
        if table.rows.len() == 0 {
            return Err(format("it has a header but no rows: export the track again"));
        }
        let individuals = table.individuals;
        if individuals.iter().all(|individual| individual.bodyparts.is_empty()) {
            return Err(format("it names no body parts: export the track again"));
        }
        let mut notices = table.notices;
        let wanted = &selection.individuals;
        let mut objects = choose(path, &individuals, wanted)?;
        if wanted.is_empty() && table.sightings.iter().any(|of| !of.at.is_empty()) {
            let (seen, unseen): (Vec<usize>, Vec<usize>) =
                objects.into_iter().partition(|&at| !table.sightings[at].at.is_empty());
            // If only body parts of no animal were seen, nothing is left out.
            if seen.is_empty() {
                objects = unseen;
            } else {
                objects = seen;
                notices.extend(without_points(path, &individuals, &unseen));
            }
        }
        if objects.len() > MOST_OBJECTS {
            let (path, count) = (path.to_owned(), objects.len());
            return Err(KeypointError::TooManyIndividuals { path, count });
        }
        Ok(Self {
            path: path.to_owned(),
            kind,
            individuals,
            sightings: table.sightings,
            objects,
            every_frame: table.every_frame,
            default_min_likelihood: table.default_min_likelihood,
            start_unknown: table.start_unknown,
            rows: table.rows,
            video: selection.video.clone(),
            first_frame: selection.first_frame,
            pictures: table.pictures,
            crop: None,
            offset: selection.offset,
            scale: selection.scale,
            times: table.times,
            notices,
        })
    }

    /// Returns only the rows of a file, to find their frames.
    pub(super) fn of_rows(path: &Path, kind: TrackKind, rows: Rows) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            individuals: Vec::new(),
            sightings: Vec::new(),
            objects: Vec::new(),
            every_frame: false,
            default_min_likelihood: 0.0,
            start_unknown: false,
            rows,
            video: None,
            first_frame: None,
            pictures: Vec::new(),
            crop: None,
            offset: None,
            scale: 1.0,
            times: None,
            notices: Vec::new(),
        }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the program and format of the file.
    pub fn kind(&self) -> TrackKind {
        self.kind
    }

    /// Returns every animal of the file, in its order, including those that are not to be
    /// segmented.
    pub fn individuals(&self) -> &[Individual] {
        &self.individuals
    }

    /// Returns the number of rows, of all recordings.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns `false`: a track without rows is an error.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }
}

/// Returns the indices of the requested individuals, in the order of the file.
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
    Ok(chosen)
}

/// Returns a notice about individuals that are not objects because the file has no point of them:
/// an animal that a project names but that was never seen, or a track that was emptied.
fn without_points(
    path: &Path,
    individuals: &[Individual],
    unseen: &[usize],
) -> Option<TrackNotice> {
    const MOST_NAMED: usize = 3;
    let names: Vec<String> = unseen
        .iter()
        .take(MOST_NAMED)
        .map(|&at| quote(individuals[at].name.as_deref().unwrap_or_default()))
        .collect();
    let more = match unseen.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!unseen.is_empty()).then(|| {
        TrackNotice::Warning(format!(
            "'{}' has no point of {}{more}: not an object",
            path.display(),
            names.join(", ")
        ))
    })
}
