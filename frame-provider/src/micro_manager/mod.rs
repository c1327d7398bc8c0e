//! Folders in the formats of Micro-Manager: NDTiff and MMStack.

mod mmstack;
mod ndtiff;

use std::path::{Path, PathBuf};

pub use mmstack::MmStack;
pub use ndtiff::NdTiff;

use crate::error::FrameError;

/// Returns the folder with `NDTiff.index`, if `folder` is an NDTiff recording. Pyramids keep the
/// index one level down.
pub(crate) fn ndtiff_folder(folder: &Path) -> Option<PathBuf> {
    [folder.to_owned(), folder.join("Full resolution")]
        .into_iter()
        .find(|folder| folder.join(ndtiff::INDEX).is_file())
}

/// Returns the files of an MMStack recording in `folder`, in natural order; empty if there are
/// none.
pub(crate) fn mmstack_files(folder: &Path) -> Result<Vec<PathBuf>, FrameError> {
    let io_error = |error| FrameError::from_io(folder, error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io_error)? {
        let path = entry.map_err(io_error)?.path();
        if is_mmstack_name(&path) && path.is_file() {
            files.push(path);
        }
    }
    files.sort_by(|a, b| crate::image_folder::compare_names(a, b));
    Ok(files)
}

/// Returns true if the file is named like a part of an MMStack recording: `*_MMStack*.tif`.
pub(crate) fn is_mmstack_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    name.contains("_mmstack") && name.ends_with(".tif") && !name.starts_with('.')
}
