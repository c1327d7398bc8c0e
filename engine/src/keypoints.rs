//! Keypoint tracks as prompts: DeepLabCut CSV.
//!
//! A track has one row per frame. The first header row names the scorer, then come `individuals` (multi-animal projects only),
//! `bodyparts` and `coords` (`x`, `y`, `likelihood`). An empty cell means: not seen.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A keypoint file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeypointError {
    /// It cannot be read.
    #[error("cannot read the track '{path}': {source}; give a DeepLabCut CSV file")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not a DeepLabCut track.
    #[error(
        "'{path}' is no DeepLabCut track: {what}; export it as CSV from DeepLabCut, separated by commas"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// A body part that it does not have.
    #[error("'{path}' has no body part '{name}'; it has {}", .available.join(", "))]
    UnknownBodypart {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What there is.
        available: Vec<String>,
    },
    /// A multi-animal track, and no or a wrong choice of animal.
    #[error("'{path}' tracks several individuals: choose one of {}", .available.join(", "))]
    WhichIndividual {
        /// The file.
        path: PathBuf,
        /// Who there is.
        available: Vec<String>,
    },
    /// More or fewer rows than the recording has frames.
    #[error(
        "'{path}' has {rows} rows but the recording has {frames} frames: is it the track of another recording? If not, the rows that there are can be used without this check"
    )]
    RowCount {
        /// The file.
        path: PathBuf,
        /// Rows in the track.
        rows: usize,
        /// Frames in the recording.
        frames: usize,
    },
}

/// Where a body part was seen in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keypoint {
    /// Column in the video that was tracked.
    pub x: f32,
    /// Row.
    pub y: f32,
    /// 0..1; 1 in files without likelihoods (labelled data).
    pub likelihood: f32,
}

/// The requested body parts of one animal in every frame.
#[derive(Clone, Debug, PartialEq)]
pub struct KeypointTrack {
    path: PathBuf,
    bodyparts: Vec<String>,
    /// By frame: one entry per body part, `None` where it was not seen.
    rows: BTreeMap<usize, Vec<Option<Keypoint>>>,
}

/// What to take from a track.
#[derive(Clone, Debug, PartialEq)]
pub struct KeypointSelection {
    /// Body parts, in order; empty = all.
    pub bodyparts: Vec<String>,
    /// The animal, in multi-animal tracks.
    pub individual: Option<String>,
    /// Coordinates are multiplied by this: DeepLabCut may have run on a smaller video.
    pub scale: f32,
}

impl Default for KeypointSelection {
    fn default() -> Self {
        Self { bodyparts: Vec::new(), individual: None, scale: 1.0 }
    }
}

/// The prompt frame of a batch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PromptFrame {
    /// Its number in the recording.
    pub frame: usize,
    /// Usable body parts and where they are.
    pub points: Vec<(String, Keypoint)>,
    /// Their mean likelihood.
    pub likelihood: f32,
}

impl KeypointTrack {
    /// Reads a DeepLabCut CSV.
    ///
    /// # Errors
    /// [`KeypointError`] naming the file, the place and what there is instead.
    pub fn read_dlc(path: &Path, selection: &KeypointSelection) -> Result<Self, KeypointError> {
        let text = std::fs::read(path)
            .map_err(|source| KeypointError::Io { path: path.to_owned(), source })?;
        Self::parse_dlc(path, &text, selection)
    }

