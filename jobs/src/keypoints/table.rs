//! The result of every reader, and functions that the readers share.

use super::quoting::quote;
use super::quoting::quote_path;
use std::collections::HashMap;

use super::keypoint::{Individual, Keypoint};
use super::notice::TrackNotice;
use super::selection::KeypointSelection;

/// A track as its file has it, with rows in any order.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// All body parts of the file, whatever was selected.
    pub(super) bodyparts: Vec<String>,
    /// Individuals with their selected body parts.
    pub(super) individuals: Vec<Individual>,
    /// The file's rows. Each frame or image appears once.
    pub(super) rows: Rows,
    /// The sightings of each individual, by the position of the row in [`Table::rows`].
    pub(super) sightings: Vec<Sightings>,
    /// Whether every frame of the recording should have a row.
    pub(super) every_frame: bool,
    /// Body parts below this likelihood are not used unless the user says otherwise. 0 = all are
    /// used.
    pub(super) default_min_likelihood: f32,
    /// Whether the file does not say to which frame its first row belongs.
    pub(super) start_unknown: bool,
    /// Width and height of the picture to which all coordinates belong, if the file gives it.
    /// Several entries are alternatives.
    pub(super) pictures: Vec<[u32; 2]>,
    /// The time of each row in seconds, in ascending order, if rows are numbered by position and
    /// have times instead of frames.
    pub(super) times: Option<RowTimes>,
    /// Notices for the user.
    pub(super) notices: Vec<TrackNotice>,
}

/// Converts the side of a picture, in pixels, from a number that is stored as any type.
pub(super) fn side(value: f64) -> Option<u32> {
    (1.0..1e6).contains(&value).then_some(value as u32)
}

/// The part of each frame on which a track was made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Crop {
    /// Its first column and row.
    pub(super) corner: [f32; 2],
    /// Its width and height.
    pub(super) size: [u32; 2],
    /// The file that gives it.
    pub(super) note: String,
}

/// The times of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RowTimes {
    /// The time of each row by its position, in seconds, in ascending order.
    pub(super) seconds: Vec<f64>,
}

/// The frame or image of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum RowKey {
    /// The frame number, from 0.
    Frame(usize),
    /// The image's name, as the file has it, perhaps with folders. Only the recording can tell
    /// which frame that is.
    Image(String),
}

impl RowKey {
    /// Parses an index cell: a frame number (`12`, `12.0`), or else an image's name, such as
    /// `img0012.png` or its stem, which may also be `0012`. Returns `None` for an empty cell and
    /// for a number that cannot be a frame number.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        if text.len() > 1 && text.starts_with('0') && is_digits(text) {
            return Some(Self::Image(text.to_owned()));
        }
        if let Ok(frame) = text.parse() {
            return Some(Self::Frame(frame));
        }
        match text.parse::<f64>() {
            Ok(number) => Self::number(number),
            Err(_) => Some(Self::Image(text.to_owned())),
        }
    }

    /// Converts a frame number that is stored as a number of any type.
    pub(super) fn number(value: f64) -> Option<Self> {
        let is_frame = value >= 0.0 && value.fract() == 0.0 && value < 1e15;
        is_frame.then_some(Self::Frame(value as usize))
    }
}

/// Returns `true` if a text consists of digits only.
pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A row of a track.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// The frame or image.
    pub(super) key: RowKey,
    /// Index of its recording in [`Rows::videos`]. `None` if the file does not name one. The
    /// folders in an image's name are considered in any case.
    pub(super) video: Option<usize>,
    /// Width and height of the picture to which the row's coordinates belong, if the file gives it
    /// for each row.
    pub(super) picture: Option<[u32; 2]>,
}

/// The rows of a file, each with its position.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
    videos: Vec<String>,
    video_numbers: HashMap<String, usize>,
    places: HashMap<(RowKey, Option<usize>), usize>,
    /// The names of images before a program renamed them, by the names that rows have.
    originals: HashMap<String, String>,
}

impl Rows {
    /// Returns the number of a recording, by its name or path as the file has it.
    pub(super) fn video(&mut self, name: &str) -> usize {
        if let Some(&known) = self.video_numbers.get(name) {
            return known;
        }
        self.video_numbers.insert(name.to_owned(), self.videos.len());
        self.videos.push(name.to_owned());
        self.videos.len() - 1
    }

