//! The columns of a DeepLabCut frame, from the levels of its header: scorer, individuals (in
//! multi-animal projects), body parts, coords.

use std::collections::HashMap;

use super::keypoint::Individual;
use super::quoting::quote;
use super::selection::KeypointSelection;
use super::table::{RowKey, selected};

/// Likelihood below which DeepLabCut itself treats a body part as not seen, unless `pcutoff` in its
/// `config.yaml` differs.
const PCUTOFF: f32 = 0.6;

/// The header of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnName {
    /// The person or network that placed the points. Empty if not given.
    pub(super) scorer: String,
    /// The individual. Empty if the frame has no individuals.
    pub(super) individual: String,
    /// The body part.
    pub(super) bodypart: String,
    /// `x`, `y` or `likelihood`. Anything else is ignored.
    pub(super) coord: String,
}

/// The columns with the numbers of a body part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cells {
    /// Column of x.
    pub(super) x: usize,
    /// Column of y.
    pub(super) y: usize,
    /// Column of the likelihood, which labelled data lack.
    pub(super) likelihood: Option<usize>,
}

/// The layout of a frame.
#[derive(Debug)]
pub(super) struct Layout {
    /// All body parts of the frame.
    pub(super) bodyparts: Vec<String>,
    /// Individuals with their selected body parts.
    pub(super) individuals: Vec<Individual>,
    /// Columns of all selected body parts, individual by individual.
    pub(super) cells: Vec<Cells>,
}

impl Layout {
    /// Builds the layout from `(position, name)` of every column.
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
        check_scorers(columns)?;
        // Body parts and individuals by name, in the order in which they first appear.
        let (mut bodyparts, mut names) = (Names::default(), Names::default());
        let mut places: HashMap<(usize, usize), Place> = HashMap::new();
        let mut parts_of: Vec<Names> = Vec::new();
        for (position, column) in columns {
            let part = bodyparts.number(&column.bodypart);
            let individual = names.number(&column.individual);
            if individual == parts_of.len() {
                parts_of.push(Names::default());
            }
            parts_of[individual].number(&column.bodypart);
            places.entry((individual, part)).or_default().take(*position, &column.coord);
        }
        let (mut individuals, mut cells) = (Vec::new(), Vec::new());
        let named = names.in_order.into_iter().zip(parts_of);
        for (individual, (name, parts)) in named.enumerate() {
            let chosen = selected(&parts.in_order, selection);
            for part in &chosen {
                let number = bodyparts.numbers.get(part).copied().unwrap_or_default();
                let place = places.remove(&(individual, number)).unwrap_or_default();
                if place.is_double {
                    let part = quote(part);
                    let of = if name.is_empty() {
                        String::new()
                    } else {
                        format!(" of {}", quote(&name))
                    };
                    return Err(format!(
                        "body part {part}{of} appears twice: rename one of the two, or choose others with --bodyparts"
                    ));
                }
                let (Some(x), Some(y)) = (place.x, place.y) else {
                    return Err(format!("body part {} lacks a column x or y", quote(part)));
                };
                cells.push(Cells { x, y, likelihood: place.likelihood });
            }
            let name = Some(name).filter(|name| !name.is_empty());
            individuals.push(Individual { name, bodyparts: chosen });
        }
        let bodyparts = bodyparts.in_order;
        Ok(Self { bodyparts, individuals, cells })
    }

    /// Returns DeepLabCut's own threshold (`pcutoff` in its `config.yaml`) if the file has
    /// likelihoods.
    pub(super) fn default_min_likelihood(&self) -> f32 {
        let has_likelihoods = self.cells.iter().any(|cells| cells.likelihood.is_some());
        if has_likelihoods { PCUTOFF } else { 0.0 }
    }
}

/// Names, each once, in the order in which they first appear.
#[derive(Default)]
struct Names {
    in_order: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Names {
    fn number(&mut self, name: &str) -> usize {
        if let Some(&known) = self.numbers.get(name) {
            return known;
        }
        self.numbers.insert(name.to_owned(), self.in_order.len());
        self.in_order.push(name.to_owned());
        self.in_order.len() - 1
    }
}

/// The columns of a body part of an individual.
#[derive(Default)]
struct Place {
    x: Option<usize>,
    y: Option<usize>,
    likelihood: Option<usize>,
    /// Whether one of the columns appears twice.
    is_double: bool,
}

impl Place {
    fn take(&mut self, position: usize, coord: &str) {
        let place = match coord {
            "x" => &mut self.x,
            "y" => &mut self.y,
            "likelihood" => &mut self.likelihood,
            _ => return,
        };
        self.is_double |= place.is_some();
        place.get_or_insert(position);
    }
}

/// Refuses a file in which several people or networks have placed body parts.
fn check_scorers(columns: &[(usize, ColumnName)]) -> Result<(), String> {
    let mut scorers = columns.iter().map(|(_, column)| column.scorer.as_str());
    let mut scorers = scorers.by_ref().filter(|scorer| !scorer.is_empty());
    let Some(first) = scorers.next() else { return Ok(()) };
    match scorers.find(|scorer| *scorer != first) {
        Some(other) => Err(format!(
            "it has columns of several scorers ({} and {}), and nothing says whose points to take: keep the columns of one of them",
            quote(first),
            quote(other)
        )),
        None => Ok(()),
    }
}

/// Reads the cells of an index. An image's name, in the last cell, is joined with the folders in
/// the cells before it to a path. Of several numbers the last one counts: those before it are an
/// index that a program has added.
pub(super) fn image_path(cells: &[String]) -> String {
    let mut cells = cells.iter().rev().filter(|cell| !cell.is_empty());
    let Some(last) = cells.next() else { return String::new() };
    if !matches!(RowKey::parse(last), Some(RowKey::Image(_))) {
        return last.clone();
    }
    let folders = cells.take_while(|cell| cell.parse::<f64>().is_err());
    folders.fold(last.clone(), |path, folder| format!("{folder}/{path}"))
}
