//! Finds, checks and loads the weights that `--model` means.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};
use sam2_engine::{DeviceChoice, Sam2};
use sam2_model::ModelName;
use sam2_weights_convert::{DigestRecord, LocalWeights, ModelSource, PretrainedError};

use crate::alike::closest;
use crate::args::{MODELS, ModelArgs};
use crate::convert::parse_config;
use crate::{foresight, kernel_watch, typed_files};

/// Message that is logged when the built-in model is used because no other was named.
const NOTICE: &str = "using the built-in demonstration model (micro, trained on synthetic clips only); for real recordings \
     fetch an official checkpoint (`sam2 download large`) and name it (`--model large`)";

/// Loads a weights file, a downloaded model by its name, or the built-in model. Returns it with the
/// name of its device.
pub fn load(wanted: &ModelArgs) -> Result<(Sam2, String)> {
    let (given, precision) = (wanted.model.as_deref(), wanted.precision);
    let config = wanted.config.as_deref().map(parse_config).transpose()?;
    let (device, name) = wanted.device.open_named()?;
    if name != DeviceChoice::Cpu.to_string() {
        kernel_watch::start();
    }
    // Checked before the weights are read, so that an unsupported precision shows at once.
    precision.on(&device)?;
    let weights = match given {
        Some(given) => find(given)?,
        None => {
            tracing::warn!("{NOTICE}");
            ModelSource::Micro.local(None)?
        }
    };
    if let (Some(path), Some(given)) = (weights.file(), given) {
        foresight::check_weights(path)?;
        let is_recorded = verify(&weights)?;
        tell_record(path, given, is_recorded);
    }
    let mut model = weights.load(config, &device)?.with_precision(precision)?;
    if let Some(size) = wanted.image_size {
        model = model.with_image_size(size).with_context(|| {
            format!("--image-size {size} does not fit the model's windows: use a multiple of 32, such as 512 or 768")
        })?;
    }
    tracing::info!("{} on {name} in {}", model.config(), model.precision());
    Ok((model, name))
}

/// Warns if weights are not checked against a record of their SHA-256, and if a file hides the
/// model of the same name.
fn tell_record(path: &Path, given: &Path, is_recorded: bool) {
    let (file, name) = (path.display(), given.display());
    let is_name = path != given;
    if !is_name && is_model_name(given) {
        tracing::warn!(
            "--model {name} is taken as the file '{name}' that is in this folder, not as the model of that name: --model ./{name} \
             says so; for the model, remove or rename the file"
        );
    }
    if is_recorded {
        return;
    }
    match DigestRecord::problem(path) {
        Some(problem) => tracing::warn!(
            "'{file}' is used without a check, as {problem}; fetch it again with `sam2 download {}`",
            if is_name { given.to_string_lossy() } else { "MODEL".into() }
        ),
        None if is_name => tracing::warn!(
            "'{file}' has no record of its SHA-256 next to it, so it is used without a check; to have one, remove it and fetch it \
             again with `sam2 download {name}`"
        ),
        None => {}
    }
}

/// Returns whether `given` is a model's name as a user types it, rather than a path or a file name.
fn is_model_name(given: &Path) -> bool {
    let has_ending = given.extension().is_some_and(|ending| {
        ["pt", "safetensors", "yaml"].iter().any(|known| ending.eq_ignore_ascii_case(known))
    });
    given.components().count() == 1
        && !has_ending
        && !given.to_string_lossy().starts_with('.')
        && given.to_str().is_some_and(|name| name.parse::<ModelName>().is_ok())
}

/// Files that this process has already compared with their records.
static VERIFIED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Compares weights with the record of their SHA-256 that `sam2 download` saved next to them.
/// Returns whether a record exists.
///
/// # Errors
/// Fails if the weights have changed since; the message gives the command that downloads them
/// again.
fn verify(weights: &LocalWeights) -> Result<bool> {
    let Some(path) = weights.file() else { return Ok(true) };
    let known = || VERIFIED.lock().unwrap_or_else(PoisonError::into_inner);
    if known().iter().any(|verified| verified == path) {
        return Ok(true);
    }
    let is_recorded = weights.verify(|bytes| {
        tracing::info!(
            "computing the SHA-256 of '{}' ({:.0} MB), which is new or has changed since it was last checked",
            path.display(),
            bytes as f64 / 1e6
        );
    })?;
    if is_recorded {
        known().push(path.to_owned());
    }
    Ok(is_recorded)
}

/// Finds the weights that `--model` means: a file of that name, otherwise the downloaded model of
/// that name, or the built-in one. A folder does not count as a file.
fn find(model: &Path) -> Result<LocalWeights> {
    let source = ModelSource::find(model).map_err(|error| match error {
        PretrainedError::Unknown { model } => unknown(&model),
        PretrainedError::Folder { .. } => anyhow!("--model: {error}"),
        other => other.into(),
    })?;
    if let ModelSource::File(path) = &source {
        typed_files::regular("--model", path)?;
    }
    Ok(source.local(None)?)
}

/// Returns an error for a model that is neither a file nor a known name.
fn unknown(model: &Path) -> anyhow::Error {
    let name = model.display().to_string();
    let is_path = model.components().count() > 1
        || model.extension().is_some_and(|ending| ending != "0" && ending != "1");
    match closest(&name, MODELS.iter().copied()) {
        Some(known) if !is_path => {
            anyhow!("--model: '{name}' is neither a file nor a model; did you mean {known}?")
        }
        _ => anyhow!(
            "--model: '{name}': no such file; check the spelling, or name a downloaded model: tiny, small, base-plus, large, with an \
             optional -2.0"
        ),
    }
}

/// Checks everything about a model that can be checked before its weights are read: name,
/// configuration, device and precision.
pub fn check(wanted: &ModelArgs) -> Result<()> {
    if let Some(weights) = wanted.model.as_deref().map(find).transpose()? {
        verify(&weights)?;
    }
    wanted.config.as_deref().map(parse_config).transpose()?;
    let device = wanted.device.open()?;
    wanted.precision.on(&device)?;
    Ok(())
}
