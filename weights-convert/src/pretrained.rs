//! Models by name: downloaded, verified, converted and loaded in one call.

use std::path::Path;

use sam2_model::{Device, Sam2};

use crate::download::{DownloadOptions, DownloadProgress};
use crate::pretrained_error::PretrainedError;
use crate::source::ModelSource;

/// Loads pretrained models. It is a trait because [`Sam2`] belongs to a crate that downloads nothing.
///
/// ```no_run
/// use sam2_model::{DeviceChoice, Sam2};
/// use sam2_weights_convert::FromPretrained;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = DeviceChoice::Auto.open()?;
/// let model = Sam2::from_pretrained("large", &device)?;
/// # Ok(())
/// # }
/// ```
///
/// For a folder of your own, a bar that shows the progress, or a machine without internet, take the
/// steps one by one:
///
/// ```no_run
/// use sam2_model::DeviceChoice;
/// use sam2_weights_convert::{DownloadOptions, DownloadProgress, ModelSource};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let options = DownloadOptions::new("models");
/// let weights = ModelSource::find("large")?.fetch(&options, &mut |progress| {
///     if let DownloadProgress::Receiving { received, total: Some(total) } = progress {
///         println!("{received} of {total} bytes");
///     }
/// })?;
/// weights.verify(|bytes| println!("reading {bytes} bytes"))?;
/// let model = weights.load(None, &DeviceChoice::Auto.open()?)?;
/// # Ok(())
/// # }
/// ```
pub trait FromPretrained: Sized {
    /// Loads the model that `model` means: a weights file of that path if there is one, otherwise the
    /// published model of that name.
    ///
    /// | `model` | what is loaded |
    /// |---|---|
    /// | `large`, `tiny-2.0` | the official checkpoint; without a generation, that of SAM 2.1 |
    /// | `sam2.1_hiera_large`, `sam2_hiera_t.yaml` | the same, by Meta's names |
    /// | `facebook/sam2.1-hiera-large` | the same, by Hugging Face's names |
    /// | `micro` | this project's demonstration model, with the feature `micro` |
    /// | a path | Meta's `.pt`, or safetensors with Meta's or Hugging Face's names |
    ///
    /// A checkpoint is downloaded once, from Meta's server or the mirror that `SAM2_BASE_URL` names. It
    /// is compared with the SHA-256 of the release, converted, and kept in [`cache_folder`], where
    /// `sam2 download` and `sam2 segment --model` keep and find it too. Progress and warnings go to
    /// `tracing`.
    ///
    /// [`cache_folder`]: crate::cache_folder
    ///
    /// # Errors
    /// [`PretrainedError`]. What has arrived of a download is kept, and the next call continues it.
    fn from_pretrained(model: impl AsRef<Path>, device: &Device) -> Result<Self, PretrainedError>;
}

impl FromPretrained for Sam2 {
    fn from_pretrained(model: impl AsRef<Path>, device: &Device) -> Result<Self, PretrainedError> {
        let source = ModelSource::find(model)?;
        let weights = match &source {
            ModelSource::Release(release) => {
                let options = DownloadOptions::from_environment()?;
                let mut is_receiving = false;
                source.fetch(&options, &mut |progress| {
                    log(&release.file, &progress, &mut is_receiving);
                })?
            }
            _ => source.local(None)?,
        };
        weights.verify(|bytes| tracing::info!("computing the SHA-256 of {bytes} bytes"))?;
        weights.load(None, device)
    }
}

/// Logs what a user who waits should know.
fn log(file: &str, progress: &DownloadProgress, is_receiving: &mut bool) {
    match progress {
        DownloadProgress::Waiting => {
            tracing::info!("another process is downloading {file}: waiting for that");
        }
        DownloadProgress::Receiving { received, total } => {
            if !std::mem::replace(is_receiving, true) {
                let megabytes = |bytes: u64| bytes as f64 / 1e6;
                let total =
                    total.map_or_else(String::new, |all| format!(" of {:.0}", megabytes(all)));
                tracing::info!(
                    "downloading {file}: {:.0}{total} MB are here",
                    megabytes(*received)
                );
            }
        }
        DownloadProgress::Retrying { reason, pause } => {
            tracing::warn!("{file}: {reason}; trying again in {} s", pause.as_secs_f32());
        }
        DownloadProgress::Verifying => tracing::info!("verifying {file}"),
        DownloadProgress::Damaged { reason } => {
            tracing::warn!("the {file} of before is damaged: {reason}; downloading it again");
        }
        DownloadProgress::Converting => tracing::info!("converting {file} to safetensors"),
    }
}
