//! SLEAP's analysis table. Each instance has a row with the columns `track`, `frame_idx` and
//! `instance.score`, and with `NODE.x`, `NODE.y` and `NODE.score` for every node. (SLEAP's "Export
//! Analysis CSV", and `sleap_io.save_csv(..., format="sleap")`.)
//!
//! sleap-io's `format="frames"` has a row for each frame instead, with the same columns for several
//! instances side by side: `inst0.track`, `inst0.NODE.x`, ... The number of an instance does not
//! identify it there; its track does.
//!
//! Nodes that were labelled by hand have no score. They count as certain.

use std::collections::{HashMap, HashSet};

use super::keypoint::Individual;
use super::quoting::quote;
use super::recording_column::RecordingColumn;
use super::selection::KeypointSelection;
use super::table::{
    RowKey, Rows, Sightings, Table, cell_number, check_cells, csv_reader, keypoint, selected,
};

/// The name of instances without a track, if others have one.
const UNTRACKED: &str = "untracked";

/// Largest number of points in a column's name after which the prefix may end.
const MOST_POINTS: usize = 64;

/// Returns `true` if the first row is SLEAP's.
pub(super) fn recognise(bytes: &[u8]) -> bool {
    let mut record = csv::ByteRecord::new();
    let read = csv_reader(bytes).read_byte_record(&mut record).unwrap_or(false);
    let has = |wanted: &[u8]| record.iter().any(|cell| cell == wanted);
    read && has(b"frame_idx") && record.iter().any(|cell| cell.ends_with(b".x"))
}

/// The columns of a node.
struct Node {
    x: usize,
    y: usize,
    score: Option<usize>,
}

/// The columns of one instance. A row has one instance, or several side by side.
struct Instance {
    /// Prefix of its columns' names: `inst0.`, or nothing.
    prefix: String,
    track: TrackName,
    nodes: Vec<Node>,
}

/// Where the name of an instance's track is.
enum TrackName {
    /// In this column of each row.
    Column(usize),
    /// In the prefix of the columns.
    Prefix,
    /// The file has no tracks.
    None,
}

/// The contents of the header row.
struct Layout {
    instances: Vec<Instance>,
    /// All nodes.
    names: Vec<String>,
    /// The selected nodes.
    chosen: Vec<String>,
}

/// The header row.
struct Header {
    names: Vec<String>,
    /// The first column of each name.
    columns: HashMap<String, usize>,
}

impl Header {
    fn new(names: Vec<String>) -> Self {
        let mut columns = HashMap::with_capacity(names.len());
        for (column, name) in names.iter().enumerate() {
            columns.entry(name.clone()).or_insert(column);
        }
        Self { names, columns }
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.columns.get(name).copied()
    }

    /// Returns the column prefixes of each instance, if a row has several. A prefix is `inst0.`,
    /// with a column `inst0.track`, or a track's name, `ann.`, with a column `ann.track_score`.
    fn prefixes(&self) -> Vec<String> {
        let (mut prefixes, mut known) = (Vec::new(), HashSet::new());
        for cell in &self.names {
            let found = cell.strip_suffix("track").or_else(|| cell.strip_suffix("track_score"));
            if let Some(prefix) = found.filter(|prefix| prefix.ends_with('.'))
                && known.insert(prefix)
            {
                prefixes.push(prefix.to_owned());
            }
        }
        prefixes
    }

    /// Returns the instances of a row and their nodes.
    fn layout(&self, selection: &KeypointSelection) -> Result<Layout, String> {
        let mut prefixes = self.prefixes();
        if prefixes.is_empty() {
            prefixes.push(String::new());
        }
        let known: HashSet<&str> = prefixes.iter().map(String::as_str).collect();
        let (mut names, mut listed): (Vec<String>, _) = (Vec::new(), HashSet::new());
        for (column, cell) in self.names.iter().enumerate() {
            let Some(name) = cell.strip_suffix(".x") else { continue };
            // Of several prefixes, the longest is a track's whole name. Prefixes end with a point.
            let ends = name.rmatch_indices('.').map(|(at, _)| at + 1).chain([0]);
            let prefix = ends.take(MOST_POINTS).map(|end| &name[..end]);
            let Some(prefix) = prefix.into_iter().find(|prefix| known.contains(prefix)) else {
                return Err(format!("its column {} belongs to no instance", quote(cell)));
            };
            let node = &name[prefix.len()..];
            if listed.insert(node) {
                names.push(node.to_owned());
            }
            if self.column(cell) != Some(column) {
                return Err(format!("node {} appears twice: rename one of the two", quote(node)));
            }
            if self.column(&format!("{name}.z")).is_some() {
                return Err(
                    "it holds 3D coordinates (x, y, z), not pixels: give the track of this camera's video".into(),
                );
            }
        }
        let chosen = selected(&names, selection);
        check_cells(prefixes.len(), chosen.len(), self.names.len())?;
        let mut instances = Vec::new();
        for prefix in prefixes {
            let track = match self.column(&format!("{prefix}track")) {
                Some(column) => TrackName::Column(column),
                None if prefix.is_empty() => TrackName::None,
                None => TrackName::Prefix,
            };
            let node = |name: &String| {
                let part = |coord: &str| self.column(&format!("{prefix}{name}.{coord}"));
                let missing = |coord: &str| format!("node {} has no column '{coord}'", quote(name));
                let x = part("x").ok_or_else(|| missing("x"))?;
                let y = part("y").ok_or_else(|| missing("y"))?;
                Ok(Node { x, y, score: part("score") })
            };
            let nodes = chosen.iter().map(node).collect::<Result<Vec<Node>, String>>()?;
            instances.push(Instance { prefix, track, nodes });
        }
        Ok(Layout { instances, names, chosen })
    }
}

