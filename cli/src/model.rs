//! Which weights `--model` means.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use sam2_engine::{DeviceChoice, Precision, Sam2};
use sam2_model::{LoadError, ModelName, Sam2Config, Variant};
use sam2_weights_convert::{Checkpoint, DigestCheck, DigestRecord, Release, check_digest};

use crate::convert::parse_config;
use crate::{demo_model, foresight, kernel_watch, preflight};

/// Loads a weights file, a downloaded model by its name, or the built-in one; returns it with the name of the device that it is on.
pub fn load(
    given: Option<&Path>,
    config: Option<&str>,
    device: DeviceChoice,
    precision: Precision,
) -> Result<(Sam2, String)> {
    let config = config.map(parse_config).transpose()?;
    let (device, name) = device.open()?;
    if name != DeviceChoice::Cpu.to_string() {
        kernel_watch::start();
    }
    // Before the weights are read: what the device cannot do shows at once.
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
    let model = model.with_precision(precision)?;
    tracing::info!("{} on {name} in {}", model.config(), model.precision());
    Ok((model, name))
}

/// Says which weights are not compared with a record of their SHA-256, and where a file hides the model of its name.
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

/// The model that `--model` names, if it is a name and no file.
fn named(given: Option<&Path>) -> Option<ModelName> {
    given.filter(|given| !given.is_file())?.to_str()?.parse().ok()
}

/// Whether it is a name as a user types it, rather than a path or a file's name.
fn is_model_name(given: &Path) -> bool {
    let has_ending = given.extension().is_some_and(|ending| {
        ["pt", "safetensors", "yaml"].iter().any(|known| ending.eq_ignore_ascii_case(known))
    });
    given.components().count() == 1
        && !has_ending
        && !given.to_string_lossy().starts_with('.')
        && given.to_str().is_some_and(|name| name.parse::<ModelName>().is_ok())
}

/// Refuses weights in the place of a downloaded model that are, by their tensors, another one.
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

/// Finds the file that `--model` means: one of that name, else the downloaded model of that name. A folder is neither.
pub fn find(model: &Path) -> Result<PathBuf> {
    let is_folder = model.is_dir();
    if model.exists() && !is_folder {
        preflight::regular("--model", model)?;
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
