//! idtracker.ai's trajectories as CSV: a column of times, then `x1`, `y1`, `x2`, `y2`, ... of the
//! centroids.
//!
//! Every frame of the recording has a row, the first row for frame 0
//! (`trajectories_csv/trajectories.csv`, written by `idtrackerai_csv`). If an animal was not found,
//! its cells are empty or `nan`.

use super::keypoint::Individual;
use super::selection::KeypointSelection;
use super::table::{
    RowKey, Rows, Sightings, Table, cell_number, check_cells, csv_reader, keypoint,
};

/// Possible names of the first column.
const TIMES: [&str; 4] = ["time", "seconds", "times", "frame"];
/// The only body part.
const CENTROID: &str = "centroid";

/// Returns `true` if the first row is idtracker.ai's: pairs of columns, numbered from 1.
pub(super) fn recognise(names: &[&str]) -> bool {
    let rest = match names.first() {
        Some(first) if TIMES.iter().any(|time| first.eq_ignore_ascii_case(time)) => &names[1..],
        _ => return false,
    };
    let pair = |(number, pair): (usize, &[&str])| {
        pair == [format!("x{number}").as_str(), format!("y{number}").as_str()]
    };
    rest.len() >= 2 && rest.len() % 2 == 0 && (1..).zip(rest.chunks_exact(2)).all(pair)
}

pub(super) fn read(bytes: &[u8], selection: &KeypointSelection) -> Result<Table, String> {
    let mut reader = csv_reader(bytes);
    let mut records = reader.byte_records();
    let broken = |error: csv::Error| error.to_string();
    let header = records.next().ok_or("it is empty")?.map_err(broken)?;
    let animals = (header.len() - 1) / 2;
    let by_frame = header.get(0).is_some_and(|name| name.eq_ignore_ascii_case(b"frame"));
    let mut rows = Rows::default();
    let mut sightings = vec![Sightings::default(); animals];
    let (mut last, mut read_cells) = (f64::NEG_INFINITY, 0);
    for (position, record) in records.enumerate() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(0, csv::Position::line);
        let at = |what: String| format!("line {line}: {what}");
        let time = cell_number(record.get(0).unwrap_or_default(), "time").map_err(at)?;
        let key = match time.map(f64::from) {
            Some(frame) if by_frame => {
                RowKey::number(frame).ok_or_else(|| at(format!("{frame} is not a frame number")))?
            }
            // If rows were reordered, or cut and joined, their positions are not frame numbers.
            Some(time) if time < last => return Err(at("its times do not rise".into())),
            time => {
                last = time.unwrap_or(last);
                RowKey::Frame(position)
            }
        };
        let row = rows.add(key, None).map_err(at)?;
        read_cells += record.len();
        check_cells(rows.len(), 2 * animals, read_cells).map_err(at)?;
        for (animal, sightings) in sightings.iter_mut().enumerate() {
            let number = |column: usize| {
                cell_number(record.get(column).unwrap_or_default(), "x and y").map_err(at)
            };
            let (x, y) = (number(1 + 2 * animal)?, number(2 + 2 * animal)?);
            sightings.note(row, &[keypoint(x, y, Some(1.0), selection)]);
        }
    }
    let individuals = (1..=animals)
        .map(|animal| Individual {
            name: (animals > 1).then(|| animal.to_string()),
            bodyparts: vec![CENTROID.to_owned()],
        })
        .collect();
    Ok(Table {
        bodyparts: vec![CENTROID.to_owned()],
        individuals,
        rows,
        sightings,
        every_frame: true,
        ..Table::default()
    })
}
