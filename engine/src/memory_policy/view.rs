//! A policy's view of one object's past.

use sam2_model::{MemoryFeatures, PointerMemory};

use super::Retained;
use crate::frame_record::FrameRecord;
use crate::memory_bank::{MemoryBank, MemoryReach, Outcome};
use crate::session::Direction;

/// The frame that reads memories, and its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryQuery {
    /// Index of the frame that is being tracked.
    pub frame: usize,
    /// Direction of propagation.
    pub direction: Direction,
    /// Frames in the recording; [`usize::MAX`] for a stream without an end.
    pub frame_count: usize,
    /// The model's numbers and the session's options.
    pub reach: MemoryReach,
}

impl MemoryQuery {
    /// Returns the frame `steps` places back, 1 being the newest: the preceding frame and then,
    /// with a [stride](crate::SessionOptions::memory_temporal_stride), multiples of the stride.
    /// `None` if there is no such frame on that side. The frame returned may lie outside the
    /// recording.
    pub fn place(&self, steps: usize) -> Option<usize> {
        self.reach.frame_behind(self.frame, self.direction, steps)
    }

    /// Returns the frames of the first `count` places that are in the recording, newest first.
    pub fn places(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let query = *self;
        // Stops at the end of the recording, however large `count` is.
        (1..=count)
            .map_while(move |steps| query.place(steps))
            .take_while(move |&frame| frame < query.frame_count)
    }
}

/// One object's [`MemoryBank`] as seen from a frame, limited to what the policy declares to read.
#[derive(Clone, Copy, Debug)]
pub struct MemoryView<'a> {
    bank: &'a MemoryBank,
    query: MemoryQuery,
    retained: Retained,
    /// First and last frame that may be seen.
    window: (usize, usize),
}

/// Returns up to `limit` of the conditioning frames: the closest before `frame`, the closest at or
/// after it, then the closest of the rest (`select_closest_cond_frames`).
fn closest(
    all: Vec<(usize, &Outcome)>,
    frame: usize,
    limit: Option<usize>,
) -> Vec<(usize, &Outcome)> {
    let Some(limit) = limit.filter(|&limit| all.len() > limit) else { return all };
    let before = all.iter().copied().filter(|(f, _)| *f < frame).max_by_key(|(f, _)| *f);
    let after = all.iter().copied().filter(|(f, _)| *f >= frame).min_by_key(|(f, _)| *f);
    let mut chosen: Vec<(usize, &Outcome)> = before.into_iter().chain(after).collect();
    let mut rest: Vec<(usize, &Outcome)> =
        all.into_iter().filter(|(f, _)| chosen.iter().all(|(c, _)| c != f)).collect();
    rest.sort_by_key(|(f, _)| f.abs_diff(frame));
    rest.truncate(limit.saturating_sub(chosen.len()));
    chosen.extend(rest);
    chosen
}

/// An earlier frame in the direction of propagation.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Earlier<'a> {
    /// Index of the frame.
    pub frame: usize,
    /// How many frames earlier it was, at least 1.
    pub steps: usize,
    /// Its memory, unless that is out of reach.
    pub memory: Option<&'a MemoryFeatures>,
    /// Its record.
    pub record: Option<&'a FrameRecord>,
    /// Whether it is a conditioning frame.
    pub conditioning: bool,
    outcome: &'a Outcome,
}

impl Earlier<'_> {
    /// Returns the frame's pointer with its age.
    pub fn pointer(&self) -> PointerMemory {
        PointerMemory {
            distance: self.steps as i64,
            pointer: self.outcome.prediction.object_pointer.clone(),
        }
    }
}

impl<'a> MemoryView<'a> {
    /// Returns the view of a bank for a policy that declares `retained`.
    pub(crate) fn new(bank: &'a MemoryBank, retained: Retained, query: MemoryQuery) -> Self {
        Self { bank, query, retained, window: (0, usize::MAX) }
    }

    /// Returns the view without the frames outside of `window`, first to last: as if they had neither
    /// been prompted nor tracked.
    pub(crate) fn within(self, window: (usize, usize)) -> Self {
        Self { window, ..self }
    }

