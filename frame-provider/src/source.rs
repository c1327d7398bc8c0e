//! The trait that every source of frames implements.

use std::path::Path;
use std::sync::Arc;

use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::resize::{ResizeMode, Scale, resize};
use crate::size::FrameSize;
use crate::video_details::VideoDetails;

/// A clip of RGB frames of one size, numbered from 0, that can be read in any order.
///
/// Frame `i` has the same bytes regardless of what was read before it. Sources are shared between
/// threads. A call may wait for another thread's decode, so wrap slow sources in
/// [`LazyFrames`](crate::LazyFrames).
pub trait FrameSource: Send + Sync {
    /// Returns the true number of frames: the number that a decode from start to end yields, not
    /// the number that a header claims.
    ///
    /// The call never blocks on a decode. The number can shrink or grow once, with a warning, if a
    /// [`VideoFrames`](crate::VideoFrames) finds out while reading that the file is damaged.
    fn frame_count(&self) -> usize;

    /// Returns the size of every frame, after rotation.
    fn size(&self) -> FrameSize;

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
    /// [`ResizeMode::Decord`], a video scales directly from the decoder's pixel format;
    /// [`scales_from_frames`](FrameSource::scales_from_frames) then returns false. If the source is
    /// wrapped in [`LazyFrames`](crate::LazyFrames), scaling happens in the background, ahead of
    /// the reader.
    ///
    /// # Errors
    /// Those of [`frame`](FrameSource::frame), and those of [`resize()`].
    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        ScaledFrame::of(self.frame(index)?, scale)
    }

    /// Returns true if [`scaled`](FrameSource::scaled) gives the same result in this mode as
    /// [`resize()`] of the frame. A frame that is already decoded then need not be decoded again.
    fn scales_from_frames(&self, mode: ResizeMode) -> bool {
        let _ = mode;
        true
    }

    /// Returns what is known about the times of the frames.
    fn timing(&self) -> Timing;

    /// Returns the time at which frame `index` is shown, in seconds from the start of the
    /// recording; `None` if unknown.
    ///
    /// By default this is `index` divided by the mean rate. Sources that know the time of each
    /// frame, such as videos with time stamps, return that.
    fn time(&self, index: usize) -> Option<f64> {
        self.timing().frames_per_second.map(|rate| index as f64 / rate)
    }

    /// Returns the file name, without folder, of the image that frame `index` is read from; `None`
    /// where frames are not image files of their own.
    ///
    /// Prompts that name an image are matched to their frame by this name, and outputs with one
    /// file per frame are named after it.
    fn frame_name(&self, index: usize) -> Option<String> {
        let _ = index;
        None
    }

    /// Returns a short name for messages, such as the file name.
    fn describe(&self) -> String;

    /// Returns how much decoding has been done so far. Zero for sources that do not decode.
    fn decode_stats(&self) -> DecodeStats {
        DecodeStats::default()
    }

    /// Returns what the user should know about this source: one sentence each, in the order of
    /// discovery. Reading frames can add more.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the flaws of the recording as a whole that are known so far. Reading frames can
    /// reveal more.
    fn flaws(&self) -> Flaws {
        Flaws::default()
    }

    /// Returns the indices of the frames found damaged so far, ascending: frames that could not be
    /// decoded, and frames in which the decoder had to guess a part of the picture. Frames that
    /// have not been read yet are not included.
    fn damaged_frames(&self) -> Vec<usize> {
        Vec::new()
    }

    /// Returns the memory that the source itself holds to make later reads cheap, such as decoded
    /// frames for reading in reverse.
    fn memory(&self) -> SourceMemory {
        SourceMemory::default()
    }

    /// Frees what [`memory`](FrameSource::memory) counts, except for what a read in progress needs.
    /// It does not wait for a decode. Later reads give the same frames but must decode more.
    fn release_memory(&self) {}

    /// Returns what is known about the recording as a video; `None` for every other kind of source.
    fn video_details(&self) -> Option<VideoDetails> {
        None
    }
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

/// Flaws of a recording as a whole; see [`FrameSource::flaws`]. None by default.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Flaws {
    /// Reason, in words for the user, why frames are missing that the recording promises or that
    /// its packets should give. Counts that are wrong for harmless reasons, such as an edit list,
    /// are not flaws.
    pub missing_frames: Option<String>,
    /// The first frame known to differ in size from frame 0, as the error that reading it gives.
    pub size_change: Option<FrameError>,
}

/// Findings from opening a stack: warnings, and whether frames are missing.
#[derive(Debug, Clone, Default)]
pub(crate) struct StackNotes {
    /// One sentence each, in the order of discovery.
    pub(crate) warnings: Vec<String>,
    /// Reason why frames are missing, from the first finding that gives one.
    missing_frames: Option<String>,
}

impl StackNotes {
    /// Starts with warnings that say nothing about missing frames.
    pub(crate) fn with_warnings(warnings: Vec<String>) -> Self {
        Self { warnings, missing_frames: None }
    }