    /// Returns the position of a row. Adds the row if it is new.
    ///
    /// # Errors
    /// A frame number appears among images' names, or the other way round.
    pub(super) fn place(&mut self, key: RowKey, video: Option<usize>) -> Result<usize, String> {
        let first = self.rows.first().map(|row| &row.key);
        // If images are named by numbers alone, those without leading zeros look like frames.
        let key = match (key, first) {
            (RowKey::Frame(frame), Some(RowKey::Image(name))) if is_digits(name) => {
                RowKey::Image(frame.to_string())
            }
            (key, _) => key,
        };
        match (&key, first) {
            (RowKey::Image(name), Some(RowKey::Frame(_))) => {
                return Err(format!("{} is not a frame number, as other rows have", quote(name)));
            }
            (RowKey::Frame(frame), Some(RowKey::Image(name))) => {
                let name = quote(name);
                return Err(format!("{frame} is not an image's name, as other rows have ({name})"));
            }
            _ => {}
        }
        let next = self.rows.len();
        // Frame after frame from 0 on, as in most files: a row's position is its frame.
        if self.places.is_empty()
            && let RowKey::Frame(frame) = key
            && self.rows.first().is_none_or(|row| row.video == video)
            && frame <= next
        {
            if frame == next {
                self.rows.push(Row { key, video, picture: None });
            }
            return Ok(frame);
        }
        if self.places.is_empty() {
            let known = self.rows.iter().map(|row| (row.key.clone(), row.video));
            self.places = known.zip(0..).collect();
        }
        Ok(match self.places.entry((key.clone(), video)) {
            std::collections::hash_map::Entry::Occupied(known) => *known.get(),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(next);
                self.rows.push(Row { key, video, picture: None });
                next
            }
        })
    }

    /// Notes the size of the picture to which a row's coordinates belong.
    pub(super) fn set_picture(&mut self, place: usize, picture: Option<[u32; 2]>) {
        if let Some(row) = self.rows.get_mut(place) {
            row.picture = row.picture.or(picture);
        }
    }

    /// Sets the names of images before a program renamed them, by the names that rows have.
    pub(super) fn set_originals(&mut self, originals: HashMap<String, String>) {
        self.originals = originals;
    }

    /// Returns the name of an image before a program renamed it, or else its name.
    pub(super) fn original<'a>(&'a self, name: &'a str) -> &'a str {
        self.originals.get(name).map_or(name, String::as_str)
    }

    /// Adds a row that must be new, and returns its position.
    ///
    /// # Errors
    /// As [`Rows::place`], or if the row already exists.
    pub(super) fn add(&mut self, key: RowKey, video: Option<usize>) -> Result<usize, String> {
        let twice = match &key {
            RowKey::Frame(frame) => format!("frame {frame} appears twice"),
            RowKey::Image(name) => format!("image {} appears twice", quote_path(name)),
        };
        let next = self.rows.len();
        let place = self.place(key, video)?;
        if place == next { Ok(place) } else { Err(twice) }
    }

    /// Returns the number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns every row, in the order of positions.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Row> {
        self.rows.iter()
    }

    /// Returns the names of the recordings to which rows belong.
    pub(super) fn videos(&self) -> &[String] {
        &self.videos
    }

    /// Returns `true` if rows are named by images.
    pub(super) fn are_images(&self) -> bool {
        self.rows.first().is_some_and(|row| matches!(row.key, RowKey::Image(_)))
    }
}

/// The rows in which an individual was seen. Only these take memory, since a recording can have
/// thousands of short tracks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sightings {
    /// Positions of rows. They become frame numbers once the track has been located in its
    /// recording.
    pub(super) at: Vec<usize>,
    /// Body parts, of shape `[at, body parts]`.
    pub(super) values: Vec<Option<Keypoint>>,
}

impl Sightings {
    /// Notes the body parts of a row, unless none was seen. Returns `true` if it noted them.
    pub(super) fn note(&mut self, row: usize, seen: &[Option<Keypoint>]) -> bool {
        let is_seen = seen.iter().any(Option::is_some);
        if is_seen {
            self.at.push(row);
            self.values.extend_from_slice(seen);
        }
        is_seen
    }

