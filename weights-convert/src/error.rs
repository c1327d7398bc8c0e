//! Errors of a conversion.

use std::path::PathBuf;

use sam2_mask_writer::WriteError;
use sam2_model::LoadError;

/// A conversion failed. No file remains under the output's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The input cannot be read.
    #[error(
        "cannot read '{path}': {source}; give an official checkpoint (.pt) or a safetensors file"
    )]
    Read {
        /// The input.
        path: PathBuf,
        /// The error that the operating system reported.
        source: std::io::Error,
    },
    /// The input is neither a PyTorch archive nor safetensors, or it is damaged.
    #[error(
        "'{path}' is not a usable checkpoint ({message}); give a .pt or safetensors file, or download it again"
    )]
    NotACheckpoint {
        /// The input.
        path: PathBuf,
        /// The parser's message.
        message: String,
    },
    /// A tensor that does not hold floats.
    #[error(
        "tensor {tensor} in '{path}' is stored as {format}; only f32, f16 and bf16 are expected"
    )]
    NumberFormat {
        /// The input.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Number format in which it is stored.
        format: String,
    },
    /// A value beyond the range of the requested format.
    #[error("tensor {tensor} in '{path}' has values too large for f16: use bf16 or f32")]
    TooLarge {
        /// The input.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
    },
    /// The tensors are not those of a SAM 2 model.
    #[error(transparent)]
    Model(#[from] LoadError),
    /// The output already exists.
    #[error("'{0}' exists: choose another name or allow overwriting (--overwrite)")]
    OutputExists(PathBuf),
    /// The output cannot be written.
    #[error(
        "cannot write '{path}': {source}; check that the folder exists, is writable and has room"
    )]
    Write {
        /// The output.
        path: PathBuf,
        /// The error that the operating system reported.
        source: std::io::Error,
    },
    /// The output's name belongs to something that is never replaced.
    #[error(transparent)]
    Output(WriteError),
}
