//! What a weights file is.

use std::collections::BTreeMap;
use std::path::Path;

use sam2_model::{LoadError, Sam2Config, weights};

use crate::checkpoint::{Checkpoint, CheckpointLayout, sha256_of};
use crate::error::ConvertError;
use crate::releases::Release;

/// What can be said of a weights file without running it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// How it is stored.
    pub layout: CheckpointLayout,
    /// The model it is for, or why there is none.
    pub config: Result<Sam2Config, LoadError>,
    /// Number formats, each with the number of tensors stored in it.
    pub dtypes: BTreeMap<String, usize>,
    /// Number of tensors, by official names.
    pub tensors: usize,
    /// Number of values in them.
    pub parameters: usize,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// SHA-256 of the file that it was converted from; that of the file itself if it was not converted by this program.
    pub source_sha256: String,
    /// The published checkpoint that the weights come from.
    pub release: Option<Release>,
}

/// Reads the whole file and checks every tensor's name and shape.
///
/// Weights of no known model are no error: [`Inspection::config`] tells what is wrong with them.
///
/// # Errors
/// [`ConvertError`] for a file that cannot be read or is no checkpoint.
pub fn inspect(path: &Path) -> Result<Inspection, ConvertError> {
    let unreadable = |source| ConvertError::Read { path: path.to_owned(), source };
    let checkpoint = Checkpoint::read(path)?;
    let origin = path.display().to_string();
    let shapes = checkpoint.shapes();
    let config = weights::recognise(&shapes, &origin)
        .and_then(|config| weights::check(&shapes, &config, &origin).map(|()| config));
    let mut dtypes = BTreeMap::new();
    for tensor in checkpoint.tensors.values() {
        *dtypes.entry(format!("{:?}", tensor.dtype).to_lowercase()).or_insert(0) += 1;
    }
    Ok(Inspection {
        layout: checkpoint.layout,
        config,
        dtypes,
        tensors: shapes.len(),
        parameters: shapes.values().map(|shape| shape.iter().product::<usize>()).sum(),
        bytes: std::fs::metadata(path).map_err(unreadable)?.len(),
        sha256: sha256_of(path).map_err(unreadable)?,
        release: Release::by_sha256(&checkpoint.source_sha256),
        source_sha256: checkpoint.source_sha256,
    })
}
