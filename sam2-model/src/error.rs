//! Errors of loading weights.

use std::path::PathBuf;

/// Loading weights failed. Every message names the file and suggests a remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read weights '{path}': {source}; check the name and the permissions")]
    Io {
        /// The weights file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is not a safetensors file, or is damaged.
    #[error(
        "'{origin}' is not a usable safetensors file ({source}); convert an official checkpoint with `sam2 convert IN.pt OUT.safetensors`, or copy the file again"
    )]
    NotSafetensors {
        /// File name, or a description of the bytes.
        origin: String,
        /// The parser's error.
        source: safetensors::SafeTensorError,
    },
    /// The tensors do not belong to any known variant.
    #[error(
        "the weights in '{origin}' do not belong to a known SAM 2 variant ({reason}); give the configuration explicitly"
    )]
    UnknownVariant {
        /// File name, or a description of the bytes.
        origin: String,
        /// The reason why no variant matches.
        reason: String,
    },
    /// Tensor names or shapes do not match the configuration.
    #[error("'{origin}' does not fit {config}: {}; give the configuration it was made for, or convert the checkpoint again", .problems.join("; "))]
    Mismatch {
        /// File name, or a description of the bytes.
        origin: String,
        /// The configuration that was tried.
        config: String,
        /// Missing, unknown and mis-shaped tensors by their official names.
        problems: Vec<String>,
    },
    /// A tensor has values that are not finite.
    #[error(
        "tensor {tensor} in '{origin}' holds infinite or undefined values; convert or copy the checkpoint again, in f32 or bf16 if it was f16"
    )]
    NotFinite {
        /// File name, or a description of the bytes.
        origin: String,
        /// Official name of the tensor.
        tensor: String,
    },
    /// The device failed while it took the weights.
    #[error(transparent)]
    Device(#[from] crate::DeviceFailure),
    /// A tensor is not stored in a supported float format.
    #[error("tensor {tensor} in '{origin}' is stored as {format}; f32, f16 and bf16 can be read")]
    NumberFormat {
        /// File name, or a description of the bytes.
        origin: String,
        /// Official name of the tensor.
        tensor: String,
        /// The format it is stored in.
        format: String,
    },
}
