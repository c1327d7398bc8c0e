//! Weights files that commands other than those with `--model` take.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use sam2_weights_convert::{ModelSource, PretrainedError};

use crate::typed_files;

/// Returns the file that an argument for weights means: a file of that name, otherwise that of the
/// downloaded model of that name. `what` names the argument in errors. Whether the file exists is
/// found out when it is read.
///
/// # Errors
/// Fails for a device, pipe or socket, and for a model that has not been downloaded.
pub fn find(what: &str, given: &Path) -> Result<PathBuf> {
    typed_files::regular(what, given)?;
    let source = match ModelSource::find(given) {
        // The error of reading it says what is wrong.
        Err(PretrainedError::Unknown { .. } | PretrainedError::Folder { .. }) => {
            return Ok(given.to_owned());
        }
        source => source?,
    };
    match source.local(None)?.file() {
        Some(path) => Ok(path.to_owned()),
        None => {
            bail!("the micro model is built in and has no file: give a file, or another model")
        }
    }
}
