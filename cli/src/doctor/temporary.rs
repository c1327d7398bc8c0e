//! The folder for temporary files: batches that wait for their reverse pass, and extracted frames.

use std::path::Path;

use super::Finding;

const SUBJECT: &str = "temporary";
/// Easily holds the waiting masks of an hour of recording.
const ENOUGH: u64 = 2 << 30;

pub fn check() -> Finding {
    of_folder(&std::env::temp_dir())
}

fn of_folder(folder: &Path) -> Finding {
    let name = folder.display();
    if let Err(error) = tempfile::tempfile_in(folder) {
        let found = format!("cannot create files in '{name}': {error}");
        return Finding::problem(SUBJECT, found, "set TMPDIR to a writable folder");
    }
    let Ok(room) = rustix::fs::statvfs(folder) else {
        return Finding::ok(SUBJECT, format!("'{name}'"));
    };
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    let found = format!("{:.1} GB free in '{name}'", free as f64 / 1e9);
    if free < ENOUGH {
        return Finding::warning(SUBJECT, found, "set TMPDIR to a folder with more room");
    }
    Finding::ok(SUBJECT, found)
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        assert_ne!(of_folder(folder.path()).health, Health::Problem);
        assert_eq!(of_folder(&folder.path().join("none")).health, Health::Problem);
    }
}
