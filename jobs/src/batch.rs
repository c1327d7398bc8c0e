//! One batch, which is a recording of its own for the model.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use sam2_frame_provider::resize::Scale;
use sam2_frame_provider::{BatchFrames, FrameSource};
use sam2_mask_writer::{LabelledMask, RunBatch, RunReader, fault_point};
use sam2_model::DeviceMemory;

use super::computed::ComputedSource;
use super::job_prompt::JobPrompt;
use super::memory_shortage::{at_a_time, with_less_in_flight};
use super::plan::{BatchPlan, frames_of};
use super::report::{BatchTimings, JobStage};
use super::run::Run;
use super::spool::MaskSpool;
use crate::error::JobError;
use sam2_engine::{Direction, Fit, FrameMasks, ObjectId, Passes, SessionOptions, VideoSession};

/// Longest time between two checkpoints.
pub(super) const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);

/// A session on a batch's frames that was taken up.
pub(super) type Restored<'a, S> = Option<VideoSession<Frames<'a, S>>>;

/// Computed frames of a recording, as a recording of their own.
pub(super) type Frames<'a, S> = BatchFrames<ComputedSource<'a, S>>;

impl<'a, S: FrameSource + ?Sized> Run<'a, S> {
    /// Computes a batch and sends its frames out, with less in flight if the device runs out of
    /// memory.
    pub(super) fn batch(
        &mut self,
        batch: &BatchPlan,
        prompts: &[JobPrompt],
    ) -> Result<BatchTimings, JobError> {
        let started = Instant::now();
        let prompt_frames = frames_of(prompts);
        let mut encode = Duration::ZERO;
        let mut restored = self.taken_up(batch, !prompts.is_empty())?;
        if prompts.is_empty() {
            for frame in batch.frames.clone() {
                self.stop_if_asked()?;
                self.put(frame, Vec::new())?;
                self.count_frame();
            }
        } else {
            let mut objects: Vec<_> = prompts.iter().map(|prompt| prompt.object).collect();
            objects.sort();
            objects.dedup();
            let mut options = self.session_options;
            let result = with_less_in_flight(&mut options, objects.len(), |options, reason| {
                if let Some(reason) = reason {
                    // A repeated batch begins at its start.
                    self.done = batch.frames.start - self.part.start;
                    self.tell_less(batch, objects.len(), options, reason);
                }
                self.try_batch(batch, prompts, options, restored.take(), &mut encode)
            });
            self.session_options = options;
            result?;
        }
        let prompts = prompts.iter().map(JobPrompt::for_run_file).collect();
        self.end_batch(RunBatch {
            frames: batch.frames.clone(),
            prompt_frames,
            tracked_from: Vec::new(),
            prompts,
        })?;
        let (total, write) = (started.elapsed(), self.delivery.take_time());
        let track = total.saturating_sub(encode + write);
        Ok(BatchTimings { total, encode, track, write })
    }

    pub(super) fn tell_less(
        &mut self,
        batch: &BatchPlan,
        objects: usize,
        options: SessionOptions,
        reason: String,
    ) {
        self.frames.release_memory();
        if !self.model.is_on_cpu()
            && let Err(error) = DeviceMemory::release_unused(self.model.device())
        {
            tracing::debug!("what the device keeps was not given back: {error}");
        }
        self.observer.on_stage(&JobStage::LessInFlight {
            frames: self.frames_at(&batch.frames),
            objects_per_pass: at_a_time(options, objects),
            feature_cache_frames: options.limits.feature_cache_frames,
            reason,
        });
    }

    fn try_batch(
        &mut self,
        batch: &BatchPlan,
        prompts: &[JobPrompt],
        options: SessionOptions,
        restored: Restored<'a, S>,
        encode: &mut Duration,
    ) -> Result<(), JobError> {
        let offset = batch.frames.start;
        if let Some(mut session) = restored {
            let next = session.position().map(|(frame, _)| frame + 1);
            let result = self.forward(&mut session, offset, next);
            *encode += session.encode_time();
            return result;
        }
        let mut session = VideoSession::builder(self.model)
            .options(options)
            .open(self.source(batch.frames.clone(), options)?)?;
        for prompt in prompts {
            prompt.give(&mut session, offset)?;
        }
        let result = if is_forward_only(prompts, offset, options.passes) {
            // Nothing comes before the first prompt, so masks are written as they come.
            self.forward(&mut session, offset, None)
        } else {
            self.both_ways(&mut session, batch)
        };
        *encode += session.encode_time();
        result
    }

