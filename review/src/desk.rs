//! The run on display.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use sam2_engine::{FrameSource, LazyFrames, Sam2};
use sam2_jobs::{Author, SharedRun, TrackEvidence, Wanted};
use sam2_mask_writer::{OpenRun, RunAmender, RunHeader};
use serde_json::Value;
use tokio::sync::broadcast;

use crate::error::ReviewError;
use crate::facts::Facts;
use crate::queue::Queue;
use crate::worker::Worker;

/// Writes the run to further files, as `sam2 correct -o` does, and returns a command that does the same.
pub type Exporter = Arc<dyn Fn(&[String], bool) -> Result<String, String> + Send + Sync>;

/// Opens the recording once more, with these stored values as black and white.
pub type Reopener = Arc<dyn Fn([f64; 2]) -> Result<LazyFrames, String> + Send + Sync>;

/// A format that results can be written in.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Format {
    /// The ending or name on the command line.
    pub name: String,
    /// A few words about it.
    pub text: String,
}

/// What is needed to track again.
pub struct Tools {
    /// The run's model.
    pub model: Sam2,
    /// What it runs on, in words.
    pub device: String,
}

/// A pose track of the recording.
pub struct Track {
    /// What it says about masks.
    pub evidence: TrackEvidence,
    /// Whether what is tracked again is compared with it, as the run was.
    pub compares: bool,
}

/// A run, and everything that the page can use.
pub struct Setup {
    /// The run.
    pub run: OpenRun,
    /// The recording, if it is there.
    pub frames: Option<Arc<LazyFrames>>,
    /// Opens the recording with other contrast, for samples of more than 8 bits.
    pub reopener: Option<Reopener>,
    /// What tracks; `None` if there is no model or no recording.
    pub tools: Option<Tools>,
    /// The pose track, if there is one.
    pub track: Option<Track>,
    /// Why nothing may be changed, if it may not.
    pub read_only: Option<String>,
    /// Who corrects.
    pub author: Author,
    /// Formats for export.
    pub formats: Vec<Format>,
    /// Writes further files.
    pub exporter: Exporter,
}

/// Something that all open pages are told.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The state has changed.
    State,
    /// Masks of a frame have changed.
    Frame { frame: usize, objects: Vec<u32> },
    /// Other frames than before are encoded.
    Warm,
}

/// What is being tracked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tracking {
    pub(crate) frame: usize,
    pub(crate) done: usize,
    pub(crate) total: usize,
    pub(crate) stopping: bool,
}

/// The run on display, shared by all requests.
pub struct Desk {
    pub(crate) header: RunHeader,
    pub(crate) path: PathBuf,
    /// Changes the run; `None` if it is read-only.
    pub(crate) writer: Option<SharedRun>,
    pub(crate) read_only: Option<String>,
    /// Reads the run. It never waits for a change that is being written.
    reader: Mutex<OpenRun>,
    pub(crate) frames: Option<Arc<LazyFrames>>,
    reopener: Option<Reopener>,
    /// The stored values that become black and white; `None` if samples have 8 bits.
    levels: OnceLock<Option<[f64; 2]>>,
    /// The recording with the contrast that was last asked for: the stored values for black and white.
    toned: Mutex<Option<([f64; 2], Arc<LazyFrames>)>>,
    pub(crate) device: Option<String>,
    pub(crate) track: Option<Track>,
    facts: RwLock<Facts>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) worker: Option<Worker>,
    tracking: Mutex<Option<Tracking>>,
    /// Frames that are encoded, so that clicks on them are answered at once.
    warm: Mutex<Vec<usize>>,
    message: Mutex<Option<String>>,
    pub(crate) author: Author,
    pub(crate) formats: Vec<Format>,
    pub(crate) exporter: Exporter,
    /// One action at a time, with the answers to the last ones.
    acting: tokio::sync::Mutex<Answered>,
    /// Frames whose facts are to be read again.
    put_off: Mutex<Vec<usize>>,
    /// Counts what could not be seen in the file: the end of a computation, a message.
    ticks: AtomicU64,
}

/// Answers to the last actions, so that an action that arrives twice is done once: browsers repeat a request by
/// themselves when a kept connection breaks.
#[derive(Debug, Default)]
pub(crate) struct Answered(VecDeque<(String, Value)>);

impl Answered {
    /// More than a page has on the way.
    const MOST: usize = 32;

