//! `sam2 merge`, `sam2 report` and `sam2 score`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::TypedValueParser as _;

use sam2_frame_provider::{Axes, Intensity};

use super::frames::FrameArgs;
use super::outputs::{OutputArg, StyleArgs};

/// `sam2 merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Run files that together hold every frame once, in any order.
    #[arg(required = true, value_name = "PART.sam2run")]
    pub parts: Vec<PathBuf>,
    /// Where results go, as for `sam2 segment`.
    #[arg(short, long, value_name = "[FORMAT:]PATH", required = true, value_parser = clap::builder::OsStringValueParser::new().map(OutputArg::from))]
    pub output: Vec<OutputArg>,
    /// The recording, for outputs that show its pictures; given once for each file with --join.
    #[arg(long, value_name = "FILE")]
    pub recording: Vec<PathBuf>,
    /// The video files named are one recording, in the order given, as for segment; those that one pattern matches are in the order of
    /// a folder of videos.
    #[arg(long, requires = "recording")]
    pub join: bool,
    /// Accept parts that were computed on different kinds of processors or devices, whose masks differ in a few pixels.
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
    /// The recording, for its pictures; given once for each file with --join [default: one of the run's name next to the run file
    /// or in the working folder].
    #[arg(long, value_name = "PATH")]
    pub recording: Vec<PathBuf>,
    /// The video files named are one recording, in the order given, as for segment; those that one pattern matches are in the order of
    /// a folder of videos.
    #[arg(long, requires = "recording")]
    pub join: bool,
    /// Statistics of the run (JSON), to be shown too.
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
    /// Replace a page that exists.
    #[arg(long)]
    pub overwrite: bool,
    /// How samples become 8-bit, as for segment [default: as in the run].
    #[arg(long, value_name = "RANGE")]
    pub intensity: Option<Intensity>,
    /// Which images of a recording with several axes are its frames, as for segment [default: as in the run].
    #[arg(long, value_name = "AXES")]
    pub axes: Option<Axes>,
    /// Which video stream of a file with several, as for segment [default: as in the run].
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
