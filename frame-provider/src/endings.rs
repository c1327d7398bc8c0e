//! Endings of file names by which images are recognised.

use std::ffi::OsStr;
use std::path::Path;

/// Endings of accepted images, in lower case.
pub(crate) const IMAGES: [&str; 6] = ["jpg", "jpeg", "png", "bmp", "tif", "tiff"];

/// Endings of TIFF stacks, in lower case.
const STACKS: [&str; 5] = ["tif", "tiff", "btf", "stk", "lsm"];

/// Returns true if the file has the ending of an accepted image format.
pub(crate) fn has_image_ending(path: &Path) -> bool {
    has_one_of(&IMAGES, path)
}

/// Returns true if the file has the ending of a TIFF stack.
pub(crate) fn has_tiff_ending(path: &Path) -> bool {
    has_one_of(&STACKS, path)
}

fn has_one_of(endings: &[&str], path: &Path) -> bool {
    ending(path).is_some_and(|ending| endings.contains(&ending.as_str()))
}

/// Returns the ending of a file name in lower case, without the dot.
pub(crate) fn ending(path: &Path) -> Option<String> {
    path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase)
}
