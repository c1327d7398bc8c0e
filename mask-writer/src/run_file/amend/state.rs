//! What the amendments of a run add up to.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rangemap::RangeSet;

use super::amendment::{Action, Amendment};
use super::error::AmendError;
use crate::run_file::{RunBatch, RunHeader, RunPrompt};

/// A run with its amendments up to a point: which prompts it has, what is locked, and which masks are
/// still to be computed again.
///
/// An object's masks depend on its *anchors*: its prompts, and the masks at the borders of locked and
/// of exchanged frames. A stretch between two anchors is tracked from both of them, and each frame is
/// taken from the nearer one, as [`Passes::Nearest`] does it. So an amendment changes nothing beyond
/// the anchors next to it. Where the run was computed batch by batch, nothing is tracked across the
/// borders of batches either.
///
/// [`Passes::Nearest`]: https://docs.rs/sam2-engine
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunState {
    /// The last amendment that counts; 0 = the run as it was computed.
    pub head: usize,
    /// The prompts of all objects: each with whether it was amended.
    pub prompts: BTreeMap<(u32, usize), (RunPrompt, bool)>,
    /// Frames whose masks are kept, and start what is tracked next to them.
    pub kept: BTreeSet<(u32, usize)>,
    /// Where objects are said not to be.
    pub absent: BTreeMap<u32, RangeSet<usize>>,
    /// Where objects were deleted.
    pub deleted: BTreeMap<u32, RangeSet<usize>>,
    /// Locked frames of one object, or of all of them (`None`).
    pub locks: BTreeMap<Option<u32>, RangeSet<usize>>,
    /// Frames whose masks are still to be computed again.
    pub stale: BTreeMap<u32, RangeSet<usize>>,
    /// Frames whose masks were computed again.
    pub computed: BTreeMap<u32, RangeSet<usize>>,
    /// The objects, and their names, which may be empty.
    pub objects: BTreeMap<u32, String>,
    /// Colours that were chosen for objects.
    pub colours: BTreeMap<u32, String>,
    /// Items of a review list that were looked at.
    pub reviewed: BTreeSet<String>,
    frames: Range<usize>,
    size: (u32, u32),
    /// What is tracked together: batches, or everything.
    tracked: Vec<Range<usize>>,
}

/// Frames of an object that are tracked again together, and what they are tracked from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stretch {
    /// The object.
    pub object: u32,
    /// The frames whose masks are to be replaced.
    pub frames: Range<usize>,
    /// The frames that count as the recording: nothing outside of them is looked at.
    pub within: Range<usize>,
    /// Prompts in and next to the frames.
    pub prompts: Vec<usize>,
    /// Frames next to them whose masks are taken as prompts, where they are not empty.
    pub masks: Vec<usize>,
}

impl RunState {
    /// Returns the state of a run as it was computed. `objects` are the objects that have masks.
    pub(super) fn new(header: &RunHeader, batches: &[RunBatch]) -> Self {
        let frames = header.frames.clone();
        let mut prompts = BTreeMap::new();
        for prompt in batches.iter().flat_map(|batch| &batch.prompts) {
            prompts.insert((prompt.object, prompt.frame), (prompt.clone(), false));
        }
        let tracked = match header.tracks_across_batches() {
            true => vec![frames.clone()],
            false => batches.iter().map(|batch| batch.frames.clone()).collect(),
        };
        let mut objects = header.object_names.clone();
        for &(object, _) in prompts.keys() {
            objects.entry(object).or_default();
        }
        Self {
            head: 0,
            prompts,
            kept: BTreeSet::new(),
            absent: BTreeMap::new(),
            deleted: BTreeMap::new(),
            locks: BTreeMap::new(),
            stale: BTreeMap::new(),
            computed: BTreeMap::new(),
            objects,
            colours: BTreeMap::new(),
            reviewed: BTreeSet::new(),
            frames,
            size: (header.width, header.height),
            tracked,
        }
    }

    /// Returns the frames of the run.
    pub fn frames(&self) -> Range<usize> {
        self.frames.clone()
    }

