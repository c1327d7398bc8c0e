//! Files that appear complete or not at all.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::WriteError;
use crate::fault::fault_point;
use crate::output_folder::OutputFolder;
use crate::temporary;

/// A file that is written next to its final name under a temporary one and renamed when complete.
/// It is deleted if dropped before that.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    overwrite: bool,
    temporary: NamedTempFile,
}

impl OutputFile {
    /// Creates the temporary file in the folder of `path`. Problems are reported now rather than
    /// after hours of work.
    ///
    /// # Errors
    /// [`WriteError::Exists`] if `path` exists and `overwrite` is false; [`WriteError::Io`] if the
    /// folder is not writable.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self, WriteError> {
        if path.is_dir() {
            return Err(WriteError::Io {
                path: path.to_owned(),
                source: std::io::Error::from(std::io::ErrorKind::IsADirectory),
            });
        }
        if let Ok(found) = std::fs::symlink_metadata(path) {
            if !overwrite {
                return Err(WriteError::Exists(path.to_owned()));
            }
            check_replaceable(path, &found)?;
        }
        let temporary = temporary::create(path, 0o666, |name, folder| name.tempfile_in(folder))?;
        temporary::hold(temporary.as_file());
        fault_point("file begun");
        Ok(Self { path: path.to_owned(), overwrite, temporary })
    }

    /// Writes a small file at once: `contents` are on the disk under a temporary name before they get
    /// the name `path`.
    ///
    /// # Errors
    /// As [`Self::create`]; [`WriteError::Io`] if the contents cannot be written, for example because
    /// the disk is full.
    pub fn write(path: &Path, overwrite: bool, contents: &[u8]) -> Result<(), WriteError> {
        let output = Self::create(path, overwrite)?;
        output.file().write_all(contents).map_err(|source| output.io_error(source))?;
        output.complete()?.publish()
    }

    /// Returns the final path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the open file.
    pub fn file(&self) -> &File {
        self.temporary.as_file()
    }

    /// Returns another handle to the open file.
    ///
    /// # Errors
    /// [`WriteError::Io`] if the system has no more handles.
    pub fn try_clone(&self) -> Result<File, WriteError> {
        self.file().try_clone().map_err(|source| self.io_error(source))
    }

    /// Writes everything to the disk. After this only the final name is missing.
    ///
    /// # Errors
    /// [`WriteError::Io`], for example if the disk is full.
    pub fn complete(self) -> Result<CompleteOutput, WriteError> {
        fault_point("file not synced");
        self.file().sync_all().map_err(|source| self.io_error(source))?;
        fault_point("file synced");
        Ok(CompleteOutput(Complete::File(self)))
    }

    /// Returns a [`WriteError::Io`] for this file.
    pub fn io_error(&self, source: std::io::Error) -> WriteError {
        WriteError::Io { path: self.path.clone(), source }
    }

    fn publish(self) -> Result<(), WriteError> {
        let Self { path, overwrite, temporary } = self;
        // Leftovers that were too recent to remove when this file was created.
        temporary::sweep(&path);
        let io = |source| WriteError::Io { path: path.clone(), source };
        fault_point("file not renamed");
        let renamed =
            if overwrite { temporary.persist(&path) } else { temporary.persist_noclobber(&path) };
        match renamed {
            Ok(_) => {
                fault_point("file renamed");
                sync_name(&path);
                Ok(())
            }
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(WriteError::Exists(path))
            }
            Err(error) => Err(io(error.error)),
        }
    }
}

/// Writes a name to the disk. Without this, a power failure could undo a rename that later steps
/// rely on. Some file systems do not support it; there, nothing that existed before is lost.
pub(crate) fn sync_name(path: &Path) {
    #[cfg(unix)]
    let _ = File::open(parent_of(path)).and_then(|folder| folder.sync_all());
    #[cfg(not(unix))]
    let _ = path;
    fault_point("name synced");
}

/// Refuses to replace links, devices, pipes and sockets, because they do not come from this
/// program.
pub(crate) fn check_replaceable(path: &Path, found: &std::fs::Metadata) -> Result<(), WriteError> {
    let what = match found.file_type() {
        kind if kind.is_symlink() => "a link",
        kind if kind.is_file() || kind.is_dir() => return Ok(()),
        _ => "a device, pipe or socket",
    };
    Err(WriteError::NotReplaceable { path: path.to_owned(), what })
}

/// Returns the folder that contains `path`.
pub(crate) fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An output that is complete but does not have its final name yet.
///
/// When a job has several outputs, all of them reach this state before the first is published, so
/// that a failure of one publishes none.
#[derive(Debug)]
#[must_use = "without publishing it, the output vanishes"]
pub struct CompleteOutput(Complete);

#[derive(Debug)]
enum Complete {
    File(OutputFile),
    Folder(OutputFolder),
    Written(PathBuf),
}

impl CompleteOutput {
    /// Returns an output that is written in place, so that there is nothing to publish.
    pub fn in_place(path: PathBuf) -> Self {
        Self(Complete::Written(path))
    }

    pub(crate) fn folder(folder: OutputFolder) -> Self {
        Self(Complete::Folder(folder))
    }

    /// Returns the final path.
    pub fn path(&self) -> &Path {
        match &self.0 {
            Complete::File(file) => file.path(),
            Complete::Folder(folder) => folder.path(),
            Complete::Written(path) => path,
        }
    }

    /// Returns the size of a file in bytes; `None` for a folder, or if the system does not report
    /// the size.
    pub fn bytes(&self) -> Option<u64> {
        match &self.0 {
            Complete::File(file) => file.file().metadata().ok().map(|metadata| metadata.len()),
            Complete::Folder(_) | Complete::Written(_) => None,
        }
    }

    /// Gives the file or folder its final name.
    ///
    /// # Errors
    /// [`WriteError::Io`], or [`WriteError::Exists`] if another process has created the output in
    /// the meantime.
    pub fn publish(self) -> Result<(), WriteError> {
        match self.0 {
            Complete::File(file) => file.publish(),
            Complete::Folder(folder) => folder.publish(),
            Complete::Written(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appears_only_when_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.bin");
        let output = OutputFile::create(&path, false).unwrap();
        output.file().write_all(b"abc").unwrap();
        assert!(!path.exists());
        output.complete().unwrap().publish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        assert!(matches!(OutputFile::create(&path, false), Err(WriteError::Exists(_))));
        drop(OutputFile::create(&path, true).unwrap());
        assert!(matches!(OutputFile::write(&path, false, b"d"), Err(WriteError::Exists(_))));
        OutputFile::write(&path, true, b"def").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"def");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_an_error_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("out.bin");
        assert!(matches!(OutputFile::create(&path, false), Err(WriteError::Io { .. })));
    }
}
