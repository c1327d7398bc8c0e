//! `sam2 segment`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr as _;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, ValueHint};
use sam2_engine::{MemoryPolicyChoice, Passes, QualityFlag, Region};
use sam2_frame_provider::FramesMode;
use sam2_jobs::{Between, Reprompt};

use super::frames::FrameArgs;
use super::memory::MemoryArg;
use super::model::ModelArgs;
use super::outputs::{OutputArg, StyleArgs};
use super::prompts::PromptArgs;
use super::words::{MEMORY_POLICIES, offering};

/// What `-h` shows at its end: examples for most runs.
pub const FEW_EXAMPLES: &str = "\
Examples:
  sam2 segment mouse.avi --keypoints mouseDLC.csv --bodyparts snout,tailbase \\
      --batch-size 400 -o masks.btf
  sam2 segment worm.mp4 --point 0:210,350 --model large -o masks.btf
  sam2 segment frames/ --box 12:40,30,200,180:1 --ids -o objects.btf";

/// What `--help` shows at its end.
pub const EXAMPLES: &str = "\
Examples:
  sam2 segment mouse.avi --keypoints mouseDLC.csv \\
      --bodyparts snout,tailbase --batch-size 400 -o masks.btf
  sam2 segment worm.mp4 --point 0:210,350 \\
      --model sam2.1_hiera_large.safetensors -o masks.btf
  sam2 segment frames/ --box 12:40,30,200,180:1 --point 12:300,90:2 \\
      --ids -o objects.btf
  sam2 segment two.mp4 --keypoints twoDLC.h5 --negatives \\
      --ids -o objects.btf
  sam2 segment worm.mp4 --point 0:210,350 -o masks.btf -o masks.csv \\
      -o look.mp4 -o davis:annotations
  sam2 segment 'day1/*.avi' --keypoints '{folder}/{stem}DLC*.csv' \\
      -o '{folder}/{stem}.btf' --resume
  sam2 segment --job recordings.toml --resume --stats job.json";

/// `sam2 segment`.
#[derive(Clone, Debug, Args)]
pub struct SegmentArgs {
    /// Video files, TIFF stacks, folders of images, folders that Micro-Manager wrote, or names with wildcards.
    ///
    /// A name in quotes whose wildcards match still images of one folder ('frames/cam1_*.png') is one recording. With more than one
    /// recording, names of outputs and tracks contain {stem} (the recording's name without folder and ending), {name} (with ending) or
    /// {folder}.
    #[arg(
        required_unless_present = "job",
        value_name = "RECORDING",
        help = "Videos, TIFF stacks, folders of images, or patterns of names"
    )]
    pub recordings: Vec<PathBuf>,
    /// The one of them that is being segmented.
    #[arg(skip)]
    pub recording: PathBuf,
    /// Take the video files as one recording, in the given order (GoPro's chapters, a Miniscope's 0.avi, 1.avi, ...).
    ///
    /// Files that one pattern matches are in the order of a folder of videos. The recording is named after the first file. A folder of
    /// such files needs no --join.
    #[arg(long, conflicts_with = "job", hide_short_help = true)]
    pub join: bool,
    /// Recordings and their options from a TOML file (docs/jobs.md); options given here count for all of them.
    #[arg(long, value_name = "FILE.toml", conflicts_with = "recordings", hide_short_help = true)]
    pub job: Option<PathBuf>,
    /// A result. May be repeated. The ending says the format, or its name before a colon:
    ///
    ///   .btf .tif .tiff   tiff: a stack of masks, one page a frame
    ///   .json             coco: COCO's annotations
    ///   .csv .parquet     csv, parquet: area, centre, box, scores, flags
    ///   .mp4              overlay: a video with the masks drawn in
    ///   .png              contact-sheet: an overview picture
    ///   .npy              logits: mask logits
    ///   .zip              imagej-rois: outlines for ImageJ's ROI Manager
    ///   .zarr             ome-zarr: a folder with a label image
    ///   .html             report: a page with plots and what to look at
    ///   .sam2run          run: a run file, which can become the others
    ///
    /// These have no ending and need their name:
    ///
    ///   object-tiffs:FOLDER   a stack of masks for each object
    ///   object-pngs:FOLDER    images for each object, as in SA-V
    ///   davis:FOLDER          palette images, as in DAVIS
    ///   yolo:FOLDER           polygon labels of YOLO
    ///   labelme:FOLDER        polygons of Labelme
    ///   sav:FILE              JSON, as in SA-V
    #[arg(
        short,
        long,
        value_name = "[FORMAT:]PATH",
        required_unless_present = "job",
        help = "A result: .btf .csv .json .mp4 .html ... (--help lists all); may be repeated",
        verbatim_doc_comment,
        value_parser = OsStringValueParser::new().map(OutputArg::from),
        value_hint = ValueHint::FilePath
    )]
    pub output: Vec<OutputArg>,
    /// How results are written.
    #[command(flatten)]
    pub style: StyleArgs,
    /// The same as -o contact-sheet:FILE: an overview picture (PNG) with the masks drawn in.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub contact_sheet: Option<PathBuf>,

    /// What to segment.
    #[command(flatten)]
    pub prompts: PromptArgs,

    /// Resuming, parts, statistics.
    #[command(flatten)]
    pub running: RunningArgs,

    /// Which model runs, and on what.
    #[command(flatten)]
    pub network: ModelArgs,
    /// Fill holes of up to this many pixels at a quarter of the model's resolution; 0 = off.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 8,
        help_heading = "Model",
        hide_short_help = true
    )]
    pub fill_holes: u32,
    /// Segment only this part of the frames, at the model's full resolution. Masks have the size of the whole frame.
    #[arg(long, value_name = "X,Y,WIDTH,HEIGHT", help_heading = "Model", hide_short_help = true)]
    pub roi: Option<Region>,
    /// Keep the frame's proportions in the model's square input instead of squashing it.
    #[arg(long, help_heading = "Model", hide_short_help = true)]
    pub letterbox: bool,
    /// Which frames the model remembers: official (the last ones), guarded (the last that it is sure of), dam4sam (every fifth, and some with
    /// a look-alike), sam3 (those that show the object) or sam2long (as sam3, and with three hypotheses about each object).
    ///
    /// All but official take numbers, such as guarded:look-back=60,min-iou=0.3 (docs/memory-policies.md).
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "official",
        value_parser = offering(MemoryArg::from_str, MEMORY_POLICIES),
        hide_possible_values = true,
        help_heading = "Model",
        hide_short_help = true
    )]
    pub memory: MemoryArg,
    /// Remember every N-th frame instead of each, which looks N times further back; not with --memory dam4sam, which has update-every.
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        help_heading = "Model",
        hide_short_help = true
    )]
    pub temporal_stride: NonZeroUsize,
    /// Objects that go through the model at a time [default: all]. Fewer take less memory and more time.
    #[arg(long, value_name = "N", help_heading = "Model", hide_short_help = true)]
    pub objects_per_pass: Option<NonZeroUsize>,
    /// Encoded frames that are kept, for prompts on several frames of a batch.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        help_heading = "Model",
        hide_short_help = true
    )]
    pub feature_cache: usize,

    /// How frames are read.
    #[command(flatten)]
    pub frames: FrameArgs,
}

