//! Errors of reading run files.

use std::path::PathBuf;

/// A run file cannot be opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunFileError {
    /// The operating system reported an error.
    #[error("cannot read '{path}': {source}; check the name and that it may be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error that it reported.
        source: std::io::Error,
    },
    /// The file is not a run file.
    #[error("'{path}' is not a run file ({reason}): give a .sam2run file")]
    NotARun {
        /// The file.
        path: PathBuf,
        /// Why it is not a run file.
        reason: String,
    },
    /// The run file was written by a version of this program that uses another format.
    #[error(
        "'{path}' has run file format {found}, this program reads {expected}: use the sam2 that wrote it"
    )]
    FormatVersion {
        /// The file.
        path: PathBuf,
        /// The format version of the file.
        found: u32,
        /// The format version that this program reads.
        expected: u32,
    },
    /// The contents are not what was written.
    #[error("'{path}' is damaged at byte {at} ({reason}): copy it again or run again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Byte position of the first invalid record.
        at: u64,
        /// The problem with that record.
        reason: String,
    },
    /// The end of the run is missing.
    #[error("'{path}' {} resume the run, or run it again", incomplete(*.found, *.expected))]
    Unfinished {
        /// The file.
        path: PathBuf,
        /// Number of frames announced.
        expected: usize,
        /// Number of frames present.
        found: usize,
    },
}

/// Describes what is missing. After the last frame a run file has an end record; without it, the
/// file cannot be known to be complete.
fn incomplete(found: usize, expected: usize) -> String {
    if found < expected {
        return format!("holds {found} of {expected} frames:");
    }
    format!("holds all {expected} frames but lacks its end; if it is a copy, copy it again, else")
}