    /// Checks an action against this state.
    ///
    /// # Errors
    /// [`AmendError`].
    pub fn check(&self, action: &Action) -> Result<(), AmendError> {
        match action {
            Action::Prompt { prompt } => self.check_prompt(prompt),
            Action::Unprompt { object, frame } => {
                self.check_frame(*frame)?;
                self.check_unlocked(Some(*object), &(*frame..*frame + 1))?;
                match self.prompts.contains_key(&(*object, *frame)) {
                    true => Ok(()),
                    false => Err(AmendError::NoSuchPrompt { object: *object, frame: *frame }),
                }
            }
            Action::Absent { object, frames, .. } | Action::Delete { object, frames } => {
                self.check_object(*object)?;
                self.check_frames(frames)?;
                self.check_unlocked(Some(*object), frames)
            }
            Action::Swap { objects: [a, b], frames } => {
                self.check_two(*a, *b)?;
                self.check_frames(frames)?;
                self.check_unlocked(Some(*a), frames)?;
                self.check_unlocked(Some(*b), frames)
            }
            Action::Merge { object, into } => {
                self.check_two(*object, *into)?;
                self.check_unlocked(Some(*object), &self.frames)?;
                self.check_unlocked(Some(*into), &self.frames)
            }
            Action::Lock { object, frames, on } => {
                self.check_frames(frames)?;
                if let Some(object) = object {
                    self.check_object(*object)?;
                }
                let concerned =
                    |(known, _): &(&u32, &RangeSet<usize>)| object.is_none_or(|o| o == **known);
                for (known, stale) in self.stale.iter().filter(concerned).filter(|_| *on) {
                    if let Some(frames) = stale.overlapping(frames).next() {
                        let frames = frames.clone();
                        return Err(AmendError::NotTracked { object: *known, frames });
                    }
                }
                Ok(())
            }
            Action::Name { object, .. } | Action::Colour { object, .. } => {
                self.check_object(*object)
            }
            Action::Computed { frames, .. } => self.check_frames(frames),
            Action::Reviewed { .. } | Action::Return { .. } => Ok(()),
        }
    }

    fn check_prompt(&self, prompt: &RunPrompt) -> Result<(), AmendError> {
        let (object, frame) = (prompt.object, prompt.frame);
        if object == 0 {
            return Err(AmendError::ObjectZero);
        }
        self.check_frame(frame)?;
        self.check_unlocked(Some(object), &(frame..frame + 1))?;
        if contains(&self.absent, object, frame) {
            return Err(AmendError::Absent { object, frame });
        }
        if contains(&self.deleted, object, frame) {
            return Err(AmendError::Deleted { object, frame });
        }
        if prompt.points.is_empty() && prompt.bounds.is_none() && prompt.mask.is_none() {
            return Err(AmendError::EmptyPrompt { object, frame });
        }
        let (width, height) = self.size;
        let pixels = u64::from(width) * u64::from(height);
        let fits = |runs: &Vec<u32>| runs.iter().map(|&run| u64::from(run)).sum::<u64>() == pixels;
        match prompt.mask.as_ref().is_none_or(fits) {
            true => Ok(()),
            false => Err(AmendError::MaskSize { object, frame, width, height }),
        }
    }

    fn check_frame(&self, frame: usize) -> Result<(), AmendError> {
        match self.frames.contains(&frame) {
            true => Ok(()),
            false => Err(AmendError::NoSuchFrame { frame, run: self.frames.clone() }),
        }
    }

    fn check_frames(&self, frames: &Range<usize>) -> Result<(), AmendError> {
        if frames.is_empty() {
            return Err(AmendError::NoFrames(frames.clone()));
        }
        self.check_frame(frames.start)?;
        self.check_frame(frames.end - 1)
    }

    fn check_object(&self, object: u32) -> Result<(), AmendError> {
        if self.objects.contains_key(&object) {
            return Ok(());
        }
        let known: Vec<String> = self.objects.keys().map(u32::to_string).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(AmendError::NoSuchObject { object, known })
    }

    fn check_two(&self, a: u32, b: u32) -> Result<(), AmendError> {
        self.check_object(a)?;
        self.check_object(b)?;
        if a == b { Err(AmendError::SameObject(a)) } else { Ok(()) }
    }

    /// Checks that none of the frames is locked for an object.
    fn check_unlocked(&self, object: Option<u32>, frames: &Range<usize>) -> Result<(), AmendError> {
        for key in [None, object] {
            let locked = self.locks.get(&key).and_then(|locks| locks.overlapping(frames).next());
            if let Some(locked) = locked {
                let frame = locked.start.max(frames.start);
                return Err(AmendError::Locked { object: key, frame });
            }
        }
        Ok(())
    }

    /// Returns whether a frame is locked for an object.
    pub fn is_locked(&self, object: u32, frame: usize) -> bool {
        [None, Some(object)]
            .iter()
            .any(|key| self.locks.get(key).is_some_and(|locks| locks.contains(&frame)))
    }

