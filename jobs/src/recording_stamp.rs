//! Checks whether a recording has changed since the job began.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::spread::spread;
use crate::error::JobError;

/// Largest number of files that are checked at each batch, spread evenly. A recording can have a
/// hundred thousand images on a slow network.
const FILES: usize = 64;

/// Sizes and modification times of a recording's files, taken when it was opened.
///
/// If a recording is still being copied, or is overwritten while a job reads it, the job would get
/// frames of two recordings.
#[derive(Clone, Debug, Default)]
pub struct RecordingStamp(Vec<(PathBuf, Stamp)>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        // The size of a folder says nothing.
        let bytes = if metadata.is_file() { metadata.len() } else { 0 };
        Self { bytes, modified: metadata.modified().ok() }
    }
}

impl RecordingStamp {
    /// Takes the stamp of a recording that consists of these files, or of this folder. Omits files
    /// that cannot be accessed.
    pub fn of(files: &[PathBuf]) -> Self {
        let chosen = spread(files.len(), FILES).into_iter().map(|number| &files[number]);
        let stamped = |path: &PathBuf| Some((path.clone(), Stamp::of(&path.metadata().ok()?)));
        Self(chosen.filter_map(stamped).collect())
    }

    /// Checks that the files are unchanged. A missing file is not an error here: reading it reports
    /// that.
    ///
    /// # Errors
    /// [`JobError::RecordingChanged`].
    pub(super) fn check(&self) -> Result<(), JobError> {
        for (path, before) in &self.0 {
            let Ok(metadata) = path.metadata() else { continue };
            let now = Stamp::of(&metadata);
            if now != *before {
                return Err(changed(path, before, &now));
            }
        }
        Ok(())
    }
}

fn changed(path: &Path, before: &Stamp, now: &Stamp) -> JobError {
    let how = if before.bytes == now.bytes {
        "it was written again".to_owned()
    } else {
        format!("it had {} bytes and has {}", before.bytes, now.bytes)
    };
    JobError::RecordingChanged { path: path.to_owned(), how }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_grow_shrink_or_are_replaced_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mouse.avi");
        std::fs::write(&path, "frames").unwrap();
        let files = [path.clone(), folder.path().to_owned()];
        let stamp = RecordingStamp::of(&files);
        assert!(stamp.check().is_ok());
        std::fs::File::options().write(true).open(&path).unwrap().set_len(3).unwrap();
        let told = stamp.check().unwrap_err().to_string();
        assert!(told.contains("it had 6 bytes and has 3"), "{told}");
        let stamp = RecordingStamp::of(&files);
        std::fs::write(folder.path().join("another.png"), "").unwrap();
        assert!(stamp.check().unwrap_err().to_string().contains("was written again"));
        std::fs::remove_file(&path).unwrap();
        assert!(RecordingStamp::of(&files).check().is_ok());
    }
}
