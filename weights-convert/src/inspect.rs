//! Inspects a weights file.

use std::collections::BTreeMap;
use std::path::Path;

use sam2_model::{LoadError, Sam2Config, weights};

use crate::checkpoint::{Checkpoint, CheckpointLayout, sha256_of};
use crate::digest::{DigestCheck, DigestRecord, check_digest};
use crate::error::ConvertError;
use crate::releases::Release;

/// The facts about a weights file that can be found without running it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The file's layout.
    pub layout: CheckpointLayout,
    /// The model that the weights are for, or the reason why there is none.
    pub config: Result<Sam2Config, LoadError>,
    /// Number formats, each with the number of tensors that use it.
    pub dtypes: BTreeMap<String, usize>,
    /// Number of tensors, counted by official names.
    pub tensors: usize,
    /// Number of values in all tensors.
    pub parameters: usize,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The published checkpoint with this SHA-256, if any.
    pub release: Option<Release>,
    /// The origin of the weights, and how it is known.
    pub provenance: Provenance,
}

/// The origin of the weights of a file that is not a published checkpoint, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provenance {
    /// The origin is unknown.
    Unknown,
    /// The file itself states the SHA-256 of the file it was converted from. Nothing proves this.
    Claimed {
        /// The stated SHA-256.
        source_sha256: String,
    },
    /// `sam2 download` converted the file from a verified checkpoint, and it has not changed since.
    Recorded(DigestRecord),
    /// The file is not what `sam2 download` wrote.
    Damaged {
        /// The record of what was written.
        record: DigestRecord,
        /// The difference, as a clause.
        reason: String,
    },
}

/// Reads the whole file and checks the name and shape of every tensor.
///
/// Weights of an unknown model are not an error: [`Inspection::config`] states the problem.
///
/// # Errors
/// [`ConvertError`] if the file cannot be read or is not a checkpoint.
pub fn inspect(path: &Path) -> Result<Inspection, ConvertError> {
    let unreadable = |source| ConvertError::Read { path: path.to_owned(), source };
    let checkpoint = Checkpoint::read(path)?;
    let origin = path.display().to_string();
    let shapes = checkpoint.shapes();
    let config = weights::recognise(&shapes, &origin)
        .and_then(|config| weights::check(&shapes, &config, &origin).map(|()| config));
    let sha256 = sha256_of(path).map_err(unreadable)?;
    let provenance = match check_digest(path, true, |_| {}).map_err(unreadable)? {
        DigestCheck::Good(record) => Provenance::Recorded(record),
        DigestCheck::Differs { record, reason } => Provenance::Damaged { record, reason },
        _ if checkpoint.source_sha256 == sha256 => Provenance::Unknown,
        _ => Provenance::Claimed { source_sha256: checkpoint.source_sha256.clone() },
    };
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
        release: Release::by_sha256(&sha256),
        provenance,
        sha256,
    })
}
