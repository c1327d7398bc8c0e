//! The thread that has the model: it answers clicks, and tracks again.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use sam2_engine::{LazyFrames, Sam2, VideoSession};
use sam2_jobs::{
    Author, CancelFlag, Correction, JobError, JobObserver, JobPrompt, JobStage, RunOptions,
    SharedRun, Wanted,
};
use sam2_mask_writer::{Action, LabelledMask, MaskFrame, RunPrompt};
use tokio::sync::oneshot;

use crate::desk::{Desk, Tracking};
use crate::error::ReviewError;

/// Encoded frames that are kept for clicks: 17 MB each for the published models.
const FEATURES: usize = 8;
/// Of these, the frames of the queue that are encoded while nobody does anything.
const AHEAD: usize = 4;
/// How long nobody has done anything by then. A click that comes while a frame is encoded waits for it.
const IDLE: Duration = Duration::from_secs(2);

/// A handle to the thread.
pub(crate) struct Worker {
    tasks: Mutex<Sender<Task>>,
    cancel: Arc<Mutex<CancelFlag>>,
}

/// One of the model's masks for a prompt.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) mask: sam2_mask_writer::Mask,
    pub(crate) iou: f32,
}

enum Task {
    Click(Box<RunPrompt>, oneshot::Sender<Result<Vec<Candidate>, ReviewError>>),
    Warm(usize),
    Track(Wanted),
}

impl Worker {
    pub(crate) fn start(
        desk: Weak<Desk>,
        run: SharedRun,
        frames: Arc<LazyFrames>,
        model: Sam2,
        author: Author,
    ) -> Self {
        let (tasks, waiting) = channel();
        let cancel = Arc::new(Mutex::new(CancelFlag::new()));
        let bench = Bench {
            desk,
            run,
            frames,
            model,
            author,
            cancel: cancel.clone(),
            session: None,
            warm: Vec::new(),
        };
        std::thread::spawn(move || bench.work(&waiting));
        Self { tasks: Mutex::new(tasks), cancel }
    }

    /// Computes the mask of a prompt on its own frame, notes it in the run, and returns the candidates.
    pub(crate) async fn click(&self, prompt: RunPrompt) -> Result<Vec<Candidate>, ReviewError> {
        let (answer, answered) = oneshot::channel();
        self.send(Task::Click(Box::new(prompt), answer))?;
        answered.await.map_err(|_| ReviewError::Stopped)?
    }

    /// Encodes a frame, so that a click on it is answered at once.
    pub(crate) fn warm(&self, frame: usize) -> Result<(), ReviewError> {
        self.send(Task::Warm(frame))
    }

    /// Begins to track.
    pub(crate) fn track(&self, wanted: Wanted) -> Result<(), ReviewError> {
        self.send(Task::Track(wanted))
    }

    /// Stops tracking after the current frame.
    pub(crate) fn stop(&self) {
        self.cancel.lock().unwrap_or_else(PoisonError::into_inner).cancel();
    }

    fn send(&self, task: Task) -> Result<(), ReviewError> {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.send(task).map_err(|_| ReviewError::Stopped)
    }
}

/// What the thread has.
struct Bench {
    desk: Weak<Desk>,
    run: SharedRun,
    frames: Arc<LazyFrames>,
    model: Sam2,
    author: Author,
    cancel: Arc<Mutex<CancelFlag>>,
    /// A session for clicks, which keeps encoded frames.
    session: Option<VideoSession<Arc<LazyFrames>>>,
    /// Frames that are encoded, the latest last.
    warm: Vec<usize>,
}

