//! What every output format has in common.

use std::sync::Arc;

use crate::error::WriteError;
use crate::mask::Mask;
use crate::output_file::CompleteOutput;
use crate::quality_flags::QualityFlags;
use crate::run_file::RunBatch;

/// What the model said about a mask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaskFacts {
    /// Logit; above 0 = the model sees the object in this frame.
    pub object_score: f32,
    /// The model's own estimate of the mask's IoU with the truth, 0..1.
    pub predicted_iou: f32,
    /// Whether somebody said on this frame where the object is.
    pub prompted: bool,
    /// What a person should look at.
    pub flags: QualityFlags,
}

/// A mask and the number of its object.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledMask {
    /// The object, 1 or more.
    pub object: u32,
    /// Where it is.
    pub mask: Mask,
    /// What is known about it; `None` for a mask that comes from elsewhere, as from a stack.
    pub facts: Option<MaskFacts>,
    /// Mask logits, `[height, width]`; the mask is where they are above 0. Only for sinks that asked for them.
    pub logits: Option<Arc<Vec<f32>>>,
}

impl LabelledMask {
    /// A mask about which nothing else is known.
    pub fn new(object: u32, mask: Mask) -> Self {
        Self { object, mask, facts: None, logits: None }
    }
}

/// The masks of one frame.
#[derive(Clone, Copy, Debug)]
pub struct MaskFrame<'a> {
    /// Number of the frame in the recording, from 0.
    pub index: usize,
    /// The objects, each of the recording's size; may be empty.
    pub objects: &'a [LabelledMask],
    /// The frame itself as RGB8 of the recording's size, for sinks that asked for it.
    pub image: Option<&'a [u8]>,
    /// Seconds from the recording's start to the frame, if the recording's rate is known.
    pub seconds: Option<f64>,
}

impl<'a> MaskFrame<'a> {
    /// The masks of frame `index`, without image or time.
    pub fn new(index: usize, objects: &'a [LabelledMask]) -> Self {
        Self { index, objects, image: None, seconds: None }
    }

    /// With the frame's RGB8 pixels.
    pub fn with_image(self, image: Option<&'a [u8]>) -> Self {
        Self { image, ..self }
    }

    /// With the frame's time in seconds.
    pub fn with_seconds(self, seconds: Option<f64>) -> Self {
        Self { seconds, ..self }
    }
}

/// Takes masks in frame order.
pub trait MaskSink: Send {
    /// Writes the next frame.
    ///
    /// # Errors
    /// [`WriteError`]; the sink must not be used afterwards.
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError>;

    /// Is told, behind their last frame, which frames were tracked together. Most formats do not care.
    ///
    /// # Errors
    /// [`WriteError`]; the sink must not be used afterwards.
    fn end_batch(&mut self, batch: &RunBatch) -> Result<(), WriteError> {
        let _ = batch;
        Ok(())
    }

    /// Completes the output; [`CompleteOutput::publish`] then gives it its final name.
    ///
    /// # Errors
    /// [`WriteError::Incomplete`] when frames are missing, and anything the system says.
    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError>;

    /// Whether [`LabelledMask::logits`] are needed.
    fn wants_logits(&self) -> bool {
        false
    }

    /// Whether [`MaskFrame::image`] is needed for this frame.
    fn wants_image(&self, index: usize) -> bool {
        let _ = index;
        false
    }
}
