//! A batch of a recording: read on demand, preloaded, or extracted to JPEG files.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use tempfile::TempDir;

use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::image_folder::ImageFolder;
use crate::jpeg;
use crate::lazy::{LazyFrames, LazyOptions};
use crate::resize::Scale;
use crate::source::{FrameSource, ScaledFrame};
use crate::source_info::{SourceInfo, SourceMemory};
use crate::tolerant::BadFrames;

/// JPEG quality of extracted frames: the default of OpenCV's `imwrite`, and as good as `ffmpeg -q:v
/// 2`.
const JPEG_QUALITY: i32 = 95;

/// How extracted files are read back: a few frames ahead, decoded and scaled in the background.
const READ_AHEAD: LazyOptions =
    LazyOptions { cache_frames: 8, prefetch: 3, cache_bytes: None, on_bad_frame: BadFrames::Error };

/// How the frames of a batch are made available for processing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum FramesMode {
    /// Frames are read when requested. Memory: what the source caches.
    #[default]
    Lazy,
    /// All frames are decoded before the first request. Memory: the whole batch, `width * height *
    /// 3` bytes a frame. With [`BatchFrames::open_scaled`], only the scaled frames are held, of
    /// their own width and height.
    Memory,
    /// Before the first request, all frames are extracted to a temporary folder as JPEG files of
    /// quality 95, as scripts for the official predictor do. Lossy: the masks differ a little from
    /// those of the other modes.
    Jpeg,
}

impl FramesMode {
    /// All values, in the order of their documentation.
    pub const ALL: [Self; 3] = [Self::Lazy, Self::Memory, Self::Jpeg];
}

impl fmt::Display for FramesMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lazy => "lazy",
            Self::Memory => "memory",
            Self::Jpeg => "jpeg",
        })
    }
}

impl FromStr for FramesMode {
    type Err = FrameError;

    fn from_str(text: &str) -> Result<Self, FrameError> {
        Self::ALL.into_iter().find(|value| value.to_string() == text).ok_or_else(|| {
            FrameError::Other {
                message: format!("`{text}` is not a way to read frames; use lazy, memory or jpeg"),
                source: None,
            }
        })
    }
}

/// Frames `range` of a source as a clip of its own, numbered from 0.
///
/// [`FramesMode::Lazy`] and [`FramesMode::Memory`] give exactly the frames of the source. Errors
/// and [`SourceInfo::damaged_frames`] use the source's frame indices when the frames come from the
/// source.
pub struct BatchFrames<S> {
    source: S,
    range: Range<usize>,
    held: Held,
    /// Bytes of the frames held in memory.
    held_bytes: u64,
}

enum Held {
    Lazy,
    Memory(Vec<Arc<RgbFrame>>),
    Scaled(Scale, Vec<Arc<RgbFrame>>),
    /// The frames are declared before the folder, so that no reader is left when the folder is
    /// removed.
    Jpeg {
        frames: LazyFrames,
        folder: TempDir,
    },
}

impl<S: FrameSource> BatchFrames<S> {
    /// Prepares frames `range` of `source`, counted from 0. A reference or an `Arc` of a source is
    /// a source too.
    ///
    /// # Errors
    /// [`FrameError::Empty`] for an empty range, [`FrameError::IndexOutOfRange`] for a range that
    /// reaches past the end. With [`FramesMode::Memory`] and [`FramesMode::Jpeg`] also the first
    /// error of a frame; files extracted up to then are removed. With [`FramesMode::Jpeg`] also
    /// [`FrameError::Io`] if the folder cannot be written.
    pub fn open(source: S, range: Range<usize>, mode: FramesMode) -> Result<Self, FrameError> {
        Self::open_in(source, range, mode, &std::env::temp_dir())
    }

    /// Prepares frames like [`BatchFrames::open`], for a reader that needs scaled frames only, such
    /// as a model. [`FramesMode::Memory`] then holds the scaled frames instead of the original
    /// ones. All other frames are read from the source.
    ///
    /// # Errors
    /// Those of [`BatchFrames::open`], and those of [`FrameSource::scaled`].
    pub fn open_scaled(
        source: S,
        range: Range<usize>,
        mode: FramesMode,
        scale: Scale,
    ) -> Result<Self, FrameError> {
        Self::prepare(source, range, mode, Some(scale), &std::env::temp_dir())
    }

    /// Prepares frames like [`BatchFrames::open`]. [`FramesMode::Jpeg`] creates its folder in the
    /// given folder instead of in the system's folder for temporary files.
    ///
    /// # Errors
    /// Those of [`BatchFrames::open`].
    pub fn open_in(
        source: S,
        range: Range<usize>,
        mode: FramesMode,
        temporary: &Path,
    ) -> Result<Self, FrameError> {
        Self::prepare(source, range, mode, None, temporary)
    }

