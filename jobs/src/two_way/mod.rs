//! Tracks every stretch between two prompts from both of its ends ([`Passes::Nearest`],
//! [`Passes::Agreed`]).
//!
//! Batches decide where prompts are, and end in the outputs and in the journal. Tracking does not
//! stop at them: a stretch runs from prompt to prompt, and every mask depends only on the prompts
//! next to it. So a job can be interrupted anywhere, a part can begin with any batch, and the masks
//! are the same: what is missing is tracked again from the prompt before.
//!
//! Each stretch takes a pass in reverse, whose masks are stored, and one forward. The forward session
//! goes on from stretch to stretch, takes up prompts on the way and releases what is behind it. Where
//! masks are compared, an object's stretch is decided as a whole, from one of its prompts to the next,
//! also if only a part of it is written: so the decision is the same however the job is cut.

mod again;
#[cfg(test)]
mod again_tests;
mod choice;
mod stretches;
#[cfg(test)]
mod tests;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sam2_engine::{Direction, ObjectId, Passes, VideoSession};
use sam2_frame_provider::FrameSource;
use sam2_mask_writer::{LabelledMask, RunBatch};

use self::again::Again;
use self::choice::{Choices, Pair, Pairs, combined};
use self::stretches::{ReversePass, Stretch, Stretches};
use self::witness::Witness;
use crate::batch::{CHECKPOINT_INTERVAL, Frames};
use crate::error::JobError;
use crate::job_prompt::JobPrompt;
use crate::memory_shortage::with_less_in_flight;
use crate::plan::{BatchPlan, JobPlan};
use crate::report::{BatchTimings, JobStage};
use crate::run::Run;
use crate::spool::MaskSpool;

/// Runs all batches of a part.
pub(super) fn segment<'a, S: FrameSource + ?Sized>(
    run: &mut Run<'a, S>,
    plan: &'a JobPlan,
) -> Result<(), JobError> {
    let mut state = TwoWay::new(run, plan);
    // A damaged recording shows as an unreadable frame, or as a changed number of frames. The latter
    // explains the former.
    let taken_up = state.take_up();
    state.run.check_frame_count()?;
    taken_up?;
    state.go_back();
    while state.next < state.run.part.end {
        let mut stretch = state.stretch_ahead();
        state.announce();
        let objects = state.stretches.prompts().len();
        let mut options = state.run.session_options;
        let result = with_less_in_flight(&mut options, objects, |options, reason| {
            state.run.session_options = options;
            if let Some(reason) = reason {
                state.forward = None;
                state.run.tell_less(state.batch(), objects, options, reason);
            }
            match state.stretch(&mut stretch) {
                // The session that waits while frames are tracked in reverse may be what is too much.
                Err(error) if error.is_out_of_memory() && state.forward.take().is_some() => {
                    tracing::debug!("less is kept, since memory did not suffice: {error}");
                    state.stretch(&mut stretch)
                }
                result => result,
            }
        });
        state.run.session_options = options;
        state.run.check_frame_count()?;
        result?;
        if state.synced.elapsed() > CHECKPOINT_INTERVAL
            && let Some(journal) = &mut state.run.delivery.journal
        {
            journal.sync()?;
            state.synced = Instant::now();
        }
    }
    Ok(())
}

/// The state of a job between two stretches.
struct TwoWay<'r, 'a, S: ?Sized> {
    run: &'r mut Run<'a, S>,
    plan: &'a JobPlan,
    stretches: Stretches,
    prompts: BTreeMap<(ObjectId, usize), Vec<&'a JobPrompt>>,
    /// Masks from the other side.
    ahead: MaskSpool,
    /// Forward masks of frames that are not decided yet.
    stored: MaskSpool,
    /// Comparisons of the stretches that are not written yet.
    pairs: Pairs,
    /// The pose track, if there is one.
    witness: Option<Witness<'a>>,
    /// Prompts that the pose track adds.
    again: Again,
    forward: Option<Forward<Frames<'a, S>>>,
    /// The next frame to decide.
    next: usize,
    /// The first frame to write: those before are decided again, because the stretch of an object
    /// began there.
    first: usize,
    /// Index of the batch that was announced last.
    announced: Option<usize>,
    begun: Instant,
    encode: Duration,
    /// Encoding time of the forward session that is counted already.
    seen: Duration,
    /// When the journal was last written to the disk.
    synced: Instant,
    work: Work,
}

