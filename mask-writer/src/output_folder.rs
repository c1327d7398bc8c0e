//! Folders that appear complete or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::WriteError;
use crate::fault::fault_point;
use crate::output_file::{self, CompleteOutput, sync_name};
use crate::temporary;

/// A folder that is filled next to its final name under a temporary one and renamed when complete.
/// It is deleted if dropped before that.
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    overwrite: bool,
    is_own: IsOwn,
    temporary: TempDir,
    /// Marks the folder as in use.
    _held: Option<fs::File>,
}

/// Decides whether an earlier run can have written a file or folder.
struct IsOwn(Box<dyn Fn(&Path) -> bool + Send + Sync>);

impl std::fmt::Debug for IsOwn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IsOwn")
    }
}

impl OutputFolder {
    /// Creates the temporary folder in the parent folder of `path`.
    ///
    /// `is_own` is called with the path of every entry of a folder that is to be replaced. It
    /// decides by name and contents whether the entry is a result of this format. A folder that
    /// holds anything else is never replaced, so that a mistyped name can cost no more than old
    /// results.
    ///
    /// # Errors
    /// [`WriteError::Exists`] if `path` exists and `overwrite` is false, [`WriteError::NotAFolder`]
    /// and [`WriteError::ForeignFiles`] if it cannot be replaced, [`WriteError::Io`] if the parent
    /// folder is not writable.
    pub fn create(
        path: &Path,
        overwrite: bool,
        is_own: impl Fn(&Path) -> bool + Send + Sync + 'static,
    ) -> Result<Self, WriteError> {
        let is_own = IsOwn(Box::new(is_own));
        check_replaceable(path, overwrite, &is_own)?;
        let temporary = temporary::create(path, 0o777, |name, folder| name.tempdir_in(folder))?;
        let held = fs::File::open(temporary.path()).ok();
        held.iter().for_each(temporary::hold);
        fault_point("folder begun");
        Ok(Self { path: path.to_owned(), overwrite, is_own, temporary, _held: held })
    }

    /// Returns the final path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the temporary path of an entry, valid until the folder is published.
    pub fn inside(&self, name: impl AsRef<Path>) -> PathBuf {
        self.temporary.path().join(name)
    }

    /// Writes a file into the folder.
    ///
    /// # Errors
    /// [`WriteError::Io`], with the path that the file would finally have.
    pub fn write(&self, name: impl AsRef<Path>, contents: &[u8]) -> Result<(), WriteError> {
        let name = name.as_ref();
        fs::write(self.inside(name), contents)
            .map_err(|source| WriteError::Io { path: self.path.join(name), source })?;
        fault_point("file in folder written");
        Ok(())
    }

    /// Creates a folder inside this one.
    ///
    /// # Errors
    /// [`WriteError::Io`], with the path that the inner folder would finally have.
    pub fn make_folder(&self, name: impl AsRef<Path>) -> Result<(), WriteError> {
        let name = name.as_ref();
        fs::create_dir(self.inside(name))
            .map_err(|source| WriteError::Io { path: self.path.join(name), source })
    }

    /// Writes everything to the disk. After this only the final name is missing.
    ///
    /// # Errors
    /// [`WriteError::Io`], for example if the disk is full.
    pub fn complete(self) -> Result<CompleteOutput, WriteError> {
        fault_point("folder not synced");
        sync_folder(self.temporary.path()).map_err(|source| self.io_error(source))?;
        fault_point("folder synced");
        Ok(CompleteOutput::folder(self))
    }

    /// Returns a [`WriteError::Io`] for this folder.
    pub fn io_error(&self, source: io::Error) -> WriteError {
        WriteError::Io { path: self.path.clone(), source }
    }

    /// Gives the folder its final name. A folder that already has this name is removed only now.
    pub(crate) fn publish(self) -> Result<(), WriteError> {
        check_replaceable(&self.path, self.overwrite, &self.is_own)?;
        let Self { path, temporary, .. } = self;
        let io = |source| WriteError::Io { path: path.clone(), source };
        let new = temporary.path().to_owned();
        // Leftovers that were too recent to remove when this folder was created.
        temporary::sweep(&path);
        fault_point("folder not renamed");
        if !path.exists() {
            fs::rename(&new, &path).map_err(io)?;
            fault_point("folder renamed");
            let _moved_away = temporary.keep();
        } else if exchange(&new, &path) {
            fault_point("folders exchanged");
            sync_name(&path);
            // The exchange is one step, so a complete folder exists at all times. The old folder
            // now has the temporary name and is deleted with it.
            drop(temporary);
            fault_point("old folder removed");
        } else {
            replace_in_two_steps(&new, &path).map_err(io)?;
            let _moved_away = temporary.keep();
        }
        sync_name(&path);
        // A process that was killed between the two steps leaves the old folder behind.
        temporary::sweep_replaced(&path);
        Ok(())
    }
}

