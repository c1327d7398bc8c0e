//! `sam2 segment`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use sam2_engine::{
    CancelFlag, EngineError, Fit, FlaggedFrames, FrameSource, GuardedOptions, JobOptions, JobPlan,
    JobReport, LazyFrames, MemoryPolicyChoice, SessionOptions, segment,
};

use crate::args::{MemoryArg, SegmentArgs};
use crate::exit::ExitStatus;
use crate::model;
use crate::outputs;
use crate::planning::{open_and_plan, plan_for};
use crate::progress::Progress;

/// The signal that asked to stop; 0 = none.
static SIGNAL: std::sync::LazyLock<Arc<AtomicUsize>> = std::sync::LazyLock::new(Arc::default);

/// The signal that interrupted the job, if one did.
pub fn received_signal() -> Option<u8> {
    u8::try_from(SIGNAL.load(Ordering::Relaxed)).ok().filter(|&signal| signal > 0)
}

/// Segments a recording.
pub fn run(args: &SegmentArgs, quiet: bool) -> Result<ExitStatus> {
    // First of all, so that a signal at any time ends the same way.
    let cancel = cancel_on_signals()?;
    // Everything that can be wrong with names and prompts shows before the model is loaded.
    outputs::check(args)?;
    let (frames, plan) = open_and_plan(args)?;
    plan.check_region(args.roi, frames.size())?;
    let model = model::load(args.model.as_deref(), args.config.as_deref(), args.device)?;
    let model = match args.image_size {
        Some(size) => model.with_image_size(size).with_context(|| {
            format!("--image-size {size} does not fit the model's windows: use a multiple of 32, such as 512 or 768")
        })?,
        None => model,
    };

    let options = JobOptions {
        session: SessionOptions {
            fill_hole_area: args.fill_holes,
            resize: args.frames.resize,
            region: args.roi,
            max_conditioning_frames: args.prompts.conditioning_frames(),
            fit: if args.letterbox { Fit::Letterbox } else { Fit::Squash },
            memory_policy: match args.memory {
                MemoryArg::Official => MemoryPolicyChoice::Official,
                MemoryArg::Guarded => MemoryPolicyChoice::Guarded(GuardedOptions::default()),
            },
            ..Default::default()
        },
        frames_mode: args.frames.frames_mode,
    };
    let attempt = |plan: &JobPlan| -> Result<JobReport, EngineError> {
        let sinks = outputs::create(args, &frames, plan)?;
        let mut progress = Progress::new(plan.frame_count(), quiet);
        let report = segment(&model, &frames, plan, options, sinks, &mut progress, &cancel);
        progress.finish();
        report
    };
    let report = match attempt(&plan) {
        Err(EngineError::FrameCountChanged { recording, before, now }) => {
            // The source has counted anew by now; batches and pages must follow.
            tracing::warn!("{recording} has {now} frames, not {before}: starting over");
            attempt(&plan_for(args, &frames)?)
        }
        other => other,
    }?;
    report_bad_frames(&frames);
    report_reading(&frames);
    Ok(summarise(args, &report))
}

/// The first Ctrl-C or SIGTERM stops after the current frame, a second one at once.
fn cancel_on_signals() -> Result<CancelFlag> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let cancel = CancelFlag::new();
    let armed = Arc::new(AtomicBool::new(false));
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

/// Names the frames that were replaced; each was warned of when it was met.
fn report_bad_frames(frames: &LazyFrames) {
    /// Numbers that are listed one by one.
    const MANY: usize = 20;
    let bad = frames.damaged_frames();
    if bad.is_empty() {
        return;
    }
    let mut list: Vec<String> = bad.iter().take(MANY).map(ToString::to_string).collect();
    if bad.len() > MANY {
        list.push(format!("and {} more", bad.len() - MANY));
    }
    tracing::warn!("{} damaged frames: {}", bad.len(), list.join(", "));
}

