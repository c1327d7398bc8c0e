//! Downloaded models.

use std::path::Path;

use super::Finding;
use sam2_weights_convert::cache_folder;

const SUBJECT: &str = "models";

pub fn check() -> Finding {
    match cache_folder() {
        Ok(folder) => of_folder(&folder),
        Err(error) => Finding::warning(SUBJECT, error.to_string(), "set SAM2_CACHE to a folder"),
    }
}

fn of_folder(folder: &Path) -> Finding {
    let mut models: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let path = entry.path();
            let weights = path.extension().is_some_and(|ending| ending == "safetensors");
            let size = entry.metadata().ok().filter(|_| weights)?.len();
            Some(format!("{} ({:.0} MB)", path.file_stem()?.to_string_lossy(), size as f64 / 1e6))
        })
        .collect();
    models.sort();
    if models.is_empty() {
        let found =
            format!("none in '{}': only the built-in demonstration model", folder.display());
        return Finding::warning(SUBJECT, found, "for real recordings: sam2 download large");
    }
    Finding::ok(SUBJECT, format!("{} in '{}'", models.join(", "), folder.display()))
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn weights_are_listed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of_folder(folder.path()).health, Health::Warning);
        assert_eq!(of_folder(&folder.path().join("none")).health, Health::Warning);
        std::fs::write(folder.path().join("large.safetensors"), vec![0; 2_000_000]).unwrap();
        std::fs::write(folder.path().join("large.safetensors.part"), "").unwrap();
        let finding = of_folder(folder.path());
        assert!(finding.health == Health::Ok && finding.found.starts_with("large (2 MB) in"));
    }
}
