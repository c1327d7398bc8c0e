//! File names with wildcards that select some of a folder's images.

use std::path::{Path, PathBuf};

use glob::Pattern;

use super::{images_in, name_of};
use crate::endings::{ending, has_image_ending, has_tiff_ending};
use crate::error::FrameError;
use crate::tiff;

/// Endings of files that are recordings on their own, in lower case.
const VIDEO_ENDINGS: [&str; 24] = [
    "avi", "mp4", "mov", "mkv", "m4v", "mj2", "mjpg", "mjpeg", "mpg", "mpeg", "wmv", "webm", "ts",
    "mts", "m2ts", "flv", "ogv", "y4m", "h264", "h265", "gif", "btf", "stk", "lsm",
];

/// Returns the folder of a pattern, and the pattern of its file names; `None` if the file name has
/// no wildcards or the folder does not exist. Only the file name is a pattern, so folders may have
/// brackets in their names.
pub(super) fn parts(path: &Path) -> Option<(PathBuf, Pattern)> {
    let name = path.file_name()?.to_str()?;
    if !name.contains(['*', '?', '[']) {
        return None;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_owned();
    folder.is_dir().then_some(())?;
    Some((folder, Pattern::new(name).ok()?))
}

/// Returns the images of a folder that match, in any order.
pub(super) fn matching(folder: &Path, pattern: &Pattern) -> Result<Vec<PathBuf>, FrameError> {
    let mut images = images_in(folder)?;
    images.retain(|file| pattern.matches(&name_of(file)));
    Ok(images)
}

/// Returns true if the path itself is not a file, and at least two files match it, all of them
/// still images.
pub(super) fn matches_images(path: &Path) -> bool {
    let Some((folder, pattern)) = parts(path).filter(|_| !path.exists()) else { return false };
    let Ok(matching) = matching(&folder, &pattern) else { return false };
    matching.len() > 1
        && !has_rivals(&folder, &pattern)
        && !matching.iter().any(|file| has_several_pages(file))
}

/// Returns true if the pattern also matches files that are not images: then each match is a
/// separate recording. Next to images, `*` ignores notes and tables, but not videos and folders.
fn has_rivals(folder: &Path, pattern: &Pattern) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return true };
    let others = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|file| !super::is_hidden(file) && pattern.matches(&name_of(file)))
        .filter(|file| !(file.is_file() && has_image_ending(file)));
    let is_rival = |file: &PathBuf| {
        let ending = ending(file).unwrap_or_default();
        file.is_dir() || VIDEO_ENDINGS.contains(&ending.as_str())
    };
    if pattern.as_str() == "*" {
        others.into_iter().any(|file| is_rival(&file))
    } else {
        others.count() > 0
    }
}

/// Returns true if the file is a separate recording: a TIFF with several pages.
fn has_several_pages(file: &Path) -> bool {
    has_tiff_ending(file) && tiff::only_page(file).is_ok_and(|page| page.has_more)
}
