//! What is to be done with a recording: its frames and a plan, every prompt checked before the model is loaded.

use anyhow::{Context, Result, bail};
use sam2_engine::keypoints::{KeypointSelection, KeypointTrack};
use sam2_engine::{FrameSource, JobPlan, LazyFrames};
use sam2_frame_provider::IndexMode;

use crate::args::SegmentArgs;
use crate::prompt_args::gather;
use crate::recording;

/// Frames per batch, as in the lab's own scripts.
const DEFAULT_BATCH_SIZE: usize = 400;

/// Opens the recording and settles what is to be done.
pub fn open_and_plan(args: &SegmentArgs) -> Result<(LazyFrames, JobPlan)> {
    let frames = recording::open(&args.recording, &args.frames, IndexMode::Auto)?;
    let planned = match plan_for(args, &frames) {
        Err(error) if args.prompts.keypoints.is_some() && args.recording.is_file() => {
            // A damaged recording can claim frames that cannot be decoded: count them before blaming the track.
            match recording::open(&args.recording, &args.frames, IndexMode::Decode) {
                Ok(counted) if counted.frame_count() != frames.frame_count() => {
                    let plan = plan_for(args, &counted)?;
                    Ok((counted, plan))
                }
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
        Ok(plan) => Ok((frames, plan)),
    };
    let (frames, plan) = planned?;
    tracing::info!("{}: {} frames of {}", frames.describe(), frames.frame_count(), frames.size());
    Ok((frames, plan))
}

/// The plan for the frames there are, every prompt checked.
pub fn plan_for(args: &SegmentArgs, frames: &dyn FrameSource) -> Result<JobPlan> {
    let count = frames.frame_count();
    let Some(path) = &args.prompts.keypoints else {
        let prompts =
            gather(&args.prompts.point, &args.prompts.bounds).map_err(anyhow::Error::msg)?;
        if prompts.is_empty() {
            bail!("nothing to segment: give --keypoints TRACK.csv, --point or --box");
        }
        let plan = JobPlan::whole(count, prompts);
        plan.check(count, frames.size()).with_context(|| args.recording.display().to_string())?;
        return Ok(plan);
    };
    let selection = KeypointSelection {
        bodyparts: split_names(&args.prompts.bodyparts),
        individual: args.prompts.individual.clone(),
        scale: args.prompts.downsample_factor.unwrap_or(1.0),
    };
    let track = KeypointTrack::read_dlc(path, &selection)?;
    if let Err(error) = track.check_rows(count) {
        if !args.prompts.allow_row_mismatch {
            return Err(error.into());
        }
        tracing::warn!(
            "{} has {} rows for {count} frames: using the rows there are",
            path.display(),
            track.len()
        );
    }
    let batch_size = args.prompts.batch_size.unwrap_or(DEFAULT_BATCH_SIZE);
    let min_likelihood = args.prompts.min_likelihood.unwrap_or(0.0);
    let plan = JobPlan::from_keypoints(&track, count, batch_size, min_likelihood);
    plan.check(count, frames.size()).with_context(|| {
        format!("{} (is it of a smaller video? then give --downsample-factor)", path.display())
    })?;
    Ok(plan)
}

/// `snout,tailbase`, `"snout tailbase"` and `snout tailbase` all mean the same.
fn split_names(given: &[String]) -> Vec<String> {
    given
        .iter()
        .flat_map(|text| text.split([',', ' ']))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_at_commas_and_spaces() {
        let split =
            |given: &[&str]| split_names(&given.iter().map(|s| s.to_string()).collect::<Vec<_>>());
        let expected = ["snout", "tailbase"];
        assert_eq!(split(&["snout,tailbase"]), expected);
        assert_eq!(split(&["snout tailbase"]), expected);
        assert_eq!(split(&["snout", "tailbase"]), expected);
        assert_eq!(split(&["snout, tailbase"]), expected);
    }
}
