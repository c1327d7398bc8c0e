//! How the frames of a recording are read.

use std::path::PathBuf;

use clap::Args;
use sam2_frame_provider::resize::ResizeMode;
use sam2_frame_provider::{Axes, BadFrames, FramesMode, Intensity};

/// How the frames of a recording are read.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Frames")]
pub struct FrameArgs {
    /// How the frames of a batch are held: lazy (read when needed), memory (preloaded), jpeg (extracted to temporary files of quality
    /// 95, as scripts for the official predictor do; lossy).
    #[arg(long, value_name = "MODE", default_value_t = FramesMode::Lazy, hide_short_help = true)]
    pub frames_mode: FramesMode,
    /// Frames kept in memory.
    #[arg(long, value_name = "N", default_value_t = 50, hide_short_help = true)]
    pub cache_frames: usize,
    /// Frames read ahead, in the direction of travel.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = prefetch, hide_short_help = true)]
    pub prefetch: usize,
    /// A frame that cannot be decoded is an error, shows its neighbour (repeat) or is black (blank). It is reported in any case.
    #[arg(long, value_name = "WHAT", default_value_t = BadFrames::Error, hide_short_help = true)]
    pub on_bad_frame: BadFrames,
    /// How samples become 8-bit: auto, full, minmax, percentile:LO,HI or LO,HI. The range is taken once for the recording.
    /// per-frame:minmax and per-frame:percentile:LO,HI take one for each frame: then brightness, and with it the masks, can
    /// flicker; only for recordings whose light changes.
    #[arg(long, value_name = "RANGE", default_value_t = Intensity::Auto, allow_hyphen_values = true, hide_short_help = true)]
    pub intensity: Intensity,
    /// Read still images as they are stored, not upright as their EXIF orientation says and viewers show them.
    #[arg(long, hide_short_help = true)]
    pub no_exif: bool,
    /// How frames are brought to the model's size, bit for bit as: pillow-bicubic (Pillow, what the published weights were
    /// evaluated with), torch-bilinear-antialias (torchvision), decord (FFmpeg's bilinear straight from the video, the
    /// official code's way for MP4 files), cv2-linear (OpenCV).
    #[arg(long, value_name = "MODE", default_value_t = ResizeMode::PillowBicubic, hide_short_help = true)]
    pub resize: ResizeMode,
    /// Which images of a recording with several axes are its frames: pairs such as channel=GFP,position=2, and the axis that
    /// frames run along, such as along=z [default: along time, the first of all others].
    #[arg(long, value_name = "AXES", hide_short_help = true)]
    pub axes: Option<Axes>,
    /// Which video stream of a file with several: 0 is the first, as V:N of ffmpeg counts [default: the first, which OpenCV,
    /// DeepLabCut and SLEAP read].
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub stream: Option<usize>,
    /// Further files of the same recording.
    #[arg(skip)]
    pub joined: Vec<PathBuf>,
    /// Keep the index of a video in the cache folder, so that opening it again takes no time.
    #[arg(long, hide_short_help = true)]
    pub index_cache: bool,
}

/// More than a frame cache of any use, and few enough to be walked through.
const MOST_PREFETCHED: usize = 10_000;

fn prefetch(text: &str) -> Result<usize, String> {
    let fits = |count: &usize| *count <= MOST_PREFETCHED;
    text.parse()
        .ok()
        .filter(fits)
        .ok_or_else(|| format!("use a number from 0 to {MOST_PREFETCHED}"))
}
