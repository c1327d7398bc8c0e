//! Lets the pose track prompt again where masks are flagged ([`Reprompt`]).
//!
//! Between two of its prompts, an object's masks depend on these two alone. So a third prompt in
//! between changes nothing else: what is tracked from it, in reverse and forward, takes the place of
//! the mask from the farther prompt. Whether that is better is told by the flags of this span, and
//! the result is that of a job that was given the prompt from the start.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use sam2_engine::{Direction, ObjectId, QualityFlag, QualityFlags};
use sam2_frame_provider::FrameSource;
use sam2_mask_writer::LabelledMask;

use super::choice::{Choices, Pair, Pairs, combined};
use super::witness::Witness;
use super::{Forward, TwoWay};
use crate::error::JobError;
use crate::job_prompt::JobPrompt;
use crate::report::JobStage;
use crate::reprompt::Reprompt;
use crate::spool::MaskSpool;

/// What is known of the prompts that the track adds.
#[derive(Default)]
pub(super) struct Again {
    /// The prompts that were added.
    pub(super) prompts: BTreeMap<(ObjectId, usize), JobPrompt>,
    /// For each object, the last frame on which the track is sure of it.
    last_seen: BTreeMap<ObjectId, usize>,
    /// For each object, the end of the spans that have been looked at.
    looked_at: BTreeMap<ObjectId, usize>,
    /// Spans to look at. If memory runs out, they are looked at later.
    spans: Vec<Span>,
    /// True if the forward session does not know the last prompt of an object.
    pub(super) is_session_old: bool,
}

/// The frames of an object between two of its prompts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    object: ObjectId,
    /// The frames, without those of the prompts.
    frames: Range<usize>,
    /// The prompted frame before them; `None` before the first prompt.
    before: Option<usize>,
    /// The prompted frame behind them; `None` behind the last prompt. Such a span ends where the track
    /// is sure of the object for the last time.
    behind: Option<usize>,
    /// Those whose masks have one of the flags that ask for a prompt.
    flagged: BTreeSet<usize>,
    /// How often it may be tracked again.
    rounds: usize,
    /// Frames on which a prompt was no help.
    tried: Vec<usize>,
}

/// A prompt, and the masks of its object that are tracked from it.
struct Trial {
    prompt: JobPrompt,
    masks: MaskSpool,
}

impl Again {
    /// Prepares for these objects.
    pub(super) fn new(track: &Witness<'_>, objects: impl Iterator<Item = ObjectId>) -> Self {
        let seen = objects.filter_map(|object| Some((object, track.last_seen(object)?)));
        Self { last_seen: seen.collect(), ..Self::default() }
    }
}

impl Span {
    /// Returns the middle between the prompts on both sides of a frame, with one more prompt.
    fn middle(&self, frame: usize, more: Option<usize>) -> f32 {
        let before = more.filter(|&more| more <= frame).or(self.before).unwrap_or(frame);
        let behind = more.filter(|&more| more > frame).or(self.behind).unwrap_or(frame);
        (before + behind) as f32 / 2.0
    }

    /// Returns the frame to prompt: the best one of the longest run of flagged frames in which the
    /// track is sure, and in which no prompt was tried.
    fn best_frame(&self, track: &Witness<'_>) -> Option<usize> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for &frame in &self.flagged {
            match runs.last_mut() {
                Some(run) if run.end == frame => run.end += 1,
                _ => runs.push(frame..frame + 1),
            }
        }
        runs.retain(|run| self.tried.iter().all(|tried| !run.contains(tried)));
        runs.sort_by_key(|run| std::cmp::Reverse(run.len()));
        runs.into_iter().find_map(|run| track.best_frame(self.object, run))
    }

    /// Returns the two spans on both sides of a new prompt, with which these frames are flagged.
    fn divided(&self, at: usize, flagged: &BTreeSet<usize>) -> [Self; 2] {
        let part = |frames: Range<usize>| Self {
            flagged: flagged.range(frames.clone()).copied().collect(),
            frames,
            rounds: self.rounds.saturating_sub(1),
            tried: Vec::new(),
            ..self.clone()
        };
        [
            Self { behind: Some(at), ..part(self.frames.start..at) },
            Self { before: Some(at), ..part(at + 1..self.frames.end) },
        ]
    }
}

