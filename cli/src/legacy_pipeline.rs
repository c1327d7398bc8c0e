//! `sam2 legacy-pipeline`: the arguments of the lab's Python scripts, in the words of `sam2 segment`.
//!
//! The scripts' long options have one dash (`-video_path`), which clap does not know, so they get a second one before it looks.
//! Where two scripts differ, the one that takes the given kind of recording counts.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::args::Command;
use crate::command_line::{description, parse_with};
use crate::exit::ExitStatus;
use crate::segment;
use crate::settings::Settings;

/// What `--help` shows at its end.
pub const EXAMPLES: &str = "\
Long options may have one dash or two. An output that exists is replaced and its
folder is made, as the scripts did. Frames are read when needed, as with
--use_lazy_video. What follows -- goes to `sam2 segment` as it is.

Examples:
  sam2 legacy-pipeline -video_path worm.avi -output_file_path worm.btf \\
      -DLC_csv_file_path wormDLC.csv -column_names pharynx neck \\
      -SAM2_path segment-anything-2 --batch_size 300 --downsample_factor 2
  sam2 legacy-pipeline -tiff_path track.tif -output_file_path mask.btf \\
      -DLC_csv_file_path track.csv -column_names pharynx,neck \\
      -SAM2_path segment-anything-2 --device ${CUDA_VISIBLE_DEVICES:-0} \\
      -- --contact-sheet mask.png";

/// The options with one dash.
const SINGLE_DASH: [&str; 6] = [
    "video_path",
    "tiff_path",
    "output_file_path",
    "DLC_csv_file_path",
    "column_names",
    "SAM2_path",
];
/// Frames per batch where the script that reads videos is not told.
const BATCH_OF_VIDEO: usize = 100;
/// The same for the script that reads stacks.
const BATCH_OF_STACK: usize = 400;
/// The checkpoint that the scripts load from the folder of the official code, and the same one converted.
const CHECKPOINTS: [&str; 2] = ["sam2_hiera_large.safetensors", "sam2_hiera_large.pt"];
/// Folders in `-SAM2_path` where checkpoints may be.
const CHECKPOINT_FOLDERS: [&str; 2] = ["checkpoints", ""];

/// `sam2 legacy-pipeline`.
#[derive(Debug, Args)]
pub struct LegacyPipelineArgs {
    /// The video.
    #[arg(long = "video_path", value_name = "FILE", required_unless_present = "tiff_path")]
    pub video_path: Option<PathBuf>,
    /// A TIFF or BigTIFF stack, or a folder that Micro-Manager wrote.
    #[arg(long = "tiff_path", value_name = "PATH", conflicts_with = "video_path")]
    pub tiff_path: Option<PathBuf>,
    /// The masks: a BigTIFF stack.
    #[arg(long = "output_file_path", value_name = "FILE")]
    pub output_file_path: PathBuf,
    /// The DeepLabCut track.
    #[arg(long = "DLC_csv_file_path", value_name = "FILE")]
    pub dlc_csv_file_path: PathBuf,
    /// Body parts, with commas or spaces between them.
    #[arg(long = "column_names", value_name = "NAMES", num_args = 1.., required = true)]
    pub column_names: Vec<String>,
    /// The folder of the official code (its checkpoints/sam2_hiera_large.pt is used), or a checkpoint [default: as `segment`].
    #[arg(long = "SAM2_path", value_name = "PATH")]
    pub sam2_path: Option<PathBuf>,
    /// Frames per batch [default: 100 with -video_path, 400 with -tiff_path].
    #[arg(long = "batch_size", value_name = "N")]
    pub batch_size: Option<usize>,
    /// The track was made on a video smaller by this factor; 0: it was not.
    #[arg(long = "downsample_factor", value_name = "F", default_value_t = 0.0)]
    pub downsample_factor: f32,
    /// cpu, cuda, cuda:N, or GPUs as CUDA_VISIBLE_DEVICES names them, such as 0 [default: a GPU, or else the CPU].
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Frames are read when needed in any case.
    #[arg(long = "use_lazy_video")]
    pub use_lazy_video: bool,
    /// The same.
    #[arg(long = "use_image_arrays")]
    pub use_image_arrays: bool,
    /// More options, for `sam2 segment`.
    #[arg(last = true, value_name = "OPTIONS")]
    pub more: Vec<OsString>,
}

