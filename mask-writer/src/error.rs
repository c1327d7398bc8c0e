//! Errors of writing masks.

use std::path::PathBuf;

/// An error of writing masks. Outputs that were already complete stay; no incomplete file or folder
/// has a final name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The output already exists.
    #[error("'{0}' exists: choose another name, or allow overwriting")]
    Exists(PathBuf),
    /// The output's name belongs to something other than a regular file or a folder of this format,
    /// which is never replaced.
    #[error("'{path}' is {what}, which is not replaced: choose another name for the output")]
    NotReplaceable {
        /// The output.
        path: PathBuf,
        /// A description of what already has that name.
        what: &'static str,
    },
    /// The output cannot be created or written.
    #[error(
        "cannot write '{path}': {source}; check that the folder exists, is writable and has room"
    )]
    Io {
        /// The output.
        path: PathBuf,
        /// The error that the operating system reported.
        source: std::io::Error,
    },
    /// Another process is writing the output.
    #[error("'{0}' is being written by another sam2: wait for it, or choose another output")]
    InUse(PathBuf),
    /// The place of the journal is taken by a file or folder that is not a journal.
    #[error(
        "'{path}' is {what}, where the job's journal would be: remove it, or choose another output"
    )]
    NotAJournal {
        /// The journal's path.
        path: PathBuf,
        /// A description of what was found there instead.
        what: &'static str,
    },
    /// The encoder of the format reported an error.
    #[error("cannot encode '{path}': {message}")]
    Encode {
        /// The output.
        path: PathBuf,
        /// The encoder's message.
        message: String,
    },
    /// A frame arrived out of order; writing it would have lost or shifted frames.
    #[error(
        "frame {found} was written to '{path}' where frame {expected} was due; this is a bug, please report it"
    )]
    OutOfOrder {
        /// The output.
        path: PathBuf,
        /// Index of the frame that was due.
        expected: usize,
        /// Index of the frame that arrived.
        found: usize,
    },
    /// Fewer frames arrived than the recording has.
    #[error("'{path}' got {found} of {expected} frames and was not kept")]
    Incomplete {
        /// The output.
        path: PathBuf,
        /// Number of frames in the recording.
        expected: usize,
        /// Number of frames written.
        found: usize,
    },
    /// A mask whose size differs from the recording's.
    #[error("a mask in frame {frame} for '{path}' is {found}, the recording {expected}")]
    Size {
        /// The output.
        path: PathBuf,
        /// The frame index.
        frame: usize,
        /// Width x height of the recording.
        expected: String,
        /// Width x height of the mask.
        found: String,
    },
    /// The output is a folder, but a file has its name.
    #[error("'{0}' is a file, and this output is a folder: choose another name")]
    NotAFolder(PathBuf),
    /// The folder to be replaced holds an entry that no earlier run can have written.
    #[error(
        "'{path}' also holds '{name}', which is not a result of this format: it is not replaced, choose another name"
    )]
    ForeignFiles {
        /// The output.
        path: PathBuf,
        /// Name of that entry.
        name: String,
    },
    /// An object whose number is too large for the format.
    #[error(
        "object {object} cannot be written to '{path}', which holds numbers up to {largest}: use smaller ones"
    )]
    ObjectNumber {
        /// The output.
        path: PathBuf,
        /// The object's number.
        object: u32,
        /// The largest number that the format can hold.
        largest: u32,
    },
    /// The recording's images have names that the files of the output cannot have.
    #[error(
        "'{path}' cannot name its files after the images of the recording: {reason}; or use a format with one file, such as .btf or .json"
    )]
    ImageNames {
        /// The output.
        path: PathBuf,
        /// The problem with the names.
        reason: String,
    },
    /// A frame arrived without data that the sink had asked for.
    #[error(
        "{what} of frame {frame} is not there for '{path}': this kind of output cannot be made from these masks"
    )]
    Missing {
        /// The output.
        path: PathBuf,
        /// The frame index.
        frame: usize,
        /// The data that is missing.
        what: &'static str,
    },
}