    /// Parses the contents of a DeepLabCut CSV; `path` is for messages.
    ///
    /// # Errors
    /// As [`Self::read_dlc`].
    pub fn parse_dlc(
        path: &Path,
        text: &[u8],
        selection: &KeypointSelection,
    ) -> Result<Self, KeypointError> {
        let format = |what: String| KeypointError::Format { path: path.to_owned(), what };
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text));
        let mut header = Header::default();
        let mut columns = None;
        let mut rows = BTreeMap::new();
        for record in reader.byte_records() {
            let record = record.map_err(|error| format(error.to_string()))?;
            let line = record.position().map_or(0, csv::Position::line);
            let Some(columns) = &columns else {
                if header.take(&record, line).map_err(&format)? {
                    columns = Some(header.columns(path, selection)?);
                }
                continue;
            };
            let frame = frame_number(&record, rows.len());
            let keypoints = columns
                .iter()
                .map(|column| column.read(&record, selection.scale))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|what| format(format!("line {line}: {what}")))?;
            if rows.insert(frame, keypoints).is_some() {
                return Err(format(format!("line {line}: frame {frame} appears twice")));
            }
        }
        let Some(columns) = columns else {
            return Err(format("the header rows 'bodyparts' and 'coords' are missing".into()));
        };
        if rows.is_empty() {
            return Err(format("it has a header but no rows".into()));
        }
        let bodyparts = columns.into_iter().map(|c| c.bodypart).collect();
        Ok(Self { path: path.to_owned(), bodyparts, rows })
    }

    /// The body parts, in the order of points.
    pub fn bodyparts(&self) -> &[String] {
        &self.bodyparts
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Never: a track without rows is an error.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Checks that there is exactly one row per frame.
    ///
    /// # Errors
    /// [`KeypointError::RowCount`] with both numbers.
    pub fn check_rows(&self, frames: usize) -> Result<(), KeypointError> {
        let last = self.rows.last_key_value().map_or(0, |(&frame, _)| frame.saturating_add(1));
        if self.rows.len() == frames && last == frames {
            return Ok(());
        }
        let rows = self.rows.len().max(last);
        Err(KeypointError::RowCount { path: self.path.clone(), rows, frames })
    }

    /// The best frame of a range: the one with the most usable body parts, among those the highest mean likelihood, among
    /// those the earliest. `None` if no body part is usable in any frame.
    ///
    /// Usable: both coordinates and the likelihood are finite numbers, and the likelihood is at least `min_likelihood`.
    pub fn best_frame(&self, range: Range<usize>, min_likelihood: f32) -> Option<PromptFrame> {
        let mut best: Option<PromptFrame> = None;
        for (&frame, row) in self.rows.range(range) {
            let points: Vec<(String, Keypoint)> = self
                .bodyparts
                .iter()
                .zip(row)
                .filter_map(|(name, keypoint)| Some((name.clone(), (*keypoint)?)))
                .filter(|(_, keypoint)| keypoint.likelihood >= min_likelihood)
                .collect();
            if points.is_empty() {
                continue;
            }
            let sum: f32 = points.iter().map(|(_, k)| k.likelihood).sum();
            let candidate = PromptFrame { frame, likelihood: sum / points.len() as f32, points };
            let better = best.as_ref().is_none_or(|best| {
                (candidate.points.len(), candidate.likelihood)
                    > (best.points.len(), best.likelihood)
            });
            if better {
                best = Some(candidate);
            }
        }
        best
    }
}

/// The header rows as far as they have been read.
#[derive(Default)]
struct Header {
    individuals: Option<Vec<String>>,
    bodyparts: Option<Vec<String>>,
    coords: Option<Vec<String>>,
}

/// The cells of one body part.
struct Column {
    bodypart: String,
    x: usize,
    y: usize,
    likelihood: Option<usize>,
}

impl Header {
    /// Takes one header row; true once it was the last.
    fn take(&mut self, record: &csv::ByteRecord, line: u64) -> Result<bool, String> {
        let cells: Vec<String> =
            record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
        match cells.first().map(String::as_str) {
            Some("scorer") => {}
            Some("individuals") => self.individuals = Some(cells),
            Some("bodyparts") => self.bodyparts = Some(cells),
            Some("coords") => {
                self.coords = Some(cells);
                return Ok(true);
            }
            other => {
                let found = quote(other.unwrap_or_default());
                return Err(format!(
                    "line {line} starts with {found} where a header row (scorer, individuals, bodyparts, coords) should be"
                ));
            }
        }
        Ok(false)
    }

