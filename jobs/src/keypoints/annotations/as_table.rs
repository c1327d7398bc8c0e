//! Converts marks to a track, from their points.

use std::collections::{HashMap, HashSet};

use super::super::keypoint::Individual;
use super::super::notice::TrackNotice;
use super::super::quoting::quote;
use super::super::selection::KeypointSelection;
use super::super::table::{Rows, Sightings, Table, check_density, keypoint, selected};
use super::identity::{Objects, place_name};
use super::{Annotations, Mark, Shape, labels_are_parts};

/// The body part of a point that has only an object.
const POINT: &str = "point";

impl Annotations {
    /// Converts the points to a table.
    ///
    /// # Errors
    /// The file has no points, or does not say which object they belong to.
    pub(in super::super) fn into_table(
        mut self,
        selection: &KeypointSelection,
    ) -> Result<Table, String> {
        let name = self.kind.name();
        if self.marks.is_empty() {
            return Err(format!("it is a file of {name} without any shape"));
        }
        self.without_common_folder();
        let as_parts = labels_are_parts(&self, selection);
        let Self { marks, originals, warnings, .. } = self;
        let mut marks: Vec<Mark> =
            marks.into_iter().filter(|mark| matches!(mark.shape, Shape::Point(_))).collect();
        if marks.is_empty() {
            return Err(format!(
                "it is a file of {name} that holds boxes or outlines but no points: give it with --prompts instead of --keypoints"
            ));
        }
        if as_parts {
            for mark in &mut marks {
                mark.part = Some(std::mem::take(&mut mark.label));
                mark.instance = None;
            }
        }
        let objects = Objects::find(&marks)?;
        let mut table = Table::default();
        table.notices.extend(warnings.into_iter().map(TrackNotice::Warning));
        // The body parts of each object.
        let mut parts: Vec<Vec<String>> = vec![Vec::new(); objects.names.len()];
        let mut known_parts = HashSet::new();
        let mut by_row: HashMap<(usize, usize), Vec<usize>> = HashMap::new();
        let mut order = Vec::new();
        let mut rows = Rows::default();
        rows.set_originals(originals);
        for (at, (mark, &object)) in marks.iter().zip(&objects.of).enumerate() {
            let part = mark.part.as_deref().unwrap_or(POINT);
            if known_parts.insert((object, part)) {
                parts[object].push(part.to_owned());
            }
            let video = mark.video.as_deref().map(|video| rows.video(video));
            let row = rows.place(mark.row.clone(), video)?;
            rows.set_picture(row, mark.picture);
            let of_row = by_row.entry((row, object)).or_default();
            if of_row.is_empty() {
                order.push((row, object));
            }
            of_row.push(at);
        }
        let mut listed = HashSet::new();
        let all = parts.iter().flatten().filter(|part| listed.insert(part.as_str()));
        table.bodyparts = all.cloned().collect();
        let chosen: Vec<Vec<String>> =
            parts.iter().map(|parts| selected(parts, selection)).collect();
        let most = chosen.iter().map(Vec::len).max().unwrap_or(0);
        check_density(order.len(), most, marks.len())?;
        table.sightings.resize_with(objects.names.len(), Sightings::default);
        let mut seen = Vec::new();
        for (row, object) in order {
            let mut points = HashMap::new();
            for &at in &by_row[&(row, object)] {
                let mark = &marks[at];
                let Shape::Point([x, y]) = mark.shape else { continue };
                let part = mark.part.as_deref().unwrap_or(POINT);
                if points.insert(part, keypoint(Some(x), Some(y), Some(1.0), selection)).is_some() {
                    return Err(format!(
                        "{} has {} of {} twice: give each animal a label, a track or a group of its own, or give the file with --prompts, where they are several clicks on one object",
                        place_name(&mark.row),
                        quote(part),
                        quote(&objects.names[object])
                    ));
                }
            }
            seen.clear();
            let of_part = |part: &String| points.get(part.as_str()).copied().flatten();
            seen.extend(chosen[object].iter().map(of_part));
            table.sightings[object].note(row, &seen);
        }
        // An animal without a label is the only one.
        let named = |name: String| (!as_parts && !name.is_empty()).then_some(name);
        table.individuals = objects
            .names
            .into_iter()
            .zip(chosen)
            .map(|(name, bodyparts)| Individual { name: named(name), bodyparts })
            .collect();
        table.rows = rows;
        Ok(table)
    }
}
