//! Frames that are already in memory.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::source::FrameSource;
use crate::source_info::{SourceInfo, Timing};

/// A clip held in memory: for tests, for cameras, and for frames made by other programs.
#[derive(Debug, Clone)]
pub struct MemoryFrames {
    frames: Vec<Arc<RgbFrame>>,
    info: SourceInfo,
}

impl MemoryFrames {
    /// Makes a clip of `frames`, in that order.
    ///
    /// # Errors
    /// [`FrameError::Empty`] without frames, [`FrameError::SizeChanged`] if the frames differ in
    /// size.
    pub fn new(frames: Vec<RgbFrame>) -> Result<Self, FrameError> {
        let size = frames
            .first()
            .map(RgbFrame::size)
            .ok_or_else(|| FrameError::Empty { what: "the clip in memory".into() })?;
        if let Some(index) = frames.iter().position(|frame| frame.size() != size) {
            return Err(FrameError::SizeChanged {
                path: name(),
                index,
                expected: size,
                found: frames[index].size(),
            });
        }
        let info =
            SourceInfo::new(frames.len(), size).with_description(name().display().to_string());
        Ok(Self { frames: frames.into_iter().map(Arc::new).collect(), info })
    }

    /// Returns the same clip with a frame rate.
    #[must_use]
    pub fn with_frames_per_second(mut self, frames_per_second: f64) -> Self {
        self.info.timing = Timing::from_rate(frames_per_second);
        self
    }
}

fn name() -> PathBuf {
    PathBuf::from("frames in memory")
}

impl FrameSource for MemoryFrames {
    fn info(&self) -> SourceInfo {
        self.info.clone()
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        let count = self.frames.len();
        self.frames.get(index).cloned().ok_or_else(|| FrameError::IndexOutOfRange {
            index,
            count,
            path: name(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size::FrameSize;

    #[test]
    fn serves_frames_and_refuses_odd_ones() {
        let frame = |width| RgbFrame::new(width, 1, vec![7; width as usize * 3]).unwrap();
        let clip =
            MemoryFrames::new(vec![frame(2), frame(2)]).unwrap().with_frames_per_second(25.0);
        let info = clip.info();
        assert_eq!((info.frame_count, info.size), (2, FrameSize { width: 2, height: 1 }));
        assert_eq!((info.timing.frames_per_second, info.time(1)), (Some(25.0), Some(0.04)));
        assert_eq!(
            clip.frame(2).unwrap_err().to_string(),
            "frames in memory: frame 2 does not exist; the 2 frames are numbered from 0"
        );
        assert!(matches!(
            MemoryFrames::new(vec![frame(2), frame(3)]),
            Err(FrameError::SizeChanged { index: 1, .. })
        ));
        assert!(matches!(MemoryFrames::new(vec![]), Err(FrameError::Empty { .. })));
    }
}
