//! Finds problems with recordings, tracks, outputs, model and device before the first recording is
//! segmented.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use sam2_engine::FrameSource;
use sam2_frame_provider::{FrameError, IndexMode, check_opens};
use sam2_jobs::{JobError, JobReceipt, KeypointTrack};
use tracing::subscriber::{NoSubscriber, with_default};

use crate::args::{ModelArgs, SegmentArgs};
use crate::job_options::job_options;
use crate::outputs::{self, Output, OutputFormat};
use crate::typed_files::{RECORDING_ENDINGS, TRACK_ENDINGS, has_ending, regular};
use crate::{foresight, message, model, planning, recording, recordings, resuming};

/// Tracks are kept in memory until their recordings are segmented, as long as their files add up to
/// at most this many bytes. Other tracks are read again.
const KEPT_TRACKS: u64 = 256 << 20;

/// Checks recordings one by one. Whatever several of them share is checked once.
#[derive(Debug)]
pub struct Preflight {
    /// True if recordings are opened too. Not needed for a single recording, which is opened next
    /// anyway.
    opens: bool,
    /// Models as typed, each with its problem, if any.
    models: Vec<(ModelArgs, Option<String>)>,
    /// Size in bytes of the track files read so far.
    track_bytes: u64,
}

/// A recording's job in which no problem was found, with the results of the checks.
#[derive(Debug)]
pub struct Checked {
    /// The job's arguments, with the path of its track.
    pub args: SegmentArgs,
    /// The job's outputs.
    pub outputs: CheckedOutputs,
    /// The job's track, if it has one and it was kept.
    pub track: Option<KeypointTrack>,
}

impl Preflight {
    /// Prepares to check this number of recordings.
    pub fn of(recordings: usize) -> Self {
        Self { opens: recordings > 1, models: Vec::new(), track_bytes: 0 }
    }

    /// Checks everything about a recording's job that can be checked without reading the whole
    /// recording: file names, track, outputs, model and device. With several recordings, also
    /// checks that the recording can be opened, that its track or prompts fit its frames, and that
    /// the frames fit into memory.
    ///
    /// # Errors
    /// Returns the first problem, with its remedy.
    pub fn check(&mut self, args: &SegmentArgs) -> Result<Checked> {
        check_exchanged(args)?;
        // Checked before the track, whose name may be derived from the recording's.
        args.files().iter().try_for_each(|file| check_there(file))?;
        let args = recordings::with_track(args)?;
        let outputs = check_outputs(&args)?;
        let track = match &args.prompts.keypoints {
            Some(path) => self.kept(path, KeypointTrack::read(path, &args.prompts.selection())?),
            None => None,
        };
        if self.opens {
            let options = recording::options(&args.frames, IndexMode::Auto)?;
            // Notices about the recording are logged when it is segmented.
            with_default(NoSubscriber::default(), || check_opens(&args.recording, &options))?;
        }
        self.check_model(&args)?;
        if self.opens {
            let (frames, planned) = planning::check(&args, track.as_ref())?;
            let plan = &planned.plan;
            plan.check_region(args.roi, frames.info().size)?;
            foresight::check_frames(&args, &frames, plan, &job_options(&args, &planned)?)?;
        }
        Ok(Checked { args, outputs, track })
    }

    /// Returns the track if there is room to keep it.
    fn kept(&mut self, path: &Path, track: KeypointTrack) -> Option<KeypointTrack> {
        let bytes = path.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
        self.track_bytes = self.track_bytes.saturating_add(bytes);
        (self.track_bytes <= KEPT_TRACKS).then_some(track)
    }

    fn check_model(&mut self, args: &SegmentArgs) -> Result<()> {
        let wanted = &args.network;
        let known = self.models.iter().find(|(model, _)| model == wanted);
        if let Some((_, problem)) = known {
            return problem.as_ref().map_or(Ok(()), |problem| Err(anyhow!(problem.clone())));
        }
        let checked = model::check(wanted);
        self.models.push((wanted.clone(), checked.as_ref().err().map(message::of)));
        checked
    }
}

