//! What every reader hands over, and what they share.

use std::collections::HashMap;

use super::track::{Individual, Keypoint, KeypointSelection, TrackNotice};

/// A track as its file has it; rows in any order.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Every body part that the file has, whatever was selected.
    pub(super) bodyparts: Vec<String>,
    /// Individuals with their selected body parts.
    pub(super) individuals: Vec<Individual>,
    /// The file's rows: each frame or image once.
    pub(super) rows: Rows,
    /// What was seen of each individual, by the position of the row in [`Table::rows`].
    pub(super) sightings: Vec<Sightings>,
    /// Whether every frame of the recording should have a row.
    pub(super) every_frame: bool,
    /// Body parts below this likelihood are not used unless the user says otherwise; 0 = all are used.
    pub(super) default_min_likelihood: f32,
    /// Whether the file does not say at which frame its first row is.
    pub(super) start_unknown: bool,
    /// Width and height of the picture that all coordinates are of, where the file says so; any of several.
    pub(super) pictures: Vec<[u32; 2]>,
    /// Where rows are numbered by position but have times instead of frames: the time of each row, in seconds, rising.
    pub(super) times: Option<RowTimes>,
    /// What the user should know.
    pub(super) notices: Vec<TrackNotice>,
}

/// A side of a picture, in pixels, that is stored as a number of any type.
pub(super) fn side(value: f64) -> Option<u32> {
    (1.0..1e6).contains(&value).then_some(value as u32)
}

/// The part of each frame that a track was made on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Crop {
    /// Its first column and row.
    pub(super) corner: [f32; 2],
    /// Its width and height.
    pub(super) size: [u32; 2],
    /// The file that says so.
    pub(super) note: String,
}

/// When rows were seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RowTimes {
    /// Of each row, by its place, in seconds, rising.
    pub(super) seconds: Vec<f64>,
}

/// The frame or image that a row is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum RowKey {
    /// The frame of this number, from 0.
    Frame(usize),
    /// The image of this name: as the file has it, perhaps with folders. Which frame that is, only the recording can tell.
    Image(String),
}

impl RowKey {
    /// Reads an index cell: a frame number (`12`, `12.0`), or else an image's name, such as `img0012.png` or its stem; `0012` is one too.
    /// `None` for an empty cell and for a number that numbers no frame.
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

    /// A frame number that is stored as a number of any type.
    pub(super) fn number(value: f64) -> Option<Self> {
        let is_frame = value >= 0.0 && value.fract() == 0.0 && value < 1e15;
        is_frame.then_some(Self::Frame(value as usize))
    }
}

/// Whether a text is a whole number and nothing else.
pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a row is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// The frame or image.
    pub(super) key: RowKey,
    /// Which of [`Rows::videos`] it is in; `None` where the file does not say so. The folders in an image's name are looked at anyway.
    pub(super) video: Option<usize>,
    /// Width and height of the picture that the row's coordinates are of, where the file says so of each.
    pub(super) picture: Option<[u32; 2]>,
}

/// The rows of a file, each with its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
    videos: Vec<String>,
    video_numbers: HashMap<String, usize>,
    places: HashMap<(RowKey, Option<usize>), usize>,
    /// Other names of images, by the names that rows have: what an image was called before a program renamed it.
    originals: HashMap<String, String>,
}

impl Rows {
    /// The number of a recording that rows are of, by its name or path as the file has it.
    pub(super) fn video(&mut self, name: &str) -> usize {
        if let Some(&known) = self.video_numbers.get(name) {
            return known;
        }
        self.video_numbers.insert(name.to_owned(), self.videos.len());
        self.videos.push(name.to_owned());
        self.videos.len() - 1
    }

