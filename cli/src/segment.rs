//! `sam2 segment`: one recording or many, one after the other.

use std::time::Instant;

use anyhow::Result;
use sam2_engine::CancelFlag;

use crate::args::SegmentArgs;
use crate::exit::ExitStatus;
use crate::loaded_models::LoadedModels;
use crate::one_recording::{self, Finished};
use crate::preflight::{self, Preflight};
use crate::signals::cancel_on_signals;
use crate::stats::{self, RecordingStats, Stats};
use crate::{job_file, message, outputs, progress, recordings};

/// Segments everything that the arguments name.
pub fn run(args: &SegmentArgs, quiet: bool) -> Result<ExitStatus> {
    // First of all, so that a signal at any time ends the same way.
    let cancel = cancel_on_signals()?;
    let mut stats = Stats::begin();
    if let Some(path) = &args.running.stats {
        stats::check_name(path)?;
    }
    let each = each(args)?;
    if let Some(path) = &args.running.stats {
        let outputs = each.iter().flat_map(|one| &one.output);
        for output in outputs.map(outputs::resolve).filter_map(Result::ok) {
            outputs::check_differ(path, &output.path)?;
        }
    }
    let result = run_all(&each, quiet, &cancel, &mut stats);
    let Some(path) = &args.running.stats else { return result };
    let status = result.as_ref().map_or_else(ExitStatus::of, |status| *status);
    let written = stats.write(path, status);
    // What went wrong with the job comes first.
    let status = result?;
    written?;
    Ok(status)
}

/// The arguments of every recording.
fn each(args: &SegmentArgs) -> Result<Vec<SegmentArgs>> {
    let each = match &args.job {
        // A job file from the settings is for calls that name no recording.
        Some(path) if args.recordings.is_empty() => {
            preflight::regular("--job", path)?;
            let mut each = Vec::new();
            for args in job_file::read(path)? {
                each.extend(recordings::each(&args)?);
            }
            each
        }
        _ => recordings::each(args)?,
    };
    each.iter().try_for_each(preflight::check_regular)?;
    recordings::check_distinct(&each)?;
    Ok(each)
}

fn run_all(
    each: &[SegmentArgs],
    quiet: bool,
    cancel: &CancelFlag,
    stats: &mut Stats,
) -> Result<ExitStatus> {
    let mut models = LoadedModels::default();
    let mut preflight = Preflight::default();
    if let [only] = each {
        let problem = preflight.check(only, false).err();
        let (result, taken) = timed(only, problem, quiet, cancel, &mut models, stats);
        stats.add(taken);
        return result.map(|finished| finished.status);
    }
    // What is wrong with any of them is said before hours are spent on the first.
    let mut checked = Vec::with_capacity(each.len());
    for args in each {
        let problem = preflight.check(args, !cancel.is_cancelled()).err();
        if let Some(error) = &problem {
            tell(args, error);
        }
        checked.push((args, problem));
    }
    let wrong = checked.iter().filter(|(_, problem)| problem.is_some()).count();
    if wrong > 0 && wrong < each.len() {
        tracing::warn!("{wrong} of {} recordings cannot be segmented; the others are", each.len());
    }
    let mut lines = Vec::new();
    let mut statuses = Vec::new();
    for (index, (args, problem)) in checked.into_iter().enumerate() {
        let name = args.recording.display().to_string();
        let told_before = problem.is_some();
        if !told_before {
            tracing::info!("recording {} of {}: {name}", index + 1, each.len());
        }
        let started = Instant::now();
        let (result, taken) = timed(args, problem, quiet, cancel, &mut models, stats);
        stats.add(taken);
        let seconds = started.elapsed().as_secs_f64();
        let (status, line) = match result {
            Ok(finished) => (finished.status, finished.line(&name, seconds)),
            Err(error) => {
                let text = message::of(&error);
                let status = ExitStatus::of(&error);
                let line = match status {
                    ExitStatus::Interrupted(_) => format!("{name}: {text}"),
                    _ => format!("{name}: failed: {text}"),
                };
                if !told_before {
                    tell(args, &error);
                }
                (status, line)
            }
        };
        lines.push(line);
        statuses.push(status);
        if cancel.is_cancelled() {
            let left = each.len() - index - 1;
            if left > 0 {
                lines.push(format!("{left} more recordings were not begun"));
            }
            break;
        }
    }
    tracing::info!("summary of {} recordings:", each.len());
    lines.iter().for_each(|line| tracing::info!("  {line}"));
    Ok(ExitStatus::of_all(&statuses))
}

/// Prints an error of one of many recordings.
fn tell(args: &SegmentArgs, error: &anyhow::Error) {
    let (name, text) = (args.recording.display().to_string(), message::of(error));
    let is_named = text.starts_with(&name) || text.starts_with(&format!("'{name}'"));
    progress::print_error(&if is_named { text } else { format!("{name}: {text}") });
}

/// Segments a recording, unless a problem with it is known, and notes what it took.
fn timed(
    args: &SegmentArgs,
    problem: Option<anyhow::Error>,
    quiet: bool,
    cancel: &CancelFlag,
    models: &mut LoadedModels,
    stats: &mut Stats,
) -> (Result<Finished>, RecordingStats) {
    let outputs = args.output.iter().map(|o| o.typed().to_string_lossy().into_owned()).collect();
    let mut taken = RecordingStats::new(&args.recording, outputs);
    let started = Instant::now();
    let result = match problem {
        Some(error) => Err(error),
        None => one_recording::run(args, quiet, cancel, models, stats, &mut taken),
    };
    let took = started.elapsed();
    match &result {
        Ok(finished) => taken.ended(finished.status, finished.report.as_ref(), took),
        Err(error) => {
            taken.ended(ExitStatus::of(error), None, took);
            taken.error(&message::of(error));
        }
    }
    (result, taken)
}
