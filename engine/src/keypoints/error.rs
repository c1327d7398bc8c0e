//! Tracks that cannot be used.

use std::path::PathBuf;

/// A keypoint file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeypointError {
    /// It cannot be read.
    #[error(
        "cannot read the track '{path}': {source}; give a DeepLabCut or SLEAP file (CSV or HDF5)"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is none of the known kinds, or is one but damaged.
    #[error(
        "'{path}' is no track: {what}; give a DeepLabCut file (CSV or HDF5) or a SLEAP analysis file (CSV or HDF5)"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// A body part that it does not have.
    #[error("'{path}' has no body part '{name}'; it has {}", listed(.available))]
    UnknownBodypart {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What there is.
        available: Vec<String>,
    },
    /// An individual that it does not have.
    #[error("'{path}' has no individual '{name}'; it has {}", listed(.available))]
    UnknownIndividual {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// Who there is; empty for a track of one animal without a name.
        available: Vec<String>,
    },
    /// More individuals than there are object numbers.
    #[error(
        "'{path}' has {count} individuals, but at most 255 can be segmented together: choose some of them"
    )]
    TooManyIndividuals {
        /// The file.
        path: PathBuf,
        /// How many it has.
        count: usize,
    },
    /// More or fewer rows than the recording has frames.
    #[error(
        "'{path}' has {rows} rows but the recording has {frames} frames: is it the track of another recording? If not, the rows that there are can be used without this check"
    )]
    RowCount {
        /// The file.
        path: PathBuf,
        /// Rows in the track, or the number that its last row implies.
        rows: usize,
        /// Frames in the recording.
        frames: usize,
    },
    /// Frames without a row in a track that should have one for each.
    #[error(
        "'{path}' has no row for frame {first} and {missing} frames in all: has it been cut? If that is right, the rows that there are can be used without this check"
    )]
    MissingRows {
        /// The file.
        path: PathBuf,
        /// The first frame without a row.
        first: usize,
        /// How many have none.
        missing: usize,
    },
}

/// Names for a message, no more than fit on a line.
fn listed(names: &[String]) -> String {
    const MOST: usize = 20;
    let mut shown: Vec<&str> = names.iter().take(MOST).map(String::as_str).collect();
    let more = format!("and {} more", names.len().saturating_sub(MOST));
    match names.len() {
        0 => return "none with a name".to_owned(),
        count if count > MOST => shown.push(&more),
        _ => {}
    }
    shown.join(", ")
}
