//! The column of a table that names the recording of a row.

use std::collections::HashSet;

use super::table::csv_reader;

/// Possible names, in lower case. If there are several, the first in this list counts.
const NAMES: [&str; 5] = ["video_path", "video", "video_name", "recording", "filename"];
/// The column in which SLEAP numbers its videos.
const NUMBER: &str = "video_idx";
/// Endings of single images. A `filename` with one of them names the frame, not the recording.
const IMAGES: [&str; 4] = [".png", ".jpg", ".jpeg", ".bmp"];

/// The position of the column.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordingColumn {
    column: usize,
    is_number: bool,
}

impl RecordingColumn {
    /// Finds the column in a table whose first row has these names. A column that numbers videos
    /// counts only if it has several numbers: a single number does not say whether a row is of
    /// another recording.
    pub(super) fn find(names: &[&str], bytes: &[u8]) -> Option<Self> {
        let at = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
        if let Some(column) = NAMES.iter().find_map(|name| at(name)) {
            return Some(Self { column, is_number: false });
        }
        let column = at(NUMBER)?;
        let mut seen: HashSet<Vec<u8>> = HashSet::new();
        for record in csv_reader(bytes).byte_records().skip(1).map_while(Result::ok) {
            let cell = record.get(column).unwrap_or_default();
            if !cell.is_empty() && !seen.contains(cell) {
                seen.insert(cell.to_owned());
            }
            if seen.len() > 1 {
                return Some(Self { column, is_number: true });
            }
        }
        None
    }

    /// Returns the recording that a row names, if any.
    pub(super) fn name(&self, record: &csv::ByteRecord) -> Option<String> {
        let cell = String::from_utf8_lossy(record.get(self.column)?);
        let lower = cell.to_lowercase();
        let is_image = IMAGES.iter().any(|ending| lower.ends_with(ending));
        match (cell.is_empty() || is_image, self.is_number) {
            (true, _) => None,
            // The prefix keeps the number from matching a recording's name by chance.
            (_, true) => Some(format!("{NUMBER} {cell}")),
            (_, false) => Some(cell.into_owned()),
        }
    }
}
