//! What can be wrong with a saved session.

use std::path::PathBuf;

/// A file from which no session can be restored. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionFileError {
    /// It cannot be read.
    #[error("cannot read the session '{path}': {source}; check the name and the permissions")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is something else.
    #[error("'{path}' is no saved session ({reason}); give a file that a session was saved to")]
    NotASession {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// It is not what was written.
    #[error("the session '{path}' is damaged ({reason}); copy it again, or save the session anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// It was written by another version of this library.
    #[error(
        "the session '{path}' has format {found}, this version of the program reads {expected}; restore it with the version that saved it"
    )]
    FormatVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The one that can be read.
        expected: u32,
    },
    /// It was saved with other weights.
    #[error(
        "the session '{path}' was saved with other weights (fingerprint {found}, not {expected}); load the model it was saved with"
    )]
    OtherWeights {
        /// The file.
        path: PathBuf,
        /// Fingerprint in the file.
        found: String,
        /// Fingerprint of the model.
        expected: String,
    },
    /// It was saved with the same weights in another configuration, such as another input size.
    #[error("the session '{path}' was saved with {found}, not {expected}; use that configuration")]
    OtherConfiguration {
        /// The file.
        path: PathBuf,
        /// Configuration in the file.
        found: String,
        /// Configuration of the model.
        expected: String,
    },
    /// It was saved with a memory policy that is not the one that the options name.
    #[error(
        "the session '{path}' was saved with the memory policy '{found}', not '{expected}'; restore it with that policy"
    )]
    OtherMemoryPolicy {
        /// The file.
        path: PathBuf,
        /// Name of the policy in the file.
        found: String,
        /// Name of the policy given.
        expected: String,
    },
    /// It belongs to another recording.
    #[error(
        "the session '{path}' is of a recording of {found}, this one has {expected}; give the recording it was saved with"
    )]
    OtherRecording {
        /// The file.
        path: PathBuf,
        /// The recording in the file.
        found: String,
        /// The recording given.
        expected: String,
    },
    /// It is a checkpoint of another job, or of another batch.
    #[error("the session '{path}' is a checkpoint of another job or batch; remove it")]
    OtherCheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// It is the other kind of session.
    #[error("the session '{path}' is of {found}, not of {expected}; restore it as what it was")]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// Kind in the file.
        found: &'static str,
        /// Kind asked for.
        expected: &'static str,
    },
}
