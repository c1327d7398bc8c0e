//! What every output format has in common.

use crate::error::WriteError;
use crate::mask::Mask;
use crate::output_file::CompleteOutput;

/// A mask and the number of its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledMask {
    /// The object, 1 or more.
    pub object: u32,
    /// Where it is.
    pub mask: Mask,
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
}

/// Takes masks in frame order.
pub trait MaskSink: Send {
    /// Writes the next frame.
    ///
    /// # Errors
    /// [`WriteError`]; the sink must not be used afterwards.
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError>;

    /// Completes the output; [`CompleteOutput::publish`] then gives it its final name.
    ///
    /// # Errors
    /// [`WriteError::Incomplete`] when frames are missing, and anything the system says.
    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError>;

    /// Whether [`MaskFrame::image`] is needed for this frame.
    fn wants_image(&self, index: usize) -> bool {
        let _ = index;
        false
    }
}
