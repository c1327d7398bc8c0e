//! The columns of a DeepLabCut frame, from the levels of its header: scorer, individuals (in multi-animal projects), body parts, coords.

use super::table::{RowKey, push_new, quote, selected};
use super::track::{Individual, KeypointSelection};

/// Below this likelihood DeepLabCut itself takes a body part for not seen, unless `pcutoff` in its `config.yaml` says otherwise.
const PCUTOFF: f32 = 0.6;

/// What one column of a frame is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnName {
    /// Empty where the frame has no individuals.
    pub(super) individual: String,
    /// The body part.
    pub(super) bodypart: String,
    /// `x`, `y` or `likelihood`; anything else is left alone.
    pub(super) coord: String,
}

/// Where the numbers of a body part are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cells {
    /// Column of x.
    pub(super) x: usize,
    /// Column of y.
    pub(super) y: usize,
    /// Column of the likelihood, which labelled data lack.
    pub(super) likelihood: Option<usize>,
}

/// A frame's layout.
#[derive(Debug)]
pub(super) struct Layout {
    /// Every body part there is.
    pub(super) bodyparts: Vec<String>,
    /// Individuals with their selected body parts.
    pub(super) individuals: Vec<Individual>,
    /// Of all selected body parts, individual by individual.
    pub(super) cells: Vec<Cells>,
}

impl Layout {
    /// From `(position, name)` of every column.
    pub(super) fn new(
        columns: &[(usize, ColumnName)],
        selection: &KeypointSelection,
    ) -> Result<Self, String> {
        if columns.iter().any(|(_, column)| column.coord == "z") {
            return Err(
                "it holds 3D coordinates (x, y, z), not pixels: give the track of this camera's video"
                    .into(),
            );
        }
        let (mut bodyparts, mut names) = (Vec::new(), Vec::new());
        for (_, column) in columns {
            push_new(&mut bodyparts, &column.bodypart);
            push_new(&mut names, &column.individual);
        }
        let (mut individuals, mut cells) = (Vec::new(), Vec::new());
        for name in names {
            let of_this = || columns.iter().filter(|(_, column)| column.individual == name);
            let mut parts = Vec::new();
            of_this().for_each(|(_, column)| push_new(&mut parts, &column.bodypart));
            let chosen = selected(&parts, selection);
            for part in &chosen {
                let cell = |coord: &str| {
                    let mut found =
                        of_this().filter(|(_, c)| &c.bodypart == part && c.coord == coord);
                    found.next().map(|(position, _)| *position)
                };
                let times = |coord: &str| {
                    let same = |c: &ColumnName| &c.bodypart == part && c.coord == coord;
                    of_this().filter(|(_, c)| same(c)).count()
                };
                if ["x", "y", "likelihood"].iter().any(|coord| times(coord) > 1) {
                    let part = quote(part);
                    let of = if name.is_empty() {
                        String::new()
                    } else {
                        format!(" of {}", quote(&name))
                    };
                    return Err(format!(
                        "body part {part}{of} is there twice: rename one of the two, or choose others with --bodyparts"
                    ));
                }
                let (Some(x), Some(y)) = (cell("x"), cell("y")) else {
                    return Err(format!("body part '{part}' lacks a column x or y"));
                };
                cells.push(Cells { x, y, likelihood: cell("likelihood") });
            }
            let name = Some(name).filter(|name| !name.is_empty());
            individuals.push(Individual { name, bodyparts: chosen });
        }
        Ok(Self { bodyparts, individuals, cells })
    }

    /// DeepLabCut's own threshold (`pcutoff` in its `config.yaml`), where the file has likelihoods.
    pub(super) fn default_min_likelihood(&self) -> f32 {
        let has_likelihoods = self.cells.iter().any(|cells| cells.likelihood.is_some());
        if has_likelihoods { PCUTOFF } else { 0.0 }
    }
}

/// What the cells of an index say. An image's name, in the last cell, makes a path with the folders in the cells before; numbers are a
/// program's own index, put in front of the older one, which counts.
pub(super) fn image_path(cells: &[String]) -> String {
    let mut cells = cells.iter().rev().filter(|cell| !cell.is_empty());
    let Some(last) = cells.next() else { return String::new() };
    if !matches!(RowKey::parse(last), Some(RowKey::Image(_))) {
        return last.clone();
    }
    let folders = cells.take_while(|cell| cell.parse::<f64>().is_err());
    folders.fold(last.clone(), |path, folder| format!("{folder}/{path}"))
}
