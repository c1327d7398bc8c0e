//! Error for an invalid job file.

/// A job file that cannot be used. It counts as an invalid command line.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct JobFileError {
    pub path: String,
    pub reason: String,
}
