//! A part of a recording as a recording of its own.

use std::ops::Range;
use std::sync::Arc;

use sam2_frame_provider::{FrameError, FrameSize, FrameSource, RgbFrame, Timing};

/// Frames `range` of `source`, numbered from 0.
///
/// A batch is a recording of its own for the model: the scale of pointer distances depends on the number of frames.
pub(super) struct SubRange<'a, S: ?Sized> {
    pub(super) source: &'a S,
    pub(super) range: Range<usize>,
}

impl<S: FrameSource + ?Sized> FrameSource for SubRange<'_, S> {
    fn frame_count(&self) -> usize {
        self.range.len()
    }

    fn size(&self) -> FrameSize {
        self.source.size()
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        self.source.frame(self.range.start + index)
    }

    fn timing(&self) -> Timing {
        self.source.timing()
    }

    fn describe(&self) -> String {
        self.source.describe()
    }
}