    /// The place of a row, which is made if it is new.
    ///
    /// # Errors
    /// A frame number among images' names, or the other way round.
    pub(super) fn place(&mut self, key: RowKey, video: Option<usize>) -> Result<usize, String> {
        let first = self.rows.first().map(|row| &row.key);
        // Of images that are named by numbers alone, those without leading zeros look like frames.
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
        // Frame after frame from 0 on, as in most files: a row's place is its frame.
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

    /// Notes the size of the picture that a row's coordinates are of.
    pub(super) fn set_picture(&mut self, place: usize, picture: Option<[u32; 2]>) {
        if let Some(row) = self.rows.get_mut(place) {
            row.picture = row.picture.or(picture);
        }
    }

    /// Sets what images were called before a program renamed them, by the names that rows have.
    pub(super) fn set_originals(&mut self, originals: HashMap<String, String>) {
        self.originals = originals;
    }

    /// What an image was called before a program renamed it, or else its name.
    pub(super) fn original<'a>(&'a self, name: &'a str) -> &'a str {
        self.originals.get(name).map_or(name, String::as_str)
    }

    /// The place of a row that must be new.
    ///
    /// # Errors
    /// As [`Rows::place`]; a row that is there already.
    pub(super) fn add(&mut self, key: RowKey, video: Option<usize>) -> Result<usize, String> {
        let twice = match &key {
            RowKey::Frame(frame) => format!("frame {frame} appears twice"),
            RowKey::Image(name) => format!("image {} appears twice", quote_path(name)),
        };
        let next = self.rows.len();
        let place = self.place(key, video)?;
        if place == next { Ok(place) } else { Err(twice) }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Every row, in the order of places.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Row> {
        self.rows.iter()
    }

    /// The names of the recordings that rows are of.
    pub(super) fn videos(&self) -> &[String] {
        &self.videos
    }

    /// Whether rows are named by images.
    pub(super) fn are_images(&self) -> bool {
        self.rows.first().is_some_and(|row| matches!(row.key, RowKey::Image(_)))
    }
}

/// Where something of an individual was seen. Only that takes memory: a recording can have thousands of short tracks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sightings {
    /// Places of rows; once the track has found its recording, frame numbers.
    pub(super) at: Vec<usize>,
    /// `[at, body parts]`.
    pub(super) values: Vec<Option<Keypoint>>,
}

impl Sightings {
    /// Notes the body parts of a row, unless there are none; true if it has noted them.
    pub(super) fn note(&mut self, row: usize, seen: &[Option<Keypoint>]) -> bool {
        let is_seen = seen.iter().any(Option::is_some);
        if is_seen {
            self.at.push(row);
            self.values.extend_from_slice(seen);
        }
        is_seen
    }

    /// In rising order; a place that was noted twice is the error.
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

/// Positions in the order of frames; a frame that appears twice is the error.
pub(super) fn rising(frames: &[usize]) -> Result<Vec<usize>, usize> {
    let mut order: Vec<usize> = (0..frames.len()).collect();
    order.sort_by_key(|&row| frames[row]);
    match order.windows(2).find(|pair| frames[pair[0]] == frames[pair[1]]) {
        Some(pair) => Err(frames[pair[0]]),
        None => Ok(order),
    }
}

/// Checks that sightings of so many body parts each take not much more memory than the points that were read: a file can name many
/// body parts and use few.
///
/// # Errors
/// More body parts than such a file can have.
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

/// Checks that rows of so many columns each are not much more than the cells that were read: a file can name many columns in its header
/// and have short rows.
///
/// # Errors
/// More rows and columns than such a table can have.
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

/// A body part where it was seen; `None` without both coordinates. A likelihood that is left blank beside coordinates means certain:
/// that is what programs write for points that a person has placed.
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

/// The selected ones among these body parts, in the order of the selection.
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

/// Appends a name that is not there yet.
pub(super) fn push_new(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

/// A cell as it can stand in a one-line message: escaped and short.
pub(super) fn quote(cell: &str) -> String {
    const LONGEST: usize = 24;
    quote_start(cell, LONGEST)
}

/// A path or name of a file in a message.
pub(super) fn quote_path(path: &str) -> String {
    const LONGEST: usize = 80;
    quote_start(path, LONGEST)
}

fn quote_start(text: &str, longest: usize) -> String {
    let letters = text.chars().take(longest);
    let mut shown: String = letters.flat_map(char::escape_debug).filter(|c| *c != '\0').collect();
    if text.chars().nth(longest).is_some() {
        shown.push_str("...");
    }
    format!("'{shown}'")
}

/// A CSV reader of bytes without their byte order mark.
pub(super) fn csv_reader(bytes: &[u8]) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}

/// A number in a CSV cell: `None` where it is empty, an error where it is something else.
pub(super) fn cell_number(cell: &[u8], column: &str) -> Result<Option<f32>, String> {
    let text = std::str::from_utf8(cell).unwrap_or("?");
    if text.is_empty() {
        return Ok(None);
    }
    // By way of 64 bits, as from HDF5, so that both give the very same points.
    text.parse::<f64>()
        .map(|value| Some(value as f32))
        .map_err(|_| format!("{} in the column of {} is no number", quote(text), quote(column)))
}
