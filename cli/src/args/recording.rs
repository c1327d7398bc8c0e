//! `sam2 probe`.

use std::path::PathBuf;

use clap::Args;
use sam2_frame_provider::Axes;

/// `sam2 probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// A video file, a TIFF stack, a folder of images, or a pattern of some of them ('frames/cam1_*.png').
    ///
    /// It can also be a folder that Micro-Manager wrote, or, with --join, the video files of one recording.
    #[arg(required = true, value_name = "RECORDING")]
    pub recordings: Vec<PathBuf>,
    /// Take the video files as one recording, in the given order.
    ///
    /// Files that one pattern matches are in the order of a folder of videos, as for `sam2 segment`.
    #[arg(long)]
    pub join: bool,
    /// Decode every frame, to find damage that does not show otherwise.
    ///
    /// Some frames are read again in other orders.
    #[arg(long)]
    pub verify: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which images of a recording with several axes are its frames, such as channel=GFP,position=2.
    ///
    /// Pairs name a place on an axis. The axis that frames run along is named by along, as in along=z [default: along time, the first
    /// place on all other axes].
    #[arg(long, value_name = "AXES")]
    pub axes: Option<Axes>,
    /// Which video stream of a file with several, counted from 0 [default: 0, which OpenCV, DeepLabCut and SLEAP read].
    #[arg(long, value_name = "N")]
    pub stream: Option<usize>,
    /// Read still images as they are stored, without turning them as their EXIF orientation says.
    #[arg(long)]
    pub no_exif: bool,
    /// Keep the index of a video in the cache folder, so that it opens at once the next time.
    #[arg(long)]
    pub index_cache: bool,
}
