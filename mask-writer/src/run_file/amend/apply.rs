//! Frames as they are after the amendments.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use rangemap::RangeSet;

use super::amendment::Action;
use super::index::{RunIndex, read_at};
use super::state::RunState;
use crate::mask::Mask;
use crate::quality_flags::{QualityFlag, QualityFlags};
use crate::run_file::error::RunFileError;
use crate::run_file::frame::{self, RunFrame};
use crate::run_file::header::RunHeader;
use crate::run_file::record::{Kind, Missing, PATCH_HEAD};
use crate::sink::LabelledMask;

/// Amendments that change masks, in the order in which they count.
#[derive(Debug)]
pub(in crate::run_file) struct Amended {
    state: RunState,
    steps: Vec<Step>,
    size: (u32, u32),
    overlap_limit: Option<f64>,
    payload: Vec<u8>,
}

/// What an amendment does to the masks of a range of frames.
#[derive(Debug)]
struct Step {
    number: usize,
    frames: Range<usize>,
    what: Change,
}

#[derive(Debug)]
enum Change {
    Replace(Vec<u32>),
    Exchange([u32; 2]),
    /// Each with the frames on which it was absent by then.
    Join {
        object: (u32, RangeSet<usize>),
        into: (u32, RangeSet<usize>),
    },
    Remove(u32),
}

impl Amended {
    /// Collects what the amendments up to `head` do.
    pub(in crate::run_file) fn new(header: &RunHeader, index: &RunIndex, head: usize) -> Self {
        let mut state = RunState::new(header, &index.batches);
        let mut steps = Vec::new();
        for amendment in index.chain(head) {
            let there = index.frames_of(amendment.number);
            // An object that ceases to exist takes along where it was absent.
            let joined = match amendment.action {
                Action::Merge { object, into } => {
                    let absent = |object| state.absent.get(&object).cloned().unwrap_or_default();
                    let [object, into] = [object, into].map(|object| (object, absent(object)));
                    Some(Change::Join { object, into })
                }
                _ => None,
            };
            state.apply(amendment, &there);
            let (frames, what) = match &amendment.action {
                Action::Computed { objects, frames } => {
                    (frames.clone(), Change::Replace(objects.clone()))
                }
                Action::Swap { objects, frames } => (frames.clone(), Change::Exchange(*objects)),
                Action::Delete { object, frames } => (frames.clone(), Change::Remove(*object)),
                _ => match joined {
                    Some(joined) => (header.frames.clone(), joined),
                    None => continue,
                },
            };
            steps.push(Step { number: amendment.number, frames, what });
        }
        Self {
            state,
            steps,
            size: (header.width, header.height),
            overlap_limit: header.overlap_limit(),
            payload: Vec::new(),
        }
    }

    pub(in crate::run_file) fn state(&self) -> &RunState {
        &self.state
    }

    /// Returns the names of those objects that have one.
    pub(in crate::run_file) fn names(&self) -> BTreeMap<u32, String> {
        let named = self.state.objects.iter().filter(|(_, name)| !name.is_empty());
        named.map(|(object, name)| (*object, name.clone())).collect()
    }

