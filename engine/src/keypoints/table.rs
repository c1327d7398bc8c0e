//! What every reader hands over, and what they share.

use super::track::{Individual, Keypoint, KeypointSelection};

/// A track as its file has it; rows in any order.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Every body part that the file has, whatever was selected.
    pub(super) bodyparts: Vec<String>,
    /// Individuals with their selected body parts.
    pub(super) individuals: Vec<Individual>,
    /// Frame numbers of the file's rows.
    pub(super) frames: Vec<usize>,
    /// What was seen of each individual.
    pub(super) sightings: Vec<Sightings>,
    /// Whether every frame of the recording should have a row.
    pub(super) every_frame: bool,
}

/// The frames in which something of an individual was seen. Only those take memory: a recording can have thousands of short tracks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sightings {
    /// Frame numbers.
    pub(super) frames: Vec<usize>,
    /// `[frames, body parts]`.
    pub(super) values: Vec<Option<Keypoint>>,
}

impl Sightings {
    /// Notes the body parts of a frame, unless there are none.
    pub(super) fn note(&mut self, frame: usize, seen: &[Option<Keypoint>]) {
        if seen.iter().any(Option::is_some) {
            self.frames.push(frame);
            self.values.extend_from_slice(seen);
        }
    }

    /// In the order of frames; a frame that was noted twice is the error.
    pub(super) fn sorted(self) -> Result<Self, usize> {
        if self.frames.is_sorted_by(|a, b| a < b) {
            return Ok(self);
        }
        let parts = self.values.len() / self.frames.len().max(1);
        let order = rising(&self.frames)?;
        let rows = order.iter().flat_map(|&row| &self.values[row * parts..(row + 1) * parts]);
        let values = rows.copied().collect();
        Ok(Self { frames: order.iter().map(|&row| self.frames[row]).collect(), values })
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

/// A body part where it was seen; `None` unless all numbers are there.
pub(super) fn keypoint(
    x: Option<f32>,
    y: Option<f32>,
    likelihood: Option<f32>,
    selection: &KeypointSelection,
) -> Option<Keypoint> {
    let finite = |value: Option<f32>| value.filter(|value| value.is_finite());
    let scale = selection.scale;
    let (x, y) = (finite(x)? * scale, finite(y)? * scale);
    Some(Keypoint { x, y, likelihood: finite(likelihood)? })
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
    let mut text: String =
        cell.chars().take(LONGEST).flat_map(char::escape_debug).filter(|c| *c != '\0').collect();
    if cell.chars().nth(LONGEST).is_some() {
        text.push_str("...");
    }
    format!("'{text}'")
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

/// A frame number from an index: `12`, `12.0`, or an image like `labeled-data/mouse/img0012.png`, which is frame 12.
pub(super) fn frame_number(text: &str) -> Option<IndexedFrame> {
    if let Ok(frame) = text.parse() {
        return Some(IndexedFrame { frame, is_image: false });
    }
    if let Ok(number) = text.parse::<f64>() {
        let is_frame = number >= 0.0 && number.fract() == 0.0 && number < 1e15;
        return is_frame.then_some(IndexedFrame { frame: number as usize, is_image: false });
    }
    let name = text.rsplit(['/', '\\']).next().unwrap_or(text);
    let (stem, _ending) = name.rsplit_once('.')?;
    let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let frame = stem[stem.len() - digits..].parse().ok()?;
    Some(IndexedFrame { frame, is_image: true })
}

/// What an index says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexedFrame {
    /// The frame.
    pub(super) frame: usize,
    /// Whether it is an image's name: labelled data then, which has only some frames.
    pub(super) is_image: bool,
}