impl<S: FrameSource + ?Sized> TwoWay<'_, '_, S> {
    /// Returns the prompts of an object on a frame, also those that the track added.
    pub(super) fn prompts_on(
        &self,
        object: ObjectId,
        frame: usize,
    ) -> impl Iterator<Item = &JobPrompt> {
        let given = self.prompts.get(&(object, frame)).into_iter().flatten().copied();
        given.chain(self.again.prompts.get(&(object, frame)))
    }

    /// Returns where the frames of this object that are decided together with `frame` end, the frame
    /// of the prompt behind them included; `None` if each is written as it comes.
    pub(super) fn decided_to(&self, object: ObjectId, frame: usize) -> Option<usize> {
        let span = self.span(object, frame)?;
        Some(span.behind.unwrap_or(span.frames.end.saturating_sub(1)))
    }

    /// Returns where they begin, the frame of the prompt before them included.
    pub(super) fn decided_from(&self, object: ObjectId, frame: usize) -> Option<usize> {
        let span = self.span(object, frame)?;
        Some(span.before.unwrap_or(span.frames.start))
    }

    /// Returns the last frame of the spans behind all prompts.
    pub(super) fn end_of_spans(&self) -> Option<usize> {
        let ends = self.stretches.prompts().iter().filter_map(|(object, prompts)| {
            let last = self.again.last_seen.get(object)?;
            (last > prompts.last()?).then_some(*last)
        });
        ends.max()
    }

    /// Returns the span of an object that begins at or before a frame. A prompted frame counts to the
    /// span behind it. Where there is one prompt only, before the first or behind the last, frames are
    /// a span only if the track may prompt there.
    fn span(&self, object: ObjectId, frame: usize) -> Option<Span> {
        let reprompt = self.run.options.reprompt;
        let before = self.stretches.behind(object, frame);
        let behind = self.stretches.ahead(object, frame);
        let start = before.map_or(0, |before| before + 1);
        let end = match (before, behind) {
            (Some(_), Some(behind)) => behind,
            (None, Some(behind)) => reprompt.map(|_| behind)?,
            (None, None) => return None,
            (Some(_), None) => {
                let last = self.again.last_seen.get(&object)?;
                if *last < start.max(frame) {
                    return None;
                }
                last + 1
            }
        };
        let rounds = reprompt.map_or(0, |reprompt| reprompt.most_rounds());
        let (frames, flagged) = (start..end, BTreeSet::new());
        Some(Span { object, frames, before, behind, flagged, rounds, tried: Vec::new() })
    }

    /// Lets the track prompt again in the spans whose masks are known from both sides. These lie in
    /// the frames `first` to `last`.
    pub(super) fn prompt_again<F>(
        &mut self,
        forward: &mut Forward<F>,
        first: usize,
        last: usize,
    ) -> Result<(), JobError> {
        let (Some(reprompt), Some(track)) = (self.run.options.reprompt, self.witness.clone())
        else {
            return Ok(());
        };
        self.ahead = self.ahead.moved(first, last + 1)?;
        let objects: Vec<ObjectId> = self.stretches.prompts().keys().copied().collect();
        for object in objects {
            let mut next = self.again.looked_at.get(&object).copied().unwrap_or(0).max(first);
            while let Some(mut span) = self.span(object, next).filter(|_| next <= last) {
                let is_known = span.behind.is_none_or(|b| self.stretches.is_known(object, b));
                if !is_known || span.frames.end > last + 1 {
                    break;
                }
                next = span.behind.unwrap_or(span.frames.end);
                span.flagged = self.flagged(&span, None, (reprompt, &track))?;
                self.again.looked_at.insert(object, next);
                self.again.spans.push(span);
            }
        }
        while let Some(span) = self.again.spans.last().cloned() {
            let parts = self.improve(forward, &span, (reprompt, &track))?;
            self.again.spans.pop();
            self.again.spans.extend(parts);
        }
        Ok(())
    }