    /// Returns whether an object is said not to be on a frame.
    pub fn is_absent(&self, object: u32, frame: usize) -> bool {
        contains(&self.absent, object, frame)
    }

    /// Returns the frames on which two objects are exchanged from `first` on: up to the next frame that is
    /// locked for one of them, or to the end of the run.
    ///
    /// # Errors
    /// [`AmendError::NoSuchFrame`]; [`AmendError::Locked`] if the first frame is.
    pub fn exchanged_from(
        &self,
        objects: [u32; 2],
        first: usize,
    ) -> Result<Range<usize>, AmendError> {
        self.check_frame(first)?;
        for object in objects {
            self.check_unlocked(Some(object), &(first..first + 1))?;
        }
        Ok(first..self.end_of_unlocked(objects, first))
    }

    fn end_of_unlocked(&self, objects: [u32; 2], first: usize) -> usize {
        let keys = [None, Some(objects[0]), Some(objects[1])];
        let locks = keys.iter().filter_map(|key| self.locks.get(key));
        let starts = locks.filter_map(|locks| {
            let behind = first..self.frames.end.max(first + 1);
            locks.overlapping(&behind).next().map(|locked| locked.start.max(first))
        });
        starts.min().unwrap_or(self.frames.end)
    }

    /// Carries an amendment out. `there` are the frames of a computation that were stored.
    pub(super) fn apply(&mut self, amendment: &Amendment, there: &RangeSet<usize>) {
        self.head = amendment.number;
        match &amendment.action {
            Action::Prompt { prompt } => {
                let (object, frame) = (prompt.object, prompt.frame);
                self.objects.entry(object).or_default();
                self.kept.remove(&(object, frame));
                self.make_stale(object, frame);
                self.prompts.insert((object, frame), (prompt.clone(), true));
            }
            &Action::Unprompt { object, frame } => {
                self.prompts.remove(&(object, frame));
                self.make_stale(object, frame);
            }
            Action::Absent { object, frames, on } => {
                let absent = self.absent.entry(*object).or_default();
                match on {
                    true => absent.insert(frames.clone()),
                    false => absent.remove(frames.clone()),
                }
            }
            Action::Delete { object, frames } => {
                self.deleted.entry(*object).or_default().insert(frames.clone());
                for set in [&mut self.stale, &mut self.computed, &mut self.absent] {
                    if let Some(set) = set.get_mut(object) {
                        set.remove(frames.clone());
                    }
                }
                self.prompts.retain(|(o, frame), _| o != object || !frames.contains(frame));
                self.kept.retain(|(o, frame)| o != object || !frames.contains(frame));
            }
            Action::Swap { objects, frames } => self.swap(*objects, frames),
            &Action::Merge { object, into } => self.merge(object, into),
            Action::Lock { object, frames, on } => {
                let locks = self.locks.entry(*object).or_default();
                match on {
                    true => locks.insert(frames.clone()),
                    false => locks.remove(frames.clone()),
                }
            }
            Action::Name { object, name } => {
                self.objects.insert(*object, name.clone());
            }
            Action::Colour { object, colour } => {
                self.colours.insert(*object, colour.clone());
            }
            Action::Reviewed { item, on } => {
                match on {
                    true => self.reviewed.insert(item.clone()),
                    false => self.reviewed.remove(item),
                };
            }
            Action::Computed { objects, frames } => {
                for &object in objects {
                    for part in there.overlapping(frames) {
                        let part = part.start.max(frames.start)..part.end.min(frames.end);
                        if let Some(stale) = self.stale.get_mut(&object) {
                            stale.remove(part.clone());
                        }
                        self.computed.entry(object).or_default().insert(part);
                    }
                }
            }
            Action::Return { .. } => {}
        }
        for set in [&mut self.stale, &mut self.computed, &mut self.absent, &mut self.deleted] {
            set.retain(|_, frames| !frames.is_empty());
        }
        self.locks.retain(|_, frames| !frames.is_empty());
    }

    /// Marks what a change on a frame can change.
    fn make_stale(&mut self, object: u32, frame: usize) {
        let within = self.unlocked_around(object, frame);
        let (behind, ahead) = (self.behind(object, frame), self.ahead(object, frame));
        let start = behind.map_or(within.start, |anchor| within.start.max(anchor + 1));
        let end = ahead.map_or(within.end, |anchor| within.end.min(anchor));
        let stale = self.stale.entry(object).or_default();
        stale.insert(start..end);
        if let Some(deleted) = self.deleted.get(&object) {
            for part in deleted.iter() {
                stale.remove(part.clone());
            }
        }
    }

