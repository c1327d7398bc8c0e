//! napari's points layer as CSV: `index,axis-0,axis-1,axis-2`. The axes are the frame, the row and
//! the column.
//!
//! A layer has no objects and no names. If each frame has one point, the points belong to one
//! animal. Several points on a frame are refused, unless an added column says whose they are.

use std::collections::HashMap;

use super::points_table::{self, Columns};
use super::selection::KeypointSelection;
use super::table::Table;

/// Columns that a person may have added to name the object of a point.
const OBJECT_COLUMNS: [&str; 6] = ["object", "id", "track_id", "track", "animal", "individual"];
/// Columns for the body part.
const PART_COLUMNS: [&str; 4] = ["label", "bodypart", "part", "node"];

/// Returns `true` if the first row is napari's.
pub(super) fn recognise(names: &[&str]) -> bool {
    names.contains(&"axis-0") && names.contains(&"axis-1")
}

/// Finds the columns of a points layer.
///
/// # Errors
/// The layer is of another kind, or of a picture without frames.
pub(super) fn columns(names: &[&str]) -> Result<Columns, String> {
    let at: HashMap<&str, usize> = names.iter().copied().zip(0..).collect();
    let of = |wanted: &[&str]| wanted.iter().find_map(|name| at.get(name).copied());
    if at.contains_key("shape-type") {
        return Err("it is a shapes layer of napari: save a points layer, or export the shapes as a label image and give that with --mask".into());
    }
    if at.contains_key("axis-3") {
        return Err("it is a points layer of napari with more than three axes (time, y, x): save the points of one plane or channel".into());
    }
    let (Some(frame), Some(y), Some(x)) = (of(&["axis-0"]), of(&["axis-1"]), of(&["axis-2"]))
    else {
        return Err("it is a points layer of napari of a single picture (axes y and x), without frames: open the recording as a stack, or give the points with --point".into());
    };
    Ok(Columns {
        frame,
        x,
        y,
        object: of(&OBJECT_COLUMNS),
        part: of(&PART_COLUMNS),
        likelihood: None,
        image: None,
        what: "a points layer of napari",
    })
}

pub(super) fn read(bytes: &[u8], selection: &KeypointSelection) -> Result<Table, String> {
    points_table::read_with(bytes, selection, columns)
}
