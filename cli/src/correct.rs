//! `sam2 correct`: amends a run, and tracks again what that can change.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sam2_engine::{ObjectId, Sam2};
use sam2_jobs::{
    Author, CancelFlag, Correction, FrameSpan, JobPlan, KnownObjects, PromptSet, RunOptions,
    SharedRun, TrackedRecording, difference_to_run, run_header,
};
use sam2_mask_writer::{
    Action, AmendFileError, OpenRun, RunAmender, RunHeader, RunPoint, RunPrompt, RunState, Stretch,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::{CorrectArgs, CorrectionArgs, ModelArgs, SpanArg};
use crate::exit::ExitStatus;
use crate::outputs::{self, Output};
use crate::progress::Progress;
use crate::prompt_args::TypedPrompts;
use crate::recording::RunRecording;
use crate::run_track::{self, RunTrack};
use crate::signals::cancel_on_signals;
use crate::standard_output::print;
use crate::{merge, model, planning, recording, recordings};

/// Corrects a run file.
pub fn run(args: &CorrectArgs, quiet: bool) -> Result<ExitStatus> {
    let cancel = cancel_on_signals()?;
    let given = recordings::one(&args.recording, args.join)?;
    let files = given.iter().flat_map(|(first, more)| std::iter::once(first).chain(more));
    let inputs: Vec<&Path> =
        std::iter::once(&args.run).chain(files).map(PathBuf::as_path).collect();
    let outputs = outputs::check(&args.output, None, &inputs, |_| args.style.overwrite)?;
    if args.show {
        print(history(&OpenRun::open(&args.run)?))?;
        return Ok(ExitStatus::Done);
    }
    let amender = RunAmender::open(&args.run)?;
    let header = amender.run().header().clone();
    let actions = actions(&args.what, amender.run())?;
    let state = after(amender.run(), &actions)?;
    if args.dry_run {
        print(plan(&state.stretches()))?;
        return Ok(ExitStatus::Done);
    }
    // What cannot be tracked is found out before the first correction is noted.
    let wants_tracking = !args.note_only && !state.stretches().is_empty();
    let tools = match wants_tracking {
        true => Some(TrackingTools::open(&Wanted::of(args), given.clone(), &header)?),
        false => None,
    };
    let shared = SharedRun::new(amender);
    let author = author(args.who.as_deref());
    for action in actions {
        let told = action.to_string();
        let number = sam2_jobs::amend(&shared, &author, action)?;
        tracing::info!("{number}: {told}");
    }
    let stale = shared.lock().run().state().stretches();
    if let Some(tools) = &tools {
        track(tools, &shared, &author, &cancel, quiet)?;
    } else if !stale.is_empty() {
        tracing::warn!("{}", plan(&stale).trim_end());
    }
    drop(shared);
    if outputs.is_empty() {
        return Ok(ExitStatus::Done);
    }
    write(args, &outputs, given, tools, &header, &cancel)
}

/// The model and the recording of a run.
pub struct TrackingTools {
    /// The model.
    pub model: Sam2,
    /// What it runs on.
    pub device: String,
    /// The recording.
    pub frames: RunRecording,
    /// The pose track, if there is one.
    pub track: Option<RunTrack>,
}

/// Which model is to track which run again.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The run file.
    pub run: &'a Path,
    /// The model that was typed.
    pub network: &'a ModelArgs,
    /// The pose track that was typed.
    pub keypoints: Option<&'a Path>,
    /// Whether tracking may run on another kind of processor or device than the run did.
    pub mixed_processors: bool,
}

impl<'a> Wanted<'a> {
    fn of(args: &'a CorrectArgs) -> Self {
        let CorrectArgs { run, network, keypoints, mixed_processors, .. } = args;
        Self { run, network, keypoints: keypoints.as_deref(), mixed_processors: *mixed_processors }
    }
}

