//! What downloaded weights were when they were written, so that damage shows before masks are made with them.
//!
//! A safetensors file holds no checksum of itself. The record next to it, `.NAME.sam2digest`, holds the SHA-256 of the file as it was
//! written, and its size, time of modification and inode at the last check: while these are the same the file is not read again.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sam2_mask_writer::{CompleteOutput, OutputFile, WriteError, fault_point};
use serde::{Deserialize, Serialize};

use crate::checkpoint::sha256_of;

/// Version of the record's format.
const FORMAT_VERSION: u32 = 1;
/// A larger file is not a record.
const MOST_BYTES: u64 = 64 << 10;

/// The record of a weights file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DigestRecord {
    format_version: u32,
    /// SHA-256 of the file in lower-case hexadecimal.
    pub sha256: String,
    /// File name of the checkpoint that it was converted from.
    pub source: String,
    /// SHA-256 of that checkpoint, which was verified before it was converted.
    pub source_sha256: String,
    /// What the file was at the last check.
    stamp: Stamp,
}

/// What tells without reading that a file may have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    /// Time of modification: seconds and nanoseconds since 1970.
    modified: Option<(u64, u32)>,
    /// `None` where files have none.
    inode: Option<u64>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let modified =
            metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        #[cfg(unix)]
        let inode = Some(std::os::unix::fs::MetadataExt::ino(metadata));
        #[cfg(not(unix))]
        let inode = None;
        let modified = modified.map(|since| (since.as_secs(), since.subsec_nanos()));
        Self { bytes: metadata.len(), modified, inode }
    }
}

/// What is known of a weights file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DigestCheck {
    /// There is no record next to the file, so there is nothing to compare it with.
    Unrecorded,
    /// It is what was written: nothing about it has changed since the last check, or its SHA-256 is the recorded one.
    Good(DigestRecord),
    /// It is not what was written.
    Differs {
        /// What was written.
        record: DigestRecord,
        /// How the file differs, as a clause.
        reason: String,
    },
}

/// Compares a weights file with the record next to it. `reading` is called with the size of the file before all of it is read,
/// which is done only if it has changed since the last check, or if `always` is set.
///
/// # Errors
/// The system's, if the file cannot be read. A record that cannot be written anew is not an error: the next check reads the file again.
pub fn check_digest(
    weights: &Path,
    always: bool,
    reading: impl FnOnce(u64),
) -> std::io::Result<DigestCheck> {
    let Some(record) = DigestRecord::read(weights) else { return Ok(DigestCheck::Unrecorded) };
    let stamp = Stamp::of(&weights.metadata()?);
    if stamp == record.stamp && !always {
        return Ok(DigestCheck::Good(record));
    }
    if stamp.bytes != record.stamp.bytes {
        let reason = format!("it has {} bytes and had {}", stamp.bytes, record.stamp.bytes);
        return Ok(DigestCheck::Differs { record, reason });
    }
    reading(stamp.bytes);
    let found = sha256_of(weights)?;
    if found != record.sha256 {
        let reason = format!("its SHA-256 is {found} and was {}", record.sha256);
        return Ok(DigestCheck::Differs { record, reason });
    }
    let record = DigestRecord { stamp, ..record };
    // A folder that is read-only, of a lab's shared models, say.
    let _ = record.write(weights);
    Ok(DigestCheck::Good(record))
}

impl DigestRecord {
    /// Notes that `weights` has just been written with this digest.
    pub(crate) fn note(
        weights: &Path,
        sha256: String,
        source: &str,
        source_sha256: &str,
    ) -> std::io::Result<()> {
        let record = Self {
            format_version: FORMAT_VERSION,
            sha256,
            source: source.to_owned(),
            source_sha256: source_sha256.to_owned(),
            stamp: Stamp::of(&weights.metadata()?),
        };
        record.write(weights)
    }

    /// Returns where the record of a weights file lies.
    pub fn path_for(weights: &Path) -> PathBuf {
        let name = weights.file_name().unwrap_or(weights.as_os_str()).to_string_lossy();
        weights.with_file_name(format!(".{name}.sam2digest"))
    }

    /// Reads the record of a weights file; `None` if there is none that can be read.
    fn read(weights: &Path) -> Option<Self> {
        let path = Self::path_for(weights);
        let size = std::fs::metadata(&path).ok().filter(Metadata::is_file)?.len();
        if size > MOST_BYTES {
            return None;
        }
        let record: Self = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        (record.format_version == FORMAT_VERSION).then_some(record)
    }

    /// Writes the record in one step.
    fn write(&self, weights: &Path) -> std::io::Result<()> {
        let failed = |error: WriteError| std::io::Error::other(error);
        let file = OutputFile::create(&Self::path_for(weights), true).map_err(failed)?;
        serde_json::to_writer_pretty(file.file(), self)?;
        fault_point("digest written");
        file.complete().and_then(CompleteOutput::publish).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(weights: &Path) -> (DigestCheck, bool) {
        let mut was_read = false;
        (check_digest(weights, false, |_| was_read = true).unwrap(), was_read)
    }

    #[test]
    fn a_file_is_read_only_after_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("large.safetensors");
        std::fs::write(&weights, "weights").unwrap();
        assert_eq!(check(&weights), (DigestCheck::Unrecorded, false));
        let sha256 = sha256_of(&weights).unwrap();
        DigestRecord::note(&weights, sha256, "large.pt", "ab").unwrap();
        let (first, was_read) = check(&weights);
        assert!(matches!(first, DigestCheck::Good(record) if record.source == "large.pt"));
        assert!(!was_read);
        // Written again with the same bytes: read once, and not again.
        let early = UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        std::fs::File::options().write(true).open(&weights).unwrap().set_modified(early).unwrap();
        let (again, was_read) = check(&weights);
        assert!(matches!(again, DigestCheck::Good(_)) && was_read);
        assert!(!check(&weights).1);
        // Other bytes, and another length.
        for (bytes, told) in [("weighed", "SHA-256"), ("weight", "6 bytes and had 7")] {
            std::fs::write(&weights, bytes).unwrap();
            let (differs, _) = check(&weights);
            let DigestCheck::Differs { reason, .. } = differs else { panic!("{differs:?}") };
            assert!(reason.contains(told), "{reason}");
        }
        std::fs::write(DigestRecord::path_for(&weights), "{").unwrap();
        assert_eq!(check(&weights), (DigestCheck::Unrecorded, false));
    }

    #[test]
    fn a_change_that_leaves_no_trace_is_found_when_the_file_is_always_read() {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("tiny.safetensors");
        std::fs::write(&weights, "weights").unwrap();
        DigestRecord::note(&weights, sha256_of(&weights).unwrap(), "tiny.pt", "ab").unwrap();
        let modified = weights.metadata().unwrap().modified().unwrap();
        std::fs::write(&weights, "weighed").unwrap();
        std::fs::File::options()
            .write(true)
            .open(&weights)
            .unwrap()
            .set_modified(modified)
            .unwrap();
        assert!(matches!(check(&weights).0, DigestCheck::Good(_)));
        let found = check_digest(&weights, true, |_| {}).unwrap();
        assert!(matches!(found, DigestCheck::Differs { .. }));
    }
}
