//! Explains write errors of a full disk or of a file at its size limit: how much space is free, or
//! which limit to raise.

use std::io::ErrorKind;
use std::path::Path;

use sam2_engine::WriteError;
use sam2_jobs::JobError;

/// Returns the free space if the disk is full, or the limit to raise if a file has reached its size
/// limit. Returns `None` for other errors.
pub fn room(error: &anyhow::Error) -> Option<String> {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    if causes.any(|cause| cause.kind() == ErrorKind::FileTooLarge) {
        return Some(
            "a file may not become larger here: raise the file size limit (`ulimit -f`), or use a file system that takes larger files"
                .to_owned(),
        );
    }
    let (source, path) = match error.downcast_ref::<JobError>() {
        Some(JobError::Write(WriteError::Io { path, source })) => (source, path.as_path()),
        Some(JobError::Spool { folder, source }) => (source, folder.as_path()),
        Some(_) => return None,
        None => match error.downcast_ref::<WriteError>()? {
            WriteError::Io { path, source } => (source, path.as_path()),
            _ => return None,
        },
    };
    let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded];
    if !full.contains(&source.kind()) {
        return None;
    }
    let folder = if path.is_dir() { path } else { parent(path) };
    let free = free_bytes(folder)?;
    Some(format!("{:.1} MB are free in '{}'", free as f64 / 1e6, folder.display()))
}

/// Returns the folder of a path; the working directory for a plain name.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns true if two folders are on one disk.
#[cfg(unix)]
pub fn is_same(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let disk = |folder: &Path| folder.metadata().ok().map(|found| found.dev());
    a == b || (disk(a).is_some() && disk(a) == disk(b))
}

/// Returns true if two folders are on one disk.
#[cfg(not(unix))]
pub fn is_same(a: &Path, b: &Path) -> bool {
    a == b
}

/// Returns the number of bytes that this user may still write to the file system of `folder`.
#[cfg(unix)]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Returns `None`: the free space is not determined on this system.
#[cfg(not(unix))]
pub fn free_bytes(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use sam2_engine::EngineError;

    use super::*;

    #[test]
    fn a_full_disk_and_a_limit_of_files_have_their_own_remedies() {
        let told = |kind: ErrorKind| {
            let error = WriteError::Io { path: "masks.btf".into(), source: kind.into() };
            room(&JobError::from(EngineError::from(error)).into()).unwrap_or_default()
        };
        #[cfg(unix)]
        assert!(told(ErrorKind::StorageFull).contains("MB are free in '.'"));
        assert!(told(ErrorKind::FileTooLarge).contains("`ulimit -f`"));
        assert_eq!(told(ErrorKind::PermissionDenied), "");
    }
}