/// Checks that a file or folder of a recording exists and is not a device or a pipe.
fn check_there(path: &Path) -> Result<()> {
    regular("the recording", path)?;
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(FrameError::NotFound { path: path.to_owned() }.into())
        }
        Err(error) => Err(anyhow::Error::from(error).context(path.display().to_string())),
        Ok(_) => Ok(()),
    }
}

/// Outputs of a job.
#[derive(Debug)]
pub struct CheckedOutputs {
    /// The first output that was named; the journal and the receipt are named after it.
    pub first: Option<PathBuf>,
    /// Outputs to write.
    pub wanted: Vec<Output>,
    /// Outputs that exist and that an earlier run lists as its own. Whether it was the same job can
    /// be checked once the model is known.
    pub kept: Option<(JobReceipt, Vec<Output>)>,
}

/// Resolves the outputs. Refuses names that cannot be written, or that would replace a file that
/// must stay.
pub fn check_outputs(args: &SegmentArgs) -> Result<CheckedOutputs> {
    let named = outputs::named(&args.output, args.contact_sheet.as_deref())?;
    let receipt = resuming::receipt(args, &named)?;
    let is_kept = |output: &Output| {
        receipt.as_ref().is_some_and(|receipt| output.path.exists() && receipt.names(&output.path))
    };
    let (masks, files) = (args.prompts.masks_in_documents(), args.files());
    let inputs = args.prompts.files().chain(&masks).chain(&files).chain(&args.network.model);
    let inputs: Vec<&Path> = inputs.map(PathBuf::as_path).collect();
    let sheet = args.contact_sheet.as_deref();
    let may_replace = |output: &Output| args.style.overwrite || is_kept(output);
    let outputs = outputs::check(&args.output, sheet, &inputs, may_replace)?;
    let wants_logits = outputs.iter().any(|output| output.format == OutputFormat::Logits);
    if wants_logits && args.running.every.get() > 1 {
        return Err(JobError::LogitsBetween.into());
    }
    let (kept, wanted) = outputs.into_iter().partition(is_kept);
    let kept: Vec<Output> = kept;
    let kept = receipt.filter(|_| !kept.is_empty()).map(|receipt| (receipt, kept));
    Ok(CheckedOutputs { first: named.into_iter().next().map(|first| first.path), wanted, kept })
}

/// Refuses devices, pipes and sockets in place of files that are read whole: some of them never
/// end.
///
/// # Errors
/// Names the first of them, with its option.
pub fn check_regular(args: &SegmentArgs) -> Result<()> {
    let masks = args.prompts.mask.iter().map(|mask| ("--mask", &mask.file));
    let prompts = args.prompts.prompts.iter().map(|path| ("--prompts", path));
    let others = [("--keypoints", &args.prompts.keypoints), ("--model", &args.network.model)];
    let others = others.into_iter().filter_map(|(option, path)| Some((option, path.as_ref()?)));
    masks.chain(prompts).chain(others).try_for_each(|(option, path)| regular(option, path))
}

/// Refuses a track in place of a recording, and a recording in place of a track.
fn check_exchanged(args: &SegmentArgs) -> Result<()> {
    let recording = args.recording.display();
    let is_track = has_ending(&args.recording, &TRACK_ENDINGS);
    match &args.prompts.keypoints {
        Some(track) if is_track && has_ending(track, &RECORDING_ENDINGS) => bail!(
            "'{recording}' is a track and '{0}' a recording: exchange them, as in `sam2 segment {0} --keypoints {recording}`",
            track.display()
        ),
        Some(track) if has_ending(track, &RECORDING_ENDINGS) => bail!(
            "--keypoints '{}' is a recording, not a track: give the table that DeepLabCut or SLEAP wrote for it",
            track.display()
        ),
        // An HDF5 file may also hold a movie. Opening it gives a better message.
        None if is_track && !has_ending(&args.recording, &["h5", "hdf5", "nwb"]) => bail!(
            "'{recording}' is a track, not a recording: use `sam2 segment RECORDING --keypoints {recording}`"
        ),
        _ => Ok(()),
    }
}