    /// Returns the frames around one that are tracked together and not locked for the object.
    fn unlocked_around(&self, object: u32, frame: usize) -> Range<usize> {
        let after = self.tracked.partition_point(|frames| frames.end <= frame);
        let mut within = self.tracked.get(after).cloned().unwrap_or(frame..frame + 1);
        for key in [None, Some(object)] {
            for locked in self.locks.get(&key).into_iter().flat_map(RangeSet::iter) {
                if locked.end <= frame {
                    within.start = within.start.max(locked.end);
                } else if locked.start > frame {
                    within.end = within.end.min(locked.start);
                }
            }
        }
        within
    }

    /// Returns the nearest anchor of an object before a frame.
    fn behind(&self, object: u32, frame: usize) -> Option<usize> {
        let prompt = self.prompts.range((object, 0)..(object, frame)).next_back();
        let kept = self.kept.range((object, 0)..(object, frame)).next_back();
        prompt.map(|((_, at), _)| *at).max(kept.map(|(_, at)| *at))
    }

    /// Returns the nearest anchor of an object after a frame.
    fn ahead(&self, object: u32, frame: usize) -> Option<usize> {
        let range = (object, frame + 1)..=(object, usize::MAX);
        let prompt = self.prompts.range(range.clone()).next().map(|((_, at), _)| *at);
        let kept = self.kept.range(range).next().map(|(_, at)| *at);
        match (prompt, kept) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn swap(&mut self, [a, b]: [u32; 2], frames: &Range<usize>) {
        let other = |object: u32, frame: &usize| match frames.contains(frame) {
            true if object == a => b,
            true if object == b => a,
            _ => object,
        };
        let prompts = std::mem::take(&mut self.prompts);
        self.prompts = prompts
            .into_iter()
            .map(|((object, frame), (mut prompt, was_amended))| {
                let now = other(object, &frame);
                let amended = was_amended || now != object;
                prompt.object = now;
                ((now, frame), (prompt, amended))
            })
            .collect();
        let kept = std::mem::take(&mut self.kept);
        self.kept = kept.into_iter().map(|(o, frame)| (other(o, &frame), frame)).collect();
        for set in [&mut self.stale, &mut self.computed, &mut self.absent, &mut self.deleted] {
            let [of_a, of_b] = [a, b].map(|object| cut_out(set, object, frames));
            set.entry(a).or_default().extend(of_b);
            set.entry(b).or_default().extend(of_a);
        }
        for object in [a, b] {
            for border in [frames.start, frames.end] {
                let sides = [border.checked_sub(1), Some(border)];
                for frame in sides.into_iter().flatten().filter(|f| self.frames.contains(f)) {
                    // At the run's own ends nothing was cut.
                    let is_cut = border > self.frames.start && border < self.frames.end;
                    let is_stale = contains(&self.stale, object, frame);
                    if is_cut && !is_stale && !self.prompts.contains_key(&(object, frame)) {
                        self.kept.insert((object, frame));
                    }
                }
            }
        }
    }

    fn merge(&mut self, object: u32, into: u32) {
        let prompts = std::mem::take(&mut self.prompts);
        let (moved, mut stay): (BTreeMap<_, _>, BTreeMap<_, _>) =
            prompts.into_iter().partition(|((o, _), _)| *o == object);
        for ((_, frame), (mut prompt, _)) in moved {
            prompt.object = into;
            stay.entry((into, frame)).or_insert((prompt, true));
        }
        self.prompts = stay;
        let kept = std::mem::take(&mut self.kept);
        let renamed = |(o, frame)| (if o == object { into } else { o }, frame);
        self.kept = kept.into_iter().map(renamed).collect();
        for set in [&mut self.stale, &mut self.computed] {
            let of_object = set.remove(&object).unwrap_or_default();
            set.entry(into).or_default().extend(of_object.iter().cloned());
        }
        // Where only one of the two is absent or deleted, the other one is there.
        let [gone, gone_too] = [object, into].map(|object| self.gone(object));
        let [deleted, deleted_too] =
            [object, into].map(|object| self.deleted.remove(&object).unwrap_or_default());
        let deleted: RangeSet<usize> = deleted.intersection(&deleted_too).collect();
        let mut absent: RangeSet<usize> = gone.intersection(&gone_too).collect();
        deleted.iter().for_each(|frames| absent.remove(frames.clone()));
        self.absent.remove(&object);
        self.absent.insert(into, absent);
        if let Some(stale) = self.stale.get_mut(&into) {
            deleted.iter().for_each(|frames| stale.remove(frames.clone()));
            // A mask that is to be computed again is no mask to start from.
            self.kept.retain(|(known, frame)| *known != into || !stale.contains(frame));
        }
        self.deleted.insert(into, deleted);
        let name = self.objects.remove(&object).unwrap_or_default();
        self.colours.remove(&object);
        let known = self.objects.entry(into).or_default();
        if known.is_empty() {
            *known = name;
        }
    }

    /// Returns the frames on which an object is said not to be, for whatever reason.
    fn gone(&self, object: u32) -> RangeSet<usize> {
        let sets = [self.absent.get(&object), self.deleted.get(&object)];
        sets.into_iter().flatten().flat_map(RangeSet::iter).cloned().collect()
    }

    /// Returns what is to be tracked again, by object and frame.
    pub fn stretches(&self) -> Vec<Stretch> {
        let mut found = Vec::new();
        for (&object, stale) in &self.stale {
            for frames in stale.iter() {
                self.stretches_in(object, frames, &mut found);
            }
        }
        found
    }

    /// Cuts stale frames at the borders of what is tracked together.
    fn stretches_in(&self, object: u32, frames: &Range<usize>, found: &mut Vec<Stretch>) {
        let mut first = frames.start;
        while first < frames.end {
            let within = self.unlocked_around(object, first);
            let last = frames.end.min(within.end).max(first + 1);
            let part = first..last;
            let behind = self.behind(object, first).filter(|at| within.contains(at));
            let ahead = self.ahead(object, last - 1).filter(|at| within.contains(at));
            let from = behind.unwrap_or(within.start);
            let to = ahead.unwrap_or(within.end.saturating_sub(1));
            let prompts = self.prompts.range((object, from)..=(object, to));
            let prompts: Vec<usize> = prompts.map(|((_, frame), _)| *frame).collect();
            let kept = self.kept.range((object, from)..=(object, to)).map(|(_, frame)| *frame);
            let mut masks: Vec<usize> = kept.collect();
            // What lies behind a locked border is right, and known.
            let after_wall = self.tracked.partition_point(|frames| frames.end <= first);
            let tracked = self.tracked.get(after_wall).cloned().unwrap_or_default();
            let is_known =
                |frame: &usize| tracked.contains(frame) && self.is_locked(object, *frame);
            let before = within.start.checked_sub(1).filter(|_| behind.is_none()).filter(is_known);
            let after = Some(within.end).filter(|_| ahead.is_none()).filter(is_known);
            masks.extend(before.into_iter().chain(after));
            masks.sort_unstable();
            let start = before.unwrap_or(within.start);
            let end = after.map_or(within.end, |after| after + 1);
            found.push(Stretch { object, frames: part, within: start..end, prompts, masks });
            first = last;
        }
    }

    /// Returns a batch with the prompts that it has in this state.
    pub fn batch(&self, batch: &RunBatch) -> RunBatch {
        if self.head == 0 {
            return batch.clone();
        }
        let within = |frame: usize| batch.frames.contains(&frame);
        let mut prompts: Vec<&RunPrompt> = self
            .prompts
            .iter()
            .filter(|((_, frame), _)| within(*frame))
            .map(|(_, (prompt, _))| prompt)
            .collect();
        prompts.sort_by_key(|prompt| (prompt.frame, prompt.object));
        let frames: BTreeSet<usize> = prompts.iter().map(|prompt| prompt.frame).collect();
        RunBatch {
            frames: batch.frames.clone(),
            prompt_frames: frames.into_iter().collect(),
            tracked_from: batch.tracked_from.clone(),
            prompts: prompts.into_iter().cloned().collect(),
        }
    }
}

fn contains(sets: &BTreeMap<u32, RangeSet<usize>>, object: u32, frame: usize) -> bool {
    sets.get(&object).is_some_and(|frames| frames.contains(&frame))
}

/// Takes what an object has on some frames out of the sets.
fn cut_out(
    sets: &mut BTreeMap<u32, RangeSet<usize>>,
    object: u32,
    frames: &Range<usize>,
) -> Vec<Range<usize>> {
    let Some(set) = sets.get_mut(&object) else { return Vec::new() };
    let taken: Vec<Range<usize>> = set
        .overlapping(frames)
        .map(|part| part.start.max(frames.start)..part.end.min(frames.end))
        .collect();
    set.remove(frames.clone());
    taken
}