impl TrackingTools {
    /// Opens both, and refuses those that are not the run's.
    pub fn open(
        wanted: &Wanted<'_>,
        given: Option<(PathBuf, Vec<PathBuf>)>,
        header: &RunHeader,
    ) -> Result<Self> {
        let frames = recording::of_run(wanted.run, given, header)?;
        let (model, device) = model::load(&network(wanted.network, header))?;
        let mut options = RunOptions::of(header)?.job;
        options.mixed_processors |= wanted.mixed_processors;
        let more = recording::settings(&frames.args, &model);
        let whole = JobPlan::whole(header.frame_count, Vec::new());
        let mut now =
            run_header(&model, &frames.frames, &header.recording, &whole, &options, &more)?;
        now.recording_contents.clone_from(&header.recording_contents);
        if let Some((what, was, is)) = difference_to_run(header, &now) {
            bail!(
                "'{}' was computed with other settings: {what} was {was} and is now {is}{}",
                wanted.run.display(),
                remedy(&what)
            );
        }
        let track = run_track::of_run(wanted.run, wanted.keypoints, header, &frames.frames)?;
        Ok(Self { model, device, frames, track })
    }
}

fn remedy(what: &str) -> &'static str {
    match what {
        "model" => "; name the run's model with --model",
        "computed with" => {
            "; correct on the same kind of machine, or accept masks that differ in a few pixels with --mixed-processors"
        }
        "precision" => "; set it with --precision",
        "image size" => "; set it with --image-size",
        _ => "",
    }
}

/// Returns the model to load: what was typed, and otherwise what the run says.
fn network(typed: &ModelArgs, header: &RunHeader) -> ModelArgs {
    let mut network = typed.clone();
    if network.model.is_none() {
        let named = header.options.iter().find(|(option, _)| option == "--model");
        network.model = named.map(|(_, name)| PathBuf::from(name));
    }
    if network.image_size.is_none() && network.config.is_none() {
        network.image_size = header.settings.get("image size").and_then(|side| side.parse().ok());
    }
    if network.precision == sam2_engine::Precision::Auto
        && let Some(precision) = header.settings.get("precision").and_then(|text| text.parse().ok())
    {
        network.precision = precision;
    }
    network
}

/// Tracks everything that is stale.
fn track(
    tools: &TrackingTools,
    run: &SharedRun,
    author: &Author,
    cancel: &CancelFlag,
    quiet: bool,
) -> Result<()> {
    let total = run.lock().run().state().stretches().iter().map(|s| s.frames.len()).sum();
    let mut progress = Progress::new(total, quiet);
    let track = tools.track.as_ref().filter(|track| track.is_of_run);
    let tracked = Correction::new(&tools.model, &tools.frames.frames, run, author.clone())?
        .evidence(track.map(|track| &track.evidence))
        .observe(&mut progress)
        .cancel(cancel)
        .run();
    progress.finish();
    let tracked = tracked.context("the frames tracked so far are kept; to track the rest, run `sam2 correct` with the run file alone")?;
    let all = run.lock().run().header().frames.len();
    tracing::info!("{} of {all} frames tracked again", tracked.frames);
    for (object, frames) in &tracked.spans {
        tracing::info!("object {object}: {}", FrameSpan(frames.clone()));
    }
    Ok(())
}

/// Writes the corrected run to the outputs.
fn write(
    args: &CorrectArgs,
    outputs: &[Output],
    given: Option<(PathBuf, Vec<PathBuf>)>,
    tools: Option<TrackingTools>,
    header: &RunHeader,
    cancel: &CancelFlag,
) -> Result<ExitStatus> {
    // Without it, an output that shows pictures says what to do.
    let frames = match tools {
        Some(tools) => Some(tools.frames),
        None if given.is_some() => Some(recording::of_run(&args.run, given, header)?),
        None => recording::of_run(&args.run, None, header).ok(),
    };
    let recording = frames.as_ref().map(|found| found.path.clone());
    let frame_args = recording::frame_args_of(header);
    let exported = merge::Exported {
        parts: std::slice::from_ref(&args.run),
        replace: false,
        mixed_processors: args.mixed_processors,
        style: &args.style,
        recording: recording.as_deref(),
        frame_args: frame_args?,
    };
    merge::export(&exported, outputs, frames.map(|found| found.frames), cancel)
}

