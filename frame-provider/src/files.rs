//! The files that make up a recording, found without opening it.

use std::path::{Path, PathBuf};

use crate::error::FrameError;
use crate::image_folder::{ImageFolder, images_of};
use crate::micro_manager::{is_mmstack_name, mmstack_files, ndtiff_folder};
use crate::ome;
use crate::open::starts_as_tiff;
use crate::video_folder::video_files;

/// Returns the files that [`open`](crate::open) reads for a path, in any order. For a folder or a
/// pattern these are its files; for one file of an OME-TIFF recording, the whole set. Two paths
/// with the same files are the same recording. For an NDTiff recording, the result is the folder
/// with its index.
///
/// For a path that cannot be read, and for a file that is a whole recording, the result is the path
/// itself.
pub fn files_of(path: impl AsRef<Path>) -> Vec<PathBuf> {
    let path = path.as_ref();
    match found(path) {
        Ok(files) if !files.is_empty() => files,
        // Opening the path reports what is wrong with it.
        _ => vec![path.to_owned()],
    }
}

/// Searches in the same order as [`open_with`](crate::open_with).
fn found(path: &Path) -> Result<Vec<PathBuf>, FrameError> {
    if !path.exists() && ImageFolder::is_pattern(path) {
        return images_of(path);
    }
    if !path.is_dir() {
        let may_be_part = ome::is_companion(path) || starts_as_tiff(path);
        return if may_be_part && path.is_file() && !is_mmstack_name(path) {
            ome::files_of(path)
        } else {
            Ok(Vec::new())
        };
    }
    if let Some(folder) = ndtiff_folder(path) {
        return Ok(vec![folder]);
    }
    for find in [mmstack_files, ome::files_of, video_files, images_of] {
        let files = find(path)?;
        if !files.is_empty() {
            return Ok(files);
        }
    }
    Ok(Vec::new())
}
