//! Weights on this machine, verified and loaded.

use std::path::{Path, PathBuf};

use sam2_model::{Device, LoadError, ModelVersion, Sam2, Sam2Config, Variant};

use crate::checkpoint::Checkpoint;
use crate::digest::{DigestCheck, check_digest};
use crate::error::ConvertError;
use crate::pretrained_error::PretrainedError;

/// Weights that are on this machine: a file, or the demonstration model.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalWeights {
    /// `None` for the demonstration model.
    file: Option<PathBuf>,
    /// The model that the file must hold, because it was found by that name.
    promised: Option<Sam2Config>,
}

impl LocalWeights {
    pub(crate) fn file_of(file: PathBuf, promised: Option<Sam2Config>) -> Self {
        Self { file: Some(file), promised }
    }

    pub(crate) fn micro() -> Self {
        Self { file: None, promised: None }
    }

    /// Returns the file; `None` for the demonstration model, which has none.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Compares the file with the record of its SHA-256 that a download leaves next to it. Returns
    /// whether there is a valid record. `reading` receives the file's size in bytes before the whole
    /// file is read, which happens only if it has changed since the last check.
    ///
    /// # Errors
    /// [`PretrainedError::Damaged`] if the file is not what was downloaded;
    /// [`PretrainedError::Unreadable`].
    pub fn verify(&self, reading: impl FnOnce(u64)) -> Result<bool, PretrainedError> {
        // The demonstration model is a part of the program.
        let Some(path) = &self.file else { return Ok(true) };
        let unreadable = |source| PretrainedError::Unreadable { path: path.clone(), source };
        match check_digest(path, false, reading).map_err(unreadable)? {
            DigestCheck::Good(_) => Ok(true),
            DigestCheck::Differs { record, reason } => {
                Err(PretrainedError::damaged(path, &record, reason))
            }
            DigestCheck::Unrecorded | DigestCheck::Unreadable { .. } => Ok(false),
        }
    }

    /// Loads the model. A file with another layout than safetensors with the official names is
    /// converted in memory. `config` is for weights that are not recognised.
    ///
    /// # Errors
    /// [`PretrainedError::Load`], [`PretrainedError::Convert`]; [`PretrainedError::OtherModel`] if the
    /// file holds another model than the one it was found for; [`PretrainedError::WithoutMicro`].
    pub fn load(
        &self,
        config: Option<Sam2Config>,
        device: &Device,
    ) -> Result<Sam2, PretrainedError> {
        let Some(path) = &self.file else { return load_micro(config, device) };
        let model = match Sam2::load_with(path, config.clone(), device) {
            Ok(model) => model,
            Err(error) => {
                let bytes = converted(path, error)?;
                Sam2::from_bytes(&bytes, &path.display().to_string(), config, device)?
            }
        };
        match &self.promised {
            Some(promised) if kind(promised) != kind(model.config()) => {
                Err(PretrainedError::other_model(path, model.config(), promised))
            }
            _ => Ok(model),
        }
    }
}

/// Returns what a model's name says about it.
fn kind(config: &Sam2Config) -> (Option<Variant>, ModelVersion) {
    (config.variant(), config.version)
}

#[cfg(feature = "micro")]
fn load_micro(config: Option<Sam2Config>, device: &Device) -> Result<Sam2, PretrainedError> {
    Ok(Sam2::from_bytes(sam2_micro::WEIGHTS, "the built-in model", config, device)?)
}

#[cfg(not(feature = "micro"))]
fn load_micro(_: Option<Sam2Config>, _: &Device) -> Result<Sam2, PretrainedError> {
    Err(PretrainedError::WithoutMicro)
}

/// Returns the weights under their official names, if the layout may be the reason why the file could
/// not be loaded; otherwise the error of loading.
fn converted(path: &Path, error: LoadError) -> Result<Vec<u8>, PretrainedError> {
    if !matches!(error, LoadError::NotSafetensors { .. } | LoadError::UnknownVariant { .. }) {
        return Err(error.into());
    }
    let checkpoint = match Checkpoint::read(path) {
        Ok(checkpoint) => checkpoint,
        Err(error) if Checkpoint::is_archive(path) => return Err(error.into()),
        // The error of the first attempt says more.
        Err(_) => return Err(error.into()),
    };
    tracing::info!(
        "{}: {}; `sam2 convert` makes a file that loads faster",
        path.display(),
        checkpoint.layout
    );
    checkpoint.to_safetensors().map_err(|error| {
        let (path, message) = (path.to_owned(), error.to_string());
        ConvertError::NotACheckpoint { path, message }.into()
    })
}
