//! What the page is told.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use rangemap::RangeSet;
use sam2_engine::FrameSource as _;
use sam2_jobs::TrackEvidence;
use sam2_mask_writer::{OpenRun, RunFrame, RunPrompt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::{Stream, StreamExt as _};

use crate::desk::{Desk, Event};
use crate::error::ReviewError;
use crate::machine::machine;
use crate::queue::Queue;
use crate::{lanes as timeline, picture};

type Answer<T> = Result<Json<T>, ReviewError>;
type Shared = State<Arc<Desk>>;

/// Colours that differ for most people, also for those who do not see red or green (Okabe and Ito 2008),
/// and then some more.
const COLOURS: [&str; 12] = [
    "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#a6cee3",
    "#b2df8a", "#fb9a99", "#fdbf6f", "#cab2d6",
];

/// Runs what reads files beside the requests that wait.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReviewError> + Send + 'static,
) -> Result<T, ReviewError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ReviewError::Stopped)?
}

pub(crate) async fn run(State(desk): Shared) -> Answer<Value> {
    let shared = desk.clone();
    let deep = aside(move || Ok(shared.is_deep())).await?;
    let header = &desk.header;
    let run = desk.run();
    let batches: Vec<Value> = run
        .batches()
        .iter()
        .map(|batch| json!({ "first": batch.frames.start, "last": batch.frames.end.saturating_sub(1) }))
        .collect();
    let setting = |name: &str| header.settings.get(name).cloned().unwrap_or_default();
    let model = setting("model");
    Ok(Json(json!({
        "recording": header.recording,
        "path": desk.path.display().to_string(),
        "frames": header.frame_count,
        "first": header.frames.start,
        "last": header.frames.end.saturating_sub(1),
        "width": header.width,
        "height": header.height,
        "rate": header.frames_per_second,
        "deep": deep,
        "hasPictures": desk.frames.is_some(),
        "model": model,
        "passes": setting("passes"),
        "device": desk.device,
        "readOnly": desk.read_only,
        "canTrack": desk.worker.is_some(),
        "batches": batches,
        "formats": desk.formats,
        "machine": machine(),
        "version": env!("CARGO_PKG_VERSION"),
        "hasTrack": desk.track.is_some(),
    })))
}

/// A range of frames, both ends included.
fn span(object: impl Into<Value>, frames: &std::ops::Range<usize>) -> Value {
    let object: Value = object.into();
    json!({ "object": object, "first": frames.start, "last": frames.end.saturating_sub(1) })
}

fn spans<'a>(sets: impl IntoIterator<Item = (&'a u32, &'a RangeSet<usize>)>) -> Vec<Value> {
    let each = sets.into_iter().flat_map(|(object, set)| set.iter().map(|r| span(*object, r)));
    each.collect()
}

/// Describes the run as it is now.
pub(crate) fn described(desk: &Desk) -> Value {
    let run = desk.run();
    let state = run.state();
    let colour = |place: usize, object: &u32| {
        let own = state.colours.get(object).cloned();
        own.unwrap_or_else(|| COLOURS[place % COLOURS.len()].to_owned())
    };
    let objects: Vec<Value> = state
        .objects
        .iter()
        .enumerate()
        .map(|(place, (object, name))| {
            json!({ "id": object, "name": name, "colour": colour(place, object) })
        })
        .collect();
    let prompts: Vec<Value> =
        state.prompts.values().map(|(prompt, corrected)| prompt_told(prompt, *corrected)).collect();
    let locks = state.locks.iter().flat_map(|(object, set)| {
        set.iter().map(move |range| span(object.map_or(Value::Null, Value::from), range))
    });
    let steps = |to: Result<usize, _>, undo: bool| -> Value {
        let Ok(to) = to else { return Value::Null };
        // The decision that is undone follows the state that is returned to; the one that is redone
        // leads to it.
        let decision = match undo {
            true => run.current().into_iter().rev().find(|a| a.action.is_decision()).cloned(),
            false => redone(&run, to),
        };
        decision.map_or(Value::Null, |amendment| amendment.action.to_string().into())
    };
    let (undo, redo) = (run.undo(), run.redo());
    let tracking = desk.tracking().map(
        |t| json!({ "frame": t.frame, "done": t.done, "total": t.total, "stopping": t.stopping }),
    );
    json!({
        "revision": Desk::revision(&run),
        "tick": desk.ticks(),
        "head": state.head,
        "canUndo": undo.is_ok(),
        "canRedo": redo.is_ok(),
        "nextUndo": steps(undo, true),
        "nextRedo": steps(redo, false),
        "objects": objects,
        "prompts": prompts,
        "stale": spans(&state.stale),
        "changed": spans(&state.computed),
        "locks": locks.collect::<Vec<_>>(),
        "absent": spans(&state.absent),
        "deleted": spans(&state.deleted),
        "tracking": tracking,
        "message": desk.message(),
        "finished": run.frames_there(),
        "running": !run.is_finished(),
        "known": desk.facts().known,
    })
}