    /// Sorts by position in ascending order. The error is a position that was noted twice.
    pub(super) fn sorted(self) -> Result<Self, usize> {
        if self.at.is_sorted_by(|a, b| a < b) {
            return Ok(self);
        }
        let parts = self.values.len() / self.at.len().max(1);
        let order = rising(&self.at)?;
        let rows = order.iter().flat_map(|&row| &self.values[row * parts..(row + 1) * parts]);
        let values = rows.copied().collect();
        Ok(Self { at: order.iter().map(|&row| self.at[row]).collect(), values })
    }
}

/// Returns positions in the order of frames. The error is a frame that appears twice.
pub(super) fn rising(frames: &[usize]) -> Result<Vec<usize>, usize> {
    let mut order: Vec<usize> = (0..frames.len()).collect();
    order.sort_by_key(|&row| frames[row]);
    match order.windows(2).find(|pair| frames[pair[0]] == frames[pair[1]]) {
        Some(pair) => Err(frames[pair[0]]),
        None => Ok(order),
    }
}

/// Checks that sightings of this many body parts each do not take much more memory than the points
/// that were read. A file can name many body parts and use few.
///
/// # Errors
/// There are more body parts than such a file can have.
pub(super) fn check_density(
    sightings: usize,
    bodyparts: usize,
    points: usize,
) -> Result<(), String> {
    const SMALL: usize = 1 << 21;
    const SPARSEST: usize = 64;
    let values = sightings.saturating_mul(bodyparts);
    if values > SMALL.max(points.saturating_mul(SPARSEST)) {
        return Err(format!(
            "it names {bodyparts} body parts, but has few of them at a time: it is damaged"
        ));
    }
    Ok(())
}

/// Checks that rows of this many columns each are not much more than the cells that were read. A
/// file can name many columns in its header and have short rows.
///
/// # Errors
/// There are more rows and columns than such a table can have.
pub(super) fn check_cells(rows: usize, columns: usize, cells: usize) -> Result<(), String> {
    const SMALL: usize = 1 << 21;
    const SHORTEST: usize = 4;
    if rows.saturating_mul(columns) > SMALL.max(cells.saturating_mul(SHORTEST)) {
        return Err(format!(
            "its header has {columns} columns, but its rows are shorter: it is damaged"
        ));
    }
    Ok(())
}

/// Returns a body part at its position, or `None` without both coordinates. A blank likelihood next
/// to coordinates means certain, since programs write that for points that a person has placed.
pub(super) fn keypoint(
    x: Option<f32>,
    y: Option<f32>,
    likelihood: Option<f32>,
    selection: &KeypointSelection,
) -> Option<Keypoint> {
    let finite = |value: Option<f32>| value.filter(|value| value.is_finite());
    let [left, top] = selection.offset.unwrap_or_default();
    let (x, y) = (finite(x)? + left, finite(y)? + top);
    let likelihood = likelihood.filter(|value| !value.is_nan()).unwrap_or(1.0);
    let (x, y) = (x * selection.scale, y * selection.scale);
    Some(Keypoint { x, y, likelihood: finite(Some(likelihood))? })
}

/// Returns the selected body parts among those available, in the order of the selection.
pub(super) fn selected(available: &[String], selection: &KeypointSelection) -> Vec<String> {
    if selection.bodyparts.is_empty() {
        return available.to_vec();
    }
    let mut chosen: Vec<String> = Vec::new();
    for name in &selection.bodyparts {
        if available.contains(name) && !chosen.contains(name) {
            chosen.push(name.clone());
        }
    }
    chosen
}

/// Appends a name that is not in the list yet.
#[cfg(feature = "hdf5")]
pub(super) fn push_new(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

/// Returns a CSV reader of bytes without their byte order mark.
pub(super) fn csv_reader(bytes: &[u8]) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}

/// Parses a number in a CSV cell. Returns `None` if the cell is empty, and an error if it holds
/// anything else.
pub(super) fn cell_number(cell: &[u8], column: &str) -> Result<Option<f32>, String> {
    let text = std::str::from_utf8(cell).unwrap_or("?");
    if text.is_empty() {
        return Ok(None);
    }
    // Parsing through 64 bits, as for HDF5, gives exactly the same points.
    text.parse::<f64>()
        .map(|value| Some(value as f32))
        .map_err(|_| format!("{} in the column of {} is not a number", quote(text), quote(column)))
}
