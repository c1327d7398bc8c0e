//! `sam2 legacy-pipeline`: translates the arguments of the lab's Python scripts to `sam2 segment`.
//!
//! The scripts' long options have one dash (`-video_path`), which clap does not support, so they
//! get a second dash before clap parses them. Where the two scripts differ, the behaviour of the
//! script for the given kind of recording applies.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::args::{Command, LegacyPipelineArgs};
use crate::command_line::{description, parse_with};
use crate::exit::ExitStatus;
use crate::segment;
use crate::settings::Settings;

/// Default batch size of the script that reads videos.
const BATCH_OF_VIDEO: usize = 100;
/// Default batch size of the script that reads stacks.
const BATCH_OF_STACK: usize = 400;
/// File names of the checkpoint that the scripts load from the folder of the official code, the
/// converted one first.
const CHECKPOINTS: [&str; 2] = ["sam2_hiera_large.safetensors", "sam2_hiera_large.pt"];
/// Folders in `-SAM2_path` that may hold checkpoints.
const CHECKPOINT_FOLDERS: [&str; 2] = ["checkpoints", ""];

/// Runs `sam2 segment` with equivalent arguments.
pub fn run(args: &LegacyPipelineArgs, settings: &Settings, quiet: bool) -> Result<ExitStatus> {
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    let mut arguments = translated(args, visible.as_deref())?;
    let cli = match parse_with(settings, &description(), &arguments) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let Command::Segment(mut segment_args) = cli.command else {
        bail!("what follows -- must be options of `sam2 segment`");
    };
    // The scripts have no threshold. A threshold from the settings or after `--` is the user's own.
    if segment_args.prompts.min_likelihood.is_none() {
        segment_args.prompts.min_likelihood = Some(0.0);
        arguments.insert(2, "--min-likelihood=0".into());
    }
    let shown: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    tracing::debug!("{}", shown.join(" "));
    if let Some(folder) = args.output_file_path.parent().filter(|path| !path.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
    }
    segment::run(&segment_args, quiet)
}

/// Returns the equivalent command line of `sam2 segment`. `visible` is the value of
/// `CUDA_VISIBLE_DEVICES`.
fn translated(args: &LegacyPipelineArgs, visible: Option<&str>) -> Result<Vec<OsString>> {
    let (recording, batch_size) = match (&args.video_path, &args.tiff_path) {
        (Some(video), _) => (video, BATCH_OF_VIDEO),
        (None, Some(stack)) => (stack, BATCH_OF_STACK),
        (None, None) => bail!("give -video_path or -tiff_path"),
    };
    let mut all: Vec<OsString> = vec!["sam2".into(), "segment".into()];
    all.push(joined("--output=", &args.output_file_path));
    all.push("--overwrite".into());
    // As the scripts wrote it.
    let is_given = |word: &OsString| word.to_string_lossy().starts_with("--compression");
    if !args.more.iter().any(is_given) {
        all.push("--compression=none".into());
    }
    all.push(joined("--keypoints=", &args.dlc_csv_file_path));
    all.push(joined("--bodyparts=", args.column_names.join(",")));
    all.push(format!("--batch-size={}", args.batch_size.unwrap_or(batch_size)).into());
    if args.downsample_factor != 0.0 {
        all.push(format!("--downsample-factor={}", args.downsample_factor).into());
    }
    if let Some(path) = &args.sam2_path {
        all.push(joined("--model=", checkpoint(path)?));
    }
    if let Some(device) = &args.device {
        all.push(format!("--device={}", device_name(device, visible)).into());
    }
    all.extend(args.more.iter().cloned());
    all.extend(["--".into(), recording.into()]);
    Ok(all)
}

/// Returns the checkpoint itself, or the one found in the folder of the official code.
fn checkpoint(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let folders = CHECKPOINT_FOLDERS.map(|folder| path.join(folder));
    let named = folders.iter().flat_map(|folder| CHECKPOINTS.map(|name| folder.join(name)));
    if let Some(found) = named.into_iter().find(|file| file.is_file()) {
        return Ok(found);
    }
    // Another checkpoint is used only if it is the only one.
    let mut others: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| {
            let ending = file.extension().and_then(OsStr::to_str);
            file.is_file() && matches!(ending, Some("pt" | "safetensors"))
        })
        .collect();
    others.sort();
    match others.as_slice() {
        [only] => Ok(only.clone()),
        [] => bail!(
            "there is no checkpoint in '{}': expected '{}' (`sam2 download large-2.0` fetches it)",
            path.display(),
            path.join("checkpoints/sam2_hiera_large.pt").display()
        ),
        several => bail!(
            "'{}' holds several checkpoints, but no sam2_hiera_large.pt: name one of them, such as '{}'",
            path.display(),
            several[0].display()
        ),
    }
}

/// Translates a device to `--device` of `segment`. The scripts take a value of
/// `CUDA_VISIBLE_DEVICES` and run on the first of those GPUs, or on the CPU if there is none.
fn device_name(device: &str, visible: Option<&str>) -> String {
    let first = device.split(',').next().unwrap_or_default().trim();
    let is_gpu =
        first.parse::<usize>().is_ok() || first.starts_with("GPU-") || first.starts_with("MIG-");
    if !is_gpu {
        return device.to_owned();
    }
    // The visible GPUs are counted from 0.
    let position = match visible {
        Some(list) => list.split(',').position(|name| name.trim() == first),
        None => first.parse().ok(),
    };
    match position {
        None | Some(0) => "auto".to_owned(),
        Some(position) => format!("cuda:{position}"),
    }
}

fn joined(start: &str, end: impl AsRef<OsStr>) -> OsString {
    let mut all = OsString::from(start);
    all.push(end);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_counted_among_the_visible_ones() {
        for (device, visible, expected) in [
            ("cpu", None, "cpu"),
            ("cuda", None, "cuda"),
            ("cuda:1", Some("3,4"), "cuda:1"),
            ("0", None, "auto"),
            ("2", None, "cuda:2"),
            ("2", Some("2"), "auto"),
            ("2,3", Some("2,3"), "auto"),
            ("3", Some("2,3"), "cuda:1"),
            ("7", Some("2,3"), "auto"),
            ("GPU-a1", Some("GPU-a1"), "auto"),
            ("GPU-a1", None, "auto"),
            ("nonsense", None, "nonsense"),
        ] {
            assert_eq!(device_name(device, visible), expected, "{device} of {visible:?}");
        }
    }

    #[test]
    fn the_checkpoint_is_the_scripts_own_or_the_only_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let found = || checkpoint(folder.path());
        assert!(found().unwrap_err().to_string().contains("checkpoints/sam2_hiera_large.pt"));
        std::fs::create_dir(path("checkpoints")).unwrap();
        std::fs::write(path("mine.pt"), "").unwrap();
        assert_eq!(found().unwrap(), path("mine.pt"));
        std::fs::write(path("checkpoints/sam2.1_hiera_tiny.pt"), "").unwrap();
        assert!(found().unwrap_err().to_string().contains("several checkpoints"));
        std::fs::write(path("checkpoints/sam2_hiera_large.pt"), "").unwrap();
        assert_eq!(found().unwrap(), path("checkpoints/sam2_hiera_large.pt"));
        assert_eq!(checkpoint(&path("other.pt")).unwrap(), path("other.pt"));
    }
}
