//! `sam2 merge`, `sam2 report` and `sam2 score`.

use std::path::PathBuf;
use std::str::FromStr as _;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, ValueHint};

use sam2_frame_provider::{Axes, Intensity};

use super::frames::FrameArgs;
use super::outputs::{OutputArg, StyleArgs};
use super::words::{INTENSITIES, offering};

/// `sam2 merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Run files that together hold every frame once, in any order.
    #[arg(required = true, value_name = "PART.sam2run")]
    pub parts: Vec<PathBuf>,
    /// Where results go, as for `sam2 segment`.
    #[arg(
        short,
        long,
        value_name = "[FORMAT:]PATH",
        required = true,
        value_parser = OsStringValueParser::new().map(OutputArg::from),
        value_hint = ValueHint::FilePath
    )]
    pub output: Vec<OutputArg>,
    /// The recording, for outputs that show its pictures; with --join, once for each file.
    #[arg(long, value_name = "FILE")]
    pub recording: Vec<PathBuf>,
    /// Take the video files as one recording, in the given order.
    ///
    /// Files that one pattern matches are in the order of a folder of videos, as for `sam2 segment`.
    #[arg(long, requires = "recording")]
    pub join: bool,
    /// Take the first run file as the whole, and the others as batches of it that were computed again, with other prompts: they take
    /// the place of those frames.
    #[arg(long, help = "The later files replace batches of the first")]
    pub replace: bool,
    /// Accept parts that were computed on different kinds of processors or devices.
    ///
    /// Their masks differ in a few pixels, since kernels round differently.
    #[arg(long)]
    pub mixed_processors: bool,
    /// How results are written.
    #[command(flatten)]
    pub style: StyleArgs,
    /// How its frames are read.
    #[command(flatten)]
    pub frames: FrameArgs,
}

/// `sam2 report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A run file (.sam2run), finished or not.
    pub run: PathBuf,
    /// The page to write (.html).
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The recording, for its pictures; with --join, once for each file [default: the one of the run's name, next to the run file or
    /// in the working folder].
    #[arg(long, value_name = "PATH")]
    pub recording: Vec<PathBuf>,
    /// Take the video files as one recording, in the given order.
    ///
    /// Files that one pattern matches are in the order of a folder of videos, as for `sam2 segment`.
    #[arg(long, requires = "recording")]
    pub join: bool,
    /// Statistics of the run (what --stats of `sam2 segment` wrote), to be shown too.
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
    /// Replace a page that exists.
    #[arg(long)]
    pub overwrite: bool,
    /// How samples become 8-bit, as for `sam2 segment` [default: as in the run].
    #[arg(
        long,
        value_name = "RANGE",
        value_parser = offering(Intensity::from_str, INTENSITIES),
        hide_possible_values = true,
        allow_hyphen_values = true
    )]
    pub intensity: Option<Intensity>,
    /// Which images of a recording with several axes are its frames, as for `sam2 segment` [default: as in the run].
    #[arg(long, value_name = "AXES")]
    pub axes: Option<Axes>,
    /// Which video stream of a file with several, as for `sam2 segment` [default: as in the run].
    #[arg(long, value_name = "N")]
    pub stream: Option<usize>,
}

/// `sam2 score`.
#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// Masks to judge: a TIFF or BigTIFF stack.
    pub masks: PathBuf,
    /// True masks, the same number of pages of the same size.
    pub truth: PathBuf,
}
