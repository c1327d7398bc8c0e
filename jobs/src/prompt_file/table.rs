//! Clicks as a table: `frame,object,x,y,label`, one click in each row. The first row has these
//! names, in any order.
//!
//! `object` and `label` may be left out; the defaults are object 1 and a click on the object.
//! Objects are numbers from 1 to 255, or names. Names of known objects stand for those objects. New
//! names get the next free numbers, in the order in which they first appear. Columns may be
//! separated by semicolons or tabs instead, with decimal commas. A points layer of napari is such a
//! table too: `axis-0` is the frame, `axis-1` is y and `axis-2` is x.

use crate::{KnownObjects, PromptSet};
use sam2_engine::{ObjectId, Point};

/// Possible columns.
const COLUMNS: [&str; 5] = ["frame", "object", "x", "y", "label"];

pub(super) fn parse(bytes: &[u8], known: &KnownObjects) -> Result<PromptSet, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let broken =
        |error: csv::Error| error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let header = reader.byte_headers().map_err(broken)?.clone();
    let is_column = |cell: &[u8]| COLUMNS.iter().any(|name| name.as_bytes() == cell);
    let is_napari = header.iter().any(|cell| cell == b"axis-0");
    if let Some(other) = header.iter().find(|cell| !is_column(cell) && !is_napari) {
        return Err(format!(
            "line 1 names a column {} (known are {}); a JSON document begins with a brace, and a track is given with --keypoints",
            quote(other),
            COLUMNS.join(", ")
        ));
    }
    if let Some((_, twice)) =
        header.iter().enumerate().find(|(at, cell)| header.iter().take(*at).any(|c| c == *cell))
        && is_column(twice)
    {
        return Err(format!("line 1 has the column {} twice: leave one out", quote(twice)));
    }
    let column = |name: &str| {
        let name = match name {
            "frame" if is_napari => "axis-0",
            "y" if is_napari => "axis-1",
            "x" if is_napari => "axis-2",
            // napari's column of this name has another meaning.
            "label" if is_napari => return None,
            _ => name,
        };
        header.iter().position(|cell| cell == name.as_bytes())
    };
    let needed = |name: &str| {
        column(name).ok_or_else(|| match is_napari {
            true => "it is a points layer of napari without frames (time, y, x): open the recording as a stack, or give the points with --point".to_owned(),
            false => format!("line 1 lacks the column '{name}'"),
        })
    };
    let [frame, x, y] = [needed("frame")?, needed("x")?, needed("y")?];
    let (object, label) = (column("object"), column("label"));

    let mut rows = Vec::new();
    for record in reader.into_byte_records() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let wrong =
            |at: usize, what: &str| format!("line {line}: {} is not a {what}", quote(cell(at)));
        let text = |at: usize| std::str::from_utf8(cell(at)).unwrap_or_default();
        let number = |at: usize| {
            let value = text(at).parse::<f32>().ok().filter(|value| value.is_finite());
            value.ok_or_else(|| wrong(at, "coordinate"))
        };
        let frame = whole(text(frame)).ok_or_else(|| wrong(frame, "frame number"))?;
        let (x, y) = (number(x)?, number(y)?);
        let is_on = match label.map(|at| (at, text(at))) {
            None | Some((_, "" | "1" | "+")) => true,
            Some((_, "0" | "-")) => false,
            Some((at, _)) => {
                return Err(wrong(at, "label (1 or + on the object, 0 or - not on it)"));
            }
        };
        let name = object.map(cell).filter(|cell| !cell.is_empty()).unwrap_or(b"1");
        let name = String::from_utf8_lossy(name).into_owned();
        let point = if is_on { Point::positive(x, y) } else { Point::negative(x, y) };
        rows.push((line, frame, name, point));
    }
    if rows.is_empty() {
        return Err("it has no rows".into());
    }
    let numbers = rows.iter().filter_map(|(_, _, name, _)| name.parse().ok());
    let mut numbering = known.numbering(numbers.map(ObjectId));
    let mut set = PromptSet::new();
    for (line, frame, name, point) in rows {
        let object = match name.parse::<u64>() {
            Ok(number) => super::object_number(number).ok_or_else(|| {
                format!("line {line}: {number} is not an object number (1 to 255)")
            })?,
            Err(_) => {
                let object = numbering.number(&name).map_err(|conflict| conflict.to_string())?;
                set.name(object, &name).map_err(|conflict| conflict.to_string())?;
                object
            }
        };
        set.add_point(frame, object, point);
    }
    Ok(set)
}

/// Parses a frame number, also `12.0`, as napari and pandas write it.
fn whole(text: &str) -> Option<usize> {
    let number =
        || text.parse::<f64>().ok().filter(|n| n.fract() == 0.0 && (0.0..1e15).contains(n));
    text.parse().ok().or_else(|| number().map(|number| number as usize))
}

fn quote(cell: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(cell).chars().take(24).collect();
    format!("'{}'", text.escape_debug())
}
