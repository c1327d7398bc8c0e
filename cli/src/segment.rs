//! `sam2 segment`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use sam2_engine::keypoints::{KeypointSelection, KeypointTrack};
use sam2_engine::{
    CancelFlag, EngineError, FrameSource, JobPlan, JobReport, LazyFrames, LazyOptions, MaskSink,
    Sam2, SessionOptions, segment,
};
use sam2_mask_writer::{BigTiffSink, ContactSheetSink, PixelValues};

use crate::args::SegmentArgs;
use crate::convert::parse_config;
use crate::demo_model;
use crate::exit::ExitStatus;
use crate::progress::Progress;
use crate::prompt_args::gather;

/// Endings that mean a BigTIFF stack.
const STACK_ENDINGS: [&str; 3] = ["btf", "tif", "tiff"];

/// The signal that asked to stop; 0 = none.
static SIGNAL: std::sync::LazyLock<Arc<AtomicUsize>> = std::sync::LazyLock::new(Arc::default);

/// The signal that interrupted the job, if one did.
pub fn received_signal() -> Option<u8> {
    u8::try_from(SIGNAL.load(Ordering::Relaxed)).ok().filter(|&signal| signal > 0)
}

/// Segments a recording.
pub fn run(args: &SegmentArgs, quiet: bool) -> Result<ExitStatus> {
    check_ending(&args.output)?;
    let options = LazyOptions {
        cache_frames: args.cache_frames,
        prefetch: args.prefetch,
        ..LazyOptions::default()
    };
    let frames = LazyFrames::open(&args.recording, options)?;
    for warning in frames.warnings() {
        tracing::debug!("{warning}");
    }
    tracing::info!("{}: {} frames of {}", frames.describe(), frames.frame_count(), frames.size());
    // Everything that can be wrong with the prompts shows before the model is loaded.
    let plan = plan(args, &frames)?;
    plan.check(frames.frame_count(), frames.size())?;
    let model = load_model(args)?;
    let cancel = cancel_on_signals()?;

    let session = SessionOptions { fill_hole_area: args.fill_holes, ..Default::default() };
    let attempt = |plan: &JobPlan| -> Result<JobReport, EngineError> {
        let sinks = create_sinks(args, &frames, plan)?;
        let mut progress = Progress::new(plan.frame_count(), quiet);
        let report = segment(&model, &frames, plan, session, sinks, &mut progress, &cancel);
        progress.finish();
        report
    };
    let report = match attempt(&plan) {
        Err(error @ EngineError::FrameCountChanged { .. }) => {
            // The source has counted anew by now; batches and pages must follow.
            tracing::warn!("{error}; starting over with the true number of frames");
            attempt(&self::plan(args, &frames)?)
        }
        other => other,
    }?;
    Ok(summarise(args, &report))
}

fn check_ending(output: &Path) -> Result<()> {
    let ending = output.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    if !STACK_ENDINGS.contains(&ending.as_str()) {
        bail!(
            "cannot tell the format of '{}': use an ending of .btf, .tif or .tiff",
            output.display()
        );
    }
    Ok(())
}

fn plan(args: &SegmentArgs, frames: &dyn FrameSource) -> Result<JobPlan> {
    let count = frames.frame_count();
    let Some(path) = &args.keypoints else {
        let prompts = gather(&args.point, &args.bounds).map_err(anyhow::Error::msg)?;
        if prompts.is_empty() {
            bail!("nothing to segment: give --keypoints TRACK.csv, --point or --box");
        }
        return Ok(JobPlan::whole(count, prompts));
    };
    let selection = KeypointSelection {
        bodyparts: split_names(&args.bodyparts),
        individual: args.individual.clone(),
        scale: args.downsample_factor,
    };
    let track = KeypointTrack::read_dlc(path, &selection)?;
    if let Err(error) = track.check_rows(count) {
        if !args.allow_row_mismatch {
            return Err(error.into());
        }
        tracing::warn!("{error}: going on with the rows there are");
    }
    Ok(JobPlan::from_keypoints(&track, count, args.batch_size, args.min_likelihood))
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

fn load_model(args: &SegmentArgs) -> Result<Sam2> {
    let (device, name) = args.device.open()?;
    let model = match &args.model {
        Some(path) => {
            let config = args.config.as_deref().map(parse_config).transpose()?;
            Sam2::load_with(path, config, &device)?
        }
        None => {
            tracing::warn!("{}", demo_model::NOTICE);
            Sam2::from_bytes(demo_model::WEIGHTS, "the built-in model", None, &device)?
        }
    };
    tracing::info!("{} on {name}", model.config());
    Ok(model)
}

fn create_sinks(
    args: &SegmentArgs,
    frames: &dyn FrameSource,
    plan: &JobPlan,
) -> Result<Vec<Box<dyn MaskSink>>, EngineError> {
    let size = (frames.size().width, frames.size().height);
    let count = plan.frame_count();
    let values = if args.ids { PixelValues::ObjectIds } else { PixelValues::Binary };
    let stack = BigTiffSink::create(&args.output, size, count, values, args.overwrite)?;
    let mut sinks: Vec<Box<dyn MaskSink>> = vec![Box::new(stack)];
    if let Some(path) = &args.contact_sheet {
        let highlights = plan.prompt_frames();
        let sheet = ContactSheetSink::create(path, size, count, &highlights, args.overwrite)?;
        sinks.push(Box::new(sheet));
    }
    Ok(sinks)
}

/// The first Ctrl-C or SIGTERM stops after the current frame, a second one at once.
fn cancel_on_signals() -> Result<CancelFlag> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let cancel = CancelFlag::new();
    let armed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let failed = || "cannot react to signals";
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&armed))
            .with_context(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&armed)).with_context(failed)?;
        signal_hook::flag::register(signal, cancel.shared()).with_context(failed)?;
        signal_hook::flag::register_usize(signal, Arc::clone(&SIGNAL), signal as usize)
            .with_context(failed)?;
    }
    Ok(cancel)
}

fn summarise(args: &SegmentArgs, report: &JobReport) -> ExitStatus {
    let size = std::fs::metadata(&args.output).map_or(0, |m| m.len());
    tracing::info!(
        "{}: {} pages, {:.1} MB",
        args.output.display(),
        report.frames,
        size as f64 / 1e6
    );
    if report.empty_frames > 0 {
        tracing::warn!("the object was not found in {} frames", report.empty_frames);
    }
    for range in &report.unprompted {
        tracing::warn!(
            "frames {} to {} had no usable prompt and are empty",
            range.start,
            range.end - 1
        );
    }
    if report.unprompted.is_empty() { ExitStatus::Done } else { ExitStatus::Unprompted }
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
