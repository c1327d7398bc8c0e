//! The folder in which downloaded weights are kept.

use std::path::PathBuf;

/// There is no folder for downloads, because the user has no home folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no home folder to keep downloads in: name one with SAM2_CACHE")]
pub struct NoCacheFolder;

/// Returns the folder for downloads: the one in the environment variable `SAM2_CACHE` if it is not
/// empty, otherwise `sam2` in the user's cache folder (`$XDG_CACHE_HOME`, or `~/.cache` on Linux). The
/// folder need not exist.
///
/// # Errors
/// [`NoCacheFolder`] if neither is set and the user has no home folder.
pub fn cache_folder() -> Result<PathBuf, NoCacheFolder> {
    use etcetera::BaseStrategy;
    if let Some(folder) = std::env::var_os("SAM2_CACHE").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let strategy = etcetera::choose_base_strategy().map_err(|_| NoCacheFolder)?;
    Ok(strategy.cache_dir().join("sam2"))
}