    fn columns(
        &self,
        path: &Path,
        selection: &KeypointSelection,
    ) -> Result<Vec<Column>, KeypointError> {
        let format =
            |what: &str| KeypointError::Format { path: path.to_owned(), what: what.into() };
        let bodyparts =
            self.bodyparts.as_ref().ok_or_else(|| format("there is no 'bodyparts' header row"))?;
        let coords =
            self.coords.as_ref().ok_or_else(|| format("there is no 'coords' header row"))?;
        let individual = self.individual(path, selection)?;
        let ours = |column: usize| match (&self.individuals, &individual) {
            (Some(individuals), Some(wanted)) => individuals.get(column) == Some(wanted),
            _ => true,
        };
        let cell = |bodypart: &str, coord: &str| {
            (1..coords.len()).find(|&column| {
                ours(column)
                    && coords[column] == coord
                    && bodyparts.get(column).is_some_and(|name| name == bodypart)
            })
        };
        let mut available: Vec<String> = Vec::new();
        for column in (1..bodyparts.len()).filter(|&column| ours(column)) {
            if !bodyparts[column].is_empty() && !available.contains(&bodyparts[column]) {
                available.push(bodyparts[column].clone());
            }
        }
        let wanted = if selection.bodyparts.is_empty() { &available } else { &selection.bodyparts };
        if wanted.is_empty() {
            return Err(format("its 'bodyparts' header row names none"));
        }
        wanted
            .iter()
            .map(|name| match (cell(name, "x"), cell(name, "y")) {
                (Some(x), Some(y)) => Ok(Column {
                    bodypart: name.clone(),
                    x,
                    y,
                    likelihood: cell(name, "likelihood"),
                }),
                _ => Err(KeypointError::UnknownBodypart {
                    path: path.to_owned(),
                    name: name.clone(),
                    available: available.clone(),
                }),
            })
            .collect()
    }

    /// The animal to follow: the one asked for, or the only one.
    fn individual(
        &self,
        path: &Path,
        selection: &KeypointSelection,
    ) -> Result<Option<String>, KeypointError> {
        let Some(individuals) = &self.individuals else { return Ok(None) };
        let mut available: Vec<String> = Vec::new();
        for name in individuals.iter().skip(1) {
            if !name.is_empty() && !available.contains(name) {
                available.push(name.clone());
            }
        }
        match &selection.individual {
            Some(wanted) if available.contains(wanted) => Ok(Some(wanted.clone())),
            None if available.len() == 1 => Ok(available.pop()),
            _ => Err(KeypointError::WhichIndividual { path: path.to_owned(), available }),
        }
    }
}

impl Column {
    /// The body part in one row; `None` where a cell is empty or not a finite number.
    fn read(&self, record: &csv::ByteRecord, scale: f32) -> Result<Option<Keypoint>, String> {
        let number = |column: usize| -> Result<Option<f32>, String> {
            let cell = record.get(column).unwrap_or_default();
            let text = std::str::from_utf8(cell).unwrap_or("?");
            if text.is_empty() {
                return Ok(None);
            }
            text.parse::<f32>().map(|value| value.is_finite().then_some(value)).map_err(|_| {
                format!("{} in the column of {} is no number", quote(text), self.bodypart)
            })
        };
        let likelihood = match self.likelihood {
            Some(column) => number(column)?,
            None => Some(1.0),
        };
        Ok(match (number(self.x)?, number(self.y)?, likelihood) {
            (Some(x), Some(y), Some(likelihood)) => {
                Some(Keypoint { x: x * scale, y: y * scale, likelihood })
            }
            _ => None,
        })
    }
}

/// A cell as it can stand in a one-line message: escaped and short.
fn quote(cell: &str) -> String {
    const LONGEST: usize = 24;
    let mut text: String =
        cell.chars().take(LONGEST).flat_map(char::escape_debug).filter(|c| *c != '\0').collect();
    if cell.chars().nth(LONGEST).is_some() {
        text.push_str("...");
    }
    format!("'{text}'")
}

