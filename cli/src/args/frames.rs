//! How the frames of a recording are read.

use std::path::PathBuf;
use std::str::FromStr as _;

use clap::Args;
use sam2_frame_provider::resize::ResizeMode;
use sam2_frame_provider::{Axes, BadFrames, FramesMode, Intensity};

use super::words::{BAD_FRAMES, FRAMES_MODES, INTENSITIES, RESIZE_MODES, offering};

/// How the frames of a recording are read.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Frames")]
pub struct FrameArgs {
    /// How the frames of a batch are held.
    ///
    ///   lazy     read when needed
    ///   memory   all read before the batch begins
    ///   jpeg     extracted to temporary JPEG files of quality 95, as
    ///            scripts for the official predictor do; lossy
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "MODE",
        default_value_t = FramesMode::Lazy,
        value_parser = offering(FramesMode::from_str, FRAMES_MODES),
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub frames_mode: FramesMode,
    /// Frames kept in memory.
    #[arg(long, value_name = "N", default_value_t = 50, hide_short_help = true)]
    pub cache_frames: usize,
    /// Frames read ahead, in the direction of travel.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = prefetch, hide_short_help = true)]
    pub prefetch: usize,
    /// What a frame that cannot be decoded becomes: an error, a repetition of its neighbour (repeat) or black (blank). It is reported
    /// in any case.
    #[arg(
        long,
        value_name = "WHAT",
        default_value_t = BadFrames::Error,
        value_parser = offering(BadFrames::from_str, BAD_FRAMES),
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub on_bad_frame: BadFrames,
    /// How samples become 8-bit: which of them become black and white.
    ///
    ///   auto               8-bit samples stay as they are; all others as
    ///                      with percentile:0.1,99.9
    ///   full               the whole range of the sample type
    ///   minmax             the smallest and the largest of the recording
    ///   percentile:LO,HI   two percentiles of the recording
    ///   LO,HI              two stored values
    ///
    /// per-frame:minmax and per-frame:percentile:LO,HI measure each frame by
    /// itself: then brightness, and with it the masks, can flicker. Use them
    /// only for recordings whose light changes.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "RANGE",
        default_value_t = Intensity::Auto,
        value_parser = offering(Intensity::from_str, INTENSITIES),
        hide_possible_values = true,
        allow_hyphen_values = true,
        hide_short_help = true
    )]
    pub intensity: Intensity,
    /// Read still images as they are stored, without turning them as their EXIF orientation says.
    #[arg(long, hide_short_help = true)]
    pub no_exif: bool,
    /// How frames are brought to the model's size, bit for bit as another library does.
    ///
    ///   pillow-bicubic             Pillow, with which the published
    ///                              weights were evaluated
    ///   torch-bilinear-antialias   torchvision
    ///   decord                     FFmpeg's bilinear, directly from the
    ///                              video, as the official code does for
    ///                              MP4 files
    ///   cv2-linear                 OpenCV
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "MODE",
        default_value_t = ResizeMode::PillowBicubic,
        value_parser = offering(ResizeMode::from_str, RESIZE_MODES),
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub resize: ResizeMode,
    /// Which images of a recording with several axes are its frames, such as channel=GFP,position=2.
    ///
    /// Pairs name a place on an axis. The axis that frames run along is named by along, as in along=z [default: along time, the first
    /// place on all other axes].
    #[arg(long, value_name = "AXES", hide_short_help = true)]
    pub axes: Option<Axes>,
    /// Which video stream of a file with several, counted from 0 [default: 0, which OpenCV, DeepLabCut and SLEAP read].
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub stream: Option<usize>,
    /// Further files of the same recording.
    #[arg(skip)]
    pub joined: Vec<PathBuf>,
    /// Keep the index of a video in the cache folder, so that it opens at once the next time.
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
