//! What can be typed.

use std::path::PathBuf;

use clap::builder::TypedValueParser as _;
use clap::{Args, Parser, Subcommand};
use sam2_engine::{DeviceChoice, Precision, Region};
use sam2_frame_provider::resize::ResizeMode;
use sam2_frame_provider::{Axes, BadFrames, FramesMode, Intensity};
use sam2_model::ModelName;

use crate::bench::BenchArgs;
use crate::devices::DevicesArgs;
use crate::doctor::DoctorArgs;
use crate::legacy_pipeline::LegacyPipelineArgs;
use crate::manual::{CompletionsArgs, ManArgs};
use crate::outputs::{CompressionArg, OutputArg};
use crate::prompt_args::PromptArgs;
use crate::recordings;
use crate::settings::show::ConfigArgs;

/// Segment Anything 2 for long recordings, without Python.
#[derive(Debug, Parser)]
#[command(
    name = "sam2",
    version,
    propagate_version = true,
    // One screen of 80 x 24.
    help_template = "{about}\n\n{usage-heading} {usage}\n\n{subcommands}{after-help}",
    after_help = crate::exit::HELP
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say more (-v: decisions, -vv: everything).
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Only warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Defaults of options, as TOML [default: SAM2_CONFIG, or sam2/config.toml in $XDG_CONFIG_HOME or ~/.config].
    #[arg(long, global = true, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// How log lines look: text, or json (one object a line, with time, level and message), on stderr.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Segment recordings: masks of every frame, in many formats.
    #[command(after_help = "Examples:\n  \
        sam2 segment mouse.avi --keypoints mouseDLC.csv --bodyparts snout,tailbase --batch-size 400 -o masks.btf\n  \
        sam2 segment worm.mp4 --point 0:210,350 --model sam2.1_hiera_large.safetensors -o masks.btf\n  \
        sam2 segment frames/ --box 12:40,30,200,180:1 --point 12:300,90:2 --ids -o objects.btf\n  \
        sam2 segment two.mp4 --keypoints twoDLC.h5 --negatives --ids -o objects.btf\n  \
        sam2 segment worm.mp4 --point 0:210,350 -o masks.btf -o masks.csv -o look.mp4 -o davis:annotations\n  \
        sam2 segment 'day1/*.avi' --keypoints '{folder}/{stem}DLC*.csv' -o '{folder}/{stem}.btf' --resume\n  \
        sam2 segment --job recordings.toml --resume --stats job.json")]
    Segment(Box<SegmentArgs>),
    /// Put a recording's parts together, from their run files.
    ///
    /// The result is what one process would have written.
    #[command(after_help = "Example:\n  \
        sam2 segment mouse.avi --keypoints mouseDLC.csv --frames 0..40000 -o a.sam2run\n  \
        sam2 segment mouse.avi --keypoints mouseDLC.csv --frames 40000.. -o b.sam2run\n  \
        sam2 merge a.sam2run b.sam2run -o masks.btf")]
    Merge(MergeArgs),
    /// Fetch an official checkpoint, verify it and convert it, once.
    #[command(
        disable_version_flag = true,
        after_help = "Examples:\n  \
        sam2 download large                 (then: sam2 segment ... --model large)\n  \
        sam2 download tiny --version 2.0\n  \
        sam2 download --url https://lab.example/mouse.pt --sha256 HEX"
    )]
    Download(DownloadArgs),
    /// Convert a checkpoint (.pt or safetensors) to safetensors.
    ///
    /// Takes Meta's .pt, and safetensors with Meta's or Hugging Face's names.
    #[command(after_help = "Examples:\n  \
        sam2 convert sam2.1_hiera_large.pt large.safetensors\n  \
        sam2 convert mine.pt mine.safetensors --config tiny-2.1 --dtype f16")]
    Convert(ConvertArgs),
    /// Say what a weights file is: model, size, hash, release.
    #[command(after_help = "Examples:\n  \
        sam2 inspect large.safetensors\n  \
        sam2 inspect sam2_hiera_tiny.pt --json")]
    Inspect(InspectArgs),
    /// Say what a recording is: frames, size, rate, codec, faults.
    #[command(after_help = "Examples:\n  \
        sam2 probe mouse.avi\n  \
        sam2 probe mouse.avi --verify --json\n  \
        sam2 probe --join GX010042.MP4 GX020042.MP4")]
    Probe(ProbeArgs),
    /// Make a page about a run, to see whether it worked.
    ///
    /// What to look at, plots over time, parameters: one HTML file that needs nothing else.
    #[command(after_help = "Examples:\n  \
        sam2 report mouse.sam2run -o report.html\n  \
        sam2 report mouse.sam2run --recording /archive/mouse.avi --stats stats.json -o report.html")]
    Report(ReportArgs),
    /// Compare a mask stack with a true one: mean J over all frames.
    ///
    /// J is the intersection over the union of the two masks of a frame.
    #[command(after_help = "Example:\n  sam2 score masks.btf truth.tif")]
    Score(ScoreArgs),
    /// List what the model can run on.
    #[command(after_help = "Examples:\n  sam2 devices\n  sam2 devices --json")]
    Devices(DevicesArgs),
    /// Check that this machine is ready, and say what to do if not.
    #[command(
        after_help = "Exit code 1 if there is a problem, 0 otherwise, also with warnings.\n\n\
        Examples:\n  sam2 doctor\n  sam2 doctor --json"
    )]
    Doctor(DoctorArgs),
    /// Measure how fast a model is here.
    #[command(after_help = "Examples:\n  \
        sam2 bench\n  \
        sam2 bench --model large --precision bf16 --objects 8 --json")]
    Bench(BenchArgs),
    /// Show the options in effect, and where each comes from.
    #[command(after_help = crate::settings::show::EXPLANATION)]
    Config(ConfigArgs),
    /// Print completions for a shell.
    #[command(
        hide = true,
        after_help = "Examples:\n  \
        sam2 completions bash > ~/.local/share/bash-completion/completions/sam2\n  \
        sam2 completions zsh > ~/.zfunc/_sam2\n  \
        sam2 completions fish > ~/.config/fish/completions/sam2.fish"
    )]
    Completions(CompletionsArgs),
    /// Print the manual page, or write one for each command.
    #[command(
        hide = true,
        after_help = "Examples:\n  \
        sam2 man | man -l -\n  \
        sam2 man --out ~/.local/share/man/man1"
    )]
    Man(ManArgs),
    /// Segment as the lab's Python scripts did, with their arguments.
    #[command(hide = true, after_help = crate::legacy_pipeline::EXAMPLES)]
    LegacyPipeline(Box<LegacyPipelineArgs>),
}

