//! What can be wrong with a run file.

use std::path::PathBuf;

/// A run file cannot be opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunFileError {
    /// The system refuses.
    #[error("cannot read '{path}': {source}; check the name and that it may be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another kind of file.
    #[error("'{path}' is no run file ({reason}): give a .sam2run file")]
    NotARun {
        /// The file.
        path: PathBuf,
        /// How it shows.
        reason: String,
    },
    /// A run file of another version of this program.
    #[error(
        "'{path}' has run file format {found}, this program reads {expected}: use the sam2 that wrote it"
    )]
    FormatVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that is understood.
        expected: u32,
    },
    /// Bytes that nobody wrote like that.
    #[error("'{path}' is damaged at byte {at} ({reason}): copy it again or run again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the record begins that makes no sense.
        at: u64,
        /// Why.
        reason: String,
    },
    /// The end is missing.
    #[error("'{path}' {} resume the run, or run it again", incomplete(*.found, *.expected))]
    Unfinished {
        /// The file.
        path: PathBuf,
        /// Frames that were announced.
        expected: usize,
        /// Frames that are there.
        found: usize,
    },
}

/// What is missing. Behind the last frame a run file has an end, without which nobody knows that it is whole.
fn incomplete(found: usize, expected: usize) -> String {
    if found < expected {
        return format!("holds {found} of {expected} frames:");
    }
    format!("holds all {expected} frames but lacks its end; if it is a copy, copy it again, else")
}