/// How a job runs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Job")]
pub struct RunningArgs {
    /// Continue where the same command was interrupted.
    ///
    /// If it was not interrupted, it begins at the start. Outputs are those of an uninterrupted run.
    #[arg(long)]
    pub resume: bool,
    /// Only frames A to B - 1 of the recording, counted from 0 (A.. = to its end). A and B are borders of batches; `sam2 merge` puts
    /// parts together.
    #[arg(long, value_name = "A..B", value_parser = frame_range, hide_short_help = true)]
    pub frames: Option<FrameRange>,
    /// The last masks of a batch prompt the first frame of the next one, so that identity survives the borders of batches.
    #[arg(long, hide_short_help = true)]
    pub carry_over: bool,
    /// How frames are tracked from prompts.
    ///
    ///   own        from the object's own first prompt, forward and in
    ///              reverse, whatever other objects do
    ///   nearest    each frame from the nearest prompt of the object,
    ///              before or after it
    ///   agreed     each frame from the prompts on both sides. Where the
    ///              two masks disagree, the pose track decides, or else
    ///              the nearer prompt, and the frame is flagged unless
    ///              the track confirms the mask. It takes twice the time
    ///   official   as the official predictor does: every object forward
    ///              from the first prompt of any object. It can take a
    ///              look-alike before the object's own prompt
    ///
    /// With nearest and agreed, tracking does not stop at the borders of
    /// batches (docs/passes.md).
    /// [default: own; nearest with a track of several individuals;
    /// agreed with --reprompt].
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "WHICH",
        value_enum,
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub passes: Option<PassesArg>,
    /// Compute only every N-th frame, to save time. Prompted frames and the last frame of a batch are computed too.
    #[arg(long, value_name = "N", default_value = "1", hide_short_help = true)]
    pub every: NonZeroUsize,
    /// What frames get that --every leaves out.
    ///
    ///   interpolate  masks between the computed ones: objects move
    ///                straight on, and outlines change steadily
    ///   nearest      the masks of the nearer computed frame
    ///   none         no masks
    ///
    /// In tables, these frames have no scores.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "WHICH",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub between: BetweenArg,
    /// Let the track prompt again where masks have one of these flags, separated by commas: lost, off-track, disagree.
    ///
    /// Where masks are flagged and the track is sure of the animal, it prompts the animal once more, on the best frame, and only the
    /// frames up to its next prompts are tracked again. The prompt is kept if fewer frames are flagged then (docs/passes.md).
    #[arg(
        long,
        value_name = "FLAGS",
        value_enum,
        value_delimiter = ',',
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub reprompt: Vec<RepromptArg>,
    /// How often --reprompt tracks the frames between two prompts again, at most.
    #[arg(
        long,
        value_name = "N",
        default_value_t = Reprompt::ROUNDS,
        hide_short_help = true
    )]
    pub reprompt_rounds: usize,
    /// Accept parts and resumed jobs that are computed on different kinds of processors or devices.
    ///
    /// Their kernels round differently, so masks differ in a few pixels. Without this option, they are refused.
    #[arg(long, hide_short_help = true)]
    pub mixed_processors: bool,
    /// Print what would be done, and stop.
    ///
    /// It prints batches, prompts, model and sizes of outputs, and stops before anything is computed or written.
    #[arg(long)]
    pub dry_run: bool,
    /// Write statistics to a JSON file: time per stage, cache and memory per batch (docs/stats.md). An existing file is replaced.
    #[arg(long, value_name = "FILE.json", hide_short_help = true)]
    pub stats: Option<PathBuf>,
    /// Write a checkpoint every N frames of a pass that only goes forward, so that --resume continues there; 0 = none.
    #[arg(long, value_name = "N", default_value_t = sam2_jobs::Journal::CHECKPOINT_FRAMES, hide_short_help = true)]
    pub checkpoint_frames: usize,
}