/// The tracks, in the order in which they appear.
#[derive(Default)]
struct Tracks {
    names: Vec<String>,
    positions: HashMap<String, usize>,
    sightings: Vec<Sightings>,
}

impl Tracks {
    fn position(&mut self, name: &str) -> usize {
        if let Some(&known) = self.positions.get(name) {
            return known;
        }
        self.positions.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.sightings.push(Sightings::default());
        self.names.len() - 1
    }

    fn individuals(&self, bodyparts: &[String]) -> Vec<Individual> {
        let alone = self.names.len() == 1;
        let name = |track: &String| match track.is_empty() {
            true if alone => None,
            true => Some(UNTRACKED.to_owned()),
            false => Some(track.clone()),
        };
        let individual = |track| Individual { name: name(track), bodyparts: bodyparts.to_vec() };
        self.names.iter().map(individual).collect()
    }
}

pub(super) fn read(bytes: &[u8], selection: &KeypointSelection) -> Result<Table, String> {
    let mut reader = csv_reader(bytes);
    let mut records = reader.byte_records();
    let broken = |error: csv::Error| error.to_string();
    let header = records.next().ok_or("it is empty")?.map_err(broken)?;
    let names = header.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
    let header = Header::new(names);
    let frame_column = header.column("frame_idx").ok_or("it has no column 'frame_idx'")?;
    let column_names: Vec<&str> = header.names.iter().map(String::as_str).collect();
    let video_column = RecordingColumn::find(&column_names, bytes);
    let Layout { instances, names, chosen: bodyparts } = header.layout(selection)?;

    let (mut tracks, mut rows, mut known) = (Tracks::default(), Rows::default(), HashSet::new());
    let (mut read_rows, mut read_cells) = (0, 0);
    for record in records {
        let record = record.map_err(broken)?;
        read_rows += 1;
        read_cells += record.len();
        check_cells(read_rows, header.names.len(), read_cells)?;
        let line = record.position().map_or(0, csv::Position::line);
        let at = |what: String| format!("line {line}: {what}");
        let text = |column: usize| {
            String::from_utf8_lossy(record.get(column).unwrap_or_default()).into_owned()
        };
        let index = text(frame_column);
        let number = index.parse().ok().and_then(RowKey::number);
        let Some(RowKey::Frame(frame)) = number else {
            return Err(at(format!(
                "{} in the column 'frame_idx' is not a frame number",
                quote(&index)
            )));
        };
        let video = video_column.and_then(|column| column.name(&record));
        let video = video.map(|name| rows.video(&name));
        let row = rows.place(RowKey::Frame(frame), video).map_err(at)?;
        for Instance { prefix, track, nodes } in &instances {
            let number = |column: usize, name: &str| {
                cell_number(record.get(column).unwrap_or_default(), name).map_err(at)
            };
            let mut seen = Vec::with_capacity(nodes.len());
            for (node, name) in nodes.iter().zip(&bodyparts) {
                let score = node.score.map_or(Ok(None), |column| number(column, name))?;
                seen.push(keypoint(number(node.x, name)?, number(node.y, name)?, score, selection));
            }
            let track = match track {
                TrackName::Column(column) => text(*column),
                TrackName::Prefix => prefix.trim_end_matches('.').to_owned(),
                TrackName::None => String::new(),
            };
            // Of several instances side by side, those that a row lacks are blank.
            let is_blank = track.is_empty() && seen.iter().all(Option::is_none);
            if is_blank && instances.len() > 1 {
                continue;
            }
            let individual = tracks.position(&track);
            if !known.insert((row, individual)) {
                let who = if track.is_empty() {
                    "an instance without a track: track the instances in SLEAP first".to_owned()
                } else {
                    format!("track {}", quote(&track))
                };
                return Err(at(format!("frame {frame} repeats {who}")));
            }
            tracks.sightings[individual].note(row, &seen);
        }
    }
    check_cells(tracks.names.len(), bodyparts.len(), read_cells)?;
    let individuals = tracks.individuals(&bodyparts);
    let sightings = tracks.sightings;
    Ok(Table { bodyparts: names, individuals, rows, sightings, ..Table::default() })
}
