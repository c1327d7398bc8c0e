//! Official SAM 2 checkpoints to safetensors.
//!
//! The official files are `torch.save` archives: a zip with a pickle that says where which tensor lies. The pickle is
//! read by a parser that knows a fixed list of opcodes and types; no code in it is ever run. The result is a
//! safetensors file with the same names and layouts, checked against the network's own list of parameters, so that what
//! converts also loads.

mod checkpoint;
mod convert;
mod error;

pub use checkpoint::{Checkpoint, CheckpointTensor};
pub use convert::{ConvertReport, StoredPrecision, convert};
pub use error::ConvertError;