/// Returns the decision that redoing up to amendment `to` brings back.
fn redone(run: &OpenRun, to: usize) -> Option<sam2_mask_writer::Amendment> {
    let mut number = to;
    loop {
        let amendment = run.amendments().get(number.checked_sub(1)?)?;
        if amendment.action.is_decision() {
            return Some(amendment.clone());
        }
        number = amendment.parent;
    }
}

fn prompt_told(prompt: &RunPrompt, corrected: bool) -> Value {
    let points: Vec<Value> = prompt
        .points
        .iter()
        .map(|p| json!({ "x": p.x, "y": p.y, "positive": p.positive, "name": p.name }))
        .collect();
    json!({
        "frame": prompt.frame,
        "object": prompt.object,
        "points": points,
        "box": prompt.bounds,
        "mask": prompt.mask.is_some(),
        "candidate": prompt.candidate,
        "corrected": corrected,
    })
}

pub(crate) async fn state(State(desk): Shared) -> Json<Value> {
    Json(described(&desk))
}

#[derive(Deserialize)]
pub(crate) struct LanesAsked {
    first: usize,
    last: usize,
    buckets: usize,
}

pub(crate) async fn lanes(
    State(desk): Shared,
    Query(asked): Query<LanesAsked>,
) -> Answer<timeline::Lanes> {
    let all = &desk.header.frames;
    let frames = asked.first.max(all.start)..asked.last.saturating_add(1).min(all.end);
    if frames.is_empty() {
        return Err(ReviewError::Request("these frames are not the run's".into()));
    }
    let revision = Desk::revision(&desk.run());
    let (start, buckets) = (all.start, asked.buckets);
    let summed =
        aside(move || Ok(timeline::lanes(&desk.facts(), frames, start, buckets, revision)));
    Ok(Json(summed.await?))
}

pub(crate) async fn queue(State(desk): Shared) -> Answer<Queue> {
    aside(move || Ok(Json(desk.queue()))).await
}

pub(crate) async fn history(State(desk): Shared) -> Json<Value> {
    let run = desk.run();
    let current: Vec<usize> = run.current().iter().map(|amendment| amendment.number).collect();
    let entries: Vec<Value> = run
        .amendments()
        .iter()
        .map(|amendment| {
            let is_current = current.contains(&amendment.number);
            json!({
                "number": amendment.number,
                "parent": amendment.parent,
                "when": amendment.when,
                "who": amendment.who,
                "text": amendment.action.to_string(),
                "decision": amendment.action.is_decision(),
                "current": amendment.number == run.state().head,
                "undone": !is_current,
            })
        })
        .collect();
    Json(json!({ "head": run.state().head, "entries": entries }))
}

/// All prompts, as `sam2 segment --prompts` takes them. Masks are left out.
pub(crate) async fn prompts(State(desk): Shared) -> Response {
    let run = desk.run();
    let prompts: Vec<Value> = run
        .state()
        .prompts
        .values()
        .filter(|(prompt, _)| !prompt.points.is_empty() || prompt.bounds.is_some())
        .map(|(prompt, _)| {
            let points: Vec<Value> = prompt
                .points
                .iter()
                .map(|p| json!({ "x": p.x, "y": p.y, "label": u8::from(p.positive) }))
                .collect();
            let mut told = json!({ "frame": prompt.frame, "object": prompt.object });
            if !points.is_empty() {
                told["points"] = points.into();
            }
            if let Some(bounds) = prompt.bounds {
                told["box"] = json!(bounds);
            }
            if let Some(candidate) = prompt.candidate {
                told["candidate"] = candidate.into();
            }
            told
        })
        .collect();
    let file = json!({ "version": sam2_jobs::PROMPT_FILE_VERSION, "prompts": prompts });
    let name = "attachment; filename=\"prompts.json\"";
    ([(header::CONTENT_DISPOSITION, name)], Json(file)).into_response()
}

#[derive(Deserialize)]
pub(crate) struct Tone {
    low: Option<f32>,
    high: Option<f32>,
    gamma: Option<f32>,
}

