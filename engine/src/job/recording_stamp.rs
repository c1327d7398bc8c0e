//! Whether a recording is still what it was when the job began.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::spread::spread;
use crate::error::EngineError;

/// Files that are looked at again at each batch, spread evenly: there can be a hundred thousand images on a slow network.
const FILES: usize = 64;

/// Sizes and times of modification of a recording's files, taken when it was opened.
///
/// A recording that is still being copied, or is written anew while a job reads it, gives frames of two recordings.
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
    /// Takes the stamp of a recording that consists of these files, or of this folder. What cannot be looked at is left out.
    pub fn of(files: &[PathBuf]) -> Self {
        let chosen = spread(files.len(), FILES).into_iter().map(|number| &files[number]);
        let stamped = |path: &PathBuf| Some((path.clone(), Stamp::of(&path.metadata().ok()?)));
        Self(chosen.filter_map(stamped).collect())
    }

    /// Checks that the files are what they were. One that is gone is not an error: whoever reads it says so.
    ///
    /// # Errors
    /// [`EngineError::RecordingChanged`].
    pub(super) fn check(&self) -> Result<(), EngineError> {
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

fn changed(path: &Path, before: &Stamp, now: &Stamp) -> EngineError {
    let how = if before.bytes == now.bytes {
        "it was written again".to_owned()
    } else {
        format!("it had {} bytes and has {}", before.bytes, now.bytes)
    };
    EngineError::RecordingChanged { path: path.to_owned(), how }
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
