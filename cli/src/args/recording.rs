//! `sam2 probe`.

use std::path::PathBuf;

use clap::Args;
use sam2_frame_provider::Axes;

/// `sam2 probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// A video file, a TIFF stack, a folder of images or a pattern of some of them ('frames/cam1_*.png'), or a folder written by
    /// Micro-Manager; with --join the video files of one recording.
    #[arg(required = true, value_name = "RECORDING")]
    pub recordings: Vec<PathBuf>,
    /// The video files named are one recording, in the order given, as for segment; those that one pattern matches are in the order of
    /// a folder of videos.
    #[arg(long)]
    pub join: bool,
    /// Decode every frame, to find damage that does not show from outside, and read some again in other orders.
    #[arg(long)]
    pub verify: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which images of a recording with several axes are its frames: pairs such as channel=GFP,position=2, and the axis that
    /// frames run along, such as along=z [default: along time, the first of all others].
    #[arg(long, value_name = "AXES")]
    pub axes: Option<Axes>,
    /// Which video stream of a file with several: 0 is the first, as V:N of ffmpeg counts [default: the first, which OpenCV,
    /// DeepLabCut and SLEAP read].
    #[arg(long, value_name = "N")]
    pub stream: Option<usize>,
    /// Read still images as they are stored, not upright as their EXIF orientation says and viewers show them.
    #[arg(long)]
    pub no_exif: bool,
    /// Keep the index of a video in the cache folder, so that opening it again takes no time.
    #[arg(long)]
    pub index_cache: bool,
}
