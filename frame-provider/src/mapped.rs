//! Another range of intensities for a source that is already RGB8.

use std::sync::Arc;

use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::intensity::{Intensity, Levels};
use crate::picture::{Picture, Samples};
use crate::resize::Scale;
use crate::source::{FrameSource, ScaledFrame};
use crate::source_info::SourceInfo;

/// Any source, with its 8-bit samples mapped by an [`Intensity`].
///
/// ```
/// use sam2_frame_provider::{FrameSource, Intensity, MappedFrames, MemoryFrames, RgbFrame};
/// let clip = MemoryFrames::new(vec![RgbFrame::new(2, 1, vec![10, 10, 10, 60, 60, 60])?])?;
/// let brighter = MappedFrames::new(clip, Intensity::MinMax);
/// assert_eq!(brighter.frame(0)?.data(), [0, 0, 0, 255, 255, 255]);
/// # Ok::<(), sam2_frame_provider::FrameError>(())
/// ```
#[derive(Debug)]
pub struct MappedFrames<S> {
    source: S,
    levels: Levels,
}

impl<S: FrameSource> MappedFrames<S> {
    /// Wraps `source` and maps its samples. [`Intensity::Auto`] and [`Intensity::Full`] leave them
    /// unchanged.
    pub fn new(source: S, intensity: Intensity) -> Self {
        Self { source, levels: Levels::new(intensity) }
    }

    /// Returns true if the frames stay unchanged.
    fn is_identity(&self) -> bool {
        matches!(self.levels.intensity(), Intensity::Auto | Intensity::Full)
    }

    fn picture(&self, index: usize) -> Result<Picture, FrameError> {
        let frame = self.source.frame(index)?;
        let size = frame.size();
        let samples = Arc::try_unwrap(frame)
            .map_or_else(|shared| shared.data().to_vec(), RgbFrame::into_data);
        Ok(Picture { size, channels: 3, samples: Samples::Eight(samples) })
    }
}

impl<S: FrameSource> FrameSource for MappedFrames<S> {
    fn info(&self) -> SourceInfo {
        let info = self.source.info();
        if self.is_identity() {
            return info;
        }
        info.with_own_scaling([]).with_more_warnings(self.levels.warnings())
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        if self.is_identity() {
            return self.source.frame(index);
        }
        let picture = self.picture(index)?;
        let count = self.source.info().frame_count;
        Ok(Arc::new(self.levels.render(picture, count, |index| self.picture(index))?))
    }

    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        if self.is_identity() {
            return self.source.scaled(index, scale);
        }
        // Samples are mapped before scaling: a range applies to stored samples, not to sums of
        // them.
        ScaledFrame::of(self.frame(index)?, scale)
    }

    fn release_memory(&self) {
        self.source.release_memory();
    }
}
