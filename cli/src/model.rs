//! Which weights `--model` means.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use sam2_engine::{DeviceChoice, Precision, Sam2};
use sam2_model::{LoadError, ModelName, Variant};
use sam2_weights_convert::{Checkpoint, DigestCheck, DigestRecord, Release, check_digest};

use crate::convert::parse_config;
use crate::{demo_model, foresight, preflight};

/// Loads a weights file, a downloaded model by its name, or the built-in one; returns it with the name of the device that it is on.
pub fn load(
    model: Option<&Path>,
    config: Option<&str>,
    device: DeviceChoice,
    precision: Precision,
) -> Result<(Sam2, String)> {
    let config = config.map(parse_config).transpose()?;
    let (device, name) = device.open()?;
    // Before the weights are read: what the device cannot do shows at once.
    precision.on(&device)?;
    let path = model.map(find).transpose()?;
    if let (Some(path), Some(given)) = (&path, model) {
        foresight::check_weights(path)?;
        let is_recorded = verify(path)?;
        if !is_recorded && path != given {
            tracing::warn!(
                "'{}' has no record of its SHA-256 next to it, so it is used without a check; to have one, remove it and fetch it \
                 again with `sam2 download {}`",
                path.display(),
                given.display()
            );
        }
    }
    let model = match path {
        None => {
            tracing::warn!("{}", demo_model::NOTICE);
            Sam2::from_bytes(demo_model::WEIGHTS, "the built-in model", None, &device)?
        }
        Some(path) => match Sam2::load_with(&path, config.clone(), &device) {
            Ok(model) => model,
            Err(error) => {
                let Some(bytes) = converted(&path, &error) else { return Err(error.into()) };
                Sam2::from_bytes(&bytes?, &path.display().to_string(), config, &device)?
            }
        },
    };
    let model = model.with_precision(precision)?;
    tracing::info!("{} on {name} in {}", model.config(), model.precision());
    Ok((model, name))
}

/// Files that this process has compared with their records.
static VERIFIED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Compares weights with the record of their SHA-256 that `sam2 download` left next to them; returns whether there is one.
///
/// # Errors
/// If they are not what was written, with the command that fetches them again.
fn verify(path: &Path) -> Result<bool> {
    let known = || VERIFIED.lock().unwrap_or_else(PoisonError::into_inner);
    if known().iter().any(|verified| verified == path) {
        return Ok(true);
    }
    let reading = |bytes: u64| {
        tracing::info!(
            "computing the SHA-256 of '{}' ({:.0} MB), which is new or has changed since it was last checked",
            path.display(),
            bytes as f64 / 1e6
        );
    };
    let checked = check_digest(path, false, reading)
        .with_context(|| format!("--model: '{}' cannot be read", path.display()))?;
    match checked {
        DigestCheck::Good(_) => {
            known().push(path.to_owned());
            Ok(true)
        }
        DigestCheck::Differs { record, reason } => Err(damaged(path, &record, &reason)),
        _ => Ok(false),
    }
}

/// Says that weights are not what `sam2 download` wrote, and how to get them again.
pub fn damaged(path: &Path, record: &DigestRecord, reason: &str) -> anyhow::Error {
    let official = Release::all().find(|(_, release)| release.sha256 == record.source_sha256);
    let name =
        official.and_then(|(config, _)| Some(format!("{}-{}", config.variant()?, config.version)));
    let command = match name {
        Some(name) => format!("`sam2 download {name}`"),
        None => "`sam2 download` with its --url and --sha256".to_owned(),
    };
    anyhow!(
        "'{}' is not what was downloaded, it is damaged or was replaced: {reason}; fetch it again with {command}",
        path.display()
    )
}

/// Finds the file that `--model` means: one of that name, else the downloaded model of that name.
pub fn find(model: &Path) -> Result<PathBuf> {
    if model.exists() {
        preflight::regular("--model", model)?;
        return Ok(model.to_owned());
    }
    let Some(name) = model.to_str().and_then(|name| name.parse::<ModelName>().ok()) else {
        return Err(unknown(model));
    };
    let config = name.config();
    let variant = config.variant().filter(|variant| *variant != Variant::Micro);
    let release = variant.and_then(|variant| Release::official(variant, config.version));
    let (Some(variant), Some(release)) = (variant, release) else {
        bail!("the micro model is the built-in one: leave --model out");
    };
    let path = cache_folder(None)?.join(release.converted_file());
    if !path.exists() {
        bail!(
            "{variant} {0} is not here yet ('{1}'): fetch it with `sam2 download {variant}-{0}`, or give a file",
            config.version,
            path.display()
        );
    }
    Ok(path)
}

/// Says that a model is neither a file nor a known name.
fn unknown(model: &Path) -> anyhow::Error {
    let name = model.display().to_string();
    let is_path = model.components().count() > 1 || model.extension().is_some();
    let alike = |known: &&&str| strsim::jaro(known, &name.to_lowercase()) > 0.7;
    let names = ["tiny", "small", "base-plus", "large"];
    match names.iter().find(alike) {
        Some(known) if !is_path => {
            anyhow!("--model: '{name}' is neither a file nor a model; did you mean {known}?")
        }
        _ => anyhow!(
            "--model: '{name}': no such file; check the spelling, or name a downloaded model: {}, with an optional -2.0",
            names.join(", ")
        ),
    }
}

/// Checks everything about a model that shows before its weights are read: name, configuration, device and precision.
pub fn check(
    model: Option<&Path>,
    config: Option<&str>,
    device: DeviceChoice,
    precision: Precision,
) -> Result<()> {
    if let Some(path) = model.map(find).transpose()? {
        verify(&path)?;
    }
    config.map(parse_config).transpose()?;
    let (device, _) = device.open()?;
    precision.on(&device)?;
    Ok(())
}

/// The weights under official names, where that is all that a file of another layout lacks.
fn converted(path: &Path, error: &LoadError) -> Option<Result<Vec<u8>>> {
    if !matches!(error, LoadError::NotSafetensors { .. } | LoadError::UnknownVariant { .. }) {
        return None;
    }
    let checkpoint = match Checkpoint::read(path) {
        Ok(checkpoint) => checkpoint,
        Err(error) if Checkpoint::is_archive(path) => return Some(Err(error.into())),
        // The first error says more.
        Err(_) => return None,
    };
    tracing::info!(
        "{}: {}; `sam2 convert` makes a file that loads faster",
        path.display(),
        checkpoint.layout
    );
    Some(checkpoint.to_safetensors().map_err(anyhow::Error::from))
}

/// Where downloads are kept: the folder given, `SAM2_CACHE`, or `sam2` in the user's cache folder (XDG).
pub fn cache_folder(given: Option<&Path>) -> Result<PathBuf> {
    use etcetera::BaseStrategy;
    if let Some(folder) = given {
        return Ok(folder.to_owned());
    }
    if let Some(folder) = std::env::var_os("SAM2_CACHE").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let strategy = etcetera::choose_base_strategy().map_err(|_| {
        anyhow!("there is no home folder to keep downloads in: name one with SAM2_CACHE")
    })?;
    Ok(strategy.cache_dir().join("sam2"))
}
