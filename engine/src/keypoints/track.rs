//! A track in memory, and where it comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use super::error::KeypointError;
use super::located::UNIQUE_PARTS;
use super::table::{Crop, RowTimes, Rows, Sightings, Table, quote};
use super::{annotations, dlc_meta, kinds};

/// Numbers that an object can have in a mask of 8 bits.
const MOST_OBJECTS: usize = 255;

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
    /// SLEAP's own file, `.slp` or `.pkg.slp`.
    SleapLabels,
    /// NWB with poses (ndx-pose).
    Nwb,
    /// CVAT's XML.
    Cvat,
    /// COCO's JSON.
    Coco,
    /// Labelme's JSON, one file or a folder.
    Labelme,
    /// Label Studio's JSON.
    LabelStudio,
    /// napari's points layer, CSV.
    NapariCsv,
    /// idtracker.ai's trajectories, CSV.
    IdtrackerCsv,
    /// A table with a point in each row, CSV.
    PointsTable,
}

impl TrackKind {
    /// The program or format, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::DlcCsv | Self::DlcHdf5 => "DeepLabCut",
            Self::SleapCsv | Self::SleapHdf5 | Self::SleapLabels => "SLEAP",
            Self::Nwb => "NWB",
            Self::Cvat => "CVAT",
            Self::Coco => "COCO",
            Self::Labelme => "Labelme",
            Self::LabelStudio => "Label Studio",
            Self::NapariCsv => "napari",
            Self::IdtrackerCsv => "idtracker.ai",
            Self::PointsTable => "points in a table",
        }
    }
}

/// What to take from a track.
#[derive(Clone, Debug, PartialEq)]
pub struct KeypointSelection {
    /// Body parts, in order; empty = all.
    pub bodyparts: Vec<String>,
    /// The animals to segment; empty = all, but for DeepLabCut's `single`, which holds the body parts of no animal.
    pub individuals: Vec<String>,
    /// Added to coordinates, before [`KeypointSelection::scale`]: the corner of the part of the video that the track was made on, in
    /// pixels of that video. `None` = what DeepLabCut noted beside the track, unless the recording is that part, or else nothing.
    pub offset: Option<[f32; 2]>,
    /// Coordinates are multiplied by this: the track may be of a smaller video.
    pub scale: f32,
    /// The recording in the file to take rows of, by name, where it goes by another name than the recording's own.
    pub video: Option<String>,
    /// The frame of the recording that is frame 0 of the track; `None` = 0. With -1, a track that counts from 1 begins with the
    /// recording's first frame.
    pub first_frame: Option<isize>,
}

impl Default for KeypointSelection {
    fn default() -> Self {
        Self {
            bodyparts: Vec::new(),
            individuals: Vec::new(),
            offset: None,
            scale: 1.0,
            video: None,
            first_frame: None,
        }
    }
}

/// The requested body parts of every animal in every row of a file.
///
/// The animals to segment become objects 1 to n, in the order in which the file names them. The others are there too: their body
/// parts can tell the model where an object is not. Rows may be named by images, and be of other recordings: only together with a
/// recording does a track have frames, see [`KeypointTrack::locate`].
#[derive(Clone, Debug)]
pub struct KeypointTrack {
    pub(super) path: PathBuf,
    pub(super) kind: TrackKind,
    pub(super) individuals: Vec<Individual>,
    /// Of each individual, by place of the row.
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
    /// What DeepLabCut noted beside the track; not yet added to coordinates.
    pub(super) crop: Option<Crop>,
    /// What was added to coordinates because the user says so.
    pub(super) offset: Option<[f32; 2]>,
    /// What coordinates have been multiplied by.
    pub(super) scale: f32,
    pub(super) times: Option<RowTimes>,
    pub(super) notices: Vec<TrackNotice>,
}

/// What the user should know about how a track was used: one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrackNotice {
    /// How the file was read.
    Info(String),
    /// The program had to guess, or left something out.
    Warning(String),
}

impl fmt::Display for TrackNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Info(text) | Self::Warning(text)) = self;
        f.write_str(text)
    }
}

impl KeypointTrack {
    /// Reads a track of any kind: a file, or a folder of Labelme's files. Unless the selection has an offset, that of DeepLabCut's
    /// note beside the track is taken, if there is one.
    ///
    /// # Errors
    /// [`KeypointError`] naming the file, the place and what there is instead.
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

    /// Reads the contents of a file of any kind; `path` is for messages.
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
            // Where only body parts of no animal were seen, nothing is left out.
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

    /// Only the rows of a file, to find their frames.
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

    /// Number of rows, of whatever recording.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Never: a track without rows is an error.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }
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
    Ok(chosen)
}

/// Tells of individuals that are not objects, because the file has no point of them: an animal that a project names and that was never
/// seen, or a track that was emptied.
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