/// Renames a folder to the name of an existing one. Renaming cannot replace a folder that is not
/// empty, so the old folder is moved aside first. It is moved back if the rename fails, and deleted
/// if it succeeds.
fn replace_in_two_steps(new: &Path, path: &Path) -> io::Result<()> {
    let aside = temporary::beside_replaced(path)?;
    let old = aside.path().join("old");
    fs::rename(path, &old)?;
    fault_point("old folder stepped aside");
    if let Err(error) = fs::rename(new, path) {
        if fs::rename(&old, path).is_err() {
            // Keep the old folder under its temporary name rather than lose it.
            let _kept = aside.keep();
        }
        return Err(error);
    }
    fault_point("new folder took its place");
    sync_name(path);
    drop(aside);
    fault_point("old folder removed");
    Ok(())
}

/// Exchanges the names of two folders in one step; `false` where the system or the file system
/// cannot.
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    !crate::fault::exchange_is_off()
        && renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}

/// Exchanges the names of two folders in one step; `false` where the system or the file system
/// cannot.
#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> bool {
    false
}

fn check_replaceable(
    path: &Path,
    overwrite: bool,
    IsOwn(is_own): &IsOwn,
) -> Result<(), WriteError> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if found.is_symlink() && path.exists() && !overwrite {
        return Err(WriteError::Exists(path.to_owned()));
    }
    output_file::check_replaceable(path, &found)?;
    if !found.is_dir() {
        return Err(WriteError::NotAFolder(path.to_owned()));
    }
    if !overwrite {
        return Err(WriteError::Exists(path.to_owned()));
    }
    let io = |source| WriteError::Io { path: path.to_owned(), source };
    for entry in fs::read_dir(path).map_err(io)? {
        let entry = entry.map_err(io)?;
        if !is_own(&entry.path()) {
            return Err(WriteError::ForeignFiles {
                path: path.to_owned(),
                name: entry.file_name().to_string_lossy().into_owned(),
            });
        }
    }
    Ok(())
}

/// Writes everything in a folder to the disk, with one call for the whole file system instead of
/// one for each of many thousand files.
#[cfg(target_os = "linux")]
fn sync_folder(folder: &Path) -> io::Result<()> {
    rustix::fs::syncfs(fs::File::open(folder)?).map_err(io::Error::from)
}

/// Writes everything in a folder to the disk.
#[cfg(not(target_os = "linux"))]
fn sync_folder(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_folder(&path)?;
        } else {
            fs::File::options().append(true).open(&path)?.sync_all()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own(path: &Path) -> bool {
        path.extension().is_some_and(|ending| ending == "png")
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn appears_only_when_published_and_replaces_only_then() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("masks");
        let output = OutputFolder::create(&path, false, is_own).unwrap();
        output.write("0.png", b"first").unwrap();
        assert!(!path.exists());
        output.complete().unwrap().publish().unwrap();
        assert_eq!(names(around.path()), ["masks"]);
        assert!(matches!(OutputFolder::create(&path, false, is_own), Err(WriteError::Exists(_))));

        let output = OutputFolder::create(&path, true, is_own).unwrap();
        output.write("1.png", b"second").unwrap();
        let complete = output.complete().unwrap();
        assert_eq!(names(&path), ["0.png"]);
        complete.publish().unwrap();
        assert_eq!(names(&path), ["1.png"]);
        assert_eq!(names(around.path()), ["masks"]);

        drop(OutputFolder::create(&path, true, is_own).unwrap().complete().unwrap());
        assert_eq!(names(around.path()), ["masks"]);
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_never_replaced() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("thesis");
        let complete = OutputFolder::create(&path, true, is_own).unwrap().complete().unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("chapter1.tex"), "years of work").unwrap();
        for result in [OutputFolder::create(&path, true, is_own).map(drop), complete.publish()] {
            let message = result.unwrap_err().to_string();
            assert!(message.contains("thesis") && message.contains("chapter1.tex"), "{message}");
        }
        let file = path.join("chapter1.tex");
        let onto_a_file = OutputFolder::create(&file, true, is_own);
        assert!(matches!(onto_a_file, Err(WriteError::NotAFolder(_))));
        assert_eq!(names(around.path()), ["thesis"]);
        assert_eq!(names(&path), ["chapter1.tex"]);
    }

    #[test]
    fn somebody_else_was_faster() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("masks");
        let complete = OutputFolder::create(&path, false, is_own).unwrap().complete().unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(complete.publish(), Err(WriteError::Exists(_))));
    }
}
