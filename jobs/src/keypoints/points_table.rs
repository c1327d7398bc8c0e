//! A plain table of points, one in each row: `frame,object,x,y`, optionally with `bodypart` and
//! `likelihood`.
//!
//! Any other program's track can be converted to it. The table of clicks of `--prompts` has this
//! form too. Its column `label` says whether a click is on the object; a table with it is refused
//! here.

use std::collections::{HashMap, HashSet};

use super::keypoint::Individual;
use super::notice::TrackNotice;
use super::quoting::quote;
use super::recording_column::RecordingColumn;
use super::selection::KeypointSelection;
use super::table::{
    RowKey, Rows, Sightings, Table, cell_number, check_density, csv_reader, keypoint, selected,
};

/// Names of columns, in lower case.
const FRAME: [&str; 3] = ["frame", "frame_idx", "frame_number"];
const IMAGE: [&str; 1] = ["image"];
const OBJECT: [&str; 7] =
    ["object", "individual", "animal", "track", "track_id", "id", "object_id"];
const PART: [&str; 6] = ["bodypart", "part", "node", "keypoint", "body_part", "name"];
const LIKELIHOOD: [&str; 7] =
    ["likelihood", "confidence", "score", "probability", "p", "prob", "conf"];
/// The error for tables of boxes.
pub(super) const BOXES: &str = "it is a table of boxes, and x and y are their corners, not points on the animal: write a column for the middle of each box, or give boxes with --prompts";
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
    /// A column of images in addition to that of frames. The two must not contradict each other.
    pub(super) image: Option<usize>,
    /// The kind of table, for messages.
    pub(super) what: &'static str,
}

fn find(names: &[&str], wanted: &[&str]) -> Option<usize> {
    wanted.iter().find_map(|wanted| names.iter().position(|name| name.eq_ignore_ascii_case(wanted)))
}

/// Returns the only column of these names.
///
/// # Errors
/// Two columns have such names, so that one would be overlooked.
fn find_one(names: &[&str], wanted: &[&str]) -> Result<Option<usize>, String> {
    let is_wanted = |name: &str| wanted.iter().any(|wanted| name.eq_ignore_ascii_case(wanted));
    let mut found = (0..names.len()).filter(|&at| is_wanted(names[at]));
    let first = found.next();
    match (first, found.next()) {
        (Some(first), Some(second)) => Err(format!(
            "it has two columns for one thing, {} (column {}) and {} (column {}): leave one out, or rename it",
            quote(names[first]),
            first + 1,
            quote(names[second]),
            second + 1
        )),
        _ => Ok(first),
    }
}

/// Returns `true` if the first row names a frame, x and y.
pub(super) fn recognise(names: &[&str]) -> bool {
    let has_frames = find(names, &FRAME).is_some() || find(names, &IMAGE).is_some();
    has_frames && find(names, &["x"]).is_some() && find(names, &["y"]).is_some()
}

fn columns(names: &[&str]) -> Result<Columns, String> {
    let needed = |wanted: &[&str]| {
        find_one(names, wanted)?.ok_or_else(|| format!("it has no column '{}'", wanted[0]))
    };
    if find(names, &["label"]).is_some() {
        return Err("it is a table of clicks: give it with --prompts instead of --keypoints (a track's table has no column 'label'; body parts are in 'bodypart')".into());
    }
    if find(names, &["z"]).is_some() {
        return Err("it has a column z: coordinates in space are not pixels; give the 2D track of this camera".into());
    }
    let has = |wanted: &[&str]| find(names, wanted).is_some();
    if has(&["w", "width"]) && has(&["h", "height"]) {
        return Err(BOXES.into());
    }
    let image = find_one(names, &IMAGE)?;
    let (frame, image) = match find_one(names, &FRAME)? {
        Some(frame) => (frame, image),
        None => (needed(&IMAGE)?, None),
    };
    Ok(Columns {
        frame,
        x: needed(&["x"])?,
        y: needed(&["y"])?,
        object: find_one(names, &OBJECT)?,
        part: find_one(names, &PART)?,
        likelihood: find_one(names, &LIKELIHOOD)?,
        image,
        what: "a table of points",
    })
}

/// Returns the number at the end of an image's name, without its ending.
fn number_at_end(image: &str) -> Option<i64> {
    let stem = image.rsplit_once('.').map_or(image, |(stem, _)| stem);
    let digits = stem.len() - stem.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
    // A number with more digits is not a frame number.
    (digits <= 15).then(|| stem[stem.len() - digits..].parse().ok())?
}

pub(super) fn read(bytes: &[u8], selection: &KeypointSelection) -> Result<Table, String> {
    read_with(bytes, selection, columns)
}

/// Reads a table whose columns the given function finds.
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
    let video_column = RecordingColumn::find(&names, bytes);
    // The difference between the number in an image's name and its frame.
    let mut shift: Option<i64> = None;

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
        if let (Some(image), RowKey::Frame(frame)) = (columns.image.map(text), &key)
            && let Some(number) = number_at_end(&image)
        {
            let differs = number - i64::try_from(*frame).unwrap_or(i64::MAX);
            if *shift.get_or_insert(differs) != differs {
                return Err(at(format!(
                    "its columns {} and {} contradict each other ({frame} and {}): leave one out",
                    quote(names[columns.frame]),
                    quote(names[columns.image.unwrap_or_default()]),
                    quote(&image)
                )));
            }
        }
        let video = video_column.and_then(|column| column.name(&record));
        let video = video.map(|name| rows.video(&name));
        let row = rows.place(key, video).map_err(at)?;
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
    if let Some(shift) = shift.filter(|&shift| shift != 0) {
        table.notices.push(TrackNotice::Warning(format!(
            "the numbers in its column 'image' are those of its frames with {shift:+}: the frames are used; leave the column 'frame' out if the images are right"
        )));
    }
    let chosen = selected(&table.bodyparts, selection);
    let place: HashMap<usize, usize> = chosen
        .iter()
        .enumerate()
        .filter_map(|(place, name)| Some((*parts.get(name)?, place)))
        .collect();
    // Sorts by object, then by row.
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
