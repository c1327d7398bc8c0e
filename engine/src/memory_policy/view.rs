//! One object's past as a policy sees it.

use sam2_model::{MemoryFeatures, PointerMemory};

use super::Retained;
use crate::frame_record::FrameRecord;
use crate::memory_bank::{MemoryBank, MemoryReach, Outcome};
use crate::session::Direction;

/// Which frame asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryQuery {
    /// The frame that looks back.
    pub frame: usize,
    /// The way it is travelled.
    pub direction: Direction,
    /// Frames in the recording; [`usize::MAX`] for a stream without an end.
    pub frame_count: usize,
    /// The model's numbers and the session's options.
    pub reach: MemoryReach,
}

impl MemoryQuery {
    /// The frame `steps` places back, 1 being the newest: the one just before, then, with a
    /// [stride](crate::SessionOptions::memory_temporal_stride), its multiples. `None` if there is none on that side; it need not be
    /// in the recording either.
    pub fn place(&self, steps: usize) -> Option<usize> {
        self.reach.frame_behind(self.frame, self.direction, steps)
    }

    /// The frames of the first `count` places that are in the recording, newest first.
    pub fn places(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let query = *self;
        // However many are asked for, it ends where the recording does.
        (1..=count)
            .map_while(move |steps| query.place(steps))
            .take_while(move |&frame| frame < query.frame_count)
    }
}

/// One object's [`MemoryBank`] as seen from a frame: nothing but what the policy declares to read.
#[derive(Clone, Copy, Debug)]
pub struct MemoryView<'a> {
    bank: &'a MemoryBank,
    query: MemoryQuery,
    retained: Retained,
}

/// A frame behind the one that asks.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Earlier<'a> {
    /// Its number.
    pub frame: usize,
    /// How far behind it lies, at least 1.
    pub steps: usize,
    /// Its memory, unless it is out of reach.
    pub memory: Option<&'a MemoryFeatures>,
    /// Its numbers.
    pub record: Option<&'a FrameRecord>,
    /// Whether it is a conditioning frame.
    pub conditioning: bool,
    outcome: &'a Outcome,
}

impl Earlier<'_> {
    /// Its pointer, as old as it is.
    pub fn pointer(&self) -> PointerMemory {
        PointerMemory {
            distance: self.steps as i64,
            pointer: self.outcome.prediction.object_pointer.clone(),
        }
    }
}

impl<'a> MemoryView<'a> {
    /// What a policy that declares `retained` sees of a bank.
    pub(crate) fn new(bank: &'a MemoryBank, retained: Retained, query: MemoryQuery) -> Self {
        Self { bank, query, retained }
    }

    /// Which frame asks.
    pub fn query(&self) -> &MemoryQuery {
        &self.query
    }

    /// Conditioning frames in the order they were added, or the closest ones (`select_closest_cond_frames`) where
    /// [`crate::SessionOptions::max_conditioning_frames`] is exceeded.
    pub fn conditioning(&self) -> Vec<(usize, &'a Outcome)> {
        self.bank.closest_conditioning(self.query.frame, self.query.reach.max_conditioning_frames)
    }

    /// Frames kept apart that lie behind in the order of travel, in order of number ([`super::MemoryPolicy::keeps_apart`]).
    pub fn kept_apart(&self) -> impl Iterator<Item = (usize, &'a Outcome)> + use<'a> {
        let MemoryQuery { frame, direction, .. } = self.query;
        self.bank.kept_apart().filter(move |(apart, _)| direction.distance(*apart, frame) > 0)
    }

    /// The frame `steps` behind in the order of travel, if there is a result of it within the policy's reach.
    pub fn back(&self, steps: usize) -> Option<Earlier<'a>> {
        self.at(self.query.direction.back(self.query.frame, steps)?)
    }

    /// Frame number `frame`, if it lies behind in the order of travel and there is a result of it within the policy's reach.
    pub fn at(&self, frame: usize) -> Option<Earlier<'a>> {
        let steps = self.query.direction.distance(frame, self.query.frame);
        let steps = usize::try_from(steps).ok().filter(|&steps| steps > 0)?;
        let Retained { memories, frames, .. } = self.retained;
        if steps > memories.max(frames) {
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

    /// The pointers of frames that are looked at whatever their age: those that lie behind. (The memory of a frame to come is
    /// read, its pointer is not: `only_obj_ptrs_in_the_past_for_eval`.)
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

    /// One more than the distance of the furthest pointer of an ordinary frame: 16, or the recording's length.
    pub fn pointer_limit(&self) -> usize {
        self.query.frame_count.min(self.query.reach.max_object_pointers)
    }
}