impl Bench {
    fn work(mut self, tasks: &Receiver<Task>) {
        let mut seen = None;
        loop {
            // The desk has the other end, and this ends with it.
            let task = match tasks.recv_timeout(IDLE) {
                Ok(task) => task,
                Err(RecvTimeoutError::Timeout) => {
                    self.encode_ahead(&mut seen);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match task {
                Task::Click(prompt, answer) => {
                    // Nobody may be waiting any more.
                    let _ = answer.send(self.click(&prompt));
                }
                Task::Warm(frame) => {
                    if let Err(error) = self.encode(frame) {
                        tracing::debug!("frame {frame} is not encoded ahead: {error}");
                    }
                }
                Task::Track(wanted) => self.track(wanted),
            }
        }
    }

    /// Returns the session, without objects.
    fn session(&mut self) -> Result<&mut VideoSession<Arc<LazyFrames>>, ReviewError> {
        if self.session.is_none() {
            let options = RunOptions::of(self.run.lock().run().header())?.job.session;
            let logits = self.run.lock().run().header().logits;
            let options = options.feature_cache_frames(FEATURES).keep_video_logits(logits);
            let session = VideoSession::builder(&self.model).options(options);
            let session = session.open(self.frames.clone()).map_err(JobError::from)?;
            self.session = Some(session);
        }
        let session = self.session.as_mut().ok_or(ReviewError::Stopped)?;
        session.reset();
        Ok(session)
    }

    fn click(&mut self, prompt: &RunPrompt) -> Result<Vec<Candidate>, ReviewError> {
        let size = {
            let run = self.run.lock();
            let header = run.run().header();
            (header.width, header.height)
        };
        let given = JobPrompt::from_run_file(prompt, size).map_err(JobError::from)?;
        let mut candidates = Vec::new();
        let session = self.session()?;
        given
            .give_showing(session, |seen| {
                let all = seen.iter().map(|candidate| Candidate {
                    mask: candidate.mask.clone(),
                    iou: candidate.predicted_iou,
                });
                candidates = all.collect();
            })
            .map_err(JobError::from)?;
        let masks = session.masks_on(prompt.frame).map_err(JobError::from)?.labelled();
        self.store(prompt, &masks)?;
        self.is_warm(prompt.frame);
        Ok(candidates)
    }

    /// Adds the mask of a prompt to the run.
    fn store(&self, prompt: &RunPrompt, masks: &[LabelledMask]) -> Result<(), ReviewError> {
        let mut run = self.run.lock();
        let frames = prompt.frame..prompt.frame + 1;
        let action = Action::Computed { objects: vec![prompt.object], frames };
        let number = run.amend(&self.author.who, &(self.author.now)(), action)?;
        let ours: Vec<LabelledMask> =
            masks.iter().filter(|shown| shown.object == prompt.object).cloned().collect();
        let seconds = run.run_mut().frame(prompt.frame)?.and_then(|frame| frame.seconds);
        run.patch(number, &MaskFrame::new(prompt.frame, &ours).with_seconds(seconds))?;
        run.sync()?;
        Ok(())
    }

    /// Encodes a frame by a click that is forgotten.
    fn encode(&mut self, frame: usize) -> Result<(), ReviewError> {
        if self.warm.contains(&frame) {
            self.is_warm(frame);
            return Ok(());
        }
        let session = self.session()?;
        let size = session.size();
        let middle =
            sam2_engine::Point::positive(size.width as f32 / 2.0, size.height as f32 / 2.0);
        let object = sam2_engine::ObjectId(1);
        let middle = match session.options().region {
            Some(region) => sam2_engine::Point::positive(
                region.x as f32 + region.width as f32 / 2.0,
                region.y as f32 + region.height as f32 / 2.0,
            ),
            None => middle,
        };
        session.add_points(frame, object, &[middle]).map_err(JobError::from)?;
        session.reset();
        self.is_warm(frame);
        Ok(())
    }

    /// Encodes one of the frames that a person will probably click on next. `seen` is the state of the run for which there
    /// is nothing left to encode.
    fn encode_ahead(&mut self, seen: &mut Option<u64>) {
        let Some(desk) = self.desk.upgrade() else { return };
        let ticks = desk.ticks();
        if *seen == Some(ticks) {
            return;
        }
        let next = desk.queue().next().take(AHEAD).find(|frame| !self.warm.contains(frame));
        let Some(frame) = next.filter(|frame| desk.has(*frame)) else {
            *seen = Some(ticks);
            return;
        };
        if let Err(error) = self.encode(frame) {
            tracing::debug!("frame {frame} is not encoded ahead: {error}");
            *seen = Some(ticks);
        }
    }

    fn is_warm(&mut self, frame: usize) {
        self.warm.retain(|known| *known != frame);
        self.warm.push(frame);
        let surplus = self.warm.len().saturating_sub(FEATURES);
        self.warm.drain(..surplus);
        if let Some(desk) = self.desk.upgrade() {
            desk.set_warm(&self.warm);
        }
    }

    fn track(&self, wanted: Wanted) {
        let Some(desk) = self.desk.upgrade() else { return };
        let cancel = CancelFlag::new();
        *self.cancel.lock().unwrap_or_else(PoisonError::into_inner) = cancel.clone();
        desk.set_message(None);
        desk.set_tracking(Some(Tracking::default()));
        let mut watch = Watch { desk: &desk, told: Instant::now() };
        let correction =
            Correction::new(&self.model, &*self.frames, &self.run, self.author.clone());
        let track = desk.track.as_ref().filter(|track| track.compares);
        let result = correction.and_then(|correction| {
            let evidence = track.map(|track| &track.evidence);
            correction.only(wanted).evidence(evidence).observe(&mut watch).cancel(&cancel).run()
        });
        match result {
            Ok(_) | Err(JobError::Cancelled { .. }) => {}
            Err(error) => desk.set_message(Some(error.to_string())),
        }
        if let Err(error) = desk.refresh().and_then(|frames| crate::keeping_up::note(&desk, frames))
        {
            desk.set_message(Some(error.to_string()));
        }
        desk.set_tracking(None);
    }
}

/// Tells the pages how far tracking has come.
struct Watch<'a> {
    desk: &'a Desk,
    told: Instant,
}

impl JobObserver for Watch<'_> {
    fn on_stage(&mut self, stage: &JobStage) {
        let JobStage::Frame { done, total } = *stage else { return };
        if self.told.elapsed() < Duration::from_millis(200) && done < total {
            return;
        }
        self.told = Instant::now();
        let before = self.desk.tracking().unwrap_or_default();
        self.desk.set_tracking(Some(Tracking { done, total, ..before }));
    }
}
