//! Digests of downloaded weights as they were written, so that damage is noticed before masks are
//! made with them.
//!
//! A safetensors file contains no checksum of itself. The record next to it, `.NAME.sam2digest`,
//! holds the SHA-256 of the file as it was written, and its size, times and inode at the last
//! check. As long as these are unchanged, the file is not read again. They include the time of the
//! last change (ctime), because `touch -r`, `cp -p` and `rsync -t` reset the modification time.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sam2_mask_writer::OutputFile;
use serde::{Deserialize, Serialize};

use crate::checkpoint::sha256_of;

/// Format version of the record.
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
    /// File name of the checkpoint that the weights were converted from.
    pub source: String,
    /// SHA-256 of that checkpoint, which was verified before the conversion.
    pub source_sha256: String,
    /// Size, times and inode of the file at the last check.
    stamp: Stamp,
}

/// File attributes that show, without reading the file, that it may have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    bytes: u64,
    /// Modification time: seconds and nanoseconds since 1970.
    modified: Option<(u64, u32)>,
    /// Time of the last change of contents or attributes, which no program can set; `None` where
    /// the system has no such time, and in records of older programs.
    #[serde(default)]
    changed: Option<(i64, i64)>,
    /// Inode number; `None` where the system has none.
    inode: Option<u64>,
}

impl Stamp {
    /// Returns the current attributes of a file; `None` if it does not exist.
    pub(crate) fn now(path: &Path) -> Option<Self> {
        path.metadata().ok().map(|metadata| Self::of(&metadata))
    }

    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        let modified =
            metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        #[cfg(unix)]
        let (inode, changed) =
            (Some(metadata.ino()), Some((metadata.ctime(), metadata.ctime_nsec())));
        #[cfg(not(unix))]
        let (inode, changed) = (None, None);
        let modified = modified.map(|since| (since.as_secs(), since.subsec_nanos()));
        Self { bytes: metadata.len(), modified, changed, inode }
    }
}

/// The result of comparing a weights file with its record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DigestCheck {
    /// There is no record next to the file, so it cannot be compared.
    Unrecorded,
    /// There is a record, but it cannot be read, so the file was not compared.
    Unreadable {
        /// The record's name and the problem with it, as a clause.
        reason: String,
    },
    /// The file is what was written: either its attributes have not changed since the last check,
    /// or its SHA-256 is the recorded one.
    Good(DigestRecord),
    /// The file is not what was written.
    Differs {
        /// The record of what was written.
        record: DigestRecord,
        /// The difference, as a clause.
        reason: String,
    },
}

/// Compares a weights file with the record next to it. The whole file is read only if its
/// attributes have changed since the last check, or if `always` is set. Before that, `reading` is
/// called with the size of the file.
///
/// # Errors
/// The system's error if the file cannot be read. If the record cannot be rewritten, that is not an
/// error: the next check reads the file again.
pub fn check_digest(
    weights: &Path,
    always: bool,
    reading: impl FnOnce(u64),
) -> std::io::Result<DigestCheck> {
    let record = match DigestRecord::read(weights) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(DigestCheck::Unrecorded),
        Err(reason) => return Ok(DigestCheck::Unreadable { reason }),
    };
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
    // The folder may be read-only, for example one with a lab's shared models.
    let _ = record.write(weights);
    Ok(DigestCheck::Good(record))
}

impl DigestRecord {
    /// Records that `weights` has just been written with this digest.
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

    /// Returns the path of a weights file's record.
    pub fn path_for(weights: &Path) -> PathBuf {
        let name = weights.file_name().unwrap_or(weights.as_os_str()).to_string_lossy();
        weights.with_file_name(format!(".{name}.sam2digest"))
    }

    /// Returns the problem with the record of a weights file, as a clause; `None` if the record is
    /// valid or does not exist.
    pub fn problem(weights: &Path) -> Option<String> {
        Self::read(weights).err()
    }

    /// Reads the record of a weights file; `None` if it does not exist.
    fn read(weights: &Path) -> Result<Option<Self>, String> {
        let path = Self::path_for(weights);
        let wrong = |reason: &str| {
            format!("the record of its SHA-256, '{}', cannot be read ({reason})", path.display())
        };
        let found = match std::fs::metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(&error.to_string())),
        };
        if !found.is_file() || found.len() > MOST_BYTES {
            return Err(wrong("it is not a record"));
        }
        let bytes = std::fs::read(&path).map_err(|error| wrong(&error.to_string()))?;
        if bytes.is_empty() {
            return Err(wrong("it is empty"));
        }
        let record: Self = serde_json::from_slice(&bytes).map_err(|_| wrong("it is damaged"))?;
        if record.format_version != FORMAT_VERSION {
            return Err(wrong("another version of this program wrote it"));
        }
        Ok(Some(record))
    }

    /// Writes the record atomically.
    fn write(&self, weights: &Path) -> std::io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        OutputFile::write(&Self::path_for(weights), true, &text).map_err(std::io::Error::other)
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
        // Rewritten with the same bytes: the next check reads the file, and the one after does not.
        let early = UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        std::fs::File::options().write(true).open(&weights).unwrap().set_modified(early).unwrap();
        let (again, was_read) = check(&weights);
        assert!(matches!(again, DigestCheck::Good(_)) && was_read);
        assert!(!check(&weights).1);
        // Different bytes, and a different length.
        for (bytes, told) in [("weighed", "SHA-256"), ("weight", "6 bytes and had 7")] {
            std::fs::write(&weights, bytes).unwrap();
            let (differs, _) = check(&weights);
            let DigestCheck::Differs { reason, .. } = differs else { panic!("{differs:?}") };
            assert!(reason.contains(told), "{reason}");
        }
        for (bytes, told) in
            [("{", "damaged"), ("", "empty"), ("{\"format_version\": 9}", "damaged")]
        {
            std::fs::write(DigestRecord::path_for(&weights), bytes).unwrap();
            let (unreadable, was_read) = check(&weights);
            let DigestCheck::Unreadable { reason } = unreadable else { panic!("{unreadable:?}") };
            assert!(
                reason.contains(told) && reason.contains(".sam2digest") && !was_read,
                "{reason}"
            );
        }
    }

    #[test]
    fn a_change_that_keeps_the_time_of_modification_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("tiny.safetensors");
        std::fs::write(&weights, "weights").unwrap();
        DigestRecord::note(&weights, sha256_of(&weights).unwrap(), "tiny.pt", "ab").unwrap();
        let modified = weights.metadata().unwrap().modified().unwrap();
        // Longer than one tick of the file system's clock.
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::fs::write(&weights, "weighed").unwrap();
        std::fs::File::options()
            .write(true)
            .open(&weights)
            .unwrap()
            .set_modified(modified)
            .unwrap();
        #[cfg(unix)]
        assert!(matches!(check(&weights).0, DigestCheck::Differs { .. }));
        let found = check_digest(&weights, true, |_| {}).unwrap();
        assert!(matches!(found, DigestCheck::Differs { .. }));
    }
}
