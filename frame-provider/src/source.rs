//! The trait that every source of frames implements.

use std::sync::Arc;

use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::resize::{Scale, resize};
use crate::source_info::SourceInfo;

/// A clip of RGB frames of one size, numbered from 0, that can be read in any order.
///
/// A source answers three questions: what is known about the clip, what frame `i` looks like, and
/// what it looks like at the input size of a model. Frame `i` has the same bytes regardless of what
/// was read before it. Sources are shared between threads. A call for a frame may wait for another
/// thread's decode, so wrap slow sources in [`LazyFrames`](crate::LazyFrames).
///
/// A wrapper around another source changes in the inner [`SourceInfo`] what differs, and passes on
/// the rest, including facts that it does not know of:
///
/// ```
/// use std::sync::Arc;
/// use sam2_frame_provider::{FrameError, FrameSource, MemoryFrames, RgbFrame, SourceInfo};
///
/// /// Another source as a negative: dark animals become bright.
/// struct Negative<S>(S);
///
/// impl<S: FrameSource> FrameSource for Negative<S> {
///     fn info(&self) -> SourceInfo {
///         // Frames are scaled by the default below, so no mode gives another result than that.
///         self.0.info().with_own_scaling([])
///     }
///
///     fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
///         let frame = self.0.frame(index)?;
///         let negative = frame.data().iter().map(|value| 255 - value).collect();
///         Ok(Arc::new(RgbFrame::new(frame.width(), frame.height(), negative)?))
///     }
///
///     fn release_memory(&self) {
///         self.0.release_memory();
///     }
/// }
///
/// let clip = MemoryFrames::new(vec![RgbFrame::new(1, 1, vec![0, 55, 255])?])?;
/// let negative = Negative(clip.with_frames_per_second(25.0));
/// assert_eq!(negative.frame(0)?.data(), [255, 200, 0]);
/// assert_eq!(negative.info().timing.frames_per_second, Some(25.0));
/// # Ok::<(), FrameError>(())
/// ```
pub trait FrameSource: Send + Sync {
    /// Returns what is known about the clip at this moment.
    ///
    /// The call never waits for a decode and is cheap: it is made once or a few times per frame.
    /// What takes work in proportion to the number of frames is done once, when the source is
    /// opened, and shared behind an [`Arc`]. Reading frames can change some of the facts; the
    /// fields of [`SourceInfo`] say which ones.
    fn info(&self) -> SourceInfo;

    /// Returns frame `index`, counted from 0.
    ///
    /// # Errors
    /// [`FrameError::IndexOutOfRange`] past the end, [`FrameError::Decode`] for a damaged frame,
    /// [`FrameError::SizeChanged`] for a frame of another size, [`FrameError::Io`] if the file can
    /// no longer be read.
    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError>;

    /// Returns frame `index` at the input size of a model.
    ///
    /// By default this is [`resize()`] of [`frame`](FrameSource::frame). For
    /// [`ResizeMode::Decord`](crate::resize::ResizeMode::Decord), a video scales directly from the
    /// decoder's pixel format; [`SourceInfo::scales_from_frames`] then returns false. If the source
    /// is wrapped in [`LazyFrames`](crate::LazyFrames), scaling happens in the background, ahead of
    /// the reader.
    ///
    /// # Errors
    /// Those of [`frame`](FrameSource::frame), and those of [`resize()`].
    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        ScaledFrame::of(self.frame(index)?, scale)
    }

    /// Frees what [`SourceInfo::memory`] counts, except for what a read in progress needs. It does
    /// not wait for a decode. Later reads give the same frames but must decode more.
    ///
    /// This is the only command among the questions, so it is a method of its own. By default it
    /// does nothing, which is right for sources that hold no memory; a wrapper that does not pass
    /// it on costs memory, and gives the same frames.
    fn release_memory(&self) {}
}

/// A frame at the input size of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaledFrame {
    /// The scaled frame.
    pub scaled: Arc<RgbFrame>,
    /// The frame at its own size, if it was produced along the way.
    pub frame: Option<Arc<RgbFrame>>,
}

impl ScaledFrame {
    /// Scales a frame. If the size is already right, no pixel is copied.
    ///
    /// # Errors
    /// Those of [`resize()`].
    pub fn of(frame: Arc<RgbFrame>, scale: Scale) -> Result<Self, FrameError> {
        let scaled = if frame.size() == scale.size {
            Arc::clone(&frame)
        } else {
            Arc::new(resize(&frame, scale.size.width, scale.size.height, scale.mode)?)
        };
        Ok(Self { scaled, frame: Some(frame) })
    }
}

impl<T: FrameSource + ?Sized> FrameSource for &T {
    fn info(&self) -> SourceInfo {
        (**self).info()
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        (**self).frame(index)
    }

    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        (**self).scaled(index, scale)
    }

    fn release_memory(&self) {
        (**self).release_memory();
    }
}

impl<T: FrameSource + ?Sized> FrameSource for Box<T> {
    fn info(&self) -> SourceInfo {
        (**self).info()
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        (**self).frame(index)
    }

    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        (**self).scaled(index, scale)
    }

    fn release_memory(&self) {
        (**self).release_memory();
    }
}

impl<T: FrameSource + ?Sized> FrameSource for Arc<T> {
    fn info(&self) -> SourceInfo {
        (**self).info()
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        (**self).frame(index)
    }

    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        (**self).scaled(index, scale)
    }

    fn release_memory(&self) {
        (**self).release_memory();
    }
}
