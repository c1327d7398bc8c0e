//! Temporary names for incomplete outputs, and the removal of what killed processes left under such
//! names.
//!
//! A temporary file or folder is locked as long as its process lives, however that process ends.
//! One that is not locked belongs to no running process.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::error::WriteError;
use crate::output_file::parent_of;

const SUFFIX: &str = ".part";
/// Suffix of the folder that takes an old output while a new one replaces it. It may hold the last
/// complete result, so it is removed only when the new output is in place.
const REPLACED: &str = ".old";
/// Number of random letters and digits between the output's name and the suffix.
const RANDOM: usize = 6;
/// A file younger than this may belong to a process that has not locked it yet.
const YOUNG: Duration = Duration::from_secs(1);

/// Returns the beginning of the temporary names of an output: hidden, and with the output's name.
fn prefix(path: &Path) -> String {
    format!(".{}.", path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default())
}

/// Creates a temporary file or folder for the output `path`, in the same folder, with permissions
/// `mode` less the process's umask. `make` receives the name builder and the folder.
///
/// # Errors
/// [`WriteError::Io`] if the folder does not exist or is not writable.
pub(crate) fn create<T>(
    path: &Path,
    mode: u32,
    make: impl FnOnce(&tempfile::Builder<'_, '_>, &Path) -> std::io::Result<T>,
) -> Result<T, WriteError> {
    let folder = parent_of(path);
    let io = |source| WriteError::Io { path: path.to_owned(), source };
    // This reports the operating system's own error.
    fs::metadata(folder).map_err(io)?;
    sweep(path);
    let prefix = prefix(path);
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // Temporary files are private by default; the result should have the permissions of any
        // other new file.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    // The error omits the name of the temporary file, which means nothing to the user.
    make(builder.prefix(&prefix).suffix(SUFFIX).rand_bytes(RANDOM), folder)
        .map_err(|error| io(error.kind().into()))
}

/// Marks a temporary file or folder as in use until `held` and its clones are closed.
pub(crate) fn hold(held: &File) {
    // Some network file systems do not support locks. There, nothing is ever considered a leftover.
    #[cfg(unix)]
    let _ = held.try_lock();
    // On other systems a lock would prevent writing through the file's name.
    #[cfg(not(unix))]
    let _ = held;
}

/// Creates a folder next to `path` for the output that is being replaced.
pub(crate) fn beside_replaced(path: &Path) -> std::io::Result<tempfile::TempDir> {
    let prefix = prefix(path);
    let mut builder = tempfile::Builder::new();
    let aside = builder.prefix(&prefix).suffix(REPLACED).rand_bytes(RANDOM);
    // The error omits the name of the temporary folder, which means nothing to the user.
    aside.tempdir_in(parent_of(path)).map_err(|error| error.kind().into())
}

/// Removes what killed processes left of the output `path`: unfinished files and folders that no
/// process has locked. Whatever cannot be removed stays.
///
/// Creating an output of that name does the same.
pub fn sweep(path: &Path) {
    sweep_ending(path, SUFFIX);
}

/// Removes old versions of `path` whose replacement was interrupted by a kill. Call this only once
/// `path` has its final name.
pub(crate) fn sweep_replaced(path: &Path) {
    sweep_ending(path, REPLACED);
}

fn sweep_ending(path: &Path, suffix: &str) {
    let prefix = prefix(path);
    let Ok(entries) = fs::read_dir(parent_of(path)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let chance = name
            .to_str()
            .and_then(|name| name.strip_prefix(&prefix)?.strip_suffix(suffix))
            .is_some_and(|rest| {
                rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
            });
        if chance {
            remove_if_left(&entry);
        }
    }
}

#[cfg(unix)]
fn remove_if_left(entry: &fs::DirEntry) -> Option<()> {
    // The metadata of the entry itself, not of a link's target.
    let metadata = entry.metadata().ok()?;
    let age = SystemTime::now().duration_since(metadata.modified().ok()?).ok()?;
    if age < YOUNG || !(metadata.is_file() || metadata.is_dir()) {
        return None;
    }
    let held = File::open(entry.path()).ok()?;
    held.try_lock().ok()?;
    let removed = if metadata.is_dir() {
        fs::remove_dir_all(entry.path())
    } else {
        fs::remove_file(entry.path())
    };
    crate::fault::fault_point("left-over removed");
    removed.ok()
}

#[cfg(not(unix))]
fn remove_if_left(_: &fs::DirEntry) -> Option<()> {
    None
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::output_file::OutputFile;
    use crate::output_folder::OutputFolder;

    fn make_old(path: &Path) {
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        File::open(path).unwrap().set_modified(hour_ago).unwrap();
    }

    fn hidden(folder: &Path) -> Vec<std::path::PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('.'))
            .collect()
    }

    #[test]
    fn what_a_killed_process_left_goes_with_the_next_output_of_that_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("masks.btf");
        let masks = folder.path().join("masks");
        // As `kill -9` leaves them: present, but not locked.
        fs::write(folder.path().join(".masks.btf.a1B2c3.part"), "half").unwrap();
        fs::create_dir(folder.path().join(".masks.Zz9Zz9.part")).unwrap();
        fs::write(folder.path().join(".masks.Zz9Zz9.part/0.png"), "half").unwrap();
        let others = [".masks.btf.abc.part", ".other.btf.a1B2c3.part", ".masks.btf.a1.2c3.part"];
        others.iter().for_each(|name| fs::write(folder.path().join(name), "mine").unwrap());
        // Links are never ours, wherever they lead.
        let link = folder.path().join(".masks.btf.LinkLn.part");
        std::os::unix::fs::symlink(folder.path().join(others[0]), link).unwrap();
        drop(OutputFile::create(&file, false).unwrap());
        assert_eq!(hidden(folder.path()).len(), 6, "too young");
        hidden(folder.path()).iter().for_each(|path| make_old(path));
        drop(OutputFile::create(&file, false).unwrap());
        drop(OutputFolder::create(&masks, false, |_| true).unwrap());
        assert_eq!(hidden(folder.path()).len(), 4, "{:?}", hidden(folder.path()));
    }

    #[test]
    fn what_somebody_is_writing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks");
        let file = OutputFile::create(&path, false).unwrap();
        let filled = OutputFolder::create(&path, false, |_| true).unwrap();
        filled.write("0.png", b"half").unwrap();
        let being_written = hidden(folder.path());
        assert_eq!(being_written.len(), 2);
        being_written.iter().for_each(|path| make_old(path));
        sweep(&path);
        assert_eq!(hidden(folder.path()).len(), 2);
        drop(file);
        filled.complete().unwrap().publish().unwrap();
        assert_eq!(fs::read(path.join("0.png")).unwrap(), b"half");
        assert_eq!(hidden(folder.path()).len(), 0);
    }
}