    /// Returns the answer to an action that was done already.
    pub(crate) fn before(&self, id: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == id).map(|(_, answer)| answer)
    }

    /// Keeps the answer to an action.
    pub(crate) fn keep(&mut self, id: String, answer: &Value) {
        self.0.truncate(Self::MOST - 1);
        self.0.push_front((id, answer.clone()));
    }
}

/// Events that a slow page may be behind before it reads the state anew.
const EVENTS: usize = 1024;

impl Desk {
    /// Opens a run for review. A run that is still being computed, or that cannot be written, is opened
    /// read-only.
    pub fn open(setup: Setup) -> Arc<Self> {
        let Setup { run, frames, reopener, tools, track, mut read_only, author, formats, exporter } =
            setup;
        if let Some(reason) = run.damage() {
            let reason = format!("the run file is damaged behind what is shown ({reason})");
            read_only.get_or_insert(reason);
        }
        let mut writer = None;
        if read_only.is_none() {
            match RunAmender::open(run.path()) {
                Ok(amender) => writer = Some(SharedRun::new(amender)),
                Err(error) => read_only = Some(error.to_string()),
            }
        }
        let device = tools.as_ref().map(|tools| tools.device.clone());
        let (events, _) = broadcast::channel(EVENTS);
        let desk = Arc::new_cyclic(|desk| {
            let worker = match (&writer, &frames, tools) {
                (Some(writer), Some(frames), Some(tools)) => Some(Worker::start(
                    desk.clone(),
                    writer.clone(),
                    frames.clone(),
                    tools.model,
                    author.clone(),
                )),
                _ => None,
            };
            Self {
                header: run.header().clone(),
                path: run.path().to_owned(),
                writer,
                read_only,
                reader: Mutex::new(run),
                frames,
                reopener,
                levels: OnceLock::new(),
                toned: Mutex::new(None),
                device,
                track,
                facts: RwLock::new(Facts::default()),
                events,
                worker,
                tracking: Mutex::new(None),
                warm: Mutex::new(Vec::new()),
                message: Mutex::new(None),
                author,
                formats,
                exporter,
                acting: tokio::sync::Mutex::default(),
                put_off: Mutex::new(Vec::new()),
                ticks: AtomicU64::new(0),
            }
        });
        let filling = Arc::downgrade(&desk);
        std::thread::spawn(move || crate::keeping_up::keep_up(&filling));
        desk
    }

