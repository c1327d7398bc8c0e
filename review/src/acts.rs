//! What the page asks for.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use sam2_engine::ObjectId;
use sam2_jobs::{SharedRun, Wanted};
use sam2_mask_writer::{Action, RunPoint, RunPrompt};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answers::{described, masks_told};
use crate::desk::{Desk, Event};
use crate::error::ReviewError;
use crate::keeping_up;

type Shared = State<Arc<Desk>>;
type Body<T> = Result<Json<T>, JsonRejection>;

/// Takes a body apart, with a sentence for what is wrong with it.
fn body<T>(given: Body<T>) -> Result<T, ReviewError> {
    match given {
        Ok(Json(value)) => Ok(value),
        Err(rejected) => Err(ReviewError::Request(rejected.body_text())),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    revision: Option<usize>,
    frame: Option<usize>,
    /// Names this action among those of all pages; one that was done already is not done again.
    id: Option<String>,
    action: Asked,
}

/// An action, as the page names it. Ranges include their last frame.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
enum Asked {
    Prompt {
        object: u32,
        frame: usize,
        #[serde(default)]
        points: Vec<AskedPoint>,
        #[serde(default, rename = "box")]
        bounds: Option<[f32; 4]>,
        #[serde(default)]
        runs: Option<Vec<u32>>,
        #[serde(default)]
        candidate: Option<u8>,
        /// The mask prompt that is there stays.
        #[serde(default, rename = "keepMask")]
        keep_mask: bool,
    },
    Unprompt {
        object: u32,
        frame: usize,
    },
    Absent {
        object: u32,
        first: usize,
        last: usize,
        on: bool,
    },
    Delete {
        object: u32,
        first: usize,
        last: usize,
    },
    Swap {
        objects: [u32; 2],
        first: usize,
        last: Option<usize>,
    },
    Merge {
        object: u32,
        into: u32,
    },
    Lock {
        object: Option<u32>,
        first: usize,
        last: usize,
        on: bool,
    },
    Name {
        object: u32,
        name: String,
    },
    Colour {
        object: u32,
        colour: String,
    },
    FromTrack {
        object: u32,
        frame: usize,
    },
    Reviewed {
        item: String,
        on: bool,
    },
    Return {
        to: usize,
    },
    Undo,
    Redo,
}

#[derive(Debug, Deserialize)]
struct AskedPoint {
    x: f32,
    y: f32,
    positive: bool,
    #[serde(default)]
    name: String,
}

/// Longest name and item that are stored.
const LONGEST_NAME: usize = 200;

fn inclusive(first: usize, last: usize) -> Range<usize> {
    first..last.saturating_add(1).max(first)
}

/// Returns what an action amends.
fn amendment(desk: &Desk, run: &SharedRun, asked: Asked) -> Result<Action, ReviewError> {
    let short = |text: String| match text.chars().count() {
        0..=LONGEST_NAME => Ok(text),
        _ => Err(ReviewError::Request(format!("use at most {LONGEST_NAME} letters"))),
    };
    Ok(match asked {
        Asked::Prompt { object, frame, points, bounds, runs, candidate, keep_mask } => {
            let point =
                |p: AskedPoint| RunPoint { name: p.name, x: p.x, y: p.y, positive: p.positive };
            let known = || {
                let run = run.lock();
                let prompt = run.run().state().prompts.get(&(object, frame));
                prompt.and_then(|(prompt, _)| prompt.mask.clone())
            };
            let mask = match keep_mask {
                true => runs.or_else(known),
                false => runs,
            };
            let points = points.into_iter().map(point).collect();
            Action::Prompt { prompt: RunPrompt { frame, object, points, bounds, candidate, mask } }
        }
        Asked::Unprompt { object, frame } => Action::Unprompt { object, frame },
        Asked::Absent { object, first, last, on } => {
            Action::Absent { object, frames: inclusive(first, last), on }
        }
        Asked::Delete { object, first, last } => {
            Action::Delete { object, frames: inclusive(first, last) }
        }
        Asked::Swap { objects, first, last: Some(last) } => {
            Action::Swap { objects, frames: inclusive(first, last) }
        }
        Asked::Swap { objects, first, last: None } => {
            Action::Swap { objects, frames: sam2_jobs::exchanged_from(run, objects, first)? }
        }
        Asked::Merge { object, into } => Action::Merge { object, into },
        Asked::Lock { object, first, last, on } => {
            Action::Lock { object, frames: inclusive(first, last), on }
        }
        Asked::Name { object, name } => Action::Name { object, name: short(name)? },
        Asked::Colour { object, colour } => {
            let digits = colour.strip_prefix('#').unwrap_or_default();
            if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(ReviewError::Request("colours are like #e69f00".into()));
            }
            Action::Colour { object, colour }
        }
        Asked::FromTrack { object, frame } => {
            let missing = |what: &str| ReviewError::Request(what.to_owned());
            let track = desk.track.as_ref().ok_or_else(|| {
                missing("this run has no pose track: start `sam2 review` with --keypoints TRACK")
            })?;
            let prompt = track.evidence.prompt(frame, ObjectId(object));
            let prompt = prompt.ok_or_else(|| missing("the track is not sure of any body part of this animal here: try a frame nearby"))?;
            Action::Prompt { prompt: prompt.for_run_file() }
        }
        Asked::Reviewed { item, on } => Action::Reviewed { item: short(item)?, on },
        Asked::Return { to } => Action::Return { to },
        Asked::Undo | Asked::Redo => {
            let run = run.lock();
            let undo = matches!(asked, Asked::Undo);
            let to = if undo { run.run().undo() } else { run.run().redo() };
            Action::Return { to: to.map_err(sam2_mask_writer::AmendFileError::from)? }
        }
    })
}

