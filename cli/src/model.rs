//! Finds, checks and loads the weights that `--model` means.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use sam2_engine::{DeviceChoice, Sam2};
use sam2_model::{LoadError, ModelName, Sam2Config, Variant};
use sam2_weights_convert::{Checkpoint, DigestCheck, DigestRecord, Release, check_digest};

use crate::alike::closest;
use crate::args::{MODELS, ModelArgs};
use crate::convert::parse_config;
use crate::{demo_model, foresight, kernel_watch, typed_files};

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
    let path = given.map(find).transpose()?;
    let model_file = path.clone();
    if let (Some(path), Some(given)) = (&path, given) {
        foresight::check_weights(path)?;
        let is_recorded = verify(path)?;
        tell_record(path, given, is_recorded);
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
    if let (Some(path), Some(name)) = (model_file, named(given)) {
        check_variant(name, &path, model.config())?;
    }
    let mut model = model.with_precision(precision)?;
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

/// Returns the model that `--model` names, or `None` if it is a file or an unknown name.
fn named(given: Option<&Path>) -> Option<ModelName> {
    given.filter(|given| !given.is_file())?.to_str()?.parse().ok()
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

/// Refuses weights that, by their tensors, are a different model from the one that was requested by
/// name.
fn check_variant(name: ModelName, path: &Path, found: &Sam2Config) -> Result<()> {
    let wanted = name.config();
    if (wanted.variant(), wanted.version) == (found.variant(), found.version) {
        return Ok(());
    }
    let text = |config: &Sam2Config| {
        format!(
            "{}-{}",
            config.variant().map_or("custom", |variant| variant.name()),
            config.version
        )
    };
    bail!(
        "'{}' holds the model {}, not {}, which it is named after: remove it and fetch the right one with `sam2 download {}`, or give the file \
         to use by its path",
        path.display(),
        text(found),
        text(&wanted),
        text(&wanted),
    )
}

/// Files that this process has already compared with their records.
static VERIFIED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Compares weights with the record of their SHA-256 that `sam2 download` saved next to them.
/// Returns whether a record exists.
///
/// # Errors
/// Fails if the weights have changed since; the message gives the command that downloads them
/// again.
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

/// Returns an error: the weights differ from what `sam2 download` wrote. It says how to download
/// them again.
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

/// Finds the file that `--model` means: a file of that name, otherwise the downloaded model of that
/// name. A folder does not count as a file.
pub fn find(model: &Path) -> Result<PathBuf> {
    let is_folder = model.is_dir();
    if model.exists() && !is_folder {
        typed_files::regular("--model", model)?;
        return Ok(model.to_owned());
    }
    let Some(name) = model.to_str().and_then(|name| name.parse::<ModelName>().ok()) else {
        if is_folder {
            bail!("--model '{}' is a folder: give the weights file in it", model.display());
        }
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
    if let Some(path) = wanted.model.as_deref().map(find).transpose()? {
        verify(&path)?;
    }
    wanted.config.as_deref().map(parse_config).transpose()?;
    let device = wanted.device.open()?;
    wanted.precision.on(&device)?;
    Ok(())
}

/// Returns the weights under their official names, if the layout is the only reason why the file
/// could not be loaded.
fn converted(path: &Path, error: &LoadError) -> Option<Result<Vec<u8>>> {
    if !matches!(error, LoadError::NotSafetensors { .. } | LoadError::UnknownVariant { .. }) {
        return None;
    }
    let checkpoint = match Checkpoint::read(path) {
        Ok(checkpoint) => checkpoint,
        Err(error) if Checkpoint::is_archive(path) => return Some(Err(error.into())),
        // The error of the first attempt says more.
        Err(_) => return None,
    };
    tracing::info!(
        "{}: {}; `sam2 convert` makes a file that loads faster",
        path.display(),
        checkpoint.layout
    );
    Some(checkpoint.to_safetensors().map_err(anyhow::Error::from))
}

/// Returns the folder for downloads: the given one, `SAM2_CACHE`, or `sam2` in the user's cache
/// folder (XDG).
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
