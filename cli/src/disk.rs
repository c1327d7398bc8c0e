//! Full disks and files at their largest: what is free there, or which limit to raise.

use std::io::ErrorKind;
use std::path::Path;

use sam2_engine::{EngineError, WriteError};

/// For an error of a full disk: how much room there is; for one of a file that may not grow: which limit that is. `None` for other
/// errors.
pub fn room(error: &anyhow::Error) -> Option<String> {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    if causes.any(|cause| cause.kind() == ErrorKind::FileTooLarge) {
        return Some(
            "a file may not become larger here: raise the file size limit (`ulimit -f`), or use a file system that takes larger files"
                .to_owned(),
        );
    }
    let (source, path) = match error.downcast_ref::<EngineError>() {
        Some(EngineError::Write(WriteError::Io { path, source })) => (source, path.as_path()),
        Some(EngineError::Spool { folder, source }) => (source, folder.as_path()),
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

fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Bytes that this user may still write there.
#[cfg(unix)]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Bytes that this user may still write there.
#[cfg(not(unix))]
pub fn free_bytes(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_limit_of_files_have_their_own_remedies() {
        let told = |kind: ErrorKind| {
            let error = WriteError::Io { path: "masks.btf".into(), source: kind.into() };
            room(&EngineError::from(error).into()).unwrap_or_default()
        };
        #[cfg(unix)]
        assert!(told(ErrorKind::StorageFull).contains("MB are free in '.'"));
        assert!(told(ErrorKind::FileTooLarge).contains("`ulimit -f`"));
        assert_eq!(told(ErrorKind::PermissionDenied), "");
    }
}