/// `sam2 segment`.
#[derive(Clone, Debug, Args)]
pub struct SegmentArgs {
    /// Video files, TIFF stacks, folders of images, or folders written by Micro-Manager; also names with wildcards. A name in quotes
    /// whose wildcards match still images of one folder ('frames/cam1_*.png') is one recording. With more than one, names of
    /// outputs and tracks hold {stem} (the recording's name without folder and ending), {name} (with ending) or {folder}.
    #[arg(required_unless_present = "job", value_name = "RECORDING")]
    pub recordings: Vec<PathBuf>,
    /// The one of them that is being segmented.
    #[arg(skip)]
    pub recording: PathBuf,
    /// The video files named are one recording, in the order given (GoPro's chapters, a Miniscope's 0.avi, 1.avi, ...); those that one
    /// pattern matches are in the order of a folder of videos. It is named after the first. A folder of such files needs no --join.
    #[arg(long, conflicts_with = "job")]
    pub join: bool,
    /// Recordings and their options from a TOML file (docs/jobs.md); options given here count for all of them.
    #[arg(long, value_name = "FILE.toml", conflicts_with = "recordings")]
    pub job: Option<PathBuf>,
    /// Where results go; can be given several times. The ending says the format, or its name before a colon:
    ///   .btf .tif .tiff   a stack of masks, one page a frame (tiff)
    ///   .json             COCO's annotations (coco)
    ///   .csv .parquet     a table: area, centroid, box, scores, flags (csv, parquet)
    ///   .mp4              a video with the masks drawn in (overlay)
    ///   .png              an overview picture (contact-sheet)
    ///   .npy              mask logits (logits)
    ///   .zip              outlines for ImageJ's and Fiji's ROI Manager (imagej-rois)
    ///   .zarr             an OME-Zarr label image, a folder (ome-zarr)
    ///   .html             a page about the run: plots, what to look at (report)
    ///   .sam2run          a run file, from which the others can be made (run)
    ///   object-tiffs:FOLDER, davis:FOLDER, object-pngs:FOLDER, yolo:FOLDER, labelme:FOLDER, sav:FILE
    #[arg(short, long, value_name = "[FORMAT:]PATH", required_unless_present = "job", verbatim_doc_comment, value_parser = clap::builder::OsStringValueParser::new().map(OutputArg::from))]
    pub output: Vec<OutputArg>,
    /// Replace outputs that exist.
    #[arg(long)]
    pub overwrite: bool,
    /// Write object numbers (1-255) instead of 0/255 into the stack.
    #[arg(long)]
    pub ids: bool,
    /// How the pages of stacks are compressed.
    #[arg(
        long,
        value_name = "METHOD",
        value_enum,
        hide_possible_values = true,
        default_value_t,
        help = "How the pages of stacks are compressed: none, deflate or packbits"
    )]
    pub compression: CompressionArg,
    /// Write polygons instead of run lengths into COCO's annotations.
    #[arg(long)]
    pub coco_polygons: bool,
    /// The same as -o contact-sheet:FILE: an overview picture (PNG) with the masks drawn in.
    #[arg(long, value_name = "FILE")]
    pub contact_sheet: Option<PathBuf>,

    /// What to segment.
    #[command(flatten)]
    pub prompts: PromptArgs,

    /// Resuming, parts, statistics.
    #[command(flatten)]
    pub running: RunningArgs,

    /// Weights: a file (safetensors or .pt), or the name of a downloaded model such as large or tiny-2.0. Default: the built-in
    /// demonstration model.
    #[arg(long, value_name = "FILE|NAME", help_heading = "Model")]
    pub model: Option<PathBuf>,
    /// Configuration of weights that are not recognised: a name like tiny-2.1, or a JSON file.
    #[arg(long, value_name = "NAME|FILE", help_heading = "Model", requires = "model")]
    pub config: Option<String>,
    /// Where to run: auto, cpu, cuda, cuda:N, vulkan or vulkan:N.
    #[arg(long, default_value_t = DeviceChoice::Auto, help_heading = "Model")]
    pub device: DeviceChoice,
    /// Number format of weights and products: auto (what suits the device), f32, bf16 or f16.
    #[arg(long, default_value_t = Precision::Auto, help_heading = "Model")]
    pub precision: Precision,
    /// Fill holes of up to this many pixels at a quarter of the model's resolution; 0 = off.
    #[arg(long, value_name = "N", default_value_t = 8, help_heading = "Model")]
    pub fill_holes: u32,

    /// Side of the model's input, in pixels: other than its own (1024; micro 256) it trades detail for speed. Multiples of 32.
    #[arg(long, value_name = "PIXELS", help_heading = "Model", value_parser = image_size)]
    pub image_size: Option<usize>,
    /// Look at this part of the frames only, at the model's full resolution; masks come back in place.
    #[arg(long, value_name = "X,Y,WIDTH,HEIGHT", help_heading = "Model")]
    pub roi: Option<Region>,
    /// Keep the frame's proportions in the model's square input instead of squashing it.
    #[arg(long, help_heading = "Model")]
    pub letterbox: bool,
    /// Which frames the model remembers: official (the last ones) or guarded (the last that it is sure of).
    #[arg(long, value_name = "POLICY", default_value = "official", value_parser = memory, help_heading = "Model")]
    pub memory: MemoryArg,

    /// How frames are read.
    #[command(flatten)]
    pub frames: FrameArgs,
}