/// What reading the frames cost, for those who want to know (-v).
fn report_reading(frames: &LazyFrames) {
    let stats = frames.stats();
    tracing::debug!(
        "frames: {:.1} % of requests answered at once; waited {:.3} s in all, {:.3} s at most; {:.2} decoded for each \
         served; {} read ahead, {} of them for nothing; {:.1} MB at most",
        stats.hit_rate() * 100.0,
        stats.wait_total.as_secs_f64(),
        stats.wait_max.as_secs_f64(),
        stats.decoded_per_served(),
        stats.prefetched,
        stats.wasted,
        stats.peak_total_bytes() as f64 / 1e6,
    );
}

fn summarise(args: &SegmentArgs, report: &JobReport) -> ExitStatus {
    let size = std::fs::metadata(&args.output).map_or(0, |m| m.len());
    tracing::info!(
        "{}: {} pages, {:.1} MB",
        args.output.display(),
        report.frames,
        size as f64 / 1e6
    );
    warnings(&report.flagged).iter().for_each(|line| tracing::warn!("{line}"));
    for range in &report.unprompted {
        tracing::warn!(
            "frames {} to {} had no usable prompt and are empty",
            range.start,
            range.end - 1
        );
    }
    for missing in &report.unprompted_objects {
        tracing::warn!("{missing}");
    }
    let complete = report.unprompted.is_empty() && report.unprompted_objects.is_empty();
    if complete { ExitStatus::Done } else { ExitStatus::Flawed }
}

/// One line for each kind of flag: on how many frames, of which objects, and where first.
fn warnings(flagged: &[FlaggedFrames]) -> Vec<String> {
    /// Ranges that are listed one by one.
    const FIRST: usize = 5;
    flagged
        .chunk_by(|a, b| a.flag == b.flag)
        .map(|of_kind| {
            let count: usize = of_kind.iter().map(FlaggedFrames::count).sum();
            let objects: Vec<String> = of_kind.iter().map(|f| f.object.to_string()).collect();
            let ranges: Vec<_> = of_kind.iter().flat_map(|flagged| &flagged.ranges).collect();
            let mut list: Vec<String> = ranges
                .iter()
                .take(FIRST)
                .map(|range| match range.len() {
                    1 => range.start.to_string(),
                    _ => format!("{}-{}", range.start, range.end - 1),
                })
                .collect();
            if ranges.len() > FIRST {
                list.push(format!("and {} more", ranges.len() - FIRST));
            }
            format!(
                "{}: {count} {} (object {}), frames {}",
                of_kind[0].flag,
                if count == 1 { "mask" } else { "masks" },
                objects.join(", "),
                list.join(", ")
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_flag_is_one_line_with_the_first_ranges() {
        use sam2_engine::{ObjectId, QualityFlag};
        let flagged = |flag, object, ranges: &[std::ops::Range<usize>]| {
            FlaggedFrames::new(flag, ObjectId(object), ranges.to_vec())
        };
        let many: Vec<_> = (0..7).map(|i| 10 * i..10 * i + 1).collect();
        let lines = warnings(&[
            flagged(QualityFlag::Lost, 1, &[3..5, 9..10]),
            flagged(QualityFlag::Lost, 2, std::slice::from_ref(&(0..20))),
            flagged(QualityFlag::AreaJump, 2, &many),
            flagged(QualityFlag::Inverted, 4, std::slice::from_ref(&(6..7))),
        ]);
        assert_eq!(lines.len(), 3);
        assert!(lines[0].ends_with("found: 23 masks (object 1, 2), frames 3-4, 9, 0-19"));
        assert!(lines[1].ends_with("7 masks (object 2), frames 0, 10, 20, 30, 40, and 2 more"));
        assert!(lines[2].ends_with("1 mask (object 4), frames 6"), "{}", lines[2]);
        assert!(warnings(&[]).is_empty());
    }
}
