//! The trait that every source of frames implements.

use std::path::Path;
use std::sync::Arc;

use crate::error::FrameError;
use crate::frame::{FrameSize, RgbFrame};
use crate::probe::VideoDetails;
use crate::resize::{ResizeMode, Scale, resize};

/// A clip of equally large RGB frames, numbered from 0, that can be read in any order.
///
/// Reading frame `i` gives the same bytes whatever was read before it. Sources are shared between threads; a call may
/// wait for another thread's decode, so wrap slow sources in [`LazyFrames`](crate::LazyFrames).
pub trait FrameSource: Send + Sync {
    /// The true number of frames: what a decode from start to end yields, not what a header claims.
    ///
    /// It never blocks on a decode. It can shrink or grow once, with a warning, if a [`VideoFrames`](crate::VideoFrames)
    /// finds out while reading that the file is damaged.
    fn frame_count(&self) -> usize;

    /// The size of every frame, after rotation.
    fn size(&self) -> FrameSize;

    /// Frame `index`, counted from 0.
    ///
    /// # Errors
    /// [`FrameError::IndexOutOfRange`] past the end, [`FrameError::Decode`] for a damaged frame,
    /// [`FrameError::SizeChanged`] for one of another size, [`FrameError::Io`] if the file cannot be read any more.
    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError>;

    /// Frame `index` at the size that a model takes.
    ///
    /// By default this is [`resize()`] of [`frame`](FrameSource::frame). A video scales for [`ResizeMode::Decord`] straight
    /// from the decoder's format; then [`scales_from_frames`](FrameSource::scales_from_frames) says so. Behind
    /// [`LazyFrames`](crate::LazyFrames), scaling happens in the background, ahead of the reader.
    ///
    /// # Errors
    /// Those of [`frame`](FrameSource::frame), and those of [`resize()`].
    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        ScaledFrame::of(self.frame(index)?, scale)
    }

    /// Whether [`scaled`](FrameSource::scaled) gives in this mode what [`resize()`] makes of the frame, so that a frame at
    /// hand need not be decoded again.
    fn scales_from_frames(&self, mode: ResizeMode) -> bool {
        let _ = mode;
        true
    }

    /// What is known about the frames' times.
    fn timing(&self) -> Timing;

    /// Returns the time at which frame `index` is shown, in seconds from the start of the recording; `None` if unknown.
    ///
    /// By default this is `index` divided by the mean rate. Sources that know the time of each frame, such as videos with
    /// time stamps, return that.
    fn time(&self, index: usize) -> Option<f64> {
        self.timing().frames_per_second.map(|rate| index as f64 / rate)
    }

    /// Returns the file name, without folder, of the image that frame `index` is read from; `None` where frames are not
    /// image files of their own.
    ///
    /// Prompts that name an image find their frame by it, and outputs with a file for each frame are named after it.
    fn frame_name(&self, index: usize) -> Option<String> {
        let _ = index;
        None
    }

    /// A short name for messages, such as the file name.
    fn describe(&self) -> String;

    /// How much decoding has been done so far. Zero for sources that do not decode.
    fn decode_stats(&self) -> DecodeStats {
        DecodeStats::default()
    }

    /// What the user should know about this source: one sentence each, in the order found out. More can be added while
    /// frames are read.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the flaws of the recording as a whole that are known so far. Reading frames can bring more to light.
    fn flaws(&self) -> Flaws {
        Flaws::default()
    }

    /// The numbers of the frames found damaged so far, ascending: those that could not be decoded, and those of whose
    /// picture a part is the decoder's guess. Frames that nobody has read yet are not in it.
    fn damaged_frames(&self) -> Vec<usize> {
        Vec::new()
    }

    /// Memory that the source itself holds to make later reads cheap, such as decoded frames for reading in reverse.
    fn memory(&self) -> SourceMemory {
        SourceMemory::default()
    }

    /// Frees what [`memory`](FrameSource::memory) counts, as far as no read in progress needs it. It does not wait for a
    /// decode. Frames read later are the same, at the cost of decoding more.
    fn release_memory(&self) {}

    /// What is known about the recording as a video; `None` for every other kind of source.
    fn video_details(&self) -> Option<VideoDetails> {
        None
    }
}

/// A frame at the size that a model takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaledFrame {
    /// The scaled frame.
    pub scaled: Arc<RgbFrame>,
    /// The frame at its own size, if it was made on the way.
    pub frame: Option<Arc<RgbFrame>>,
}

impl ScaledFrame {
    /// Scales a frame. At the same size no pixel is copied.
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
    /// Reason why frames are missing that the recording promises or its packets should give, in words for the user. Counts
    /// that are wrong for harmless reasons, such as an edit list, are not flaws.
    pub missing_frames: Option<String>,
    /// The first frame known to have another size than frame 0, as the error that reading it gives.
    pub size_change: Option<FrameError>,
}

/// What is found while a stack is opened: warnings, and whether frames are missing.
#[derive(Debug, Clone, Default)]
pub(crate) struct StackNotes {
    /// One sentence each, in the order found out.
    pub(crate) warnings: Vec<String>,
    /// Why frames are missing, as far as the first finding says.
    missing_frames: Option<String>,
}

impl StackNotes {
    /// Begins with warnings that say nothing about missing frames.
    pub(crate) fn with_warnings(warnings: Vec<String>) -> Self {
        Self { warnings, missing_frames: None }
    }

    /// Adds a warning that says nothing about missing frames.
    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Notes that frames are missing, and warns of it.
    pub(crate) fn truncated(&mut self, path: &Path, why: String) {
        self.warnings.push(format!("{}: truncated: {why}", path.display()));
        self.missing_frames.get_or_insert(why);
    }

    /// Returns the flaws of the stack as a whole.
    pub(crate) fn flaws(&self) -> Flaws {
        Flaws { missing_frames: self.missing_frames.clone(), size_change: None }
    }
}

/// Bytes that a source holds besides the frames it has handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceMemory {
    /// Bytes held now.
    pub bytes_held: u64,
    /// The most that was ever held at once.
    pub peak_bytes: u64,
}

/// What is known about the times of a clip's frames.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timing {
    /// Mean frames per second, finite and above 0; `None` if unknown, as for a folder of images. With a variable frame
    /// rate, frame `i` is not shown at `i / frames_per_second`.
    pub frames_per_second: Option<f64>,
}

impl Timing {
    /// Timing with that mean rate; a rate that is not finite and above 0 counts as unknown.
    pub fn from_rate(frames_per_second: f64) -> Self {
        let sound = frames_per_second.is_finite() && frames_per_second > 0.0;
        Self { frames_per_second: sound.then_some(frames_per_second) }
    }
}

/// How much decoding a source has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeStats {
    /// Frames that a decoder put out, wanted or not. In sequential reading it equals the frames read.
    pub frames_decoded: u64,
    /// How often decoding started anew at a key frame (a seek).
    pub restarts: u64,
}

/// Forwards a group of [`FrameSource`]'s methods to the source at `$source`, an expression of `$this`: the `facts`, which
/// wrappers pass on as they are, or the `frames` and what is said about them.
///
/// Most methods have a default, so the compiler does not notice when a wrapper forgets one; hence one list for all.
macro_rules! forward {
    (facts of |$this:ident| $source:expr) => {
        fn frame_count(&self) -> usize {
            let $this = self;
            $source.frame_count()
        }
        fn size(&self) -> $crate::frame::FrameSize {
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
        fn video_details(&self) -> Option<$crate::probe::VideoDetails> {
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
        // A name that holds the words of the warning makes no flaw.
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