/// The session that goes forward through the recording.
struct Forward<F> {
    session: VideoSession<F>,
    /// Prompts that it has.
    given: BTreeSet<(ObjectId, usize)>,
    /// The next frame to track; `None` before the first.
    next: Option<usize>,
}

/// How much of a stretch is computed.
#[derive(Default)]
struct Work {
    /// Frames that were done before it.
    before: usize,
    frames: usize,
    done: usize,
    total: usize,
}

impl<'r, 'a, S: FrameSource + ?Sized> TwoWay<'r, 'a, S> {
    fn new(run: &'r mut Run<'a, S>, plan: &'a JobPlan) -> Self {
        let mut prompts: BTreeMap<(ObjectId, usize), Vec<&JobPrompt>> = BTreeMap::new();
        let mut frames: BTreeMap<ObjectId, Vec<usize>> = BTreeMap::new();
        for prompt in plan.batches.iter().flat_map(|batch| &batch.prompts) {
            prompts.entry((prompt.object, prompt.frame)).or_default().push(prompt);
        }
        for &(object, frame) in prompts.keys() {
            frames.entry(object).or_default().push(frame);
        }
        let witness = run.evidence.map(|track| Witness::new(track, &run.computed));
        let again = match (run.options.reprompt, &witness) {
            (Some(_), Some(track)) => Again::new(track, frames.keys().copied()),
            _ => Again::default(),
        };
        let next = run.next_position();
        let size = run.frames.info().size;
        let size = (size.width, size.height);
        Self {
            run,
            plan,
            stretches: Stretches::new(frames),
            prompts,
            ahead: MaskSpool::new(next..next, size),
            stored: MaskSpool::new(next..next, size),
            pairs: Pairs::new(),
            witness,
            again,
            forward: None,
            next,
            first: next,
            announced: None,
            begun: Instant::now(),
            encode: Duration::ZERO,
            seen: Duration::ZERO,
            synced: Instant::now(),
            work: Work::default(),
        }
    }

