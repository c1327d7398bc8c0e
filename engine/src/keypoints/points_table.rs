//! A plain table of points, one a row: `frame,object,x,y`, and perhaps `bodypart` and `likelihood`.
//!
//! It is what any other program's track can be turned into. The table of clicks of `--prompts` is one too; with `label`, which there
//! says whether a click is on the object, it is refused here.

use std::collections::{HashMap, HashSet};

use super::table::{
    RowKey, Rows, Sightings, Table, cell_number, check_density, csv_reader, keypoint, quote,
    selected,
};
use super::track::{Individual, KeypointSelection};

/// Names of columns, in small letters.
const FRAME: [&str; 4] = ["frame", "frame_idx", "frame_number", "image"];
const OBJECT: [&str; 7] =
    ["object", "individual", "animal", "track", "track_id", "id", "object_id"];
const PART: [&str; 6] = ["bodypart", "part", "node", "keypoint", "body_part", "name"];
const LIKELIHOOD: [&str; 4] = ["likelihood", "confidence", "score", "probability"];
/// The body part of a table without such a column.
const POINT: &str = "point";

/// The positions of columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    pub(super) frame: usize,
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) object: Option<usize>,
    pub(super) part: Option<usize>,
    pub(super) likelihood: Option<usize>,
    /// What kind of table it is, for messages.
    pub(super) what: &'static str,
}

fn find(names: &[&str], wanted: &[&str]) -> Option<usize> {
    wanted.iter().find_map(|wanted| names.iter().position(|name| name.eq_ignore_ascii_case(wanted)))
}

/// Whether the first row names a frame, x and y.
pub(super) fn recognise(names: &[&str]) -> bool {
    find(names, &FRAME).is_some() && find(names, &["x"]).is_some() && find(names, &["y"]).is_some()
}

fn columns(names: &[&str]) -> Result<Columns, String> {
    let needed = |wanted: &[&str]| {
        find(names, wanted).ok_or_else(|| format!("it has no column '{}'", wanted[0]))
    };
    let part = find(names, &PART);
    if find(names, &["label"]).is_some() {
        return Err("it is a table of clicks: give it with --prompts instead of --keypoints (a track's table has no column 'label'; body parts are in 'bodypart')".into());
    }
    if find(names, &["z"]).is_some() {
        return Err("it has a column z: coordinates in space are not pixels; give the 2D track of this camera".into());
    }
    let has = |wanted: &[&str]| find(names, wanted).is_some();
    if has(&["w", "width"]) && has(&["h", "height"]) {
        return Err("it is a table of boxes, and x and y are their corners, not points on the animal: write a column for the middle of each box, or give boxes with --prompts".into());
    }
    Ok(Columns {
        frame: needed(&FRAME)?,
        x: needed(&["x"])?,
        y: needed(&["y"])?,
        object: find(names, &OBJECT),
        part,
        likelihood: find(names, &LIKELIHOOD),
        what: "a table of points",
    })
}

pub(super) fn read(bytes: &[u8], selection: &KeypointSelection) -> Result<Table, String> {
    read_with(bytes, selection, columns)
}

/// Reads a table whose columns are found like this.
pub(super) fn read_with(
    bytes: &[u8],
    selection: &KeypointSelection,
    columns: impl Fn(&[&str]) -> Result<Columns, String>,
) -> Result<Table, String> {
    let mut reader = csv_reader(bytes);
    let mut records = reader.byte_records();
    let broken = |error: csv::Error| error.to_string();
    let header = records.next().ok_or("it is empty")?.map_err(broken)?;
    let header: Vec<String> =
        header.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    let columns = columns(&names)?;

    let mut table = Table::default();
    let mut rows = Rows::default();
    let mut objects: HashMap<String, usize> = HashMap::new();
    let mut parts: HashMap<String, usize> = HashMap::new();
    let (mut object_names, mut points) = (Vec::new(), Vec::new());
    let mut known = HashSet::new();
    for record in records {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(0, csv::Position::line);
        let at = |what: String| format!("line {line}: {what}");
        let text = |column: usize| {
            String::from_utf8_lossy(record.get(column).unwrap_or_default()).into_owned()
        };
        let number = |column: usize, name: &str| {
            cell_number(record.get(column).unwrap_or_default(), name).map_err(at)
        };
        let index = text(columns.frame);
        let key = RowKey::parse(&index).ok_or_else(|| {
            at(format!("{} is neither a frame number nor an image's name", quote(&index)))
        })?;
        let row = rows.place(key, None).map_err(at)?;
        let object = columns.object.map(text).unwrap_or_default();
        let part = columns.part.map(text).filter(|part| !part.is_empty());
        let part = part.unwrap_or_else(|| POINT.to_owned());
        let next = object_names.len();
        let object_index = *objects.entry(object.clone()).or_insert(next);
        if object_index == next {
            object_names.push(object.clone());
        }
        let next = parts.len();
        let part_index = *parts.entry(part.clone()).or_insert(next);
        if part_index == next {
            table.bodyparts.push(part.clone());
        }
        if !known.insert((row, object_index, part_index)) {
            let whose = match (columns.object, columns.part) {
                (None, _) => "it has no column 'object' that says whose they are".to_owned(),
                (Some(_), None) => {
                    format!("of object {}: body parts need a column 'bodypart'", quote(&object))
                }
                _ => format!("of {} of object {}", quote(&part), quote(&object)),
            };
            return Err(at(format!(
                "{} with several points on {}: {whose} (with --prompts they are several clicks on one object)",
                columns.what,
                quote(&index)
            )));
        }
        let likelihood = columns.likelihood.map_or(Ok(None), |at| number(at, "likelihood"))?;
        let likelihood = likelihood.filter(|value| value.is_finite()).or(Some(1.0));
        let seen =
            keypoint(number(columns.x, "x")?, number(columns.y, "y")?, likelihood, selection);
        points.push((row, object_index, part_index, seen));
    }
    let chosen = selected(&table.bodyparts, selection);
    let place: HashMap<usize, usize> = chosen
        .iter()
        .enumerate()
        .filter_map(|(place, name)| Some((*parts.get(name)?, place)))
        .collect();
    // Row by row and object by object.
    points.sort_by_key(|&(row, object, ..)| (object, row));
    let groups = points.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).count();
    check_density(groups, chosen.len(), points.len())?;
    table.sightings.resize_with(object_names.len(), Sightings::default);
    for together in points.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let mut seen = vec![None; chosen.len()];
        for (_, _, part, keypoint) in together {
            if let Some(&place) = place.get(part) {
                seen[place] = *keypoint;
            }
        }
        let (row, object, ..) = together[0];
        table.sightings[object].note(row, &seen);
    }
    table.individuals = object_names
        .into_iter()
        .map(|name| Individual {
            name: Some(name).filter(|name| !name.is_empty()),
            bodyparts: chosen.clone(),
        })
        .collect();
    table.rows = rows;
    Ok(table)
}