    /// Adds a warning that says nothing about missing frames.
    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Records that frames are missing, and adds a warning.
    pub(crate) fn truncated(&mut self, path: &Path, why: String) {
        self.warnings.push(format!("{}: truncated: {why}", path.display()));
        self.missing_frames.get_or_insert(why);
    }

    /// Returns the flaws of the stack as a whole.
    pub(crate) fn flaws(&self) -> Flaws {
        Flaws { missing_frames: self.missing_frames.clone(), size_change: None }
    }
}

/// Bytes that a source holds in addition to the frames it has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceMemory {
    /// Bytes held now.
    pub bytes_held: u64,
    /// Largest number of bytes held at any time.
    pub peak_bytes: u64,
}

/// Times of a clip's frames, as far as they are known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timing {
    /// Mean frames per second, finite and above 0; `None` if unknown, as for a folder of images.
    /// With a variable frame rate, frame `i` is not shown at `i / frames_per_second`.
    pub frames_per_second: Option<f64>,
}

impl Timing {
    /// Returns timing with this mean rate. A rate that is not finite and above 0 counts as unknown.
    pub fn from_rate(frames_per_second: f64) -> Self {
        let sound = frames_per_second.is_finite() && frames_per_second > 0.0;
        Self { frames_per_second: sound.then_some(frames_per_second) }
    }
}

/// How much decoding a source has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeStats {
    /// Frames that a decoder put out, including unwanted ones. In sequential reading this equals
    /// the number of frames read.
    pub frames_decoded: u64,
    /// Number of times that decoding restarted at a key frame (a seek).
    pub restarts: u64,
}

/// Forwards a group of [`FrameSource`]'s methods to the source at `$source`, an expression of
/// `$this`. The group is either `facts`, which wrappers pass on unchanged, or `frames`: the frames
/// and the reports about them.
///
/// Most methods have a default, so the compiler does not notice when a wrapper forgets one. That is
/// why one list serves all wrappers.
macro_rules! forward {
    (facts of |$this:ident| $source:expr) => {
        fn frame_count(&self) -> usize {
            let $this = self;
            $source.frame_count()
        }
        fn size(&self) -> $crate::size::FrameSize {
            let $this = self;
            $source.size()
        }
        fn timing(&self) -> $crate::source::Timing {
            let $this = self;
            $source.timing()
        }
        fn time(&self, index: usize) -> Option<f64> {
            let $this = self;
            $source.time(index)
        }
        fn frame_name(&self, index: usize) -> Option<String> {
            let $this = self;
            $source.frame_name(index)
        }
        fn describe(&self) -> String {
            let $this = self;
            $source.describe()
        }
        fn decode_stats(&self) -> $crate::source::DecodeStats {
            let $this = self;
            $source.decode_stats()
        }
        fn memory(&self) -> $crate::source::SourceMemory {
            let $this = self;
            $source.memory()
        }
        fn release_memory(&self) {
            let $this = self;
            $source.release_memory()
        }
        fn flaws(&self) -> $crate::source::Flaws {
            let $this = self;
            $source.flaws()
        }
        fn video_details(&self) -> Option<$crate::video_details::VideoDetails> {
            let $this = self;
            $source.video_details()
        }
    };
    (frames of |$this:ident| $source:expr) => {
        fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
            let $this = self;
            $source.frame(index)
        }
        fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
            let $this = self;
            $source.scaled(index, scale)
        }
        fn scales_from_frames(&self, mode: ResizeMode) -> bool {
            let $this = self;
            $source.scales_from_frames(mode)
        }
        fn warnings(&self) -> Vec<String> {
            let $this = self;
            $source.warnings()
        }
        fn damaged_frames(&self) -> Vec<usize> {
            let $this = self;
            $source.damaged_frames()
        }
    };
}

pub(crate) use forward;

impl<T: FrameSource + ?Sized> FrameSource for Box<T> {
    forward!(facts of |this| (**this));
    forward!(frames of |this| (**this));
}

impl<T: FrameSource + ?Sized> FrameSource for Arc<T> {
    forward!(facts of |this| (**this));
    forward!(frames of |this| (**this));
}

impl<T: FrameSource + ?Sized> FrameSource for &T {
    forward!(facts of |this| (**this));
    forward!(frames of |this| (**this));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_truncated_only_if_that_was_noted() {
        let mut notes = StackNotes::default();
        // A file name that contains the words of the warning does not cause a flaw.
        notes.warn("a: truncated: b.tif: page 3 is of another size".into());
        assert_eq!(notes.flaws().missing_frames, None);
        notes.truncated(Path::new("a: truncated: b.tif"), "8 pages claimed, 5 are there".into());
        notes.truncated(Path::new("a.tif"), "another finding".into());
        assert_eq!(
            notes.warnings[1],
            "a: truncated: b.tif: truncated: 8 pages claimed, 5 are there"
        );
        assert_eq!(notes.flaws().missing_frames.as_deref(), Some("8 pages claimed, 5 are there"));
    }

    #[test]
    fn odd_rates_count_as_unknown() {
        assert_eq!(Timing::from_rate(29.97).frames_per_second, Some(29.97));
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Timing::from_rate(rate), Timing::default());
        }
    }
}