    /// Changes a frame as the amendments do.
    ///
    /// # Errors
    /// [`RunFileError`] if masks that were computed again cannot be read.
    pub(in crate::run_file) fn change(
        &mut self,
        frame: &mut RunFrame,
        index: &RunIndex,
        file: &mut File,
        path: &Path,
    ) -> Result<(), RunFileError> {
        let at = frame.index;
        let patches = index.patches.get(&at).map(Vec::as_slice).unwrap_or_default();
        let mut changed = false;
        for step in self.steps.iter().filter(|step| step.frames.contains(&at)) {
            match &step.what {
                Change::Replace(objects) => {
                    // A frame that was computed twice for one amendment counts as the last time.
                    let patch = patches.iter().rev().find(|(number, _)| *number == step.number);
                    let Some(&(_, place)) = patch else { continue };
                    let new = read_patch(file, place, self.size, &mut self.payload, path)?;
                    frame.objects.retain(|shown| !objects.contains(&shown.object));
                    frame.objects.extend(new.objects);
                }
                Change::Exchange([a, b]) => {
                    for shown in &mut frame.objects {
                        let now = match shown.object {
                            object if object == *a => *b,
                            object if object == *b => *a,
                            _ => continue,
                        };
                        shown.object = now;
                        // Somebody has decided which animal this is.
                        forget(shown, QualityFlag::OffTrack);
                    }
                }
                Change::Join { object, into } => {
                    for (object, absent) in [object, into] {
                        if absent.contains(&at) {
                            empty(&mut frame.objects, *object, self.size);
                        }
                    }
                    join(&mut frame.objects, object.0, into.0);
                }
                &Change::Remove(object) => frame.objects.retain(|shown| shown.object != object),
            }
            changed = true;
        }
        for (object, absent) in &self.state.absent {
            if absent.contains(&at) {
                changed |= empty(&mut frame.objects, *object, self.size);
            }
        }
        if changed {
            frame.objects.sort_by_key(|shown| shown.object);
            self.mark_overlaps(&mut frame.objects);
        }
        Ok(())
    }

    fn mark_overlaps(&self, objects: &mut [LabelledMask]) {
        let Some(limit) = self.overlap_limit else { return };
        let masks: Vec<&Mask> = objects.iter().map(|shown| &shown.mask).collect();
        let overlaps = Mask::overlapping(&masks, limit);
        for (shown, overlaps) in objects.iter_mut().zip(overlaps) {
            forget(shown, QualityFlag::Overlap);
            if let Some(facts) = shown.facts.as_mut().filter(|_| overlaps) {
                facts.flags.insert(QualityFlag::Overlap);
            }
        }
    }
}

/// Empties the mask of an object that is said not to be there; returns whether it has one.
fn empty(objects: &mut [LabelledMask], object: u32, (width, height): (u32, u32)) -> bool {
    let Some(shown) = objects.iter_mut().find(|shown| shown.object == object) else { return false };
    (shown.mask, shown.logits) = (Mask::empty(width, height), None);
    if let Some(facts) = &mut shown.facts {
        (facts.flags, facts.prompted) = (QualityFlags::NONE, false);
        facts.agreement = None;
    }
    true
}

fn forget(shown: &mut LabelledMask, flag: QualityFlag) {
    if let Some(facts) = &mut shown.facts {
        facts.flags.remove(flag);
    }
}

/// Gives the mask of `object` to `into`.
fn join(objects: &mut Vec<LabelledMask>, object: u32, into: u32) {
    let Some(place) = objects.iter().position(|shown| shown.object == object) else { return };
    let mut moved = objects.remove(place);
    moved.object = into;
    match objects.iter_mut().find(|shown| shown.object == into) {
        None => objects.push(moved),
        // The facts of a mask that is there say more than those of one that is not.
        Some(known) if known.mask.area() == 0 => *known = moved,
        Some(known) if moved.mask.area() > 0 => {
            known.mask = known.mask.union(&moved.mask);
            known.logits = None;
        }
        Some(_) => {}
    }
}

fn read_patch(
    file: &mut File,
    at: u64,
    size: (u32, u32),
    payload: &mut Vec<u8>,
    path: &Path,
) -> Result<RunFrame, RunFileError> {
    let damaged = |reason: String| RunFileError::Damaged { path: path.to_owned(), at, reason };
    match read_at(file, at, payload) {
        Ok(Kind::Patch) => {
            frame::decode(&payload[PATCH_HEAD.min(payload.len())..], size).map_err(damaged)
        }
        Ok(_) => Err(damaged("masks are not where they were".into())),
        Err(Missing::Io(source)) => Err(RunFileError::Io { path: path.to_owned(), source }),
        Err(Missing::Torn) => Err(damaged("the file has become shorter".into())),
        Err(Missing::Damaged(reason)) => Err(damaged(reason.into())),
    }
}
