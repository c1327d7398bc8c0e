//! Errors of saved sessions.

use std::path::PathBuf;

/// Reason why a session cannot be restored from a file. Each message is one line that says what to
/// do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionFileError {
    /// The file cannot be read.
    #[error("cannot read the session '{path}': {source}; check the name and the permissions")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is not a saved session.
    #[error("'{path}' is not a saved session ({reason}); give a file that a session was saved to")]
    NotASession {
        /// The file.
        path: PathBuf,
        /// The part that is missing or wrong.
        reason: String,
    },
    /// The file's contents are not what was written.
    #[error("the session '{path}' is damaged ({reason}); copy it again, or save the session anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The part that is damaged.
        reason: String,
    },
    /// The file was written by another version of this library.
    #[error(
        "the session '{path}' has format {found}, this version of the program reads {expected}; restore it with the version that saved it"
    )]
    FormatVersion {
        /// The file.
        path: PathBuf,
        /// Format version of the file.
        found: String,
        /// Format version that this library reads.
        expected: u32,
    },
    /// The session was saved with other weights.
    #[error(
        "the session '{path}' was saved with other weights (fingerprint {found}, not {expected}); load the model it was saved with"
    )]
    OtherWeights {
        /// The file.
        path: PathBuf,
        /// Fingerprint of the weights in the file.
        found: String,
        /// Fingerprint of the model's weights.
        expected: String,
    },
    /// The session was saved with the same weights in another configuration, such as another input
    /// size.
    #[error("the session '{path}' was saved with {found}, not {expected}; use that configuration")]
    OtherConfiguration {
        /// The file.
        path: PathBuf,
        /// Configuration in the file.
        found: String,
        /// Configuration of the model.
        expected: String,
    },
    /// The session was saved with another memory policy than the one set here.
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
    /// The session belongs to another recording.
    #[error(
        "the session '{path}' is of a recording of {found}, this one has {expected}; give the recording it was saved with"
    )]
    OtherRecording {
        /// The file.
        path: PathBuf,
        /// The recording described in the file.
        found: String,
        /// The recording given.
        expected: String,
    },
    /// The session is a checkpoint of another job, or of another batch.
    #[error("the session '{path}' is a checkpoint of another job or batch; remove it")]
    OtherCheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// The session is of the other kind: a recording instead of a stream, or the reverse.
    #[error("the session '{path}' is of {found}, not of {expected}; restore it as what it was")]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// Kind of session in the file.
        found: &'static str,
        /// Kind of session requested.
        expected: &'static str,
    },
}
