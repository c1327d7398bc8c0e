//! Recognises the kinds of files by their contents.

use super::annotations;
use super::foreign;
use super::selection::KeypointSelection;
use super::table::{Table, csv_reader};
use super::track_kind::TrackKind;
use super::{dlc_csv, idtracker_csv, napari_csv, points_table, sleap_csv};
#[cfg(feature = "hdf5")]
use super::{dlc_hdf5, hdf5_file, nwb, sleap_hdf5, sleap_labels};
use crate::plain_text::{decode, with_commas};

/// The first bytes of every HDF5 file.
const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Largest number of columns of a table. A hundred animals with a hundred body parts each have
/// 30,000.
pub(super) const MOST_COLUMNS: usize = 100_000;

/// Reads a file of any kind.
pub(super) fn read(
    bytes: Vec<u8>,
    selection: &KeypointSelection,
) -> Result<(TrackKind, Table), String> {
    if bytes.starts_with(HDF5_SIGNATURE) {
        return read_hdf5(bytes, selection);
    }
    if let Some(refusal) = foreign::binary(&bytes) {
        return Err(refusal);
    }
    let text = decode(&bytes);
    if let Some(annotations) = annotations::read(&text) {
        let annotations = annotations?;
        return Ok((annotations.kind, annotations.into_table(selection)?));
    }
    if let Some(refusal) = foreign::document(&text) {
        return Err(refusal);
    }
    let text = with_commas(text);
    let bytes = text.as_bytes();
    let header = first_row(bytes);
    if header.len() > MOST_COLUMNS {
        return Err(format!("it has more than {MOST_COLUMNS} columns, which no track has"));
    }
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    // These have columns named as in a supported table.
    if let Some(refusal) = foreign::table_like_points(&names) {
        return Err(refusal);
    }
    if sleap_csv::recognise(bytes) {
        return Ok((TrackKind::SleapCsv, sleap_csv::read(bytes, selection)?));
    }
    if napari_csv::recognise(&names) {
        return Ok((TrackKind::NapariCsv, napari_csv::read(bytes, selection)?));
    }
    if idtracker_csv::recognise(&names) {
        return Ok((TrackKind::IdtrackerCsv, idtracker_csv::read(bytes, selection)?));
    }
    if points_table::recognise(&names) {
        return Ok((TrackKind::PointsTable, points_table::read(bytes, selection)?));
    }
    if let Some(refusal) = foreign::table(&text, &names) {
        return Err(refusal);
    }
    let table = dlc_csv::read(bytes, selection).map_err(with_kinds)?;
    Ok((TrackKind::DlcCsv, table))
}

/// Adds to an error of DeepLabCut's readers which other files can be given. These readers get every
/// file that nothing else has recognised.
fn with_kinds(what: String) -> String {
    // The file was read far enough to know its frames, so its kind is right.
    if what.contains("appears twice") {
        return format!("{what}; make the track anew, or keep one of the two rows");
    }
    format!(
        "{what}; give a DeepLabCut file (CSV or HDF5), a SLEAP analysis file (CSV or HDF5) or .slp, or another kind that docs/prompts.md lists"
    )
}

/// Returns the cells of the first row, at most one more than [`MOST_COLUMNS`].
pub(super) fn first_row(bytes: &[u8]) -> Vec<String> {
    let mut record = csv::ByteRecord::new();
    let read = csv_reader(bytes).read_byte_record(&mut record).unwrap_or(false);
    let cells =
        record.iter().take(MOST_COLUMNS + 1).map(|cell| String::from_utf8_lossy(cell).into_owned());
    if read { cells.collect() } else { Vec::new() }
}

#[cfg(feature = "hdf5")]
fn read_hdf5(bytes: Vec<u8>, selection: &KeypointSelection) -> Result<(TrackKind, Table), String> {
    let file = hdf5_file::File::open(bytes)?;
    if sleap_hdf5::recognise(&file) {
        return Ok((TrackKind::SleapHdf5, sleap_hdf5::read(&file, selection)?));
    }
    if sleap_labels::recognise(&file) {
        return Ok((TrackKind::SleapLabels, sleap_labels::read(&file, selection)?));
    }
    if nwb::recognise(&file) {
        return Ok((TrackKind::Nwb, nwb::read(&file, selection)?));
    }
    if let Some(refusal) = foreign::hdf5(&file) {
        return Err(refusal);
    }
    let table = dlc_hdf5::read(&file, selection).map_err(with_kinds)?;
    Ok((TrackKind::DlcHdf5, table))
}

#[cfg(not(feature = "hdf5"))]
fn read_hdf5(_bytes: Vec<u8>, _: &KeypointSelection) -> Result<(TrackKind, Table), String> {
    Err("it is an HDF5 file, which this build cannot read (export it as CSV, or build with the feature hdf5)".into())
}
