//! What is known of every frame without looking at its pixels.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use sam2_mask_writer::LabelledMask;

use crate::desk::{Desk, Event};

/// Areas, scores and flags of all objects on all frames: 17 bytes for each.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) objects: BTreeMap<u32, Vec<Fact>>,
    /// Flags as they were computed at first, by object.
    pub(crate) first_flags: BTreeMap<u32, Vec<u8>>,
    /// The frames before this one are known, counted from the run's first.
    pub(crate) known: usize,
}

/// What is known of an object on a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fact {
    /// Pixels of the mask.
    pub(crate) area: u32,
    /// NaN where there is none.
    pub(crate) score: f32,
    pub(crate) iou: f32,
    pub(crate) agreement: f32,
    pub(crate) flags: u8,
    /// Whether the object has a mask there, be it empty.
    pub(crate) there: bool,
}

impl Default for Fact {
    fn default() -> Self {
        let none = f32::NAN;
        Self { area: 0, score: none, iou: none, agreement: none, flags: 0, there: false }
    }
}

impl Fact {
    fn of(shown: &LabelledMask) -> Self {
        let facts = shown.facts;
        Self {
            area: u32::try_from(shown.mask.area()).unwrap_or(u32::MAX),
            score: facts.map_or(f32::NAN, |facts| facts.object_score),
            iou: facts.map_or(f32::NAN, |facts| facts.predicted_iou),
            agreement: facts.and_then(|facts| facts.agreement).unwrap_or(f32::NAN),
            flags: facts.map_or(0, |facts| facts.flags.bits()),
            there: true,
        }
    }
}

impl Facts {
    /// Notes the masks of a frame, counted from the run's first.
    pub(crate) fn note(&mut self, at: usize, shown: &[LabelledMask]) {
        for facts in self.objects.values_mut() {
            if let Some(fact) = facts.get_mut(at) {
                *fact = Fact::default();
            }
        }
        for shown in shown {
            let facts = self.objects.entry(shown.object).or_default();
            if facts.len() <= at {
                facts.resize(at + 1, Fact::default());
            }
            facts[at] = Fact::of(shown);
        }
    }

    /// Notes the flags that a frame had at first.
    pub(crate) fn note_first(&mut self, at: usize, shown: &[LabelledMask]) {
        for shown in shown {
            let flags = self.first_flags.entry(shown.object).or_default();
            if flags.len() <= at {
                flags.resize(at + 1, 0);
            }
            flags[at] = shown.facts.map_or(0, |facts| facts.flags.bits());
        }
        self.known = self.known.max(at + 1);
    }

    /// Returns what is known of an object on a frame.
    pub(crate) fn of(&self, object: u32, at: usize) -> Fact {
        self.objects.get(&object).and_then(|facts| facts.get(at)).copied().unwrap_or_default()
    }
}

/// Frames that are read before others get their turn.
const AT_A_TIME: usize = 500;
/// How often the run file is looked at.
const PAUSE: Duration = Duration::from_millis(150);

/// Reads all frames once, and then follows what is added to the run file, until the desk is gone.
pub(crate) fn keep_up(desk: &Weak<Desk>) {
    loop {
        let Some(desk) = desk.upgrade() else { return };
        let before = desk.facts().known;
        if let Err(error) = step(&desk) {
            desk.set_message(Some(error.to_string()));
            std::thread::sleep(Duration::from_secs(2));
        }
        let known = desk.facts().known;
        let all = desk.run().frames_there();
        if known != before && (known == all || known.is_multiple_of(AT_A_TIME * 20)) {
            desk.tell(Event::State);
        }
        drop(desk);
        if known >= all {
            std::thread::sleep(PAUSE);
        }
    }
}

fn step(desk: &Desk) -> Result<(), crate::error::ReviewError> {
    let first = desk.header.frames.start;
    let known = desk.facts().known;
    let mut changed = desk.refresh()?;
    changed.extend(desk.taken_up(AT_A_TIME));
    note(desk, changed.into_iter().filter(|frame| *frame < first + known))?;
    let all = desk.run().frames_there();
    for at in known..all.min(known + AT_A_TIME) {
        let mut run = desk.run();
        let computed = run.frame_after(first + at, 0)?;
        let now = run.frame(first + at)?;
        drop(run);
        desk.change_facts(|facts| {
            facts.note(at, &now.map(|frame| frame.objects).unwrap_or_default());
            facts.note_first(at, &computed.map(|frame| frame.objects).unwrap_or_default());
        });
    }
    Ok(())
}

/// Reads the facts of some frames again.
pub(crate) fn note(
    desk: &Desk,
    frames: impl IntoIterator<Item = usize>,
) -> Result<(), crate::error::ReviewError> {
    let first = desk.header.frames.start;
    for frame in frames {
        let Some(at) = frame.checked_sub(first) else { continue };
        let now = desk.run().frame(frame)?;
        desk.change_facts(|facts| facts.note(at, &now.map(|f| f.objects).unwrap_or_default()));
    }
    Ok(())
}
