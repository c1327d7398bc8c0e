//! SLEAP's analysis table: one row per instance, with columns `track`, `frame_idx`, `instance.score` and, for every node, `NODE.x`,
//! `NODE.y` and `NODE.score`. (SLEAP's "Export Analysis CSV", and `sleap_io.save_csv(..., format="sleap")`.)
//!
//! Nodes that were labelled by hand have no score; they count as certain.

use std::collections::{HashMap, HashSet};

use super::table::{
    RowKey, Rows, Sightings, Table, cell_number, csv_reader, keypoint, quote, selected,
};
use super::track::{Individual, KeypointSelection};

/// The name of instances without a track where others have one.
const UNTRACKED: &str = "untracked";

/// Whether the first row is SLEAP's.
pub(super) fn recognise(bytes: &[u8]) -> bool {
    let mut record = csv::ByteRecord::new();
    let read = csv_reader(bytes).read_byte_record(&mut record).unwrap_or(false);
    let has = |wanted: &[u8]| record.iter().any(|cell| cell == wanted);
    read && has(b"frame_idx") && record.iter().any(|cell| cell.ends_with(b".x"))
}

/// The cells of a node.
struct Node {
    x: usize,
    y: usize,
    score: Option<usize>,
}

pub(super) fn read(bytes: &[u8], selection: &KeypointSelection) -> Result<Table, String> {
    let mut reader = csv_reader(bytes);
    let mut records = reader.byte_records();
    let broken = |error: csv::Error| error.to_string();
    let header = records.next().ok_or("it is empty")?.map_err(broken)?;
    let header: Vec<String> =
        header.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
    let column = |name: &str| header.iter().position(|cell| cell == name);
    let frame_column = column("frame_idx").ok_or("it has no column 'frame_idx'")?;
    let track_column = column("track");
    let names: Vec<String> =
        header.iter().filter_map(|cell| cell.strip_suffix(".x")).map(str::to_owned).collect();
    let bodyparts = selected(&names, selection);
    let nodes = bodyparts
        .iter()
        .map(|name| {
            let part = |coord: &str| column(&format!("{name}.{coord}"));
            let missing = || format!("node {} has no column 'y'", quote(name));
            let x = part("x").ok_or_else(missing)?;
            Ok(Node { x, y: part("y").ok_or_else(missing)?, score: part("score") })
        })
        .collect::<Result<Vec<Node>, String>>()?;

    let mut tracks: Vec<String> = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    let mut sightings: Vec<Sightings> = Vec::new();
    let (mut rows, mut instances) = (Rows::default(), HashSet::new());
    for record in records {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(0, csv::Position::line);
        let at = |what: String| format!("line {line}: {what}");
        let text = |column: usize| {
            String::from_utf8_lossy(record.get(column).unwrap_or_default()).into_owned()
        };
        let index = text(frame_column);
        let Some(RowKey::Frame(frame)) = RowKey::parse(&index) else {
            return Err(at(format!(
                "{} in the column 'frame_idx' is no frame number",
                quote(&index)
            )));
        };
        let row = rows.place(RowKey::Frame(frame), None).map_err(at)?;
        let track = track_column.map(text).unwrap_or_default();
        let individual = *positions.entry(track.clone()).or_insert_with(|| {
            tracks.push(track.clone());
            sightings.push(Sightings::default());
            tracks.len() - 1
        });
        if !instances.insert((frame, individual)) {
            let who = if track.is_empty() {
                "an instance without a track: track the instances in SLEAP first".to_owned()
            } else {
                format!("track {}", quote(&track))
            };
            return Err(at(format!("frame {frame} has a second time {who}")));
        }
        let number = |column: usize, name: &str| {
            cell_number(record.get(column).unwrap_or_default(), name).map_err(at)
        };
        let mut seen = Vec::with_capacity(nodes.len());
        for (node, name) in nodes.iter().zip(&bodyparts) {
            let score = node.score.map_or(Ok(None), |column| number(column, name))?;
            seen.push(keypoint(number(node.x, name)?, number(node.y, name)?, score, selection));
        }
        sightings[individual].note(row, &seen);
    }
    let alone = tracks.len() == 1;
    let individuals = tracks
        .into_iter()
        .map(|track| {
            let name = match track.is_empty() {
                true if alone => None,
                true => Some(UNTRACKED.to_owned()),
                false => Some(track),
            };
            Individual { name, bodyparts: bodyparts.clone() }
        })
        .collect();
    Ok(Table { bodyparts: names, individuals, rows, sightings, ..Table::default() })
}