    /// Tries one more prompt in a span. Returns what is to be looked at afterwards.
    fn improve<F>(
        &mut self,
        forward: &mut Forward<F>,
        span: &Span,
        (reprompt, track): (Reprompt, &Witness<'_>),
    ) -> Result<Vec<Span>, JobError> {
        let best = (span.rounds > 0).then(|| span.best_frame(track)).flatten();
        let prompt = best.and_then(|frame| track.prompt(frame, span.object));
        let Some(prompt) = prompt else { return Ok(Vec::new()) };
        let (object, position, before) = (span.object, prompt.frame, span.flagged.len());
        let frame = self.run.computed.frame(position);
        if let Some(mut trial) = self.try_out(span, prompt, track)? {
            let flagged = self.flagged(span, Some(&mut trial), (reprompt, track))?;
            let now = flagged.len();
            if now < before {
                self.take_over(span, trial)?;
                forward.given.insert((object, position));
                let frames = self.run.frames_at(&span.frames);
                let stage = JobStage::PromptedAgain { object, frame, frames, before, now };
                self.run.observer.on_stage(&stage);
                return Ok(span.divided(position, &flagged).into());
            }
        }
        tracing::debug!("object {object}: a prompt of the track on frame {frame} is no help");
        let (rounds, mut tried) = (span.rounds - 1, span.tried.clone());
        tried.push(position);
        Ok(vec![Span { rounds, tried, ..span.clone() }])
    }

    /// Tracks a span from a new prompt in both directions. The mask of the prompt must fit the track:
    /// the one that the model takes, or else one of the decoder's candidates. `None` if none does.
    fn try_out(
        &mut self,
        span: &Span,
        mut prompt: JobPrompt,
        track: &Witness<'_>,
    ) -> Result<Option<Trial>, JobError> {
        let (object, frame) = (span.object, prompt.frame);
        let mut candidate = None;
        let mut session = self.open()?;
        let shown = prompt.give_looking(&mut session, 0, |candidates| {
            candidate = track.choose(frame, object, candidates);
        })?;
        let mut prompted = Some(session);
        if !track.fits(frame, object, &shown.mask) {
            prompt.candidate = candidate.and_then(|index| u8::try_from(index).ok());
            if prompt.candidate.is_none() {
                return Ok(None);
            }
            // A session that has a result on the frame would feed it back to the prompt.
            prompted = None;
        }
        let size = self.run.frames.info().size;
        let mut masks = MaskSpool::new(span.frames.clone(), (size.width, size.height));
        let ways = [
            (Direction::Forward, span.frames.end - 1 - frame),
            (Direction::Reverse, frame - span.frames.start),
        ];
        for (direction, steps) in ways {
            // Neither pass knows what the other one saw.
            let mut session = match prompted.take() {
                Some(session) => session,
                None => {
                    let mut session = self.open()?;
                    prompt.give(&mut session, 0)?;
                    session
                }
            };
            for result in session.propagate_from(Some(frame), direction, Some(steps)) {
                let found = result?;
                self.run.stop_if_asked()?;
                #[cfg(test)]
                self.check_room(found.frame_index)?;
                masks.put(found.frame_index, &found.labelled())?;
            }
            self.encode += session.encode_time();
        }
        Ok(Some(Trial { prompt, masks }))
    }

    /// Returns the masks of a span's object on a frame, from before and from behind, as they are or
    /// with a trial.
    fn sides(
        &mut self,
        span: &Span,
        frame: usize,
        trial: Option<&mut Trial>,
    ) -> Result<[Option<LabelledMask>; 2], JobError> {
        let of_object = |masks: Option<Vec<LabelledMask>>| {
            masks.into_iter().flatten().find(|shown| shown.object == span.object.0)
        };
        let mut stored = || Ok::<_, JobError>(of_object(self.stored.get(frame)?));
        Ok(match trial {
            None => [stored()?, of_object(self.ahead.get(frame)?)],
            Some(Trial { prompt, masks }) if frame < prompt.frame => {
                [stored()?, of_object(masks.get(frame)?)]
            }
            Some(Trial { prompt, masks }) if frame > prompt.frame => {
                [of_object(masks.get(frame)?), of_object(self.ahead.get(frame)?)]
            }
            Some(Trial { masks, .. }) => [of_object(masks.get(frame)?), None],
        })
    }

    /// Returns the frames of a span whose masks have one of the flags that ask for a prompt.
    fn flagged(
        &mut self,
        span: &Span,
        mut trial: Option<&mut Trial>,
        (reprompt, track): (Reprompt, &Witness<'_>),
    ) -> Result<BTreeSet<usize>, JobError> {
        let object = span.object;
        let more = trial.as_ref().map(|trial| trial.prompt.frame);
        let middle = |_: ObjectId, frame: usize| span.middle(frame, more);
        let mut pairs = BTreeMap::new();
        for frame in span.frames.clone() {
            if let [Some(mine), Some(other)] = self.sides(span, frame, trial.as_deref_mut())? {
                pairs.insert(frame, Pair::of(frame, &mine, &other, Some(track)));
            }
        }
        let pairs = Pairs::from([(object, pairs)]);
        let limit = self.run.session_options.quality.disagree_below;
        let choices = Choices::new(&pairs, limit, middle);
        let mut flagged = BTreeSet::new();
        for frame in span.frames.clone() {
            self.run.stop_if_asked()?;
            let sides = self.sides(span, frame, trial.as_deref_mut())?;
            let [mine, other] = sides.map(|side| side.into_iter().collect());
            let masks = combined(frame, mine, other, middle, &pairs, &choices);
            let Some(shown) = masks.first() else { continue };
            let mut flags = shown.facts.map_or(QualityFlags::NONE, |facts| facts.flags);
            // An animal that the track does not see either may be out of sight.
            if !track.sees(frame, object) {
                flags.remove(QualityFlag::Lost);
            }
            if track.is_off_track(frame, object, &shown.mask) {
                flags.insert(QualityFlag::OffTrack);
            }
            if reprompt.is_asked_for(flags) {
                flagged.insert(frame);
            }
        }
        Ok(flagged)
    }

    /// Puts what was tracked from a new prompt in the place of what it replaces.
    fn take_over(
        &mut self,
        span: &Span,
        Trial { prompt, mut masks }: Trial,
    ) -> Result<(), JobError> {
        let object = span.object;
        for frame in span.frames.clone() {
            let shown = masks.get(frame)?.unwrap_or_default();
            if frame < prompt.frame {
                replace(&mut self.ahead, frame, object, shown)?;
            } else {
                replace(&mut self.stored, frame, object, shown)?;
            }
        }
        replace(&mut self.ahead, prompt.frame, object, Vec::new())?;
        if let Some(pairs) = self.pairs.get_mut(&object) {
            pairs.retain(|frame, _| !span.frames.contains(frame));
        }
        for frame in span.frames.clone() {
            self.pair_up(frame)?;
        }
        self.again.is_session_old |= span.behind.is_none();
        self.stretches.add(object, prompt.frame);
        self.again.prompts.insert((object, prompt.frame), prompt);
        Ok(())
    }
}

/// Replaces the masks of one object on a frame.
fn replace(
    spool: &mut MaskSpool,
    frame: usize,
    object: ObjectId,
    masks: Vec<LabelledMask>,
) -> Result<(), JobError> {
    let mut all = spool.get(frame)?.unwrap_or_default();
    all.retain(|shown| shown.object != object.0);
    all.extend(masks);
    spool.put(frame, &all)
}
