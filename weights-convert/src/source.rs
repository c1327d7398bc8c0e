//! Finds the weights that a name or a path means.

use std::path::{Path, PathBuf};

use sam2_model::{ModelName, ModelVersion, Sam2Config, Variant};

use crate::cache::cache_folder;
use crate::download::{DownloadOptions, DownloadProgress, download};
use crate::local_weights::LocalWeights;
use crate::pretrained_error::PretrainedError;
use crate::releases::Release;

/// The weights that a name or a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelSource {
    /// A file: Meta's `.pt`, or safetensors with Meta's or Hugging Face's names.
    File(PathBuf),
    /// A checkpoint that can be downloaded.
    Release(Release),
    /// This project's demonstration model, which is compiled in with the feature `micro`.
    Micro,
}

impl ModelSource {
    /// Returns what `model` means: the file of that path if there is one, otherwise the published
    /// model of that name. A folder does not count as a file.
    ///
    /// Names are this project's, Meta's and Hugging Face's: `large`, `large-2.0`,
    /// `sam2.1_hiera_large`, `facebook/sam2.1-hiera-large`; see [`ModelName`].
    ///
    /// # Errors
    /// [`PretrainedError::Unknown`], [`PretrainedError::Folder`] or
    /// [`PretrainedError::NotPublished`].
    pub fn find(model: impl AsRef<Path>) -> Result<Self, PretrainedError> {
        let model = model.as_ref();
        let is_folder = model.is_dir();
        if !is_folder && model.exists() {
            return Ok(Self::File(model.to_owned()));
        }
        match model.to_str().and_then(|name| name.parse().ok()) {
            Some(name) => Self::named(name),
            None if is_folder => Err(PretrainedError::Folder { path: model.to_owned() }),
            None => Err(PretrainedError::Unknown { model: model.to_owned() }),
        }
    }

    /// Returns the published model of that name, whatever files there are.
    ///
    /// # Errors
    /// [`PretrainedError::NotPublished`] for the micro model in another generation than 2.1.
    pub fn named(name: ModelName) -> Result<Self, PretrainedError> {
        let version = name.version.unwrap_or(ModelVersion::V2_1);
        match (name.variant, version) {
            (Variant::Micro, ModelVersion::V2_1) => Ok(Self::Micro),
            (variant, version) => Release::official(variant, version)
                .map(Self::Release)
                .ok_or(PretrainedError::NotPublished { name }),
        }
    }

    /// Returns the weights if they are on this machine, and downloads nothing. Downloads are looked
    /// for in `cache`, or in the [default folder](cache_folder).
    ///
    /// # Errors
    /// [`PretrainedError::NotDownloaded`], [`PretrainedError::NoCacheFolder`].
    pub fn local(&self, cache: Option<&Path>) -> Result<LocalWeights, PretrainedError> {
        let release = match self {
            Self::File(path) => return Ok(LocalWeights::file_of(path.clone(), None)),
            Self::Micro => return Ok(LocalWeights::micro()),
            Self::Release(release) => release,
        };
        let cache = cache.map_or_else(cache_folder, |cache| Ok(cache.to_owned()))?;
        let path = cache.join(release.converted_file());
        if !path.exists() {
            let (model, command) = (release.model_name(), release.download_command());
            return Err(PretrainedError::NotDownloaded { model, path, command });
        }
        Ok(LocalWeights::file_of(path, official_config(release)))
    }

    /// Returns the weights after downloading them, if that has not been done before; see
    /// [`download`]. Nothing is downloaded for a file or the demonstration model.
    ///
    /// # Errors
    /// [`PretrainedError::Download`].
    pub fn fetch(
        &self,
        options: &DownloadOptions,
        observer: &mut dyn FnMut(DownloadProgress),
    ) -> Result<LocalWeights, PretrainedError> {
        match self {
            Self::Release(release) => {
                let downloaded = download(release, options, observer)?;
                Ok(LocalWeights::file_of(downloaded.path, official_config(release)))
            }
            _ => self.local(Some(&options.cache)),
        }
    }
}

/// Returns the configuration that an official release has.
fn official_config(release: &Release) -> Option<Sam2Config> {
    Release::all().find(|(_, official)| official.sha256 == release.sha256).map(|(config, _)| config)
}