/// Amends the run. The amendment is on the disk before the answer comes; a prompt is answered with its mask.
pub(crate) async fn act(State(desk): Shared, given: Body<Act>) -> Result<Json<Value>, ReviewError> {
    let started = Instant::now();
    let Act { revision, frame, id, action } = body(given)?;
    if id.as_ref().is_some_and(|id| id.len() > LONGEST_NAME) {
        return Err(ReviewError::Request(format!("an id has at most {LONGEST_NAME} letters")));
    }
    let writer = desk.writer()?.clone();
    let mut turn = desk.turn().await;
    if let Some(answer) = id.as_ref().and_then(|id| turn.before(id)) {
        return Ok(Json(answer.clone()));
    }
    // What is being tracked would not know of the action.
    halt(&desk).await;
    if revision.is_some_and(|known| known != Desk::revision(&desk.run())) {
        return Err(ReviewError::Changed);
    }
    let shared = desk.clone();
    let prompt = tokio::task::spawn_blocking(move || {
        let action = amendment(&shared, &writer, action)?;
        let prompt = match &action {
            Action::Prompt { prompt } => Some(prompt.clone()),
            _ => None,
        };
        sam2_jobs::amend(&writer, &shared.author, action)?;
        take_in(&shared)?;
        Ok::<_, ReviewError>(prompt)
    });
    let prompt = prompt.await.map_err(|_| ReviewError::Stopped)??;
    let mut candidates = Vec::new();
    if let (Some(prompt), Some(worker)) = (prompt, &desk.worker) {
        let found = worker.click(prompt).await?;
        let told = found.iter().map(|candidate| {
            let mask = &candidate.mask;
            json!({ "runs": mask.runs(), "iou": candidate.iou, "area": mask.area() })
        });
        candidates.extend(told);
        let shared = desk.clone();
        let taken = tokio::task::spawn_blocking(move || take_in(&shared));
        taken.await.map_err(|_| ReviewError::Stopped)??;
    }
    let masks = frame.and_then(|frame| masks_told(&desk, frame, None).ok());
    let answer = json!({
        "state": described(&desk),
        "masks": masks,
        "candidates": candidates,
        "milliseconds": started.elapsed().as_millis() as u64,
    });
    if let Some(id) = id {
        turn.keep(id, &answer);
    }
    Ok(Json(answer))
}

/// Reads what was added to the run, and the facts of few frames at once; those of many follow.
fn take_in(desk: &Desk) -> Result<(), ReviewError> {
    const AT_ONCE: usize = 200;
    let changed = desk.refresh()?;
    let now = changed.len().min(AT_ONCE);
    keeping_up::note(desk, changed[..now].iter().copied())?;
    desk.put_off(&changed[now..]);
    desk.tell(Event::State);
    Ok(())
}

/// Stops tracking and waits for its end.
async fn halt(desk: &Desk) {
    let Some(worker) = &desk.worker else { return };
    while let Some(tracking) = desk.tracking() {
        if !tracking.stopping {
            desk.set_tracking(Some(crate::desk::Tracking { stopping: true, ..tracking }));
        }
        worker.stop();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TrackAsked {
    objects: Vec<u32>,
    first: Option<usize>,
    last: Option<usize>,
}

/// Begins to track what is stale.
pub(crate) async fn track(
    State(desk): Shared,
    given: Body<TrackAsked>,
) -> Result<Json<Value>, ReviewError> {
    let TrackAsked { objects, first, last } = body(given)?;
    let _turn = desk.turn().await;
    let all = desk.header.frames.clone();
    let frames = (first.is_some() || last.is_some())
        .then(|| inclusive(first.unwrap_or(all.start), last.unwrap_or(all.end.saturating_sub(1))));
    if desk.tracking().is_none() {
        desk.begin_tracking(Wanted { objects, frames })?;
    }
    Ok(Json(described(&desk)))
}

/// Stops after the current frame.
pub(crate) async fn stop(State(desk): Shared) -> Json<Value> {
    if let (Some(worker), Some(tracking)) = (&desk.worker, desk.tracking()) {
        desk.set_tracking(Some(crate::desk::Tracking { stopping: true, ..tracking }));
        worker.stop();
    }
    Json(described(&desk))
}

#[derive(Debug, Deserialize)]
pub(crate) struct WarmAsked {
    frame: usize,
}

/// Encodes a frame ahead of a click.
pub(crate) async fn warm(
    State(desk): Shared,
    given: Body<WarmAsked>,
) -> Result<Json<Value>, ReviewError> {
    let WarmAsked { frame } = body(given)?;
    if !desk.has(frame) {
        return Err(ReviewError::NotThere(format!("there is no frame {frame}")));
    }
    if let Some(worker) = desk.worker.as_ref().filter(|_| desk.tracking().is_none()) {
        worker.warm(frame)?;
    }
    Ok(Json(json!({})))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportAsked {
    outputs: Vec<String>,
    #[serde(default)]
    overwrite: bool,
}

/// Writes the run to further files.
pub(crate) async fn export(
    State(desk): Shared,
    given: Body<ExportAsked>,
) -> Result<Json<Value>, ReviewError> {
    let ExportAsked { outputs, overwrite } = body(given)?;
    if outputs.is_empty() {
        return Err(ReviewError::Request("name a file to write".into()));
    }
    let _turn = desk.turn().await;
    let exporter = desk.exporter.clone();
    let wanted = outputs.clone();
    let written = tokio::task::spawn_blocking(move || exporter(&wanted, overwrite));
    let command = written.await.map_err(|_| ReviewError::Stopped)?.map_err(ReviewError::Export)?;
    Ok(Json(json!({ "written": outputs, "command": command })))
}