impl SegmentArgs {
    /// Returns the files, or the folder, that the recording consists of, in their order.
    pub fn files(&self) -> Vec<PathBuf> {
        match recordings::images_of(&self.recording) {
            Some(images) => images,
            None => std::iter::once(&self.recording).chain(&self.frames.joined).cloned().collect(),
        }
    }
}

/// How a job runs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Job")]
pub struct RunningArgs {
    /// Go on where the same command was interrupted, by whatever; from the start if it was not. Outputs are those of an uninterrupted run.
    #[arg(long)]
    pub resume: bool,
    /// Only frames A to B - 1 of the recording (A.. = to its end). A and B are borders of batches; `sam2 merge` puts parts together.
    #[arg(long, value_name = "A..B", value_parser = frame_range)]
    pub frames: Option<FrameRange>,
    /// The last masks of a batch prompt the first frame of the next one, so that identity survives the borders of batches.
    #[arg(long)]
    pub carry_over: bool,
    /// Let parts and resumed jobs be computed on different kinds of processors or devices. Their kernels round differently, so
    /// that masks differ in a few pixels; without this, going on or merging across kinds is refused.
    #[arg(long)]
    pub mixed_processors: bool,
    /// Write what it took to a JSON file: time per stage, cache and memory per batch (docs/stats.md). Replaces one that is there.
    #[arg(long, value_name = "FILE.json")]
    pub stats: Option<PathBuf>,
    /// Within a batch that runs forwards, keep every N frames what is needed to resume there; 0 = resume at batches only.
    #[arg(long, value_name = "N", default_value_t = sam2_engine::Journal::CHECKPOINT_FRAMES)]
    pub checkpoint_frames: usize,
}

