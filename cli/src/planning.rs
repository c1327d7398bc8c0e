//! Opens a recording and plans its job. Every prompt is checked before the model is loaded.

use std::path::Path;

use anyhow::{Context, Result, bail};
use sam2_engine::{FrameSource, LazyFrames};
use sam2_frame_provider::{BadFrames, FrameError, IndexMode};
use sam2_jobs::{
    JobPlan, KeypointTrack, KnownObjects, LocatedTrack, TrackEvidence, TrackNotice,
    TrackedRecording,
};

use crate::args::{PassesArg, SegmentArgs};
use crate::recording;

/// What a job does, and what its masks are compared with.
pub struct Planned {
    /// The batches and their prompts.
    pub plan: JobPlan,
    /// The pose track, if there is one.
    pub evidence: Option<TrackEvidence>,
    /// How frames are tracked.
    pub passes: PassesArg,
}

/// Opens the recording and plans the job.
///
/// `track` is the track named by the arguments, if it has been read already.
pub fn open_and_plan(
    args: &SegmentArgs,
    track: Option<&KeypointTrack>,
) -> Result<(LazyFrames, Planned)> {
    let frames = recording::open(&args.recording, &args.frames, IndexMode::Auto)?;
    let planned = match plan_for(args, track, &frames) {
        Err(error) if args.prompts.keypoints.is_some() && args.recording.is_file() => {
            // A damaged recording can claim frames that cannot be decoded: count them before blaming the track.
            match recording::open(&args.recording, &args.frames, IndexMode::Decode) {
                Ok(counted) if counted.info().frame_count != frames.info().frame_count => {
                    let planned = plan_for(args, track, &counted)?;
                    Ok((counted, planned))
                }
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
        Ok(planned) => Ok((frames, planned)),
    };
    let (frames, planned) = planned?;
    check_sizes(args, &frames)?;
    let info = frames.info();
    tracing::info!("{}: {} frames of {}", info.description, info.frame_count, info.size);
    let names = &planned.plan.names;
    if !names.is_empty() {
        let named = names.iter().map(|(object, name)| format!("{object} = {name}"));
        tracing::info!("objects: {}", named.collect::<Vec<_>>().join(", "));
    }
    if args.running.passes.is_none() && planned.passes == PassesArg::Nearest {
        tracing::info!(
            "the track has several individuals: each frame is tracked from the nearest prompt (--passes nearest; docs/passes.md)"
        );
    }
    Ok((frames, planned))
}

/// Opens the recording and plans the job without logging anything, since the real run opens it
/// again and logs the rest.
///
/// # Errors
/// The same as [`open_and_plan`].
pub fn check(args: &SegmentArgs, track: Option<&KeypointTrack>) -> Result<(LazyFrames, Planned)> {
    let silent = tracing::subscriber::NoSubscriber::default();
    tracing::subscriber::with_default(silent, || open_and_plan(args, track))
}

/// Refuses a recording whose frames are known to change size, unless such frames are to be
/// replaced.
fn check_sizes(args: &SegmentArgs, frames: &dyn FrameSource) -> Result<()> {
    let Some(error) = frames.info().flaws.size_change else { return Ok(()) };
    let FrameError::SizeChanged { index, .. } = error else { return Ok(()) };
    let end = args.running.frames.and_then(|part| part.end).unwrap_or(usize::MAX);
    if args.frames.on_bad_frame != BadFrames::Error || end <= index {
        return Ok(());
    }
    Err(error.into())
}

/// Plans the job for the recording's frames and checks every prompt.
pub fn plan_for(
    args: &SegmentArgs,
    track: Option<&KeypointTrack>,
    frames: &dyn FrameSource,
) -> Result<Planned> {
    let info = frames.info();
    let (count, size) = (info.frame_count, info.size);
    let by_track = match &args.prompts.keypoints {
        Some(path) => Some(plan_by_track(args, (path.as_path(), track), frames)?),
        None => None,
    };
    let names = by_track.as_ref().map(|by_track| by_track.plan.names.clone()).unwrap_or_default();
    let recording = TrackedRecording::of(frames);
    let (given, notices) = args.prompts.gather(&recording, &KnownObjects::new(names))?;
    tell(&notices);
    let planned = match by_track {
        Some(mut planned) => {
            planned.plan.add(given);
            planned
        }
        None if given.is_empty() => {
            bail!(
                "nothing to segment: give --keypoints TRACK, --prompts FILE, --point, --box or --mask"
            )
        }
        None => {
            let batch_size = args.prompts.batch_size.unwrap_or(0);
            let plan = JobPlan::from_prompts(count, batch_size, given);
            let passes = args.running.passes_for(0, args.frames.frames_mode);
            Planned { plan, evidence: None, passes }
        }
    };
    planned.plan.check(count, size).with_context(|| args.recording.display().to_string())?;
    planned.plan.doubts().iter().for_each(|doubt| tracing::warn!("{doubt}"));
    Ok(planned)
}

/// Plans the job from a track, given by its path and, if it has been read already, its contents.
fn plan_by_track(
    args: &SegmentArgs,
    (path, track): (&Path, Option<&KeypointTrack>),
    frames: &dyn FrameSource,
) -> Result<Planned> {
    let info = frames.info();
    let (count, size) = (info.frame_count, info.size);
    // A region outside the picture is reported later.
    let region = args.roi.filter(|region| region.is_within(size));
    let recording = TrackedRecording { region, ..TrackedRecording::of(frames) };
    let track = match track {
        Some(track) => track.clone(),
        None => KeypointTrack::read(path, &args.prompts.selection())?,
    };
    let track = located(track, &recording, args.prompts.allow_row_mismatch)?;
    let rows = track.len();
    if !track.has_every_frame() {
        tracing::info!(
            "{} holds {rows} of {count} frames (labelled data and SLEAP leave out the others)",
            path.display()
        );
    }
    let prompts = args.prompts.keypoint_prompts();
    let (plan, notices) = JobPlan::from_keypoints(&track, &prompts)?;
    tell(&notices);
    plan.check(count, size).with_context(|| path.display().to_string())?;
    let individuals = track.objects().count();
    let passes = args.running.passes_for(individuals, args.frames.frames_mode);
    Ok(Planned { plan, evidence: Some(prompts.evidence(track)), passes })
}

/// Assigns a track to its recording, and logs what there is to say about it.
///
/// # Errors
/// Fails if the track does not fit the recording. With `allow_row_mismatch`, another number of rows is only warned about.
pub fn located(
    track: KeypointTrack,
    recording: &TrackedRecording,
    allow_row_mismatch: bool,
) -> Result<LocatedTrack> {
    let track = track.locate(recording)?;
    tell(track.notices());
    if let Err(error) = track.check_rows() {
        if !allow_row_mismatch {
            return Err(error.into());
        }
        tracing::warn!(
            "{} has {} rows for {} frames: using the rows there are",
            track.path().display(),
            track.len(),
            track.frame_count()
        );
    }
    Ok(track)
}

/// Logs the notices about a track.
pub fn tell(notices: &[TrackNotice]) {
    for notice in notices {
        match notice {
            TrackNotice::Info(_) => tracing::info!("{notice}"),
            _ => tracing::warn!("{notice}"),
        }
    }
}
