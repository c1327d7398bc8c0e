//! Pathways of an object: hypotheses with memories and a score of their own.

use sam2_model::MemoryFeatures;

use crate::frame_record::FrameRecord;
use crate::memory_bank::{MemoryBank, Outcome};

/// A hypothesis about an object; see [`crate::Pathways`]. Prompts and conditioning frames are the
/// same in all pathways of an object.
#[derive(Clone, Debug)]
pub(super) struct Pathway {
    pub(super) bank: MemoryBank,
    /// Sum of the logarithms of the predicted IoUs since the pathways of the object parted.
    pub(super) sum: f64,
}

/// The result of a frame with which an object goes on along a pathway.
pub(super) struct Step {
    /// Index of the pathway that it continues, 0 being the shown one.
    pub(super) continues: usize,
    /// The pathway's new sum; 0 if only one pathway is followed.
    pub(super) sum: f64,
    pub(super) outcome: Outcome,
    /// Whether the decoder's masks showed another object too.
    pub(super) distractor: bool,
}

/// A step with all that is decided about it before anything of the frame is stored.
pub(super) struct JudgedStep {
    pub(super) step: Step,
    pub(super) record: FrameRecord,
    /// Whether the policy keeps the frame in reserve.
    pub(super) apart: bool,
    /// Its memory there, if that is not the tracked frame's.
    pub(super) memory_apart: Option<MemoryFeatures>,
}

/// The limits of a bank's reserve.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reserve {
    /// First and last frame that may be in it.
    pub(super) window: (usize, usize),
    /// Maximum number of frames.
    pub(super) limit: usize,
}

impl JudgedStep {
    /// Stores the result of `frame` in the bank of the pathway that it continues and returns the
    /// pathway that this makes.
    pub(super) fn on(self, mut bank: MemoryBank, frame: usize, reserve: Reserve) -> Pathway {
        let Self { step, record, apart, memory_apart } = self;
        bank.insert_tracked(frame, step.outcome);
        bank.insert_record(frame, record);
        if apart {
            bank.forget_apart_outside(reserve.window);
            bank.keep_apart(frame, reserve.limit);
            if let Some(memory) = memory_apart {
                bank.set_memory_apart(frame, memory);
            }
        }
        Pathway { bank, sum: step.sum }
    }
}