    /// Returns a range of frames as a recording of its own. The number of frames matters: it scales
    /// the distances of object pointers.
    pub(super) fn source(
        &self,
        range: Range<usize>,
        options: SessionOptions,
    ) -> Result<Frames<'a, S>, JobError> {
        let side = self.model.config().image_size as u32;
        let scale = Scale::square(side, options.resize);
        let mode = self.options.frames_mode;
        let SessionOptions { region, fit, .. } = options;
        let source = ComputedSource::new(self.frames, &self.computed);
        Ok(if region.is_none() && fit == Fit::Squash {
            BatchFrames::open_scaled(source, range, mode, scale)?
        } else {
            BatchFrames::open(source, range, mode)?
        })
    }

    /// Tracks from `start`, or from the first prompt, to the end of the batch, and saves
    /// checkpoints.
    fn forward<F: FrameSource>(
        &mut self,
        session: &mut VideoSession<F>,
        offset: usize,
        mut start: Option<usize>,
    ) -> Result<(), JobError> {
        let every = self.delivery.journal.as_ref().map_or(0, |journal| journal.checkpoint_frames());
        let count = session.frames().info().frame_count;
        loop {
            let last_checkpoint = Instant::now();
            let limit = (every > 0).then_some(every.saturating_sub(1));
            #[cfg(test)]
            let (options, objects) = (session.options(), session.object_ids().len());
            for result in session.propagate_from(start, Direction::Forward, limit) {
                let masks = result?;
                self.put(offset + masks.frame_index, masks.labelled())?;
                self.count_frame();
                start = Some(masks.frame_index + 1);
                #[cfg(test)]
                super::memory_shortage::injected::check(options, objects, masks.frame_index)?;
                if self.cancel.is_cancelled()
                    || (every > 0 && last_checkpoint.elapsed() > CHECKPOINT_INTERVAL)
                {
                    break;
                }
            }
            let done = start.is_none_or(|next| next >= count);
            if !done && every > 0 {
                self.checkpoint(session, offset)?;
            }
            self.stop_if_asked()?;
            if done {
                return Ok(());
            }
        }
    }

    pub(super) fn checkpoint<F: FrameSource>(
        &mut self,
        session: &VideoSession<F>,
        first: usize,
    ) -> Result<(), JobError> {
        if let Some(journal) = &mut self.delivery.journal {
            self.delivery.stamp.check()?;
            // The order matters: a session must never know more than the journal.
            journal.sync()?;
            fault_point("journal ahead of checkpoint");
            let label = journal.checkpoint_label(self.computed.frame(first))?;
            session.save_labelled(&journal.checkpoint_path(), Some(label))?;
            journal.checkpoint_saved();
            fault_point("checkpoint saved");
        }
        Ok(())
    }

    /// Resumes this batch from the checkpoint of an interrupted job: sends out the frames that are
    /// done and returns the session that continues after them. Returns `None` if the batch begins
    /// at its start.
    fn taken_up(&mut self, batch: &BatchPlan, prompted: bool) -> Result<Restored<'a, S>, JobError> {
        let first = batch.frames.start;
        let Some(loose) = self.loose_frames(first) else { return Ok(None) };
        let session = match prompted && loose > 0 {
            true => self.restored(batch.frames.clone(), first)?,
            false => None,
        };
        let tracked = session.as_ref().and_then(|session| match session.position() {
            Some((frame, Direction::Forward)) if frame < loose => Some(frame + 1),
            _ => None,
        });
        self.send_loose(first, tracked.unwrap_or(0))?;
        Ok(session.filter(|_| tracked.is_some()))
    }

    /// Returns how many computed frames an interrupted job has left of the batch that it did not end,
    /// which begins with the position `first`; `None` if there was no such job.
    pub(super) fn loose_frames(&self, first: usize) -> Option<usize> {
        let found = self.delivery.journal.as_ref()?.found()?;
        let end = self.computed.frame(first) + found.loose_frames.len();
        Some(self.computed.position(end) - first)
    }

    /// Returns the session on `frames` from the checkpoint in the batch that begins with `first`;
    /// `None` if there is none, or if it cannot be used: what it held is then computed again, which
    /// costs only time.
    pub(super) fn restored(
        &self,
        frames: Range<usize>,
        first: usize,
    ) -> Result<Restored<'a, S>, JobError> {
        let Some(journal) = &self.delivery.journal else { return Ok(None) };
        let label = journal.checkpoint_label(self.computed.frame(first))?;
        let checkpoint = journal.checkpoint_path();
        if !checkpoint.exists() {
            return Ok(None);
        }
        let source = self.source(frames, self.session_options)?;
        match VideoSession::builder(self.model).label(&label).restore(source, &checkpoint) {
            Ok(mut session) => {
                // The command that resumes may ask for less in flight.
                session.set_limits(self.session_options.limits);
                Ok(Some(session))
            }
            Err(error) => {
                tracing::warn!("the checkpoint within a batch is not used: {error}");
                Ok(None)
            }
        }
    }

    /// Sends out what an interrupted job has left of the batch that begins with the position `first`, up
    /// to the `count`-th computed frame, and cuts off the rest.
    pub(super) fn send_loose(&mut self, first: usize, count: usize) -> Result<(), JobError> {
        let end = count.checked_sub(1).map(|last| self.computed.frame(first + last) + 1);
        let first = self.computed.frame(first);
        let count = end.map_or(0, |end| end - first);
        let Some(journal) = &mut self.delivery.journal else { return Ok(()) };
        journal.keep_loose(count)?;
        if count == 0 {
            return Ok(());
        }
        let frames = RunReader::open(journal.path())?.frames();
        for frame in frames.skip(first - self.part_frames.start).take(count) {
            self.delivery.replay(&frame?)?;
        }
        self.count_resumed(first..first + count);
        Ok(())
    }

    /// Tracks forward from the first prompt, then in reverse to the start, and sends frames out in
    /// order.
    fn both_ways<F: FrameSource>(
        &mut self,
        session: &mut VideoSession<F>,
        batch: &BatchPlan,
    ) -> Result<(), JobError> {
        let offset = batch.frames.start;
        let order = session.object_ids();
        let size = session.size();
        let mut spool = MaskSpool::new(0..batch.frames.len(), (size.width, size.height));
        for direction in [Direction::Forward, Direction::Reverse] {
            for result in session.propagate(direction) {
                let masks: FrameMasks = result?;
                self.stop_if_asked()?;
                // Both passes yield the prompted frame, with the same masks. Frames between the first
                // prompts of two objects have those of one object from either pass.
                let frame = masks.frame_index;
                let known = spool.get(frame)?;
                let all = merged(known.as_deref().unwrap_or_default(), masks.labelled(), &order);
                spool.put(frame, &all)?;
                // A frame is done when it has the masks of every object.
                let is_done = |masks: &[LabelledMask]| masks.len() == order.len();
                if is_done(&all) && !known.as_deref().is_some_and(is_done) {
                    self.count_frame();
                }
            }
        }
        for frame in 0..batch.frames.len() {
            let objects = spool.get(frame)?.unwrap_or_default();
            self.put(offset + frame, objects)?;
        }
        Ok(())
    }
}

/// Returns true if a forward pass from the start of the batch yields every mask: nothing comes before
/// the first prompt, or with [`Passes::Own`] before the first prompt of any object.
fn is_forward_only(prompts: &[JobPrompt], start: usize, passes: Passes) -> bool {
    let mut firsts: BTreeMap<ObjectId, usize> = BTreeMap::new();
    for prompt in prompts {
        let first = firsts.entry(prompt.object).or_insert(prompt.frame);
        *first = (*first).min(prompt.frame);
    }
    match passes {
        Passes::Own => firsts.values().all(|&first| first == start),
        _ => firsts.values().any(|&first| first == start),
    }
}

/// Returns the masks of a frame from two passes, in the order of the objects. The masks of the first
/// pass win.
fn merged(
    known: &[LabelledMask],
    more: Vec<LabelledMask>,
    order: &[ObjectId],
) -> Vec<LabelledMask> {
    let is_new = |mask: &LabelledMask| known.iter().all(|other| other.object != mask.object);
    let mut all: Vec<LabelledMask> =
        known.iter().cloned().chain(more.into_iter().filter(is_new)).collect();
    all.sort_by_key(|mask| order.iter().position(|object| object.0 == mask.object));
    all
}
