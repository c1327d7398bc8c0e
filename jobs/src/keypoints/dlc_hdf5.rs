//! DeepLabCut's HDF5 files: a pandas frame, written by PyTables.
//!
//! Predictions are in the *table* format: records of an index and of arrays of numbers, with the
//! column names in an attribute. Labelled data are in the *fixed* format: each level of an axis is
//! an array of names and an array of positions in it, and the numbers lie in blocks of columns.
//! DeepLabCut's key is `df_with_missing`; a file with one frame under another key is read too.

use std::rc::Rc;

use super::column_names;
use super::dlc_columns::{ColumnName, Layout, image_path};
use super::hdf5_file::{
    Elements, File, Group, Numbers, broken, holds_texts, text_attribute, texts,
};
use super::quoting::quote;
use super::selection::KeypointSelection;
use super::table::{RowKey, Rows, Table, keypoint};

/// The key that DeepLabCut uses.
const KEY: &str = "df_with_missing";
/// Largest number of blocks. No frame is stored in more.
const MOST_BLOCKS: usize = 1000;

pub(super) fn read(file: &File, selection: &KeypointSelection) -> Result<Table, String> {
    let frame = pandas_frame(file)?;
    let kind = text_attribute(&frame, "pandas_type").unwrap_or_default();
    match kind.as_str() {
        "frame_table" => read_table(file, &frame)?.table(file, selection),
        "frame" => read_fixed(file, &frame)?.table(file, selection),
        other => Err(format!("it holds {} where a pandas frame should be", quote(other))),
    }
}

/// Finds the group in which a frame is stored.
fn pandas_frame(file: &File) -> Result<Group, String> {
    let groups = file.root_group().and_then(|root| root.groups()).map_err(broken)?;
    let mut frames: Vec<Group> =
        groups.into_iter().filter(|group| text_attribute(group, "pandas_type").is_some()).collect();
    if let Some(at) = frames.iter().position(|group| group.name() == KEY) {
        return Ok(frames.swap_remove(at));
    }
    match (frames.pop(), frames.is_empty()) {
        (Some(frame), true) => Ok(frame),
        (Some(_), false) => Err(format!("its HDF5 holds several pandas frames but no '{KEY}'")),
        (None, _) => Err(
            "its HDF5 holds neither a pandas frame (DeepLabCut) nor a data set 'tracks' (SLEAP)"
                .into(),
        ),
    }
}

/// A stored frame, in either format.
struct Stored {
    rows: Rows,
    blocks: Vec<Block>,
}

/// Columns that are stored together.
struct Block {
    names: Vec<ColumnName>,
    elements: Rc<Elements>,
    numbers: Numbers,
    /// Whether an element is a whole row. Otherwise it is one number.
    is_record: bool,
}

impl Block {
    fn number(&self, row: usize, column: usize) -> Option<f32> {
        let value = if self.is_record {
            self.numbers.read(self.elements.get(row)?, column)?
        } else {
            let at = row.checked_mul(self.names.len())?.checked_add(column)?;
            self.numbers.read(self.elements.get(at)?, 0)?
        };
        Some(value as f32)
    }
}

impl Stored {
    fn table(self, file: &File, selection: &KeypointSelection) -> Result<Table, String> {
        let names = self.blocks.iter().flat_map(|block| &block.names).cloned();
        let columns: Vec<(usize, ColumnName)> = names.enumerate().collect();
        if columns.is_empty() {
            return Err("its frame has no columns".into());
        }
        let layout = Layout::new(&columns, selection)?;
        // The block of each column, and the column's position in it.
        let places: Vec<(usize, usize)> = (0..)
            .zip(&self.blocks)
            .flat_map(|(at, block)| (0..block.names.len()).map(move |column| (at, column)))
            .collect();
        let mut table = Table {
            every_frame: !self.rows.are_images(),
            default_min_likelihood: layout.default_min_likelihood(),
            bodyparts: layout.bodyparts,
            ..Table::default()
        };
        table.sightings.resize_with(layout.individuals.len(), Default::default);
        let mut parts = Vec::new();
        for row in 0..self.rows.len() {
            let number = |column: usize| {
                let (block, column) = places[column];
                self.blocks[block].number(row, column)
            };
            let mut cells = layout.cells.iter();
            for (individual, sightings) in layout.individuals.iter().zip(&mut table.sightings) {
                parts.clear();
                parts.extend(cells.by_ref().take(individual.bodyparts.len()).map(|cells| {
                    let likelihood = cells.likelihood.map_or(Some(1.0), number);
                    keypoint(number(cells.x), number(cells.y), likelihood, selection)
                }));
                if sightings.note(row, &parts) {
                    file.take_points(parts.len())?;
                }
            }
        }
        table.individuals = layout.individuals;
        table.rows = self.rows;
        Ok(table)
    }
}

/// Builds a column's name from its levels: scorer, individual if there are four levels, body part,
/// coord.
fn column_name(levels: &[String]) -> Result<ColumnName, String> {
    let (scorer, individual) = match levels {
        [scorer, individual, _, _] => (scorer.clone(), individual.clone()),
        [scorer, _, _] => (scorer.clone(), String::new()),
        [_, _] => Default::default(),
        _ => {
            return Err(format!(
                "its columns have {} levels instead of three or four",
                levels.len()
            ));
        }
    };
    let [.., bodypart, coord] = levels else { return Err("its columns have no levels".into()) };
    Ok(ColumnName { scorer, individual, bodypart: bodypart.clone(), coord: coord.clone() })
}

