//! The column of a table that says which recording a row is of.

use std::collections::HashSet;

use super::table::csv_reader;

/// What it can be called, in small letters; of several, the first counts.
const NAMES: [&str; 5] = ["video_path", "video", "video_name", "recording", "filename"];
/// The column in which SLEAP numbers its videos.
const NUMBER: &str = "video_idx";
/// Endings of single images: a `filename` with one is that of the frame, not of the recording.
const IMAGES: [&str; 4] = [".png", ".jpg", ".jpeg", ".bmp"];

/// Where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordingColumn {
    column: usize,
    is_number: bool,
}

impl RecordingColumn {
    /// The column of a table whose first row names these columns. One that numbers videos counts only if it has several numbers:
    /// a number alone does not say whether a row is of another recording.
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

    /// The recording that a row names, if it names one.
    pub(super) fn name(&self, record: &csv::ByteRecord) -> Option<String> {
        let cell = String::from_utf8_lossy(record.get(self.column)?);
        let lower = cell.to_lowercase();
        let is_image = IMAGES.iter().any(|ending| lower.ends_with(ending));
        match (cell.is_empty() || is_image, self.is_number) {
            (true, _) => None,
            // So that no recording is called so by chance.
            (_, true) => Some(format!("{NUMBER} {cell}")),
            (_, false) => Some(cell.into_owned()),
        }
    }
}
