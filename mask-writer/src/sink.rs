//! The interface that all output formats share.

use std::sync::Arc;

use crate::error::WriteError;
use crate::mask::Mask;
use crate::output_file::CompleteOutput;
use crate::quality_flags::QualityFlags;
use crate::run_file::RunBatch;

/// Facts that the model reported about a mask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaskFacts {
    /// Object score (logit); above 0, the model sees the object in this frame.
    pub object_score: f32,
    /// The model's own estimate of the mask's IoU with the ground truth, 0 to 1.
    pub predicted_iou: f32,
    /// Whether the object was prompted on this frame.
    pub prompted: bool,
    /// Reasons for a person to check the mask.
    pub flags: QualityFlags,
    /// IoU of the two masks of a frame that was tracked from the prompts on both sides of it, 0 to
    /// 1; `None` where there was one mask only.
    pub agreement: Option<f32>,
}

/// A mask with the number of its object.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledMask {
    /// The object's number, 1 or more.
    pub object: u32,
    /// The mask.
    pub mask: Mask,
    /// What is known about the mask; `None` if it comes from elsewhere, for example from a stack.
    pub facts: Option<MaskFacts>,
    /// Mask logits, `[height, width]`; the mask is where they are above 0. Present only for sinks
    /// that asked for them.
    pub logits: Option<Arc<Vec<f32>>>,
}

impl LabelledMask {
    /// Returns a mask about which nothing else is known.
    pub fn new(object: u32, mask: Mask) -> Self {
        Self { object, mask, facts: None, logits: None }
    }
}

/// The masks of one frame.
#[derive(Clone, Copy, Debug)]
pub struct MaskFrame<'a> {
    /// Index of the frame in the recording, from 0.
    pub index: usize,
    /// The masks of the objects, each of the recording's size; may be empty.
    pub objects: &'a [LabelledMask],
    /// The frame as RGB8 pixels of the recording's size, for sinks that asked for it.
    pub image: Option<&'a [u8]>,
    /// Seconds from the recording's start to the frame, if the frame rate is known.
    pub seconds: Option<f64>,
}

impl<'a> MaskFrame<'a> {
    /// Returns the masks of frame `index`, without image or time.
    pub fn new(index: usize, objects: &'a [LabelledMask]) -> Self {
        Self { index, objects, image: None, seconds: None }
    }

    /// Sets the frame's RGB8 pixels.
    pub fn with_image(self, image: Option<&'a [u8]>) -> Self {
        Self { image, ..self }
    }

    /// Sets the frame's time in seconds.
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

    /// Reports which frames were tracked together, after the last of them. Most formats ignore
    /// this.
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
    /// [`WriteError::Incomplete`] if frames are missing, or any error of the operating system.
    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError>;

    /// Returns whether the sink needs [`LabelledMask::logits`].
    fn wants_logits(&self) -> bool {
        false
    }

    /// Returns whether the sink needs [`MaskFrame::image`] for this frame.
    fn wants_image(&self, index: usize) -> bool {
        let _ = index;
        false
    }
}