/// Returns what the command line asks for, in the order in which it is done.
fn actions(what: &CorrectionArgs, run: &OpenRun) -> Result<Vec<Action>> {
    let refused = AmendFileError::from;
    let mut actions = Vec::new();
    let returned = match (what.undo, what.redo, what.back_to) {
        (true, ..) => Some(run.undo().map_err(refused)?),
        (_, true, _) => Some(run.redo().map_err(refused)?),
        (.., to) => to,
    };
    if let Some(to) = returned {
        actions.push(Action::Return { to });
    }
    let header = run.header();
    let all = header.frames.clone();
    let one = |object: Option<u32>| object.unwrap_or(1);
    let locked = |span: &SpanArg, on: bool| Action::Lock {
        object: span.object,
        frames: span.frames.clone(),
        on,
    };
    let absent = |span: &SpanArg, on: bool| Action::Absent {
        object: one(span.object),
        frames: span.frames.clone(),
        on,
    };
    actions.extend(what.unlock.iter().map(|span| locked(span, false)));
    actions.extend(what.present.iter().map(|span| absent(span, false)));
    actions.extend(what.lock.iter().map(|span| locked(span, true)));
    for swap in &what.swap {
        let frames = match swap.end {
            Some(end) => swap.first..end,
            None => after(run, &actions)?
                .exchanged_from(swap.objects, swap.first)
                .map_err(AmendFileError::from)?,
        };
        actions.push(Action::Swap { objects: swap.objects, frames });
    }
    actions.extend(what.merge.iter().map(|pair| Action::Merge { object: pair.0, into: pair.1 }));
    for delete in &what.delete {
        let frames = delete.frames.clone().unwrap_or(all.clone());
        actions.push(Action::Delete { object: delete.object, frames });
    }
    for span in &what.no_prompt {
        for frame in span.frames.clone() {
            actions.push(Action::Unprompt { object: one(span.object), frame });
        }
    }
    let given = prompts(what, header)?;
    // Exchanged and joined objects have taken their prompts along.
    let known = after(run, &actions)?;
    for prompt in given.prompts() {
        let prompt = prompt.for_run_file();
        let before = known.prompts.get(&(prompt.object, prompt.frame)).map(|(prompt, _)| prompt);
        let prompt = added_to(before, prompt);
        // A command that was interrupted can be repeated: what it noted is not noted twice.
        if before != Some(&prompt) {
            actions.push(Action::Prompt { prompt });
        }
    }
    actions.extend(what.absent.iter().map(|span| absent(span, true)));
    for name in &what.name {
        actions.push(Action::Name { object: name.object, name: name.name.clone() });
    }
    Ok(actions)
}

/// Returns the prompts of the command line and of files.
fn prompts(what: &CorrectionArgs, header: &RunHeader) -> Result<PromptSet> {
    let recording = TrackedRecording {
        name: header.recording.clone(),
        frame_count: header.frame_count,
        size: sam2_frame_provider::FrameSize { width: header.width, height: header.height },
        region: None,
        images: header.image_names.clone(),
        times: Vec::new(),
    };
    let names = header.object_names.iter().map(|(id, name)| (ObjectId(*id), name.clone()));
    let known = KnownObjects::new(names.collect());
    let CorrectionArgs { prompts, point, bounds, mask, .. } = what;
    let typed = TypedPrompts { prompts, point, bounds, mask };
    let (set, notices) = typed.gather(&recording, &known, None)?;
    planning::tell(&notices);
    Ok(set)
}

/// Adds a prompt to the one that is there: points are added, a box and a mask replace.
fn added_to(before: Option<&RunPrompt>, added: RunPrompt) -> RunPrompt {
    let Some(before) = before.cloned() else { return added };
    let mut points = before.points;
    // Names are not compared: `point 3` only counts the points of one command.
    let is_there = |points: &[RunPoint], new: &RunPoint| {
        points
            .iter()
            .any(|known| (known.x, known.y, known.positive) == (new.x, new.y, new.positive))
    };
    for point in added.points {
        if !is_there(&points, &point) {
            points.push(point);
        }
    }
    RunPrompt {
        points,
        bounds: added.bounds.or(before.bounds),
        mask: added.mask.or(before.mask),
        candidate: added.candidate.or(before.candidate),
        ..added
    }
}

