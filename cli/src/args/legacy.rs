//! `sam2 legacy-pipeline`: the arguments of the lab's Python scripts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap::builder::StringValueParser;

use super::words::{DEVICES, offering};

/// How the command is called. clap's own line is longer than a screen is wide.
pub const USAGE: &str = "\
sam2 legacy-pipeline <-video_path FILE | -tiff_path PATH>
           -output_file_path FILE -DLC_csv_file_path FILE
           -column_names NAMES... [OPTIONS] [-- OPTIONS...]";

/// What `--help` shows at its end.
pub const EXAMPLES: &str = "\
Long options may have one dash or two. An output that exists is replaced, and
its folder is made, as the scripts did. Options after -- go to `sam2 segment`
as they are.

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

/// `sam2 legacy-pipeline`.
#[derive(Debug, Args)]
pub struct LegacyPipelineArgs {
    /// The video.
    #[arg(long = "video_path", value_name = "FILE", required_unless_present = "tiff_path")]
    pub video_path: Option<PathBuf>,
    /// A TIFF or BigTIFF stack, or a folder that Micro-Manager wrote.
    ///
    /// -video_path or -tiff_path is needed.
    #[arg(
        long = "tiff_path",
        value_name = "PATH",
        conflicts_with = "video_path",
        help = "A TIFF stack, or a folder of Micro-Manager"
    )]
    pub tiff_path: Option<PathBuf>,
    /// The masks: a BigTIFF stack.
    #[arg(long = "output_file_path", value_name = "FILE")]
    pub output_file_path: PathBuf,
    /// The DeepLabCut track.
    #[arg(long = "DLC_csv_file_path", value_name = "FILE")]
    pub dlc_csv_file_path: PathBuf,
    /// Body parts, separated by commas or spaces.
    #[arg(long = "column_names", value_name = "NAMES", num_args = 1.., required = true)]
    pub column_names: Vec<String>,
    /// The folder of the official code, or a checkpoint [default: as `sam2 segment`].
    ///
    /// In the folder, checkpoints/sam2_hiera_large.pt is used.
    #[arg(
        long = "SAM2_path",
        value_name = "PATH",
        help = "The official code's folder or a checkpoint"
    )]
    pub sam2_path: Option<PathBuf>,
    /// Frames per batch.
    ///
    /// [default: 100 with -video_path, 400 with -tiff_path]
    #[arg(long = "batch_size", value_name = "N", help = "Frames per batch [default: 100 or 400]")]
    pub batch_size: Option<usize>,
    /// Multiply the track's coordinates: it was made on a video smaller by this factor.
    ///
    /// 0 = it was not.
    #[arg(
        long = "downsample_factor",
        value_name = "F",
        default_value_t = 0.0,
        help = "Multiply the track"
    )]
    pub downsample_factor: f32,
    /// cpu, cuda, cuda:N, or a GPU as CUDA_VISIBLE_DEVICES names it, such as 0.
    ///
    /// [default: a GPU, or else the CPU]
    #[arg(
        long,
        value_name = "DEVICE",
        help = "cpu, cuda, cuda:N, or a GPU such as 0",
        value_parser = offering(StringValueParser::new(), DEVICES),
        hide_possible_values = true
    )]
    pub device: Option<String>,
    /// No effect.
    ///
    /// Frames are read when needed in any case.
    #[arg(long = "use_lazy_video")]
    pub use_lazy_video: bool,
    /// No effect.
    ///
    /// Frames are read when needed in any case.
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
            let mut dashed = OsString::from("-");
            dashed.push(&*argument);
            *argument = dashed;
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
}