fn index_entry(text: &str) -> Result<RowKey, String> {
    RowKey::parse(text).ok_or_else(|| {
        format!("{} in its index is neither a frame number nor an image's name", quote(text))
    })
}

fn index_number(value: f64) -> Result<RowKey, String> {
    RowKey::number(value).ok_or_else(|| format!("{value} in its index is not a frame number"))
}

/// Collects rows, and fails if a frame or image appears twice.
fn rows_of(keys: impl Iterator<Item = Result<RowKey, String>>) -> Result<Rows, String> {
    let mut rows = Rows::default();
    for key in keys {
        rows.add(key?, None)?;
    }
    Ok(rows)
}

/// Reads PyTables' table format.
fn read_table(file: &File, frame: &Group) -> Result<Stored, String> {
    let dataset = frame.dataset("table").map_err(broken)?;
    let attribute =
        |name: &str| -> Option<String> { dataset.attribute(name).ok()?.read_string().ok() };
    let records = Rc::new(Elements::read(file, &dataset)?);
    file.take_rows(records.iter().len())?;
    let rows = match records.field("index") {
        Some(numbers) => rows_of(
            records.iter().map(|record| index_number(numbers.read(record, 0).unwrap_or(f64::NAN))),
        )?,
        None => {
            rows_of((0..records.iter().len()).map(|row| {
                index_entry(&records.text("index", row).ok_or("its table has no index")?)
            }))?
        }
    };
    let mut blocks = Vec::new();
    for block in 0..MOST_BLOCKS {
        let name = format!("values_block_{block}");
        let Some(numbers) = records.field(&name) else { break };
        let pickle = attribute(&format!("{name}_kind")).ok_or("its columns have no names")?;
        let names = column_names::read(&pickle, numbers.count())?;
        let names =
            names.iter().map(|levels| column_name(levels)).collect::<Result<Vec<_>, _>>()?;
        if names.len() != numbers.count() {
            return Err(format!("it names {} columns but stores {}", names.len(), numbers.count()));
        }
        blocks.push(Block { names, elements: Rc::clone(&records), numbers, is_record: true });
    }
    Ok(Stored { rows, blocks })
}

/// Reads PyTables' fixed format.
fn read_fixed(file: &File, frame: &Group) -> Result<Stored, String> {
    let rows = read_index(file, frame)?;
    let mut blocks = Vec::new();
    for block in 0..MOST_BLOCKS {
        let Ok(values) = frame.dataset(&format!("block{block}_values")) else { break };
        let levels = read_levels(file, frame, &format!("block{block}_items"))?;
        let names =
            levels.iter().map(|levels| column_name(levels)).collect::<Result<Vec<_>, _>>()?;
        let elements = Rc::new(Elements::read(file, &values)?);
        let numbers = elements.numbers().ok_or("its columns hold values that are not numbers")?;
        if elements.shape() != [rows.len(), names.len()] || numbers.count() != 1 {
            return Err(format!(
                "its block of numbers is {:?} for {} rows and {} columns",
                elements.shape(),
                rows.len(),
                names.len()
            ));
        }
        blocks.push(Block { names, elements, numbers, is_record: false });
    }
    Ok(Stored { rows, blocks })
}

/// Reads frame numbers, or images, as one text or as levels (`labeled-data`, video, image:
/// DeepLabCut from 2.2 on).
fn read_index(file: &File, frame: &Group) -> Result<Rows, String> {
    let Ok(axis) = frame.dataset("axis1") else {
        let levels = read_levels(file, frame, "axis1")?;
        return rows_of(levels.iter().map(|levels| index_entry(&image_path(levels))));
    };
    if holds_texts(&axis) {
        return rows_of(texts(file, &axis)?.iter().map(|text| index_entry(text)));
    }
    let elements = Elements::read(file, &axis)?;
    let numbers = elements.numbers().ok_or("its index holds neither numbers nor texts")?;
    rows_of(
        elements.iter().map(|element| index_number(numbers.read(element, 0).unwrap_or(f64::NAN))),
    )
}

/// Returns the entries of an axis with several levels.
fn read_levels(file: &File, frame: &Group, axis: &str) -> Result<Vec<Vec<String>>, String> {
    let mut entries: Vec<Vec<String>> = Vec::new();
    for level in 0.. {
        let Ok(names) = frame.dataset(&format!("{axis}_level{level}")) else { break };
        let names = texts(file, &names)?;
        let labels = frame.dataset(&format!("{axis}_label{level}")).map_err(broken)?;
        let labels = Elements::read(file, &labels)?;
        let numbers = labels.numbers().ok_or("the labels of its columns are not numbers")?;
        if level == 0 {
            file.take_rows(labels.iter().len())?;
            entries.resize(labels.iter().len(), Vec::new());
        }
        if labels.iter().len() != entries.len() {
            return Err("the levels of its columns are of different lengths".into());
        }
        for (entry, label) in entries.iter_mut().zip(labels.iter()) {
            let label = numbers.read(label, 0).unwrap_or(f64::NAN);
            // -1 stands for a missing name.
            let name = if label >= 0.0 { names.get(label as usize) } else { None };
            file.take(size_of::<String>() + name.map_or(0, String::len))?;
            entry.push(name.cloned().unwrap_or_default());
        }
        if level > 8 {
            return Err("its columns have too many levels".into());
        }
    }
    Ok(entries)
}
