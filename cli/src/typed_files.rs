//! Checks file names as they were typed, for mistakes that are easy to recognize.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// File endings of pose tracks and tables.
pub const TRACK_ENDINGS: [&str; 6] = ["csv", "tsv", "h5", "hdf5", "slp", "nwb"];
/// File endings of videos and TIFF stacks.
pub const RECORDING_ENDINGS: [&str; 20] = [
    "avi", "mp4", "mov", "mkv", "m4v", "mpg", "mpeg", "wmv", "webm", "mts", "m2ts", "ts", "h264",
    "h265", "flv", "tif", "tiff", "btf", "stk", "lsm",
];

/// Refuses a device, pipe or socket. A missing file is accepted here and reported when it is
/// opened.
///
/// # Errors
/// Names the file and its option.
pub fn regular(option: &str, path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => bail!(
            "{option} '{}' is a device, pipe or socket: save its contents to a file and give that",
            path.display()
        ),
        _ => Ok(()),
    }
}

pub fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase);
    ending.is_some_and(|ending| endings.contains(&ending.as_str()))
}

/// Returns whether a word of the command line is more likely a recording or a file than a body
/// part.
pub fn is_likely_file(word: &str) -> bool {
    let path = Path::new(word);
    has_ending(path, &RECORDING_ENDINGS) || has_ending(path, &TRACK_ENDINGS) || path.exists()
}

/// Refuses a file name with spaces that was typed without quotes: words that, joined by spaces, are
/// the name of an existing file.
///
/// # Errors
/// Gives the name as it should be typed.
pub fn check_unquoted(words: &[PathBuf], track: Option<&Path>) -> Result<()> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    for start in 0..words.len() {
        if words[start].exists() {
            continue;
        }
        let mut name = text(&words[start]);
        for word in &words[start + 1..] {
            name.push(' ');
            name.push_str(&text(word));
            refuse_unquoted(&name)?;
        }
    }
    if let Some(track) = track.filter(|track| !track.exists()) {
        // With `--keypoints my track.csv`, the word `track.csv` ends up among the recordings.
        for word in words {
            refuse_unquoted(&format!("{} {}", text(track), text(word)))?;
        }
    }
    Ok(())
}

/// Refuses individuals that are separated by a space instead of a comma. In `--individual a b`, the
/// word `b` would be a recording that does not exist.
///
/// # Errors
/// Gives the individuals as they should be typed.
pub fn check_individuals(words: &[PathBuf], individuals: &[String]) -> Result<()> {
    let is_name = |word: &&PathBuf| {
        let has_other_letters = word.to_string_lossy().contains(['/', '\\', '*', '?', '[', '{']);
        !word.exists() && word.extension().is_none() && !has_other_letters
    };
    match (words.iter().find(is_name), individuals.last()) {
        (Some(word), Some(last)) => bail!(
            "there is no recording '{0}'; if it is an individual, separate the names with commas: --individual {last},{0}",
            word.display()
        ),
        _ => Ok(()),
    }
}

fn refuse_unquoted(name: &str) -> Result<()> {
    if Path::new(name).exists() {
        bail!("a name with spaces needs quotes: type '{name}' with the quotes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_from_body_parts() {
        for word in ["mouse.AVI", "a/b.tif", "trackDLC.csv"] {
            assert!(is_likely_file(word), "{word}");
        }
        for word in ["snout", "tail.base", "left_paw"] {
            assert!(!is_likely_file(word), "{word}");
        }
    }

    #[test]
    fn a_name_with_spaces_is_put_together_again() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("my long name.avi"), "").unwrap();
        let first = folder.path().join("my");
        let words = [first, "long".into(), "name.avi".into()];
        let told = check_unquoted(&words, None).unwrap_err().to_string();
        assert!(told.contains("my long name.avi'"), "{told}");
        assert!(check_unquoted(&words[1..], None).is_ok());
    }
}
