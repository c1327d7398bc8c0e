//! Official SAM 2 checkpoints to safetensors.
//!
//! The official files are `torch.save` archives: a zip with a pickle that says where which tensor lies. The pickle is
//! read by a parser that knows a fixed list of opcodes and types; no code in it is ever run. The result is a
//! safetensors file with the same names and layouts, checked against the network's own list of parameters, so that what
//! converts also loads.

#![forbid(unsafe_code)]

mod checkpoint;
mod convert;
mod digest;
mod download;
mod error;
mod hugging_face;
mod inspect;
mod releases;

pub use checkpoint::{Checkpoint, CheckpointLayout, CheckpointTensor};
pub use convert::{ConvertReport, StoredPrecision, convert};
pub use digest::{DigestCheck, DigestRecord, check_digest};
pub use download::{DownloadError, DownloadOptions, DownloadProgress, Downloaded, download};
pub use error::ConvertError;
pub use inspect::{Inspection, Provenance, inspect};
pub use releases::{OFFICIAL_BASE_URL, Release};
