//! A run without masks: a recording that is to be prompted in the review page.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args as _, FromArgMatches as _};
use sam2_engine::{FrameSource as _, RunHeader};
use sam2_frame_provider::IndexMode;
use sam2_jobs::{JobPlan, KeypointTrack, TrackEvidence, TrackedRecording, recording_fingerprint};
use sam2_mask_writer::{MaskFrame, MaskSink as _, RunFileSink};

use crate::args::{PassesArg, ReviewArgs, SegmentArgs};
use crate::job_header::job_header;
use crate::job_options::job_options;
use crate::planning::{self, Planned};
use crate::{model, recording};

/// Returns the run file of a recording that has none yet: `NAME.sam2run` in the working folder.
pub fn place(recording: &Path) -> Result<PathBuf> {
    match recording.file_stem() {
        Some(name) => Ok(PathBuf::from(format!("{}.sam2run", name.to_string_lossy()))),
        None => bail!("'{}' names no recording", recording.display()),
    }
}

/// Makes a run of a recording in which every frame is empty, with the settings that `sam2 segment` has by default. Every mask is then a
/// correction.
///
/// # Errors
/// Fails if the recording, the model or the track cannot be read, or if the run file cannot be written.
pub fn make(args: &ReviewArgs, recording: &Path, run: &Path) -> Result<()> {
    let args = segmenting(args, recording, run)?;
    let frames = recording::open(recording, &args.frames, IndexMode::Auto)?;
    let info = frames.info();
    let track = match &args.prompts.keypoints {
        Some(path) => {
            let track = KeypointTrack::read(path, &args.prompts.selection())?;
            Some(planning::located(track, &TrackedRecording::of(&frames), false)?)
        }
        None => None,
    };
    let mut plan = JobPlan::whole(info.frame_count, Vec::new());
    let named = track.iter().flat_map(|track| track.objects());
    plan.names = named.filter_map(|(object, who)| Some((object, who.name.clone()?))).collect();
    let evidence: Option<TrackEvidence> =
        track.map(|track| args.prompts.keypoint_prompts().evidence(track));
    let (model, _) = model::load(&args.network)?;
    let planned = Planned { plan, evidence, passes: PassesArg::Nearest };
    let options = job_options(&args, &planned)?;
    let contents = recording_fingerprint(&args.files()).with_context(|| {
        format!("'{}' cannot be read: check its permissions", recording.display())
    })?;
    let header = job_header(&args, (&model, &frames), &planned, &options, contents)?;
    write(run, &header, &frames)
}

/// Returns how `sam2 segment` would take the recording.
fn segmenting(args: &ReviewArgs, recording: &Path, run: &Path) -> Result<SegmentArgs> {
    let command = SegmentArgs::augment_args(clap::Command::new("segment"));
    let matches =
        command.try_get_matches_from([Path::new("segment"), recording, Path::new("-o"), run])?;
    let mut segment = SegmentArgs::from_arg_matches(&matches)?;
    recording.clone_into(&mut segment.recording);
    segment.prompts.keypoints.clone_from(&args.keypoints);
    segment.network = args.network.clone();
    segment.running.mixed_processors = args.mixed_processors;
    Ok(segment)
}

fn write(run: &Path, header: &RunHeader, frames: &sam2_engine::LazyFrames) -> Result<()> {
    let info = frames.info();
    let mut sink = Box::new(RunFileSink::create(run, header, false)?);
    for frame in 0..info.frame_count {
        sink.write(&MaskFrame::new(frame, &[]).with_seconds(info.time(frame)))?;
    }
    sink.finish()?.publish()?;
    Ok(())
}
