//! Another range of intensities for a source that is RGB8 already.

use std::sync::Arc;

use crate::error::FrameError;
use crate::frame::{FrameSize, RgbFrame};
use crate::intensity::{Intensity, Levels};
use crate::picture::{Picture, Samples};
use crate::source::{DecodeStats, FrameSource, Timing};

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
    /// Maps the samples of `source`. [`Intensity::Auto`] and [`Intensity::Full`] leave them as they are.
    pub fn new(source: S, intensity: Intensity) -> Self {
        Self { source, levels: Levels::new(intensity) }
    }

    fn picture(&self, index: usize) -> Result<Picture, FrameError> {
        let frame = self.source.frame(index)?;
        let samples = Arc::try_unwrap(frame)
            .map_or_else(|shared| shared.data().to_vec(), RgbFrame::into_data);
        Ok(Picture { size: self.source.size(), channels: 3, samples: Samples::Eight(samples) })
    }
}

impl<S: FrameSource> FrameSource for MappedFrames<S> {
    fn frame_count(&self) -> usize {
        self.source.frame_count()
    }

    fn size(&self) -> FrameSize {
        self.source.size()
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        if matches!(self.levels.intensity(), Intensity::Auto | Intensity::Full) {
            return self.source.frame(index);
        }
        let picture = self.picture(index)?;
        let count = self.frame_count();
        Ok(Arc::new(self.levels.render(picture, count, |index| self.picture(index))?))
    }

    fn timing(&self) -> Timing {
        self.source.timing()
    }

    fn describe(&self) -> String {
        self.source.describe()
    }

    fn decode_stats(&self) -> DecodeStats {
        self.source.decode_stats()
    }

    fn warnings(&self) -> Vec<String> {
        self.source.warnings().into_iter().chain(self.levels.warnings()).collect()
    }
}