/// The row's own frame number, or its position where the first cell is none (labelled data has image paths there).
fn frame_number(record: &csv::ByteRecord, position: usize) -> usize {
    record
        .get(0)
        .and_then(|cell| std::str::from_utf8(cell).ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or(position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACK: &str = "\
scorer,net,net,net,net,net,net
bodyparts,snout,snout,snout,tail,tail,tail
coords,x,y,likelihood,x,y,likelihood
0,1.0,2.0,0.5,3.0,4.0,0.7
1,1.5,2.5,0.9,3.5,4.5,0.9
2,1.5,2.5,0.9,3.5,4.5,0.9
3,,,,5.0,6.0,1.0
4,NaN,2.0,0.99,5.0,6.0,1.0
";

    fn selection(bodyparts: &[&str]) -> KeypointSelection {
        KeypointSelection {
            bodyparts: bodyparts.iter().map(|s| s.to_string()).collect(),
            ..Default::default()
        }
    }

    fn parse(text: &str, selection: &KeypointSelection) -> Result<KeypointTrack, KeypointError> {
        KeypointTrack::parse_dlc(Path::new("track.csv"), text.as_bytes(), selection)
    }

    #[test]
    fn takes_the_highest_mean_of_the_requested_parts_and_the_earliest_of_ties() {
        let track = parse(TRACK, &selection(&["snout", "tail"])).unwrap();
        let best = track.best_frame(0..5, 0.0).unwrap();
        assert_eq!((best.frame, best.points.len()), (1, 2));
        let track = parse(TRACK, &selection(&["tail"])).unwrap();
        assert_eq!(track.best_frame(0..5, 0.0).unwrap().frame, 3);
    }

    #[test]
    fn missing_coordinates_are_never_chosen() {
        let track = parse(TRACK, &selection(&["snout"])).unwrap();
        assert!(track.best_frame(3..5, 0.0).is_none());
        assert!(track.best_frame(0..5, 0.95).is_none());
    }

    #[test]
    fn coordinates_scale() {
        let track =
            parse(TRACK, &KeypointSelection { scale: 2.0, ..selection(&["snout"]) }).unwrap();
        let (_, point) = &track.best_frame(0..1, 0.0).unwrap().points[0];
        assert_eq!((point.x, point.y), (2.0, 4.0));
    }

    #[test]
    fn multi_animal_tracks_need_a_choice() {
        let text = "scorer,n,n,n,n,n,n\nindividuals,a,a,a,b,b,b\nbodyparts,s,s,s,s,s,s\ncoords,x,y,likelihood,x,y,likelihood\n0,1,2,1,3,4,1\n";
        assert!(matches!(
            parse(text, &selection(&[])),
            Err(KeypointError::WhichIndividual { available, .. }) if available == ["a", "b"]
        ));
        let chosen = KeypointSelection { individual: Some("b".into()), ..selection(&["s"]) };
        let best = parse(text, &chosen).unwrap().best_frame(0..1, 0.0).unwrap();
        assert_eq!(best.points[0].1.x, 3.0);
    }

    #[test]
    fn errors_name_the_cause() {
        let message =
            |text: &str, parts: &[&str]| parse(text, &selection(parts)).unwrap_err().to_string();
        assert!(message("", &[]).contains("header"));
        assert!(message("a,b,c\n", &[]).contains("line 1"));
        assert!(message(TRACK, &["nose"]).contains("it has snout, tail"));
        assert!(message(&TRACK.replace("1.5", "oops"), &["snout"]).contains("'oops'"));
        assert!(message(&format!("{TRACK}4,1,1,1,1,1,1\n"), &[]).contains("twice"));
        let header_only: String = TRACK.lines().take(3).map(|l| format!("{l}\n")).collect();
        assert!(message(&header_only, &[]).contains("no rows"));
    }

    #[test]
    fn row_counts_are_compared() {
        let track = parse(TRACK, &selection(&["snout"])).unwrap();
        assert!(track.check_rows(5).is_ok());
        let message = track.check_rows(7).unwrap_err().to_string();
        assert!(message.contains("5 rows") && message.contains("7 frames"), "{message}");
    }

    proptest! {
        #[test]
        fn never_panics(text in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = KeypointTrack::parse_dlc(Path::new("x"), &text, &selection(&[]));
        }

        #[test]
        fn never_panics_behind_a_header(text in "[0-9,.a\n\"-]{0,200}") {
            let header: String = TRACK.lines().take(3).map(|l| format!("{l}\n")).collect();
            if let Ok(track) = parse(&format!("{header}{text}"), &selection(&[])) {
                let _ = track.best_frame(0..usize::MAX, 0.5);
                let _ = track.check_rows(3);
            }
        }
    }
}