impl RunningArgs {
    /// Returns how frames are tracked: as asked for, or as what else is asked for needs it, or as is
    /// best for a track of so many individuals.
    pub fn passes_for(&self, individuals: usize, frames_mode: FramesMode) -> PassesArg {
        let crosses_batches = !self.carry_over && frames_mode == FramesMode::Lazy;
        let default = if !self.reprompt.is_empty() {
            PassesArg::Agreed
        } else if individuals > 1 && crosses_batches {
            PassesArg::Nearest
        } else {
            PassesArg::Own
        };
        self.passes.unwrap_or(default)
    }

    /// Returns where the track prompts again.
    pub fn reprompting(&self) -> Option<Reprompt> {
        let flags = self.reprompt.iter().map(|&flag| flag.into());
        let reprompt = Reprompt::when(flags).rounds(self.reprompt_rounds);
        (!self.reprompt.is_empty()).then_some(reprompt)
    }
}

/// `--between`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum BetweenArg {
    /// Masks between the computed ones.
    #[default]
    Interpolate,
    /// The masks of the nearer computed frame.
    Nearest,
    /// No masks.
    None,
}

impl From<BetweenArg> for Between {
    fn from(typed: BetweenArg) -> Self {
        match typed {
            BetweenArg::Interpolate => Self::Interpolate,
            BetweenArg::Nearest => Self::Nearest,
            BetweenArg::None => Self::None,
        }
    }
}

/// A flag of `--reprompt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RepromptArg {
    /// The mask is empty.
    Lost,
    /// The mask is not where the track is.
    OffTrack,
    /// The masks from both sides differ.
    Disagree,
}

impl From<RepromptArg> for QualityFlag {
    fn from(typed: RepromptArg) -> Self {
        match typed {
            RepromptArg::Lost => Self::Lost,
            RepromptArg::OffTrack => Self::OffTrack,
            RepromptArg::Disagree => Self::Disagree,
        }
    }
}

/// `--passes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PassesArg {
    /// Each object from its own first prompt.
    Own,
    /// Each frame from the nearest prompt.
    Nearest,
    /// Each frame from the prompts on both sides.
    Agreed,
    /// As the official predictor does.
    Official,
}

impl From<PassesArg> for Passes {
    fn from(typed: PassesArg) -> Self {
        match typed {
            PassesArg::Own => Self::Own,
            PassesArg::Nearest => Self::Nearest,
            PassesArg::Agreed => Self::Agreed,
            PassesArg::Official => Self::Official,
        }
    }
}

impl SegmentArgs {
    /// Checks what clap cannot check. The error says what to change.
    pub fn check(&self) -> Result<(), String> {
        self.prompts.check()?;
        if !self.running.reprompt.is_empty() {
            if self.prompts.keypoints.is_none() {
                return Err("--reprompt takes its prompts from a track: give --keypoints".into());
            }
            if self.running.passes.is_some_and(|passes| passes != PassesArg::Agreed) {
                return Err("--reprompt needs --passes agreed, which it takes by default".into());
            }
        }
        if self.temporal_stride.get() > 1
            && matches!(self.memory, MemoryArg(MemoryPolicyChoice::Dam4sam(_)))
        {
            return Err(format!(
                "--temporal-stride does not go with --memory dam4sam, which has a number for it: \
                 use --memory dam4sam:update-every={}",
                self.temporal_stride
            ));
        }
        Ok(())
    }
}

/// Frames `start..end`; without an end, to the recording's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRange {
    /// The first.
    pub start: usize,
    /// End of the range, exclusive.
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

#[cfg(test)]
mod tests {
    use super::*;

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