/// Frames `start..end`; without an end, to the recording's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRange {
    /// The first.
    pub start: usize,
    /// Behind the last.
    pub end: Option<usize>,
}

fn frame_range(text: &str) -> Result<FrameRange, String> {
    let wrong =
        || format!("expected A..B with A below B, for example 0..4000 or 4000.., not '{text}'");
    let (start, end) = text.split_once("..").ok_or_else(wrong)?;
    let number = |digits: &str| digits.parse::<usize>().map_err(|_| wrong());
    let start = if start.is_empty() { 0 } else { number(start)? };
    let end = if end.is_empty() { None } else { Some(number(end)?) };
    if end.is_some_and(|end| end <= start) {
        return Err(wrong());
    }
    Ok(FrameRange { start, end })
}

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
    /// Replace outputs that exist.
    #[arg(long)]
    pub overwrite: bool,
    /// Write object numbers (1-255) instead of 0/255.
    #[arg(long)]
    pub ids: bool,
    /// How the pages of stacks are compressed.
    #[arg(long, value_name = "METHOD", default_value = "none")]
    pub compression: CompressionArg,
    /// Write polygons instead of run lengths into COCO's annotations.
    #[arg(long)]
    pub coco_polygons: bool,
    /// How its frames are read.
    #[command(flatten)]
    pub frames: FrameArgs,
}

/// How the frames of a recording are read.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Frames")]
pub struct FrameArgs {
    /// How the frames of a batch are held: lazy (read when needed), memory (preloaded), jpeg (extracted to temporary files of quality
    /// 95, as scripts for the official predictor do; lossy).
    #[arg(long, value_name = "MODE", default_value_t = FramesMode::Lazy)]
    pub frames_mode: FramesMode,
    /// Frames kept in memory.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub cache_frames: usize,
    /// Frames read ahead, in the direction of travel.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = prefetch)]
    pub prefetch: usize,
    /// A frame that cannot be decoded is an error, shows its neighbour (repeat) or is black (blank). It is reported in any case.
    #[arg(long, value_name = "WHAT", default_value_t = BadFrames::Error)]
    pub on_bad_frame: BadFrames,
    /// How samples become 8-bit: auto, full, minmax, percentile:LO,HI or LO,HI. The range is taken once for the recording.
    /// per-frame:minmax and per-frame:percentile:LO,HI take one for each frame: then brightness, and with it the masks, can
    /// flicker; only for recordings whose light changes.
    #[arg(long, value_name = "RANGE", default_value_t = Intensity::Auto, allow_hyphen_values = true)]
    pub intensity: Intensity,
    /// Read still images as they are stored, not upright as their EXIF orientation says and viewers show them.
    #[arg(long)]
    pub no_exif: bool,
    /// How frames are brought to the model's size, bit for bit as: pillow-bicubic (Pillow, what the published weights were
    /// evaluated with), torch-bilinear-antialias (torchvision), decord (FFmpeg's bilinear straight from the video, the
    /// official code's way for MP4 files), cv2-linear (OpenCV).
    #[arg(long, value_name = "MODE", default_value_t = ResizeMode::PillowBicubic)]
    pub resize: ResizeMode,
    /// Which images of a recording with several axes are its frames: pairs such as channel=GFP,position=2, and the axis that
    /// frames run along, such as along=z [default: along time, the first of all others].
    #[arg(long, value_name = "AXES")]
    pub axes: Option<Axes>,
    /// Which video stream of a file with several: 0 is the first, as V:N of ffmpeg counts [default: the first, which OpenCV,
    /// DeepLabCut and SLEAP read].
    #[arg(long, value_name = "N")]
    pub stream: Option<usize>,
    /// Further files of the same recording.
    #[arg(skip)]
    pub joined: Vec<PathBuf>,
    /// Keep the index of a video in the cache folder, so that opening it again takes no time.
    #[arg(long)]
    pub index_cache: bool,
}

/// The memory policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryArg {
    /// The last frames, whatever they show.
    Official,
    /// The last frames that the model is sure of, and some with a look-alike in sight.
    Guarded,
}

/// Number format of converted weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DtypeArg {
    /// As in the input.
    Keep,
    /// 4 bytes a value.
    F32,
    /// 2 bytes a value, finer.
    F16,
    /// 2 bytes a value, wider.
    Bf16,
}