    fn may_see(&self, frame: usize) -> bool {
        (self.window.0..=self.window.1).contains(&frame)
    }

    /// Returns the frame that reads memories.
    pub fn query(&self) -> &MemoryQuery {
        &self.query
    }

    /// Returns the conditioning frames in the order they were added, or only the closest ones
    /// (`select_closest_cond_frames`) if there are more than
    /// [`crate::SessionOptions::max_conditioning_frames`].
    pub fn conditioning(&self) -> Vec<(usize, &'a Outcome)> {
        let all = self.bank.conditioning_outcomes().filter(|(frame, _)| self.may_see(*frame));
        closest(all.collect(), self.query.frame, self.query.reach.max_conditioning_frames)
    }

    /// Returns the frames in reserve that precede this frame in the direction of propagation, by
    /// frame index ([`super::MemoryPolicy::keeps_apart`]).
    pub fn kept_apart(&self) -> impl Iterator<Item = (usize, &'a Outcome)> + use<'a> {
        let MemoryQuery { frame, direction, .. } = self.query;
        let view = *self;
        let apart = self.bank.kept_apart().filter(move |(apart, _)| view.may_see(*apart));
        apart.filter(move |(apart, _)| direction.distance(*apart, frame) > 0)
    }

    /// Returns the frame `steps` earlier in the direction of propagation, if its result is within
    /// the policy's reach.
    pub fn back(&self, steps: usize) -> Option<Earlier<'a>> {
        self.at(self.query.direction.back(self.query.frame, steps)?)
    }

    /// Returns frame `frame`, if it is earlier in the direction of propagation and its result is
    /// within the policy's reach.
    pub fn at(&self, frame: usize) -> Option<Earlier<'a>> {
        let steps = self.query.direction.distance(frame, self.query.frame);
        let steps = usize::try_from(steps).ok().filter(|&steps| steps > 0)?;
        let Retained { memories, frames, .. } = self.retained;
        if steps > memories.max(frames) || !self.may_see(frame) {
            return None;
        }
        let conditioning = self.bank.conditioning(frame);
        let outcome = conditioning.or_else(|| self.bank.tracked(frame))?;
        Some(Earlier {
            frame,
            steps,
            memory: outcome.memory.as_ref().filter(|_| steps <= memories),
            record: self.bank.record(frame),
            conditioning: conditioning.is_some(),
            outcome,
        })
    }

    /// Returns the pointers of those `frames` that do not lie ahead in the direction of
    /// propagation, whatever their age. (The memory of a later frame is read, but not its pointer:
    /// `only_obj_ptrs_in_the_past_for_eval`.)
    pub fn pointers_behind(
        &self,
        frames: impl IntoIterator<Item = (usize, &'a Outcome)>,
    ) -> Vec<PointerMemory> {
        let MemoryQuery { frame, direction, .. } = self.query;
        frames
            .into_iter()
            .map(|(earlier, outcome)| PointerMemory {
                distance: direction.distance(earlier, frame),
                pointer: outcome.prediction.object_pointer.clone(),
            })
            .filter(|pointer| pointer.distance >= 0)
            .collect()
    }

    /// Returns the pointers of `always`, then those of the frames within [`Self::pointer_limit`] that
    /// `serve`, newest first.
    pub(super) fn pointers(
        &self,
        always: impl IntoIterator<Item = (usize, &'a Outcome)>,
        serves: impl Fn(&Earlier<'a>) -> bool,
    ) -> Vec<PointerMemory> {
        let mut pointers = self.pointers_behind(always);
        let earlier = (1..self.pointer_limit()).filter_map(|steps| self.back(steps));
        pointers.extend(earlier.filter(serves).map(|earlier| earlier.pointer()));
        pointers
    }

    /// Returns one more than the distance of the furthest pointer of an ordinary frame: 16, or the
    /// recording's length if that is less.
    pub fn pointer_limit(&self) -> usize {
        self.query.frame_count.min(self.query.reach.max_object_pointers)
    }
}