    fn prepare(
        source: S,
        range: Range<usize>,
        mode: FramesMode,
        scale: Option<Scale>,
        temporary: &Path,
    ) -> Result<Self, FrameError> {
        let info = source.info();
        let count = info.frame_count;
        if range.is_empty() {
            return Err(FrameError::Empty { what: format!("the batch {range:?}") });
        }
        if range.end > count {
            let path = info.description.as_ref().into();
            return Err(FrameError::IndexOutOfRange { index: range.end - 1, count, path });
        }
        let indices = range.clone();
        let held = match (mode, scale) {
            (FramesMode::Lazy, _) => Held::Lazy,
            (FramesMode::Memory, None) => {
                Held::Memory(indices.map(|index| source.frame(index)).collect::<Result<_, _>>()?)
            }
            (FramesMode::Memory, Some(scale)) => {
                let scaled = indices.map(|index| Ok(source.scaled(index, scale)?.scaled));
                Held::Scaled(scale, scaled.collect::<Result<_, FrameError>>()?)
            }
            (FramesMode::Jpeg, _) => extract(&source, indices, temporary)?,
        };
        if mode != FramesMode::Lazy {
            // What the source kept to read ahead is no longer needed.
            source.release_memory();
        }
        let held_bytes = match &held {
            Held::Memory(frames) | Held::Scaled(_, frames) => {
                frames.iter().map(|frame| frame.data().len() as u64).sum()
            }
            Held::Jpeg { .. } | Held::Lazy => 0,
        };
        Ok(Self { source, range, held, held_bytes })
    }

    /// Returns the range of the source's frames that this batch consists of.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    fn check(&self, index: usize) -> Result<(), FrameError> {
        let count = self.range.len();
        if index < count {
            return Ok(());
        }
        let path = self.source.info().description.as_ref().into();
        Err(FrameError::IndexOutOfRange { index, count, path })
    }

    /// Returns how the frames are read.
    pub fn mode(&self) -> FramesMode {
        match self.held {
            Held::Lazy => FramesMode::Lazy,
            Held::Memory(_) | Held::Scaled(..) => FramesMode::Memory,
            Held::Jpeg { .. } => FramesMode::Jpeg,
        }
    }

    /// Returns the folder of the extracted files, which exists for as long as this value.
    pub fn folder(&self) -> Option<&Path> {
        match &self.held {
            Held::Jpeg { folder, .. } => Some(folder.path()),
            _ => None,
        }
    }

    /// Frees the frames and removes the extracted files, as dropping does, but reports a failure.
    ///
    /// # Errors
    /// [`FrameError::Io`] if the temporary folder cannot be removed.
    pub fn close(self) -> Result<(), FrameError> {
        match self.held {
            Held::Jpeg { folder, .. } => {
                let path = folder.path().to_owned();
                folder.close().map_err(|error| FrameError::from_io(&path, error))
            }
            _ => Ok(()),
        }
    }
}

/// Writes the frames to a new folder in `temporary`. The folder is removed when its owner is
/// dropped: here after an error or a panic of the source, otherwise together with the batch.
fn extract(
    source: &impl FrameSource,
    range: Range<usize>,
    temporary: &Path,
) -> Result<Held, FrameError> {
    let folder = tempfile::Builder::new()
        .prefix("frames-")
        .tempdir_in(temporary)
        .map_err(|error| FrameError::from_io(temporary, error))?;
    let mut files = Vec::with_capacity(range.len());
    for (number, index) in range.enumerate() {
        let frame = source.frame(index)?;
        let path = folder.path().join(format!("{number:05}.jpg"));
        let jpeg = jpeg::encode(&frame, JPEG_QUALITY).map_err(|error| FrameError::Unsupported {
            path: source.info().description.as_ref().into(),
            what: format!(
                "frame {index} cannot become a JPEG ({error}); use another mode than jpeg"
            ),
        })?;
        std::fs::write(&path, &jpeg).map_err(|error| FrameError::from_io(&path, error))?;
        files.push(path);
    }
    let frames = LazyFrames::new(ImageFolder::from_files(files)?, READ_AHEAD);
    Ok(Held::Jpeg { frames, folder })
}

impl<S: FrameSource> FrameSource for BatchFrames<S> {
    fn info(&self) -> SourceInfo {
        let info = self.source.info().part(self.range.clone());
        let (held, info) = match &self.held {
            Held::Jpeg { frames, .. } => {
                (frames.info().memory.bytes_held, info.with_own_scaling([]))
            }
            Held::Memory(_) | Held::Scaled(..) | Held::Lazy => (self.held_bytes, info),
        };
        let source = info.memory;
        info.with_memory(SourceMemory {
            bytes_held: source.bytes_held + held,
            peak_bytes: source.peak_bytes.max(source.bytes_held + held),
        })
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        self.check(index)?;
        match &self.held {
            Held::Lazy | Held::Scaled(..) => self.source.frame(self.range.start + index),
            Held::Memory(frames) => Ok(Arc::clone(&frames[index])),
            Held::Jpeg { frames, .. } => frames.frame(index),
        }
    }

    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        self.check(index)?;
        match &self.held {
            Held::Scaled(held, frames) if *held == scale => {
                Ok(ScaledFrame { scaled: Arc::clone(&frames[index]), frame: None })
            }
            Held::Memory(frames) if self.source.info().scales_from_frames(scale.mode) => {
                ScaledFrame::of(Arc::clone(&frames[index]), scale)
            }
            Held::Jpeg { frames, .. } => frames.scaled(index, scale),
            _ => self.source.scaled(self.range.start + index, scale),
        }
    }

    fn release_memory(&self) {
        if let Held::Jpeg { frames, .. } = &self.held {
            frames.release_memory();
        }
        self.source.release_memory();
    }
}

impl<S: FrameSource> fmt::Debug for BatchFrames<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchFrames")
            .field("source", &self.source.info().description)
            .field("range", &self.range)
            .field("mode", &self.mode())
            .finish_non_exhaustive()
    }
}
