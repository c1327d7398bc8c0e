//! What can go wrong when weights are loaded.

use std::path::PathBuf;

/// Loading weights failed. Every message names the file and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read weights '{path}': {source}; check the name and the permissions")]
    Io {
        /// The weights file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a safetensors file, or a damaged one.
    #[error(
        "'{origin}' is not a usable safetensors file ({source}); convert an official checkpoint with `sam2 convert IN.pt OUT.safetensors`, or copy the file again"
    )]
    NotSafetensors {
        /// File name or what the bytes are.
        origin: String,
        /// What the parser said.
        source: safetensors::SafeTensorError,
    },
    /// The tensors are those of no known variant.
    #[error(
        "the weights in '{origin}' are of no known SAM 2 variant ({reason}); give the configuration explicitly"
    )]
    UnknownVariant {
        /// File name or what the bytes are.
        origin: String,
        /// What was looked at.
        reason: String,
    },
    /// Tensor names or shapes do not match the configuration.
    #[error("'{origin}' does not fit {config}: {}; give the configuration it was made for, or convert the checkpoint again", .problems.join("; "))]
    Mismatch {
        /// File name or what the bytes are.
        origin: String,
        /// The configuration that was tried.
        config: String,
        /// Missing, unknown and mis-shaped tensors by their official names.
        problems: Vec<String>,
    },
    /// Values that are no numbers.
    #[error(
        "tensor {tensor} in '{origin}' holds infinite or undefined values; convert or copy the checkpoint again, in f32 or bf16 if it was f16"
    )]
    NotFinite {
        /// File name or what the bytes are.
        origin: String,
        /// Official name of the tensor.
        tensor: String,
    },
    /// The device did not take them.
    #[error(transparent)]
    Device(#[from] crate::DeviceFailure),
    /// A tensor that is no float.
    #[error("tensor {tensor} in '{origin}' is stored as {format}; f32, f16 and bf16 can be read")]
    NumberFormat {
        /// File name or what the bytes are.
        origin: String,
        /// Official name of the tensor.
        tensor: String,
        /// How it is stored.
        format: String,
    },
}
