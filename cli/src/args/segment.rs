//! `sam2 segment`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap::builder::TypedValueParser as _;
use sam2_engine::{MemoryPolicyChoice, Passes, Region};

use super::frames::FrameArgs;
use super::memory::MemoryArg;
use super::model::ModelArgs;
use super::outputs::{OutputArg, StyleArgs};
use super::prompts::PromptArgs;

/// `sam2 segment`.
#[derive(Clone, Debug, Args)]
pub struct SegmentArgs {
    /// Videos, TIFF stacks, folders of images; also names with wildcards.
    ///
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
    #[arg(long, conflicts_with = "job", hide_short_help = true)]
    pub join: bool,
    /// Recordings and their options from a TOML file (docs/jobs.md); options given here count for all of them.
    #[arg(long, value_name = "FILE.toml", conflicts_with = "recordings", hide_short_help = true)]
    pub job: Option<PathBuf>,
    /// Where results go: .btf (masks), .csv, .json, .mp4, .html, ... (--help lists all); may be repeated.
    ///
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
    /// Look at this part of the frames only, at the model's full resolution; masks come back in place.
    #[arg(long, value_name = "X,Y,WIDTH,HEIGHT", help_heading = "Model", hide_short_help = true)]
    pub roi: Option<Region>,
    /// Keep the frame's proportions in the model's square input instead of squashing it.
    #[arg(long, help_heading = "Model", hide_short_help = true)]
    pub letterbox: bool,
    /// Which frames the model remembers: official (the last ones), guarded (the last that it is sure of), dam4sam (every fifth, and some with
    /// a look-alike) or sam3 (those that show the object). All but official take numbers, such as guarded:look-back=60,min-iou=0.3
    /// (docs/memory-policies.md).
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "official",
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
    /// Objects that go through the model at a time: fewer take less memory and more time [default: all of them].
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
    /// Go on where the same command was interrupted.
    ///
    /// Go on where the same command was interrupted, by whatever; from the start if it was not. Outputs are those of an uninterrupted run.
    #[arg(long)]
    pub resume: bool,
    /// Only frames A to B - 1 of the recording (A.. = to its end). A and B are borders of batches; `sam2 merge` puts parts together.
    #[arg(long, value_name = "A..B", value_parser = frame_range, hide_short_help = true)]
    pub frames: Option<FrameRange>,
    /// The last masks of a batch prompt the first frame of the next one, so that identity survives the borders of batches.
    #[arg(long, hide_short_help = true)]
    pub carry_over: bool,
    /// Which frames each object is tracked on.
    ///
    /// own: forward from its own first prompt and in reverse from it, whatever other objects do. nearest: each frame from the nearest prompt
    /// of its object, before or after it. agreed: each frame from the prompts on both sides; where the two masks disagree, the track or the
    /// model's scores decide, and the frame is flagged (twice the time). nearest and agreed track across the borders of batches. official: as
    /// the official predictor does, which looks for every object forward from the first prompt of any, and can take a look-alike before the
    /// object's own prompt.
    #[arg(
        long,
        value_name = "WHICH",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_short_help = true,
        help = "How frames are tracked from prompts: own (both ways from an object's first one), nearest (from the nearest one), agreed (from both sides, compared) or official"
    )]
    pub passes: PassesArg,
    /// Let parts and resumed jobs be computed on different kinds of processors or devices. Their kernels round differently, so
    /// that masks differ in a few pixels; without this, going on or merging across kinds is refused.
    #[arg(long, hide_short_help = true)]
    pub mixed_processors: bool,
    /// Print what would be done, and stop.
    ///
    /// Print what would be done (batches, prompts, model, sizes of outputs) and stop before anything is computed or written.
    #[arg(long)]
    pub dry_run: bool,
    /// Write what it took to a JSON file: time per stage, cache and memory per batch (docs/stats.md). Replaces one that is there.
    #[arg(long, value_name = "FILE.json", hide_short_help = true)]
    pub stats: Option<PathBuf>,
    /// Within a batch that runs forwards, keep every N frames what is needed to resume there; 0 = resume at batches only.
    #[arg(long, value_name = "N", default_value_t = sam2_jobs::Journal::CHECKPOINT_FRAMES, hide_short_help = true)]
    pub checkpoint_frames: usize,
}

/// `--passes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PassesArg {
    /// Each object from its own first prompt.
    #[default]
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
