//! Names with wildcards that mean some of a folder's images.

use std::path::{Path, PathBuf};

use glob::Pattern;

use super::{has_image_ending, images_in, name_of};
use crate::error::FrameError;
use crate::tiff;

/// Endings of recordings that are files of their own, in lower case.
const VIDEO_ENDINGS: [&str; 24] = [
    "avi", "mp4", "mov", "mkv", "m4v", "mj2", "mjpg", "mjpeg", "mpg", "mpeg", "wmv", "webm", "ts",
    "mts", "m2ts", "flv", "ogv", "y4m", "h264", "h265", "gif", "btf", "stk", "lsm",
];

/// The folder of a pattern, and the pattern of its file names; `None` if the file name has no wildcards or the folder is not
/// there. Only the file name is a pattern, so folders may have brackets in their names.
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

/// Whether the path is no file itself, and all files that it matches are still images, two or more.
pub(super) fn matches_images(path: &Path) -> bool {
    let Some((folder, pattern)) = parts(path).filter(|_| !path.exists()) else { return false };
    let Ok(matching) = matching(&folder, &pattern) else { return false };
    matching.len() > 1
        && !has_rivals(&folder, &pattern)
        && !matching.iter().any(|file| has_several_pages(file))
}

/// Whether the pattern also matches what is not an image: then each match is a recording of its own. Next to images, `*`
/// passes over notes and tables, but not over videos and folders.
fn has_rivals(folder: &Path, pattern: &Pattern) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return true };
    let others = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|file| !super::is_hidden(file) && pattern.matches(&name_of(file)))
        .filter(|file| !(file.is_file() && has_image_ending(file)));
    let is_rival = |file: &PathBuf| {
        let ending = super::ending(file).unwrap_or_default();
        file.is_dir() || VIDEO_ENDINGS.contains(&ending.as_str())
    };
    if pattern.as_str() == "*" {
        others.into_iter().any(|file| is_rival(&file))
    } else {
        others.count() > 0
    }
}

/// Whether the file is a recording of its own: a TIFF with several pages.
fn has_several_pages(file: &Path) -> bool {
    tiff::has_tiff_ending(file) && tiff::only_page(file).is_ok_and(|page| page.has_more)
}
