//! What can go wrong when masks are written.

use std::path::PathBuf;

/// Writing failed. What was complete before stays; nothing half-written stands under a final name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The output exists.
    #[error("'{0}' exists: choose another name, or allow overwriting")]
    Exists(PathBuf),
    /// Something that is not a regular file or a folder of its own has the output's name: it is never replaced.
    #[error("'{path}' is {what}, which is not replaced: choose another name for the output")]
    NotReplaceable {
        /// The output.
        path: PathBuf,
        /// What has its name.
        what: &'static str,
    },
    /// The output cannot be created or written.
    #[error(
        "cannot write '{path}': {source}; check that the folder exists, is writable and has room"
    )]
    Io {
        /// The output.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process writes it.
    #[error("'{0}' is being written by another sam2: wait for it, or choose another output")]
    InUse(PathBuf),
    /// Something that is not a journal lies where one would be written.
    #[error(
        "'{path}' is {what}, where the job's journal would be: remove it, or choose another output"
    )]
    NotAJournal {
        /// The journal's name.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// The encoder of the format failed.
    #[error("cannot encode '{path}': {message}")]
    Encode {
        /// The output.
        path: PathBuf,
        /// What the encoder said.
        message: String,
    },
    /// A frame came out of order: a sink would have lost or shifted frames.
    #[error(
        "frame {found} was written to '{path}' where frame {expected} was due; this is a bug, please report it"
    )]
    OutOfOrder {
        /// The output.
        path: PathBuf,
        /// The next frame.
        expected: usize,
        /// The frame that came.
        found: usize,
    },
    /// Fewer frames than announced.
    #[error("'{path}' got {found} of {expected} frames and was not kept")]
    Incomplete {
        /// The output.
        path: PathBuf,
        /// Frames announced.
        expected: usize,
        /// Frames written.
        found: usize,
    },
    /// A mask whose size is not the recording's.
    #[error("a mask in frame {frame} for '{path}' is {found}, the recording {expected}")]
    Size {
        /// The output.
        path: PathBuf,
        /// The frame.
        frame: usize,
        /// The recording's width x height.
        expected: String,
        /// The mask's width x height.
        found: String,
    },
    /// A folder was to be written where a file is.
    #[error("'{0}' is a file, and this output is a folder: choose another name")]
    NotAFolder(PathBuf),
    /// A folder to be replaced holds what no earlier run can have written.
    #[error(
        "'{path}' also holds '{name}', which is not a result of this format: it is not replaced, choose another name"
    )]
    ForeignFiles {
        /// The output.
        path: PathBuf,
        /// What lies in it.
        name: String,
    },
    /// An object whose number the format cannot hold.
    #[error(
        "object {object} cannot be written to '{path}', which holds numbers up to {largest}: use smaller ones"
    )]
    ObjectNumber {
        /// The output.
        path: PathBuf,
        /// The object.
        object: u32,
        /// The largest number.
        largest: u32,
    },
    /// Images whose names cannot be the names of files in the output.
    #[error(
        "'{path}' cannot name its files after the images of the recording: {reason}; or use a format with one file, such as .btf or .json"
    )]
    ImageNames {
        /// The output.
        path: PathBuf,
        /// What is wrong with the names.
        reason: String,
    },
    /// A frame came without something that the sink had asked for.
    #[error(
        "{what} of frame {frame} is not there for '{path}': this kind of output cannot be made from these masks"
    )]
    Missing {
        /// The output.
        path: PathBuf,
        /// The frame.
        frame: usize,
        /// What is missing.
        what: &'static str,
    },
}