/// Returns the state that a run would be in.
fn after(run: &OpenRun, actions: &[Action]) -> Result<RunState> {
    run.state_after(actions).map_err(|error| AmendFileError::from(error).into())
}

/// Says what is to be tracked again.
fn plan(stretches: &[Stretch]) -> String {
    if stretches.is_empty() {
        return "nothing is to be tracked again\n".to_owned();
    }
    let frames: usize = stretches.iter().map(|stretch| stretch.frames.len()).sum();
    let mut text = format!("{frames} frames are to be tracked again:\n");
    for Stretch { object, frames, prompts, masks, .. } in stretches {
        let list =
            |frames: &[usize]| frames.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        let from = match (prompts.is_empty(), masks.is_empty()) {
            (true, true) => "nothing: no prompt is left".to_owned(),
            (false, true) => format!("prompts on {}", list(prompts)),
            (true, false) => format!("masks on {}", list(masks)),
            (false, false) => format!("prompts on {}, masks on {}", list(prompts), list(masks)),
        };
        let _ = writeln!(text, "  object {object}: {} from {from}", FrameSpan(frames.clone()));
    }
    text
}

/// Describes prompts, locks and the history of a run.
fn history(run: &OpenRun) -> String {
    let state = run.state();
    let header = run.header();
    let mut text = String::new();
    let frames = FrameSpan(header.frames.clone());
    let _ = writeln!(text, "{}: {frames} of {}", header.recording, header.frame_count);
    for (object, name) in &state.objects {
        let prompted: Vec<String> = state
            .prompts
            .range((*object, 0)..=(*object, usize::MAX))
            .map(|((_, frame), (_, corrected))| {
                format!("{frame}{}", if *corrected { "*" } else { "" })
            })
            .collect();
        let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
        let prompted = if prompted.is_empty() {
            "no prompt".to_owned()
        } else {
            format!("prompts on {}", prompted.join(", "))
        };
        let _ = writeln!(text, "object {object}{name}: {prompted}");
        if let Some(absent) = state.absent.get(object) {
            for frames in absent.iter() {
                let _ = writeln!(text, "  absent: {}", FrameSpan(frames.clone()));
            }
        }
    }
    for (object, locks) in &state.locks {
        let whose = object.map_or("all objects".to_owned(), |object| format!("object {object}"));
        for frames in locks.iter() {
            let _ = writeln!(text, "locked for {whose}: {}", FrameSpan(frames.clone()));
        }
    }
    text.push_str(&plan(&state.stretches()));
    let current: Vec<usize> = run.current().iter().map(|amendment| amendment.number).collect();
    if run.amendments().is_empty() {
        text.push_str("no corrections yet\n");
    }
    for amendment in run.amendments() {
        let undone = amendment.action.is_decision() && !current.contains(&amendment.number);
        let _ = writeln!(
            text,
            "{:>4}  {}  {}  {}{}",
            amendment.number,
            amendment.when,
            amendment.who,
            amendment.action,
            if undone { " (undone)" } else { "" }
        );
    }
    text
}

/// Returns who corrects, with a clock.
pub fn author(given: Option<&str>) -> Author {
    Author { who: who(given), now }
}

/// Returns the name of the user.
fn who(given: Option<&str>) -> String {
    let known = ["USER", "LOGNAME", "USERNAME"];
    let named = known.iter().filter_map(|name| std::env::var(name).ok()).find(|n| !n.is_empty());
    given.map(str::to_owned).or(named).unwrap_or_else(|| "unknown".to_owned())
}

/// Returns the time, to the second.
fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let whole = now.replace_nanosecond(0).unwrap_or(now);
    whole.format(&Rfc3339).unwrap_or_default()
}
