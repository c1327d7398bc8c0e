//! What is known of every frame without looking at its pixels.

use std::collections::BTreeMap;

use sam2_mask_writer::LabelledMask;

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