    /// Returns the run for reading.
    pub(crate) fn run(&self) -> MutexGuard<'_, OpenRun> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn facts(&self) -> RwLockReadGuard<'_, Facts> {
        self.facts.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change_facts(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.facts.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes in what was added to the run file, and returns the frames whose masks may have changed.
    pub(crate) fn refresh(&self) -> Result<Vec<usize>, ReviewError> {
        let mut run = self.run();
        let before = run.amendments().len();
        let added = run.read_on()?;
        let mut changed: Vec<usize> = added.frames.clone().collect();
        let whole = run.range_there();
        for amendment in &run.amendments()[before..] {
            changed.extend(changes(&amendment.action, &whole));
        }
        changed.extend(&added.masks);
        changed.sort_unstable();
        changed.dedup();
        changed.retain(|frame| whole.contains(frame));
        drop(run);
        if added.amendments > 0 || !added.frames.is_empty() {
            self.tell(Event::State);
        }
        for &frame in &added.masks {
            self.tell(Event::Frame { frame, objects: Vec::new() });
        }
        Ok(changed)
    }

    /// Tells all open pages. Nobody may be there.
    pub(crate) fn tell(&self, event: Event) {
        if matches!(event, Event::State) {
            self.ticks.fetch_add(1, Ordering::Relaxed);
        }
        let _ = self.events.send(event);
    }

    pub(crate) fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// Returns the number of decisions that were made, undone ones and returns included.
    pub(crate) fn revision(run: &OpenRun) -> usize {
        let computed = |action| matches!(action, &sam2_mask_writer::Action::Computed { .. });
        run.amendments().iter().filter(|amendment| !computed(&amendment.action)).count()
    }

    pub(crate) fn tracking(&self) -> Option<Tracking> {
        *self.tracking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_tracking(&self, tracking: Option<Tracking>) {
        *self.tracking.lock().unwrap_or_else(PoisonError::into_inner) = tracking;
        self.tell(Event::State);
    }

    /// Returns the stored values that become black and white, if samples have more than 8 bits.
    fn levels(&self) -> Option<[f64; 2]> {
        *self.levels.get_or_init(|| {
            let frames = self.frames.as_ref().filter(|_| self.reopener.is_some())?;
            // They are measured when a frame is read. One that cannot be read is told when it is shown.
            frames.frame(self.header.frames.start).ok()?;
            frames.info().levels
        })
    }

    /// Returns whether the recording has samples of more than 8 bits, which are mapped anew for another contrast.
    pub(crate) fn is_deep(&self) -> bool {
        self.levels().is_some()
    }

    /// Returns the recording with another part of its range as black to white: 0 and 1 are the ends of the range that the
    /// model sees. `None` if its samples have 8 bits.
    pub(crate) fn toned(
        &self,
        low: f32,
        high: f32,
    ) -> Result<Option<Arc<LazyFrames>>, ReviewError> {
        let (Some([black, white]), Some(reopen)) = (self.levels(), &self.reopener) else {
            return Ok(None);
        };
        let range = [low, high].map(|share| black + f64::from(share) * (white - black));
        let mut toned = self.toned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, frames)) = &*toned
            && *known == range
        {
            return Ok(Some(frames.clone()));
        }
        let frames = Arc::new(reopen(range).map_err(ReviewError::Recording)?);
        *toned = Some((range, frames.clone()));
        Ok(Some(frames))
    }

    pub(crate) fn warm(&self) -> Vec<usize> {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_warm(&self, frames: &[usize]) {
        *self.warm.lock().unwrap_or_else(PoisonError::into_inner) = frames.to_vec();
        self.tell(Event::Warm);
    }

    /// Returns the list of what to look at.
    pub(crate) fn queue(&self) -> Queue {
        let (state, revision) = {
            let run = self.run();
            (run.state().clone(), Self::revision(&run))
        };
        crate::queue::queue(&self.facts(), &state, self.header.frames.start, revision)
    }

    pub(crate) fn message(&self) -> Option<String> {
        self.message.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_message(&self, message: Option<String>) {
        *self.message.lock().unwrap_or_else(PoisonError::into_inner) = message;
        self.tell(Event::State);
    }

    /// Waits until no other action is under way.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, Answered> {
        self.acting.lock().await
    }

    /// Leaves it to the thread that keeps up with the run to read the facts of these frames.
    pub(crate) fn put_off(&self, frames: &[usize]) {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner).extend(frames);
    }

    /// Returns some of the frames that were put off.
    pub(crate) fn taken_up(&self, most: usize) -> Vec<usize> {
        let mut waiting = self.put_off.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = waiting.len().saturating_sub(most);
        waiting.split_off(rest)
    }

    /// Returns the run for changing it.
    pub(crate) fn writer(&self) -> Result<&SharedRun, ReviewError> {
        let reason = || {
            let reason = self.read_only.clone();
            ReviewError::ReadOnly(reason.unwrap_or_else(|| "the run is read-only".to_owned()))
        };
        self.writer.as_ref().ok_or_else(reason)
    }

    /// Begins to track what is stale.
    pub(crate) fn begin_tracking(&self, wanted: Wanted) -> Result<(), ReviewError> {
        self.writer()?;
        let worker = self.worker.as_ref().ok_or_else(|| {
            let what = if self.frames.is_none() { "recording" } else { "model" };
            ReviewError::ReadOnly(format!(
                "there is no {what} to track with: see the messages of `sam2 review`"
            ))
        })?;
        worker.track(wanted)
    }

    /// Returns whether the frame is one of the recording's.
    pub(crate) fn has(&self, frame: usize) -> bool {
        frame < self.header.frame_count
            && self.frames.as_ref().is_none_or(|frames| frame < frames.info().frame_count)
    }
}

/// Returns the frames whose masks an amendment changes by itself.
fn changes(action: &sam2_mask_writer::Action, whole: &Range<usize>) -> Range<usize> {
    use sam2_mask_writer::Action;
    match action {
        Action::Absent { frames, .. }
        | Action::Delete { frames, .. }
        | Action::Swap { frames, .. } => frames.clone(),
        Action::Merge { .. } | Action::Return { .. } => whole.clone(),
        _ => 0..0,
    }
}
