//! Converts official SAM 2 checkpoints to safetensors.
//!
//! The official files are `torch.save` archives: ZIP files with a pickle that states where each
//! tensor is stored. The pickle is read by a parser that accepts a fixed list of opcodes and types;
//! no code in it is ever executed. The result is a safetensors file with the same names and
//! layouts. It is checked against the network's own list of parameters, so that a converted file
//! can always be loaded.
//!
//! [`FromPretrained`] loads a model by its name: it downloads, verifies and converts the checkpoint
//! if that has not been done before.

#![forbid(unsafe_code)]

mod cache;
mod checkpoint;
mod convert;
mod digest;
mod download;
mod error;
mod hugging_face;
mod inspect;
mod local_weights;
mod pretrained;
mod pretrained_error;
mod releases;
mod source;

pub use cache::{NoCacheFolder, cache_folder};
pub use checkpoint::{Checkpoint, CheckpointLayout, CheckpointTensor};
pub use convert::{ConvertReport, StoredPrecision, convert};
pub use digest::{DigestCheck, DigestRecord, check_digest};
pub use download::{DownloadError, DownloadOptions, DownloadProgress, Downloaded, download};
pub use error::ConvertError;
pub use inspect::{Inspection, Provenance, inspect};
pub use local_weights::LocalWeights;
pub use pretrained::FromPretrained;
pub use pretrained_error::PretrainedError;
pub use releases::{OFFICIAL_BASE_URL, Release};
pub use source::ModelSource;
