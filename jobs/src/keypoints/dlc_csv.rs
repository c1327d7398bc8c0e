//! DeepLabCut's CSV files.
//!
//! Header rows are `scorer`, `individuals` (multi-animal projects only), `bodyparts` and `coords`
//! (`x`, `y`, `likelihood`). Then each frame has a row that begins with its number. In labelled
//! data a row begins with an image's path instead, in one cell or in three, and has no likelihoods.
//! An empty cell means that the body part was not seen.
//!
//! Programs that read such a file with pandas and write it back leave traces: equal names are
//! distinguished by `.1`, `.2`, empty cells become `Unnamed: 1_level_0`, and an index column is
//! added in front. The reader undoes them.

use std::collections::HashSet;

use super::dlc_columns::{ColumnName, Layout, image_path};
use super::kinds::MOST_COLUMNS;
use super::quoting::quote;
use super::selection::KeypointSelection;
use super::table::{RowKey, Table, cell_number, check_cells, csv_reader, keypoint};

/// Number of cells among which a header row has its name, since at most one index column precedes
/// it.
const NAME_CELLS: usize = 2;

pub(super) fn read(bytes: &[u8], selection: &KeypointSelection) -> Result<Table, String> {
    let mut header = Header::default();
    let (mut layout, mut read_cells) = (None, 0);
    let mut table = Table { every_frame: true, ..Table::default() };
    for record in csv_reader(bytes).byte_records() {
        let record = record.map_err(|error| one_line(&error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let Some((first, layout)) = &layout else {
            if header.take(&record, line)? {
                let (first, found) = header.layout(selection)?;
                table.sightings.resize_with(found.individuals.len(), Default::default);
                layout = Some((first, found));
            }
            continue;
        };
        let at = |what: String| format!("line {line}: {what}");
        let index = index_cell(&record, *first);
        let key = RowKey::parse(&index).ok_or_else(|| {
            at(format!("{} is neither a frame number nor an image's name", quote(&index)))
        })?;
        let row = table.rows.add(key, None).map_err(at)?;
        read_cells += record.len();
        check_cells(table.rows.len(), layout.cells.len(), read_cells).map_err(at)?;
        let mut cells = layout.cells.iter();
        for (individual, sightings) in layout.individuals.iter().zip(&mut table.sightings) {
            let mut parts = Vec::with_capacity(individual.bodyparts.len());
            for (part, cells) in individual.bodyparts.iter().zip(&mut cells) {
                let number = |column: usize| {
                    cell_number(record.get(column).unwrap_or_default(), part).map_err(at)
                };
                let likelihood = cells.likelihood.map_or(Ok(Some(1.0)), number)?;
                let (x, y) = (number(cells.x)?, number(cells.y)?);
                parts.push(keypoint(x, y, likelihood, selection));
            }
            sightings.note(row, &parts);
        }
    }
    let Some((_, layout)) = layout else {
        return Err("the header rows 'bodyparts' and 'coords' are missing".into());
    };
    table.every_frame = !table.rows.are_images();
    table.default_min_likelihood = layout.default_min_likelihood();
    Ok(Table { bodyparts: layout.bodyparts, individuals: layout.individuals, ..table })
}

/// Reads the index cells of a row. Of two numbers, the last is the older one and counts. An image's
/// name, in the last cell, is joined with the folders in the cells before it to a path.
fn index_cell(record: &csv::ByteRecord, first: usize) -> String {
    let cells = (0..first).filter_map(|column| record.get(column));
    let cells: Vec<String> = cells.map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
    image_path(&cells)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The header rows that have been read so far.
#[derive(Default)]
struct Header {
    scorers: Option<Vec<String>>,
    individuals: Option<Vec<String>>,
    bodyparts: Option<Vec<String>>,
    coords: Option<Vec<String>>,
}

impl Header {
    /// Reads one header row. Returns `true` after the last.
    fn take(&mut self, record: &csv::ByteRecord, line: u64) -> Result<bool, String> {
        if record.len() > MOST_COLUMNS {
            return Err(format!(
                "line {line} has more than {MOST_COLUMNS} columns, which no track has"
            ));
        }
        let mut cells: Vec<String> = record
            .iter()
            .map(|cell| String::from_utf8_lossy(cell).into_owned())
            .map(|cell| if cell.starts_with("Unnamed: ") { String::new() } else { cell })
            .collect();
        let known = ["scorer", "individuals", "bodyparts", "coords"];
        let label = |cells: &[String]| {
            cells.iter().take(NAME_CELLS).position(|cell| known.contains(&cell.as_str()))
        };
        let Some(at) = label(&cells) else {
            let found = quote(cells.first().map_or("", String::as_str));
            return Err(format!(
                "line {line} starts with {found} where a header row (scorer, individuals, bodyparts, coords) should be"
            ));
        };
        let name = std::mem::take(&mut cells[at]);
        // Cells before the name are an index, not names of columns.
        cells[..at].iter_mut().for_each(String::clear);
        match name.as_str() {
            "scorer" => self.scorers = Some(cells),
            "individuals" => self.individuals = Some(cells),
            "bodyparts" => self.bodyparts = Some(cells),
            "coords" => {
                self.coords = Some(cells);
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }

    /// Returns the first column that is not an index, and the layout of all columns.
    fn layout(&mut self, selection: &KeypointSelection) -> Result<(usize, Layout), String> {
        let missing = |name: &str| format!("there is no '{name}' header row");
        let coords = self.coords.take().ok_or_else(|| missing("coords"))?;
        let mut bodyparts = self.bodyparts.take().ok_or_else(|| missing("bodyparts"))?;
        let mut individuals = self.individuals.take();
        undo_numbering(&mut bodyparts);
        individuals.iter_mut().for_each(|row| undo_numbering(row));
        let mut scorers = self.scorers.take().unwrap_or_default();
        undo_numbering(&mut scorers);
        let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
        let columns: Vec<(usize, ColumnName)> = (0..coords.len())
            .map(|column| {
                let individual = individuals.as_ref().map(|row| cell(row, column));
                let (individual, bodypart) =
                    (individual.unwrap_or_default(), cell(&bodyparts, column));
                // pandas distinguishes repeated coords as well.
                let coord = coords[column].split('.').next().unwrap_or_default().to_owned();
                let scorer = cell(&scorers, column);
                (column, ColumnName { scorer, individual, bodypart, coord })
            })
            .filter(|(_, name)| !name.bodypart.is_empty() && !name.coord.is_empty())
            .collect();
        let first = columns.first().map(|(column, _)| *column);
        let first = first.ok_or("its 'bodyparts' header row names no body part")?;
        if first == 0 {
            return Err("its first column holds body parts where frame numbers should be".into());
        }
        Ok((first, Layout::new(&columns, selection)?))
    }
}

/// Restores names that pandas has distinguished: `snout, snout.1, snout.2` were three times
/// `snout`. A file that pandas has not rewritten repeats its names.
fn undo_numbering(names: &mut [String]) {
    let mut seen = HashSet::new();
    if !names.iter().filter(|name| !name.is_empty()).all(|name| seen.insert(name.clone())) {
        return;
    }
    for name in names {
        if let Some((base, number)) = name.rsplit_once('.')
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && seen.contains(base)
        {
            *name = base.to_owned();
        }
    }
}