/// Gives the scripts' options their second dash, if the command line is one of theirs.
pub fn with_double_dashes(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let Some(command) = position(&arguments) else { return arguments };
    for argument in &mut arguments[command + 1..] {
        if argument == "--" {
            break;
        }
        let name = argument.to_str().and_then(|text| text.strip_prefix('-'));
        let name = name.map(|text| text.split_once('=').map_or(text, |(name, _)| name));
        if name.is_some_and(|name| SINGLE_DASH.contains(&name)) {
            *argument = joined("-", &*argument);
        }
    }
    arguments
}

/// Where the command's name stands, if it is this one.
fn position(arguments: &[OsString]) -> Option<usize> {
    let mut index = 1;
    while let Some(argument) = arguments.get(index) {
        match argument.as_encoded_bytes() {
            b"legacy-pipeline" => return Some(index),
            // The one option before a command that takes a value.
            b"--config-file" => index += 2,
            [b'-', ..] => index += 1,
            _ => return None,
        }
    }
    None
}

/// Runs `sam2 segment` with the same meaning.
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
    // The scripts have no threshold. One in the settings, or behind --, is the user's own.
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

/// The command line of `sam2 segment`; `visible` is `CUDA_VISIBLE_DEVICES`.
fn translated(args: &LegacyPipelineArgs, visible: Option<&str>) -> Result<Vec<OsString>> {
    let (recording, batch_size) = match (&args.video_path, &args.tiff_path) {
        (Some(video), _) => (video, BATCH_OF_VIDEO),
        (None, Some(stack)) => (stack, BATCH_OF_STACK),
        (None, None) => bail!("give -video_path or -tiff_path"),
    };
    let mut all: Vec<OsString> = vec!["sam2".into(), "segment".into()];
    all.push(joined("--output=", &args.output_file_path));
    all.push("--overwrite".into());
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

/// A checkpoint, or the one in the folder of the official code.
fn checkpoint(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let folders = CHECKPOINT_FOLDERS.map(|folder| path.join(folder));
    let named = folders.iter().flat_map(|folder| CHECKPOINTS.map(|name| folder.join(name)));
    if let Some(found) = named.into_iter().find(|file| file.is_file()) {
        return Ok(found);
    }
    // Another model is taken only where there is no choice.
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

/// A device in the words of `segment`. The scripts are given what `CUDA_VISIBLE_DEVICES` holds, and run on the first of
/// those GPUs, or on the CPU if there is none.
fn device_name(device: &str, visible: Option<&str>) -> String {
    let first = device.split(',').next().unwrap_or_default().trim();
    let is_gpu =
        first.parse::<usize>().is_ok() || first.starts_with("GPU-") || first.starts_with("MIG-");
    if !is_gpu {
        return device.to_owned();
    }
    // Among the visible ones GPUs are counted from 0.
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

    fn dashes(arguments: &[&str]) -> Vec<String> {
        let all = with_double_dashes(arguments.iter().map(OsString::from).collect());
        all.into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn only_known_options_of_this_command_get_a_second_dash() {
        let typed = [
            "sam2",
            "-v",
            "legacy-pipeline",
            "-video_path",
            "-a",
            "-SAM2_path=x",
            "--",
            "-tiff_path",
        ];
        let expected = [
            "sam2",
            "-v",
            "legacy-pipeline",
            "--video_path",
            "-a",
            "--SAM2_path=x",
            "--",
            "-tiff_path",
        ];
        assert_eq!(dashes(&typed), expected);
        let set = ["sam2", "--config-file", "a.toml", "legacy-pipeline", "-column_names"];
        assert_eq!(dashes(&set).last().unwrap(), "--column_names");
        for other in [&["sam2", "segment", "legacy-pipeline", "-video_path"][..], &["sam2"], &[]] {
            assert_eq!(dashes(other), other);
        }
        let twice: Vec<String> = dashes(&typed);
        let again: Vec<&str> = twice.iter().map(String::as_str).collect();
        assert_eq!(dashes(&again), twice, "two dashes are left as they are");
    }

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
