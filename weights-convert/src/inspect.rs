//! What a weights file is.

use std::collections::BTreeMap;
use std::path::Path;

use sam2_model::{LoadError, Sam2Config, weights};

use crate::checkpoint::{Checkpoint, CheckpointLayout, sha256_of};
use crate::digest::{DigestCheck, DigestRecord, check_digest};
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
    /// The published checkpoint that has this SHA-256.
    pub release: Option<Release>,
    /// Where the weights come from, and how that is known.
    pub provenance: Provenance,
}

/// Where the weights of a file that is not a published checkpoint come from, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provenance {
    /// Nothing is said about it.
    Unknown,
    /// The file says in itself which SHA-256 the file had that it was converted from. Nothing proves it.
    Claimed {
        /// That SHA-256.
        source_sha256: String,
    },
    /// `sam2 download` converted the file from a checkpoint that it had verified, and it is what was written then.
    Recorded(DigestRecord),
    /// It is not what `sam2 download` wrote.
    Damaged {
        /// What was written.
        record: DigestRecord,
        /// How the file differs, as a clause.
        reason: String,
    },
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
