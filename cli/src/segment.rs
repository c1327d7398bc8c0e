//! `sam2 segment`: segments one recording, or several in turn.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Instant;

use anyhow::Result;
use sam2_frame_provider::FrameError;
use sam2_jobs::{CancelFlag, KeypointError};

use crate::args::SegmentArgs;
use crate::exit::ExitStatus;
use crate::loaded_models::LoadedModels;
use crate::one_recording::{self, Finished};
use crate::preflight::{self, Checked, Preflight};
use crate::signals::cancel_on_signals;
use crate::stats::{self, RecordingStats, Stats};
use crate::typed_files;
use crate::{job_file, message, outputs, progress, recordings};

/// Segments all recordings that the arguments name.
pub fn run(args: &SegmentArgs, quiet: bool) -> Result<ExitStatus> {
    // Set up first, so that a signal is handled the same way at any time.
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
    let is_dry = each.iter().all(|one| one.running.dry_run);
    let written = args.running.stats.as_ref().filter(|_| !is_dry);
    let Some(path) = written else { return result };
    let status = result.as_ref().map_or_else(ExitStatus::of, |status| *status);
    let written = stats.write(path, status);
    // An error of the job takes precedence over one of the statistics file.
    let status = result?;
    written?;
    Ok(status)
}

/// Returns the arguments of every recording.
fn each(args: &SegmentArgs) -> Result<Vec<SegmentArgs>> {
    let mut each = match &args.job {
        // A job file from the settings applies only to calls that name no recording.
        Some(path) if args.recordings.is_empty() => {
            typed_files::regular("--job", path)?;
            let mut each = Vec::new();
            for args in job_file::read(path)? {
                each.extend(recordings::each(&args)?);
            }
            each
        }
        _ => recordings::each(args)?,
    };
    // A dry run leaves nothing behind.
    let dry = each.iter_mut().filter(|one| one.running.dry_run);
    dry.for_each(|one| one.frames.index_cache = false);
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
    let mut preflight = Preflight::of(each.len());
    if let [only] = each {
        let checked = preflight.check(only);
        let (result, taken) = timed(only, checked, quiet, cancel, &mut models, stats);
        stats.add(taken);
        return result.map(|finished| finished.status);
    }
    // All problems are reported before hours are spent on the first recording.
    let mut all_checked = Vec::with_capacity(each.len());
    for args in each {
        all_checked.push((args, preflight.check(args)));
        if cancel.is_cancelled() {
            break;
        }
    }
    let wrong = tell_problems(&all_checked, each.len());
    let none_can = wrong == each.len();
    if wrong > 0 && !none_can {
        tracing::warn!("{wrong} of {} recordings cannot be segmented; the others are", each.len());
    }
    let mut lines = Vec::new();
    let mut statuses = Vec::new();
    // Each reason, with the first recording that failed for it.
    let mut failed = BTreeMap::new();
    for (index, (args, checked)) in all_checked.into_iter().enumerate() {
        let name = args.recording.display().to_string();
        let told_before = checked.is_err();
        if !told_before {
            tracing::info!("recording {} of {}: {name}", index + 1, each.len());
        }
        let started = Instant::now();
        let (result, taken) = timed(args, checked, quiet, cancel, &mut models, stats);
        stats.add(taken);
        let seconds = started.elapsed().as_secs_f64();
        let (status, line) = match result {
            Ok(finished) => (finished.status, finished.line(&name, seconds)),
            Err(error) => {
                let text = without_name(args, &error);
                let status = ExitStatus::of(&error);
                let line = match status {
                    ExitStatus::Interrupted(_) => format!("{name}: {text}"),
                    _ => match failed.entry(text) {
                        Entry::Vacant(new) => {
                            let prefix = format!("{name}: ");
                            let reason = new.key().strip_prefix(&prefix).unwrap_or(new.key());
                            let line = format!("{name}: failed: {reason}");
                            new.insert(name.clone());
                            line
                        }
                        Entry::Occupied(first) => {
                            format!("{name}: failed for the same reason as {}", first.get())
                        }
                    },
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
    // If no recording was started, every problem has just been printed.
    if !none_can {
        tracing::info!("summary of {} recordings:", each.len());
        lines.iter().for_each(|line| tracing::info!("  {line}"));
    }
    Ok(ExitStatus::of_all(&statuses))
}

/// Maximum number of recordings that a message lists by name.
const LISTED: usize = 5;

/// Prints the problems of recordings, each problem once for all recordings that share it. Returns
/// how many recordings cannot be segmented.
fn tell_problems(checked: &[(&SegmentArgs, Result<Checked>)], all: usize) -> usize {
    let mut problems: Vec<(String, Vec<(&SegmentArgs, &anyhow::Error)>)> = Vec::new();
    let mut places = BTreeMap::new();
    for &(args, ref result) in checked {
        let Err(error) = result else { continue };
        let text = without_name(args, error);
        let place = *places.entry(text.clone()).or_insert(problems.len());
        if place == problems.len() {
            problems.push((text, Vec::new()));
        }
        problems[place].1.push((args, error));
    }
    for (text, those) in &problems {
        match those.as_slice() {
            [(args, error)] => tell(args, error),
            those if those.len() == all => progress::print_error(text),
            those => {
                let names = those.iter().take(LISTED).map(|(args, _)| args.recording.display());
                let names: Vec<String> = names.map(|name| name.to_string()).collect();
                let more = if those.len() > LISTED { ", ..." } else { "" };
                progress::print_error(&format!(
                    "{text} (so for {} of {all} recordings: {}{more})",
                    those.len(),
                    names.join(", ")
                ));
            }
        }
    }
    problems.iter().map(|(_, those)| those.len()).sum()
}

/// Returns the message without the names of the recording and its track, so that recordings with
/// the same problem share one message. Problems of a file itself keep their names.
fn without_name(args: &SegmentArgs, error: &anyhow::Error) -> String {
    let text = message::of(error);
    if error.downcast_ref::<FrameError>().is_some() {
        return text;
    }
    // A name that the tracks lack is an error on the command line.
    if let Some(
        KeypointError::UnknownBodypart { path, .. } | KeypointError::UnknownIndividual { path, .. },
    ) = error.downcast_ref()
    {
        return text.replacen(&format!("'{}'", path.display()), "the track", 1);
    }
    match text.strip_prefix(&format!("{}: ", args.recording.display())) {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// Prints an error of one of several recordings.
fn tell(args: &SegmentArgs, error: &anyhow::Error) {
    let (name, text) = (args.recording.display().to_string(), message::of(error));
    let is_named = text.starts_with(&name) || text.starts_with(&format!("'{name}'"));
    progress::print_error(&if is_named { text } else { format!("{name}: {text}") });
}

/// Segments a recording unless a problem was found before, and records its statistics.
fn timed(
    args: &SegmentArgs,
    checked: Result<Checked>,
    quiet: bool,
    cancel: &CancelFlag,
    models: &mut LoadedModels,
    stats: &mut Stats,
) -> (Result<Finished>, RecordingStats) {
    let outputs = args.output.iter().map(|o| o.typed().to_string_lossy().into_owned()).collect();
    let mut taken = RecordingStats::new(&args.recording, outputs);
    let started = Instant::now();
    let result = checked
        .and_then(|checked| one_recording::run(checked, quiet, cancel, models, stats, &mut taken));
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
