//! SLEAP's analysis files: data sets `tracks`, `track_names`, `node_names` and, in newer ones,
//! `point_scores`.
//!
//! SLEAP itself writes `tracks` as `[track, xy, node, frame]` (`sleap.info.write_tracking_h5`), as
//! MATLAB expects it, or on request in the reverse order. The numbers of tracks and nodes show
//! which it is. sleap-io can write any order and names it in the attribute `dims`. Row 0 is frame
//! 0, unless the file was exported without its leading empty frames (`all_frames=False`), which the
//! file does not say. If row 0 is not empty and there are fewer rows than frames, the first frame
//! cannot be known. There may be no rows after the last tracked frame. Nodes that were labelled by
//! hand have no score. They count as certain.

use std::collections::{HashMap, HashSet};

use super::hdf5_file::{Dataset, Elements, File, Numbers, broken, texts};
use super::keypoint::Individual;
use super::quoting::quote;
use super::selection::KeypointSelection;
use super::table::{RowKey, Rows, Sightings, Table, keypoint, selected};

/// Approximate memory of the name of a track's body part, in bytes.
const NAME_BYTES: usize = 64;
/// The order in which SLEAP writes.
const SLEAP_ORDER: [&str; 4] = ["track", "xy", "node", "frame"];

pub(super) fn recognise(file: &File) -> bool {
    file.dataset("/tracks").is_ok() && file.dataset("/node_names").is_ok()
}

pub(super) fn read(file: &File, selection: &KeypointSelection) -> Result<Table, String> {
    let bodyparts = names(file, "/node_names")?;
    // Recordings of one animal have a track without a name.
    let track_names = names(file, "/track_names").unwrap_or_default();
    let dataset = file.dataset("/tracks").map_err(broken)?;
    let order = order_of(&dataset, track_names.len().max(1), bodyparts.len());
    let tracks = Axes::of(file, &dataset, &order)?;
    let [track_count, node_count, frame_count] =
        ["track", "node", "frame"].map(|axis| tracks.length(axis));
    if tracks.length("xy") == 3 {
        return Err(
            "it holds 3D coordinates, not pixels: give the track of this camera's video".into()
        );
    }
    if tracks.length("xy") != 2 {
        return Err(format!(
            "its 'tracks' have {} coordinates instead of two",
            tracks.length("xy")
        ));
    }
    if bodyparts.len() != node_count {
        return Err(format!("it names {} nodes but stores {node_count}", bodyparts.len()));
    }
    let mut known = HashSet::new();
    if let Some(name) = bodyparts.iter().find(|name| !known.insert(name.as_str())) {
        return Err(twice(name));
    }
    if track_names.len() != track_count && !(track_names.is_empty() && track_count == 1) {
        return Err(format!("it names {} tracks but stores {track_count}", track_names.len()));
    }
    let scores = match file.dataset("/point_scores") {
        Ok(scores) => {
            let order: Vec<&str> =
                tracks.order.iter().map(String::as_str).filter(|a| *a != "xy").collect();
            let scores = Axes::of(file, &scores, &order)?;
            let fits = ["track", "node", "frame"]
                .iter()
                .all(|axis| scores.length(axis) == tracks.length(axis));
            Some(scores).filter(|_| fits)
        }
        Err(_) => None,
    };
    let chosen = selected(&bodyparts, selection);
    let at: HashMap<&str, usize> = bodyparts.iter().map(String::as_str).zip(0..).collect();
    let places: Vec<usize> =
        chosen.iter().filter_map(|name| at.get(name.as_str()).copied()).collect();
    if [track_count, node_count, frame_count].contains(&0) {
        return Err("it has no tracks".into());
    }
    file.take_rows(frame_count)?;
    file.take(track_count.saturating_mul(chosen.len()).saturating_mul(NAME_BYTES))?;
    let mut sightings = vec![Sightings::default(); track_count];
    let mut parts = Vec::new();
    for (track, sightings) in sightings.iter_mut().enumerate() {
        for frame in 0..frame_count {
            parts.clear();
            parts.extend(places.iter().map(|&node| {
                let at = |xy| tracks.number(track, node, frame, xy);
                let score = scores.as_ref().and_then(|s| s.number(track, node, frame, 0));
                keypoint(at(0), at(1), score, selection)
            }));
            if sightings.note(frame, &parts) {
                file.take_points(parts.len())?;
            }
        }
    }
    let individuals = (0..track_count)
        .map(|track| Individual {
            name: track_names.get(track).cloned(),
            bodyparts: chosen.clone(),
        })
        .collect();
    let mut rows = Rows::default();
    // For images, this can be a list of names instead.
    let video = text(file, "/video_path").filter(|path| !path.is_empty() && !path.starts_with('['));
    let video = video.map(|path| rows.video(&path));
    for frame in 0..frame_count {
        rows.add(RowKey::Frame(frame), video)?;
    }
    // A file that was exported without its leading empty frames begins with a frame that is not
    // empty.
    let start_unknown = (0..track_count).any(|track| {
        let mut nodes = (0..node_count).filter_map(|node| tracks.number(track, node, 0, 0));
        nodes.any(f32::is_finite)
    });
    Ok(Table { bodyparts, individuals, rows, sightings, start_unknown, ..Table::default() })
}