/// `sam2 convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// An official checkpoint (.pt), or a safetensors file with the official or Hugging Face's names.
    pub input: PathBuf,
    /// The safetensors file to write.
    pub output: PathBuf,
    /// Number format of the weights.
    #[arg(long, value_name = "FORMAT", default_value = "keep")]
    pub dtype: DtypeArg,
    /// Configuration of weights that are not recognised: a name like tiny-2.1, or a JSON file.
    #[arg(long, value_name = "NAME|FILE")]
    pub config: Option<String>,
    /// Replace an output that exists.
    #[arg(long)]
    pub overwrite: bool,
}

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

/// `sam2 report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A run file (.sam2run), finished or not.
    pub run: PathBuf,
    /// The page to write (.html).
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The recording, for its pictures; given once for each file with --join [default: one of the run's name beside the run file
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

/// `sam2 inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A checkpoint (.pt) or safetensors file.
    pub file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The generations that can be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum VersionArg {
    /// July 2024.
    #[value(name = "2.0")]
    V2_0,
    /// September 2024.
    #[value(name = "2.1")]
    V2_1,
}

/// `sam2 download`.
#[derive(Debug, Args)]
pub struct DownloadArgs {
    /// Which model: tiny (39 M parameters, 156 MB), small (46 M, 184 MB), base-plus (81 M, 324 MB) or large (224 M, 898 MB), with
    /// an optional -2.0 or -2.1; Meta's and Hugging Face's names are understood too, such as sam2.1_hiera_large.
    #[arg(required_unless_present = "url")]
    pub model: Option<ModelName>,
    /// Generation of the model [default: 2.1].
    #[arg(long = "version", id = "generation", value_name = "V")]
    pub version: Option<VersionArg>,
    /// Fetch this checkpoint instead, such as one your lab has trained.
    #[arg(long, value_name = "URL", conflicts_with = "model", requires = "sha256")]
    pub url: Option<String>,
    /// SHA-256 of the file at --url.
    #[arg(long, value_name = "HEX", conflicts_with = "model", requires = "url")]
    pub sha256: Option<String>,
    /// A mirror of Meta's server, with the same folders.
    #[arg(long, value_name = "URL", env = "SAM2_BASE_URL", default_value = sam2_weights_convert::OFFICIAL_BASE_URL)]
    pub base_url: String,
    /// How often a broken connection is taken up again without anything arriving.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub retries: u32,
    /// Where to keep it [default: $XDG_CACHE_HOME/sam2 or ~/.cache/sam2].
    #[arg(long, value_name = "FOLDER", env = "SAM2_CACHE")]
    pub cache: Option<PathBuf>,
}

/// `sam2 score`.
#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// Masks to judge: a TIFF or BigTIFF stack.
    pub masks: PathBuf,
    /// True masks, the same number of pages of the same size.
    pub truth: PathBuf,
}

/// More than a frame cache of any use, and few enough to be walked through.
const MOST_PREFETCHED: usize = 10_000;
/// A model of that size needs tens of gigabytes.
const LARGEST_INPUT: usize = 4096;

fn prefetch(text: &str) -> Result<usize, String> {
    let fits = |count: &usize| *count <= MOST_PREFETCHED;
    text.parse()
        .ok()
        .filter(fits)
        .ok_or_else(|| format!("use a number from 0 to {MOST_PREFETCHED}"))
}

/// `--image-size`.
pub fn image_size(text: &str) -> Result<usize, String> {
    let fits = |side: &usize| (32..=LARGEST_INPUT).contains(side) && side.is_multiple_of(32);
    let refused = || format!("use a multiple of 32 from 32 to {LARGEST_INPUT}, such as 512 or 768");
    text.parse().ok().filter(fits).ok_or_else(refused)
}

fn memory(text: &str) -> Result<MemoryArg, String> {
    match text {
        "official" => Ok(MemoryArg::Official),
        "guarded" => Ok(MemoryArg::Guarded),
        _ => Err("must be official or guarded".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn ranges_of_frames_are_half_open() {
        let range = |start, end| Ok(FrameRange { start, end });
        assert_eq!(frame_range("0..4000"), range(0, Some(4000)));
        assert_eq!(frame_range("4000.."), range(4000, None));
        assert_eq!(frame_range("..7"), range(0, Some(7)));
        for wrong in ["", "7", "7..7", "8..7", "a..b", "1-2", "-1..3", "1..2..3"] {
            assert!(frame_range(wrong).unwrap_err().contains("0..4000"), "{wrong}");
        }
    }
}
