//! The official predictor's selection.

use sam2_model::MemorySelection;

use super::{Earlier, MemoryPolicy, MemoryQuery, MemoryRead, MemoryView, Retained};
use crate::memory_bank::MemoryReach;

/// Reads every conditioning frame, the six preceding frames and fifteen pointers, whatever they
/// show (`_prepare_memory_conditioned_features`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfficialPolicy;

impl MemoryPolicy for OfficialPolicy {
    fn name(&self) -> &str {
        "official"
    }

    fn retains(&self, reach: &MemoryReach) -> Retained {
        Retained { memories: reach.furthest(reach.places()), frames: 0, apart: 0 }
    }

    fn select(&self, view: &MemoryView<'_>) -> MemorySelection {
        let query = view.query();
        let chosen = view.conditioning();
        // A conditioning frame that was not chosen still serves as an ordinary frame.
        let ordinary =
            |earlier: &Earlier<'_>| !chosen.iter().any(|(frame, _)| *frame == earlier.frame);
        let mut spatial = Vec::new();
        for (_, outcome) in &chosen {
            if let Some(memory) = &outcome.memory {
                spatial.push((0, memory.clone()));
            }
        }
        for time in 1..query.reach.num_maskmem {
            let memory = query
                .place(query.reach.num_maskmem - time)
                .and_then(|frame| view.at(frame))
                .filter(ordinary)
                .and_then(|earlier| earlier.memory);
            if let Some(memory) = memory {
                spatial.push((time, memory.clone()));
            }
        }
        let pointers = view.pointers(chosen.iter().copied(), ordinary);
        let pointer_time_scale = view.pointer_limit().saturating_sub(1);
        MemorySelection { spatial, pointers, pointer_time_scale }
    }

    /// Returns fewer frames than the default: with a stride, only some memories within reach are
    /// read.
    fn reads(&self, query: &MemoryQuery) -> Vec<MemoryRead> {
        let places = query.places(query.reach.places());
        places.map(|frame| MemoryRead { frame, memory: true }).collect()
    }
}
