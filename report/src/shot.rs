//! A single frame as shown on the page.

use sam2_mask_writer::{LabelledMask, MaskFacts};

use crate::outline::Outline;

/// One object in a shown frame.
#[derive(Clone, Debug)]
pub(crate) struct ShotObject {
    pub object: u32,
    /// Area in pixels of the recording.
    pub area: u64,
    pub facts: Option<MaskFacts>,
    /// `None` for an empty mask.
    pub outline: Option<Outline>,
}

/// A frame with the outlines of its masks.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    pub frame: usize,
    pub objects: Vec<ShotObject>,
}

impl Shot {
    /// Traces a frame's masks for a picture of `size`.
    pub(crate) fn draw(frame: usize, objects: &[LabelledMask], size: (u32, u32)) -> Self {
        let draw = |labelled: &LabelledMask| ShotObject {
            object: labelled.object,
            area: labelled.mask.area(),
            facts: labelled.facts,
            outline: Outline::trace(&labelled.mask, size),
        };
        Self { frame, objects: objects.iter().map(draw).collect() }
    }
}
