//! The pose track of a run that is corrected or looked through.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args as _, FromArgMatches as _};
use sam2_engine::FrameSource;
use sam2_jobs::{KeypointTrack, RunOptions, TrackEvidence, TrackedRecording};
use sam2_mask_writer::RunHeader;

use crate::args::PromptArgs;
use crate::planning;

/// The setting that holds a digest of the track that masks were compared with.
pub const TRACK: &str = "track";

/// The options by which a run read its track.
const OPTIONS: [&str; 9] = [
    "--keypoints",
    "--bodyparts",
    "--individual",
    "--keypoints-video",
    "--keypoints-first-frame",
    "--keypoints-offset",
    "--downsample-factor",
    "--allow-row-mismatch",
    "--min-likelihood",
];

/// A pose track.
#[derive(Clone, Debug)]
pub struct RunTrack {
    /// What it says about masks.
    pub evidence: TrackEvidence,
    /// True if the masks of the run were compared with this track. Only then is it compared with masks that are tracked
    /// again; otherwise a corrected run would have flags that the same prompts do not give from the start.
    pub is_of_run: bool,
}

/// Finds the pose track of a run: the one that was named, or one of the same name next to the run file or in the working
/// folder. It is read with the run's own options. Without a track that fits, says so if the run had one.
///
/// # Errors
/// Fails if a named track cannot be read, or is not the one that the run was compared with.
pub fn of_run(
    run: &Path,
    named: Option<&Path>,
    header: &RunHeader,
    frames: &dyn FrameSource,
) -> Result<Option<RunTrack>> {
    let args = options_of(header)?;
    let region = RunOptions::of(header)?.job.session.region;
    let known = header.settings.get(TRACK);
    let read = |path: &Path| -> Result<RunTrack> {
        let recording = TrackedRecording { region, ..TrackedRecording::of(frames) };
        let track = KeypointTrack::read(path, &args.selection())?;
        let track = planning::located(track, &recording, args.allow_row_mismatch)?;
        let evidence = args.keypoint_prompts().evidence(track);
        let is_of_run = known.is_some_and(|digest| *digest == evidence.digest());
        if known.is_some() && !is_of_run {
            bail!(
                "'{}' is not the track that the run was compared with: its points differ",
                path.display()
            );
        }
        Ok(RunTrack { evidence, is_of_run })
    };
    if let Some(path) = named {
        return read(path).map(Some);
    }
    let name = args.keypoints.as_deref().and_then(Path::file_name);
    let (Some(name), Some(_)) = (name, known) else { return Ok(None) };
    let beside = run.parent().map(|folder| folder.join(name));
    let mut places = beside.into_iter().chain([PathBuf::from(name)]);
    let found = places.find(|path| path.exists()).map(|path| read(&path));
    let missing = || {
        let name = Path::new(name).display();
        anyhow::anyhow!(
            "the track '{name}' is neither next to the run file nor here; name it with --keypoints FILE"
        )
    };
    match found.unwrap_or_else(|| Err(missing())) {
        Ok(track) => Ok(Some(track)),
        Err(error) => {
            tracing::warn!(
                "frames that are tracked again are not compared with the pose track, so they cannot have the flag off-track: {error:#}"
            );
            Ok(None)
        }
    }
}

/// Returns how a run read its track.
fn options_of(header: &RunHeader) -> Result<PromptArgs> {
    let mut typed = vec!["prompts"];
    for (option, value) in header.options.iter().filter(|(o, _)| OPTIONS.contains(&o.as_str())) {
        typed.push(option);
        if !value.is_empty() {
            typed.push(value);
        }
    }
    let command = PromptArgs::augment_args(clap::Command::new("prompts"));
    let matches = command.try_get_matches_from(typed);
    let matches =
        matches.context("the run names options of its track that this program does not know")?;
    Ok(PromptArgs::from_arg_matches(&matches)?)
}