pub(crate) async fn frame(
    State(desk): Shared,
    Path((_, name)): Path<(String, String)>,
    Query(tone): Query<Tone>,
) -> Result<Response, ReviewError> {
    let index: usize = name
        .strip_suffix(".jpg")
        .and_then(|number| number.parse().ok())
        .filter(|frame| desk.has(*frame))
        .ok_or_else(|| {
            ReviewError::NotThere(format!("there is no frame '{}'", name.escape_debug()))
        })?;
    let tone = [tone.low.unwrap_or(0.0), tone.high.unwrap_or(1.0), tone.gamma.unwrap_or(1.0)];
    let [low, high, gamma] = tone;
    if !tone.iter().all(|value| value.is_finite()) || low >= high || gamma <= 0.0 {
        return Err(ReviewError::Request("the tone is impossible".into()));
    }
    let jpeg = aside(move || {
        let missing = || ReviewError::NotThere("the recording is not there, only the masks".into());
        let frames = desk.frames.as_ref().ok_or_else(missing)?;
        // The model's 8 bits would show steps.
        let toned = if (low, high) == (0.0, 1.0) { None } else { desk.toned(low, high)? };
        match toned {
            Some(toned) => picture::jpeg(&*toned.frame(index)?, 0.0, 1.0, gamma),
            None => picture::jpeg(&*frames.frame(index)?, low, high, gamma),
        }
    })
    .await?;
    // A frame never changes while the address with its token lives.
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg"),
        (header::CACHE_CONTROL, "private, max-age=3600, immutable"),
    ];
    Ok((headers, jpeg).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Before {
    before: Option<usize>,
}

pub(crate) async fn masks(
    State(desk): Shared,
    Path((_, frame)): Path<(String, usize)>,
    Query(Before { before }): Query<Before>,
) -> Answer<Value> {
    aside(move || masks_told(&desk, frame, before).map(Json)).await
}

/// Describes the masks of a frame.
pub(crate) fn masks_told(
    desk: &Desk,
    frame: usize,
    before: Option<usize>,
) -> Result<Value, ReviewError> {
    let mut run = desk.run();
    let found = match before {
        None => run.frame(frame)?,
        Some(number) if number > run.amendments().len() => {
            return Err(ReviewError::Request(format!("there is no amendment {number}")));
        }
        Some(number) => run.frame_after(frame, number)?,
    };
    let Some(RunFrame { seconds, objects, .. }) = found else {
        return Err(ReviewError::NotThere(format!("frame {frame} has no masks yet")));
    };
    let state = run.state();
    let within = |sets: &BTreeMap<u32, RangeSet<usize>>, object: u32| {
        sets.get(&object).is_some_and(|set| set.contains(&frame))
    };
    let told: Vec<Value> = objects
        .iter()
        .map(|shown| {
            let facts = shown.facts;
            let flags: Vec<&str> = facts
                .map(|facts| facts.flags.iter().map(|flag| flag.name()).collect())
                .unwrap_or_default();
            json!({
                "id": shown.object,
                "runs": shown.mask.runs(),
                "area": shown.mask.area(),
                "score": facts.map(|facts| facts.object_score),
                "iou": facts.map(|facts| facts.predicted_iou),
                "agreement": facts.and_then(|facts| facts.agreement),
                "prompted": facts.is_some_and(|facts| facts.prompted),
                "flags": flags,
                "locked": state.is_locked(shown.object, frame),
                "stale": within(&state.stale, shown.object),
                "corrected": within(&state.computed, shown.object),
            })
        })
        .collect();
    Ok(json!({
        "frame": frame,
        "revision": Desk::revision(&run),
        "seconds": seconds,
        "objects": told,
        "track": desk.track.as_ref().map(|track| parts(&track.evidence, frame)).unwrap_or_default(),
    }))
}

/// Describes the body parts of a frame.
fn parts(track: &TrackEvidence, frame: usize) -> Vec<Value> {
    let told = track.parts(frame).map(|(object, name, part)| {
        json!({ "object": object.0, "name": name, "x": part.x, "y": part.y, "likelihood": part.likelihood })
    });
    told.collect()
}

/// Tells the page what happens, until it closes.
pub(crate) async fn events(
    State(desk): Shared,
) -> Sse<impl Stream<Item = Result<Sent, Infallible>>> {
    /// Sent when the page has missed events: it then reads everything anew.
    const STATE: &str = "state";
    #[derive(Serialize)]
    struct OfFrame {
        frame: usize,
        objects: Vec<u32>,
    }
    let known = Arc::downgrade(&desk);
    let first = tokio_stream::iter([Ok(Event::State), Ok(Event::Warm)]);
    let stream = first.chain(BroadcastStream::new(desk.events.subscribe())).map(move |event| {
        let text = |value: &Value| value.to_string();
        let warm = || {
            let frames = known.upgrade().map_or_else(Vec::new, |desk| desk.warm());
            text(&json!({ "frames": frames }))
        };
        let state = || known.upgrade().map_or_else(String::new, |desk| text(&described(&desk)));
        Ok(match event {
            Ok(Event::Frame { frame, objects }) => {
                let told = serde_json::to_string(&OfFrame { frame, objects });
                Sent::default().event("frame").data(told.unwrap_or_default())
            }
            Ok(Event::Warm) => Sent::default().event("warm").data(warm()),
            Ok(Event::State) | Err(_) => Sent::default().event(STATE).data(state()),
        })
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