    /// Returns the batch of the next frame to write.
    fn batch(&self) -> &'a BatchPlan {
        &self.plan.batches[self.batch_index()]
    }

    fn batch_index(&self) -> usize {
        let next = self.next.max(self.first);
        let after = self.plan.batches.partition_point(|batch| batch.frames.end <= next);
        after.min(self.plan.batches.len().saturating_sub(1))
    }

    /// Sends out the frames of an unfinished batch that an interrupted job has left.
    fn take_up(&mut self) -> Result<(), JobError> {
        let first = self.next;
        let Some(mut kept) = self.run.loose_frames(first) else { return Ok(()) };
        let next = |session: &VideoSession<_>| match session.position() {
            Some((frame, Direction::Forward)) => Some(frame + 1),
            _ => None,
        };
        // Prompts that the track has added in the unfinished batch are not in a checkpoint.
        if first < self.run.part.end
            && self.run.options.reprompt.is_none()
            && let Some(session) = self.run.restored(0..self.plan.frame_count(), first)?
            && let Some(next) = next(&session).filter(|next| (first..=first + kept).contains(next))
        {
            kept = next - first;
            // Checkpoints are saved behind the last prompt only.
            let given = self.prompts.keys().copied().collect();
            self.forward = Some(Forward { session, given, next: Some(next) });
        }
        self.run.send_loose(first, kept)?;
        self.next = first + kept;
        self.first = self.next;
        // All of the batch was there, but not its end.
        let batch = self.plan.batches.iter().position(|batch| batch.frames.start == first);
        match batch.filter(|&index| kept > 0 && self.plan.batches[index].frames.end == self.next) {
            Some(index) => self.end_batch(index),
            None => Ok(()),
        }
    }

    /// Where masks are compared, goes back to where the stretches of the next frame begin.
    fn go_back(&mut self) {
        let first = self.first;
        if self.run.session_options.passes != Passes::Agreed || first >= self.run.part.end {
            return;
        }
        // The end of a batch tells which prompts the track has added in it.
        let from = self.run.options.reprompt.map_or(first, |_| self.batch().frames.start);
        let begins = |&object: &ObjectId| self.decided_from(object, from);
        self.next = self.stretches.prompts().keys().filter_map(begins).fold(first, usize::min);
    }

    /// Returns the next stretch.
    fn stretch_ahead(&mut self) -> Stretch {
        let mut stretch = self.stretches.next(self.next, self.run.part.end);
        // Where the track may prompt again behind all prompts, masks are not written as they come.
        if self.stretches.is_last(stretch.first)
            && let Some(end) = self.end_of_spans().filter(|&end| end >= stretch.first)
        {
            stretch.last = stretch.last.min(end);
        }
        stretch
    }

    /// Announces the batch of the next frame, once.
    fn announce(&mut self) {
        let index = self.batch_index();
        if self.announced != Some(index) {
            self.announced = Some(index);
            self.begun = Instant::now();
            let batch = self.batch();
            let computed = &self.run.computed;
            let frames = |positions: Vec<usize>| positions.into_iter().map(|p| computed.frame(p));
            let stage = JobStage::Batch {
                index,
                count: self.plan.batches.len(),
                frames: self.run.frames_at(&batch.frames),
                prompt_frames: frames(batch.prompt_frames()).collect(),
                tracked_from: frames(self.tracked_from(batch)).collect(),
            };
            self.run.observer.on_stage(&stage);
        }
    }

    /// Tracks and writes a stretch. If it is repeated, it goes on where it failed.
    fn stretch(&mut self, stretch: &mut Stretch) -> Result<(), JobError> {
        // The frames that are written.
        let frames = (stretch.last + 1).saturating_sub(self.next.max(self.first));
        let back = stretch.reverse.as_ref().map_or(0, |pass| pass.from + 1 - stretch.first);
        let on = stretch.last + 1 - self.next;
        self.work = Work { before: self.run.done, frames, done: 0, total: back + on };
        if let Some(pass) = &stretch.reverse {
            self.track_back(stretch.first, pass)?;
            stretch.reverse = None;
        }
        self.track_on(stretch)?;
        self.run.tell_frames(self.run.done);
        Ok(())
    }

    /// Counts a frame of either pass.
    fn worked(&mut self) {
        self.work.done += 1;
        let Work { before, frames, done, total } = self.work;
        self.run.tell_frames(before + (frames * done / total.max(1)).min(frames));
    }

    /// Counts the encoding time of the forward session.
    fn encoded(&mut self, so_far: Duration) {
        self.encode += so_far.saturating_sub(self.seen);
        self.seen = so_far;
    }

    /// Opens a session on the whole recording.
    fn open(&self) -> Result<VideoSession<Frames<'a, S>>, JobError> {
        let options = self.run.session_options;
        let source = self.run.source(0..self.plan.frame_count(), options)?;
        Ok(VideoSession::builder(self.run.model).options(options).open(source)?)
    }

    /// Gives a session the prompts of an object on a frame.
    fn give<F: FrameSource>(
        &self,
        session: &mut VideoSession<F>,
        object: ObjectId,
        frame: usize,
    ) -> Result<(), JobError> {
        for prompt in self.prompts_on(object, frame) {
            prompt.give(session, 0)?;
        }
        Ok(())
    }

    /// Returns true if sessions need to know the prompt on the other side of what they track.
    fn stops_half_way(&self) -> bool {
        self.run.session_options.passes == Passes::Nearest
    }

    /// Tracks down to frame `first` in reverse, and keeps the masks.
    fn track_back(&mut self, first: usize, pass: &ReversePass) -> Result<(), JobError> {
        let mut ahead = self.ahead.moved(first, pass.from + 1)?;
        let mut session = self.open()?;
        for (&object, part) in &pass.objects {
            let frames = self.stretches.prompts().get(&object).into_iter().flatten().copied();
            for frame in frames.filter(|frame| (part.first..=part.last_prompt).contains(frame)) {
                self.give(&mut session, object, frame)?;
            }
            let behind = part.first.checked_sub(1).and_then(|f| self.stretches.behind(object, f));
            if let Some(behind) = behind.filter(|_| self.stops_half_way()) {
                self.give(&mut session, object, behind)?;
            }
        }
        let is_new = |frame: usize, shown: &LabelledMask| {
            let part = pass.objects.get(&ObjectId(shown.object));
            let prompted = shown.facts.is_some_and(|facts| facts.prompted);
            // The forward pass has the masks of prompts.
            !prompted && part.is_some_and(|part| (part.first..part.last_prompt).contains(&frame))
        };
        let steps = pass.from - first;
        for result in session.propagate_from(Some(pass.from), Direction::Reverse, Some(steps)) {
            let masks = result?;
            self.run.stop_if_asked()?;
            let frame = masks.frame_index;
            let mut all = ahead.get(frame)?.unwrap_or_default();
            all.extend(masks.labelled().into_iter().filter(|shown| is_new(frame, shown)));
            ahead.put(frame, &all)?;
            #[cfg(test)]
            self.check_room(frame)?;
            self.worked();
        }
        self.encode += session.encode_time();
        self.ahead = ahead;
        Ok(())
    }

    #[cfg(test)]
    fn check_room(&self, frame: usize) -> Result<(), JobError> {
        let objects = self.stretches.prompts().len();
        crate::memory_shortage::injected::check(self.run.session_options, objects, frame)
    }

    /// Tracks a stretch forward and writes it.
    fn track_on(&mut self, stretch: &Stretch) -> Result<(), JobError> {
        let Some(mut forward) = self.prepared(stretch)? else {
            while self.next <= stretch.last {
                self.run.stop_if_asked()?;
                self.worked();
                self.write(Vec::new(), &Choices::default())?;
            }
            return Ok(());
        };
        let compares = self.run.session_options.passes == Passes::Agreed
            && (!self.stretches.is_last(stretch.first)
                || self.end_of_spans().is_some_and(|end| end >= stretch.first));
        match compares {
            true => self.compare(&mut forward, stretch),
            false => self.stream(&mut forward, stretch),
        }?;
        let next = forward.next.unwrap_or(self.next);
        forward.session.release_before(next);
        // A session that does not know the last prompt of an object is opened again.
        if !std::mem::take(&mut self.again.is_session_old) {
            self.forward = Some(forward);
        }
        Ok(())
    }

    /// Returns the forward session with the prompts that a stretch needs; `None` if there are none
    /// yet.
    fn prepared(&mut self, stretch: &Stretch) -> Result<Option<Forward<Frames<'a, S>>>, JobError> {
        let (first, last) = (self.next, self.tracked_to(stretch));
        let mut wanted = BTreeSet::new();
        for (&object, frames) in self.stretches.prompts() {
            wanted.extend(self.stretches.behind(object, first).map(|frame| (object, frame)));
            let within = frames.iter().filter(|frame| (first..=last).contains(frame));
            wanted.extend(within.map(|&frame| (object, frame)));
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        let begin = wanted.iter().map(|(_, frame)| *frame).min();
        if self.stops_half_way() {
            let ahead = |&object: &ObjectId| Some((object, self.stretches.ahead(object, last)?));
            wanted.extend(self.stretches.prompts().keys().filter_map(ahead));
        }
        let mut forward = match self.forward.take() {
            Some(forward) => forward,
            None => {
                self.seen = Duration::ZERO;
                Forward { session: self.open()?, given: BTreeSet::new(), next: None }
            }
        };
        for &(object, frame) in wanted.difference(&forward.given) {
            self.give(&mut forward.session, object, frame)?;
        }
        // The session has released the others.
        forward.given.retain(|known| known.1 >= first || wanted.contains(known));
        forward.given.extend(wanted);
        forward.next = forward.next.or(begin);
        Ok(Some(forward))
    }

    /// Returns the last frame to which the forward pass goes before a stretch is written: where masks
    /// are compared, to the end of every object's stretch.
    fn tracked_to(&self, stretch: &Stretch) -> usize {
        let last = stretch.last;
        if self.run.session_options.passes != Passes::Agreed {
            return last;
        }
        let goes_on = |&&object: &&ObjectId| self.stretches.behind(object, last) != Some(last);
        let ends = |&object: &ObjectId| self.decided_to(object, last);
        let objects = self.stretches.prompts().keys().filter(goes_on);
        objects.filter_map(ends).fold(last, usize::max)
    }

    /// Writes frames as they come. Behind the last prompt, saves checkpoints.
    fn stream<F: FrameSource>(
        &mut self,
        forward: &mut Forward<F>,
        stretch: &Stretch,
    ) -> Result<(), JobError> {
        let every = self.run.delivery.journal.as_ref().map_or(0, |j| j.checkpoint_frames());
        let saves = self.stretches.is_last(stretch.first) && self.run.options.reprompt.is_none();
        let every = if saves { every } else { 0 };
        let choices = Choices::default();
        let mut at = forward.next.unwrap_or(stretch.first);
        // What was tracked ahead, and what comes before the first prompt.
        while self.next < at.min(stretch.last + 1) {
            self.run.stop_if_asked()?;
            self.worked();
            let masks = self.stored.get(self.next)?.unwrap_or_default();
            self.write(masks, &choices)?;
        }
        while at <= stretch.last {
            let last_checkpoint = Instant::now();
            let steps = stretch.last - at;
            let limit = if every > 0 { steps.min(every - 1) } else { steps };
            let mut pass =
                forward.session.propagate_from(Some(at), Direction::Forward, Some(limit));
            while let Some(result) = pass.next() {
                let masks = result?;
                let frame = masks.frame_index;
                self.encoded(pass.encode_time());
                at = frame + 1;
                #[cfg(test)]
                self.check_room(frame)?;
                if frame >= self.next {
                    self.worked();
                    self.write(masks.labelled(), &choices)?;
                }
                if self.run.cancel.is_cancelled()
                    || (every > 0 && last_checkpoint.elapsed() > CHECKPOINT_INTERVAL)
                {
                    break;
                }
            }
            drop(pass);
            forward.next = Some(at);
            if at <= stretch.last && every > 0 && at == self.next {
                let batch = self.batch().frames.start;
                self.run.checkpoint(&forward.session, batch)?;
            }
            self.run.stop_if_asked()?;
        }
        Ok(())
    }

    /// Tracks a whole stretch, compares the masks of both sides, and writes those that are chosen.
    fn compare<F: FrameSource>(
        &mut self,
        forward: &mut Forward<F>,
        stretch: &Stretch,
    ) -> Result<(), JobError> {
        let (first, last) = (self.next, self.tracked_to(stretch));
        self.stored = self.stored.moved(first, last + 1)?;
        let begin = forward.next.unwrap_or(first);
        if begin <= last {
            let session = &mut forward.session;
            let steps = Some(last - begin);
            for result in session.propagate_from(Some(begin), Direction::Forward, steps) {
                let masks = result?;
                self.run.stop_if_asked()?;
                let frame = masks.frame_index;
                #[cfg(test)]
                self.check_room(frame)?;
                forward.next = Some(frame + 1);
                if frame < first {
                    continue;
                }
                self.stored.put(frame, &masks.labelled())?;
                self.worked();
            }
        }
        self.encoded(forward.session.encode_time());
        for frame in first..=last {
            self.run.stop_if_asked()?;
            self.pair_up(frame)?;
        }
        self.prompt_again(forward, first, last)?;
        let limit = self.run.session_options.quality.disagree_below;
        let middle = |object, frame| self.stretches.middle(object, frame);
        let choices = Choices::new(&self.pairs, limit, middle);
        while self.next <= stretch.last {
            self.run.stop_if_asked()?;
            let masks = self.stored.get(self.next)?.unwrap_or_default();
            self.write(masks, &choices)?;
        }
        // What belongs to a stretch that goes on is still needed.
        for (&object, pairs) in &mut self.pairs {
            let begin = self.stretches.behind(object, self.next).unwrap_or(self.next);
            *pairs = pairs.split_off(&begin);
        }
        Ok(())
    }

    /// Compares the masks of both sides on a frame, where it has two.
    fn pair_up(&mut self, frame: usize) -> Result<(), JobError> {
        let others = self.ahead.get(frame)?.unwrap_or_default();
        if others.is_empty() {
            return Ok(());
        }
        let masks = self.stored.get(frame)?.unwrap_or_default();
        for other in &others {
            let object = ObjectId(other.object);
            let known = self.pairs.entry(object).or_default();
            let mine = masks.iter().find(|mine| mine.object == other.object);
            if let (Some(mine), false) = (mine, known.contains_key(&frame)) {
                known.insert(frame, Pair::of(frame, mine, other, self.witness.as_ref()));
            }
        }
        Ok(())
    }

    /// Writes the next frame, and ends its batch if it is the last of it.
    fn write(&mut self, forward: Vec<LabelledMask>, choices: &Choices) -> Result<(), JobError> {
        let (frame, index) = (self.next, self.batch_index());
        self.next = frame + 1;
        if frame < self.first {
            return Ok(());
        }
        let reverse = self.ahead.get(frame)?.unwrap_or_default();
        let middle = |object, frame| self.stretches.middle(object, frame);
        let masks = combined(frame, forward, reverse, middle, &self.pairs, choices);
        self.run.put(frame, masks)?;
        self.run.done += 1;
        if self.next < self.plan.batches[index].frames.end {
            return Ok(());
        }
        self.end_batch(index)?;
        if self.next < self.run.part.end {
            self.announce();
        }
        Ok(())
    }

    /// Ends a batch in the outputs and in the journal.
    fn end_batch(&mut self, index: usize) -> Result<(), JobError> {
        let batch = &self.plan.batches[index];
        let write = self.run.delivery.take_time();
        let added = self.again.prompts.values();
        let added = added.filter(|prompt| batch.frames.contains(&prompt.frame));
        let prompts: Vec<&JobPrompt> = batch.prompts.iter().chain(added).collect();
        let prompt_frames: BTreeSet<usize> = prompts.iter().map(|prompt| prompt.frame).collect();
        let record = RunBatch {
            frames: batch.frames.clone(),
            prompt_frames: prompt_frames.into_iter().collect(),
            tracked_from: self.tracked_from(batch),
            prompts: prompts.into_iter().map(JobPrompt::for_run_file).collect(),
        };
        self.run.end_batch(record)?;
        let (total, encode) = (self.begun.elapsed(), std::mem::take(&mut self.encode));
        let write = write + self.run.delivery.take_time();
        let track = total.saturating_sub(encode + write);
        let timings = BatchTimings { total, encode, track, write };
        let frames = self.run.frames_at(&batch.frames);
        self.run.observer.on_stage(&JobStage::BatchDone { index, frames, timings });
        Ok(())
    }

    /// Returns the prompted frames of other batches from which frames of this one are tracked.
    fn tracked_from(&self, batch: &BatchPlan) -> Vec<usize> {
        let mut frames = BTreeSet::new();
        for &object in self.stretches.prompts().keys() {
            let before = batch.frames.start.checked_sub(1);
            frames.extend(before.and_then(|frame| self.stretches.behind(object, frame)));
            let last = batch.frames.end.saturating_sub(1);
            frames.extend(self.stretches.ahead(object, last));
        }
        frames.into_iter().collect()
    }
}