/// Explains why a file in which a node appears twice is refused.
fn twice(node: &str) -> String {
    format!("node {} appears twice: rename one of the two", quote(node))
}

/// Reads a data set that holds one text.
fn text(file: &File, path: &str) -> Option<String> {
    let dataset = file.dataset(path).ok()?;
    dataset.read_string().ok()
}

fn names(file: &File, path: &str) -> Result<Vec<String>, String> {
    texts(file, &file.dataset(path).map_err(broken)?)
}

/// Returns the order of the axes of `tracks` if the file does not give it: SLEAP's, or the reverse
/// if only that fits the numbers of tracks and nodes.
fn order_of(tracks: &Dataset, track_count: usize, node_count: usize) -> [&'static str; 4] {
    let mut reversed = SLEAP_ORDER;
    reversed.reverse();
    let fits = |order: &[&str; 4]| {
        let length = |axis: &str| {
            let at = order.iter().position(|name| *name == axis);
            at.and_then(|at| tracks.shape().get(at).copied()).unwrap_or(0)
        };
        (2..=3).contains(&length("xy"))
            && length("node") == node_count as u64
            && length("track") == track_count as u64
    };
    if fits(&reversed) && !fits(&SLEAP_ORDER) { reversed } else { SLEAP_ORDER }
}

/// Numbers along named axes.
struct Axes {
    elements: Elements,
    numbers: Numbers,
    order: Vec<String>,
    /// Distance in elements from one track, node, frame and xy to the next. 0 for a missing axis.
    strides: [usize; 4],
}

impl Axes {
    /// Reads a data set with the axes that its attribute `dims` names, or else with the default
    /// ones.
    fn of(file: &File, dataset: &Dataset, default: &[&str]) -> Result<Self, String> {
        let damaged = || format!("its data set '{}' is damaged", dataset.name().escape_debug());
        let dims = dataset.attribute("dims").ok().and_then(|dims| dims.read_string().ok());
        let order: Vec<String> = match dims {
            Some(dims) => serde_json::from_str(&dims).map_err(|_| damaged())?,
            None => default.iter().map(|&axis| axis.to_owned()).collect(),
        };
        let elements = Elements::read(file, dataset)?;
        let complete = default.iter().all(|axis| order.iter().any(|found| found == axis));
        if !complete || order.len() != default.len() || elements.shape().len() != order.len() {
            return Err(damaged());
        }
        let numbers =
            elements.numbers().filter(|numbers| numbers.count() == 1).ok_or_else(damaged)?;
        let stride = |axis: &str| {
            let behind = order.iter().position(|found| found == axis).map(|at| at + 1);
            behind.map_or(0, |behind| {
                elements.shape()[behind..]
                    .iter()
                    .fold(1, |stride: usize, &n| stride.saturating_mul(n))
            })
        };
        let strides = ["track", "node", "frame", "xy"].map(stride);
        Ok(Self { numbers, order, strides, elements })
    }

    fn length(&self, axis: &str) -> usize {
        let at = self.order.iter().position(|name| name == axis);
        at.map_or(0, |at| self.elements.shape()[at])
    }

    fn number(&self, track: usize, node: usize, frame: usize, xy: usize) -> Option<f32> {
        let place = [track, node, frame, xy];
        let index = place.iter().zip(self.strides).map(|(at, stride)| at * stride).sum();
        Some(self.numbers.read(self.elements.get(index)?, 0)? as f32)
    }
}
