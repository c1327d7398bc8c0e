//! Arrays in the format of `numpy.save`.

mod fortran;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::intensity::{Intensity, Levels};
use crate::picture::{Picture, RealKind, Samples};
use crate::size::FrameSize;
use crate::source::FrameSource;
use crate::source_info::{DecodeStats, SourceInfo, Timing};
use crate::stack_notes::StackNotes;
use crate::tiff::{Bytes, Order, TiffError};
use fortran::Fortran;

const MAGIC: &[u8] = b"\x93NUMPY";

/// Headers are padded to 64 bytes; longer ones belong to structured arrays, which are not
/// supported.
const MOST_HEADER_BYTES: u64 = 1 << 16;

/// No frame of a recording is this large.
const MOST_FRAME_BYTES: u64 = 1 << 30;

/// No recording has more frames.
const MOST_FRAMES: u64 = 1 << 23;

/// A NumPy array (`.npy`) of gray `[frames, height, width]` or of colours `[frames, height, width,
/// 3 or 4]`; also one image, `[height, width]` or `[height, width, 3 or 4]`.
///
/// Samples are `bool` (white where true) or `uint8`, or become 8-bit samples as the [`Intensity`]
/// says: `uint16`, signed integers, `uint32` and floating point of up to 64 bits. A fourth channel
/// is dropped. Opening reads the header; each frame is read separately. In Fortran order (arrays
/// that were transposed, or come from MATLAB), the pixels of a frame are spread over the whole
/// file, so a run of frames is read at a time, in up to 64 MiB. Not supported: `int64` and
/// `uint64`, arrays with the channel before height and width.
#[derive(Debug)]
pub struct NumpyFrames {
    path: PathBuf,
    bytes: Bytes,
    layout: Layout,
    /// The reader for arrays in Fortran order.
    fortran: Option<Fortran>,
    /// The facts that reading does not change.
    fixed: SourceInfo,
    levels: Levels,
    decoded: AtomicU64,
}

/// Location and layout of the frames.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    /// Offset of the first frame.
    offset: u64,
    count: u64,
    size: FrameSize,
    /// Number of channels as stored.
    channels: u64,
    kind: Kind,
    order: Order,
    /// True if the first index changes fastest.
    is_fortran: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    U8,
    U16,
    Real(RealKind),
}

impl Kind {
    /// Returns the kind for NumPy's letter and number of bytes.
    fn from_letters(letters: &str) -> Option<Self> {
        Some(match letters {
            "b1" => Self::Bool,
            "u1" => Self::U8,
            "u2" => Self::U16,
            "i1" => Self::Real(RealKind::I8),
            "i2" => Self::Real(RealKind::I16),
            "i4" => Self::Real(RealKind::I32),
            "u4" => Self::Real(RealKind::U32),
            "f2" => Self::Real(RealKind::F16),
            "f4" => Self::Real(RealKind::F32),
            "f8" => Self::Real(RealKind::F64),
            _ => return None,
        })
    }

    fn sample_bytes(self) -> u64 {
        match self {
            Self::Bool | Self::U8 | Self::Real(RealKind::I8) => 1,
            Self::U16 | Self::Real(RealKind::I16 | RealKind::F16) => 2,
            Self::Real(RealKind::I32 | RealKind::U32 | RealKind::F32) => 4,
            Self::Real(RealKind::F64) => 8,
        }
    }
}

impl Layout {
    fn frame_bytes(&self) -> u64 {
        u64::from(self.size.width)
            * u64::from(self.size.height)
            * self.channels
            * self.kind.sample_bytes()
    }
}

impl NumpyFrames {
    /// Opens an array.
    ///
    /// # Errors
    /// [`FrameError::NotFound`], [`FrameError::IsDirectory`], [`FrameError::Io`],
    /// [`FrameError::NotAnImage`] for a file that is not a NumPy array, [`FrameError::NoFrames`]
    /// for an empty array, [`FrameError::Unsupported`] for types and shapes that are not supported.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FrameError> {
        let path = path.as_ref();
        let bytes = Bytes::open(path)?;
        let mut layout = layout(&bytes).map_err(|error| error.while_opening(path))?;
        let mut notes = StackNotes::default();
        let present =
            (bytes.length() - layout.offset.min(bytes.length())) / layout.frame_bytes().max(1);
        if present < layout.count && layout.is_fortran {
            let what = format!(
                "is cut off, and in Fortran order every frame has lost a part then: its header claims {} frames of {} bytes; copy it again",
                layout.count,
                layout.frame_bytes()
            );
            return Err(FrameError::Unsupported { path: path.to_owned(), what });
        }
        if present < layout.count {
            let claimed = layout.count;
            notes.truncated(
                path,
                format!("its header claims {claimed} frames, {present} are there"),
            );
            layout.count = present;
        }
        if layout.count == 0 {
            return Err(FrameError::NoFrames { path: path.to_owned() });
        }
        if layout.count > MOST_FRAMES {
            let what = format!(
                "holds {} frames, and no more than {MOST_FRAMES} of one file are read; save it in parts",
                layout.count
            );
            return Err(FrameError::Unsupported { path: path.to_owned(), what });
        }
        for warning in &notes.warnings {
            tracing::warn!("{warning}");
        }
        let count = usize::try_from(layout.count).unwrap_or(usize::MAX);
        Ok(Self {
            path: path.to_owned(),
            bytes,
            fortran: layout.is_fortran.then(Fortran::default),
            fixed: SourceInfo::of_path(path, count, layout.size)
                .with_flaws(notes.flaws())
                .with_warnings(notes.warnings),
            layout,
            levels: Levels::new(Intensity::default()),
            decoded: AtomicU64::new(0),
        })
    }

    /// Returns the same recording with another conversion to 8 bits.
    #[must_use]
    pub fn with_intensity(mut self, intensity: Intensity) -> Self {
        self.levels = Levels::new(intensity);
        self
    }

    /// Returns the same recording with a frame rate; arrays do not store one.
    #[must_use]
    pub fn with_frames_per_second(mut self, frames_per_second: f64) -> Self {
        self.fixed.timing = Timing::from_rate(frames_per_second);
        self
    }

    /// Returns frame `index` as stored.
    fn picture(&self, index: usize) -> Result<Picture, FrameError> {
        let Layout { offset, size, channels, kind, order, .. } = self.layout;
        let count = self.fixed.frame_count;
        if index >= count {
            return Err(FrameError::IndexOutOfRange { index, count, path: self.path.clone() });
        }
        let length = self.layout.frame_bytes();
        let data = match &self.fortran {
            Some(fortran) => fortran.frame(&self.bytes, &self.layout, index as u64),
            None => self.bytes.read(offset + index as u64 * length, length),
        };
        let data = data.map_err(|error| error.in_frame(&self.path, index))?;
        self.decoded.fetch_add(1, Ordering::Relaxed);
        let kept = if channels >= 3 { 3 } else { 1 };
        let sample_bytes = kind.sample_bytes() as usize;
        let samples = data
            .chunks_exact(sample_bytes * channels as usize)
            .flat_map(|pixel| pixel.chunks_exact(sample_bytes).take(kept))
            .map(|sample| order.number(sample));
        let samples = match kind {
            Kind::Bool => {
                Samples::Eight(samples.map(|value| if value == 0 { 0 } else { 255 }).collect())
            }
            Kind::U8 => Samples::Eight(samples.map(|value| value as u8).collect()),
            Kind::U16 => Samples::Sixteen(samples.map(|value| value as u16).collect()),
            Kind::Real(kind) => Samples::Real(samples.map(|bits| kind.value(bits)).collect(), kind),
        };
        Ok(Picture { size, channels: kept, samples })
    }
}

/// Reads the header: a magic number, a version, a length, and a Python dictionary with the keys
/// `descr`, `fortran_order` and `shape`, in the fixed form that NumPy's documentation of the format
/// requires from writers.
fn layout(bytes: &Bytes) -> Result<Layout, TiffError> {
    let head = bytes.read_up_to(0, 12)?;
    let damaged = || TiffError::malformed("its header is cut off or damaged");
    if !head.starts_with(MAGIC) {
        return Err(TiffError::malformed("it does not start as a NumPy array does"));
    }
    let (start, length_bytes) = if head.get(6) == Some(&1) { (10, 2) } else { (12, 4) };
    let length = Order::Little.number(head.get(8..8 + length_bytes).ok_or_else(damaged)?);
    if length > MOST_HEADER_BYTES {
        return Err(TiffError::malformed(format!("its header claims {length} bytes")));
    }
    let text = bytes.read(start, length).map_err(|_| damaged())?;
    let text = String::from_utf8_lossy(&text);
    let value = |key: &str| {
        let after = text.split_once(&format!("'{key}':"))?.1;
        Some(after.trim_start())
    };
    let descr = value("descr").ok_or_else(damaged)?;
    let Some(letters) = descr.strip_prefix('\'').and_then(|text| text.split('\'').next()) else {
        return Err(unsupported("is a NumPy array of records, which is not read"));
    };
    let (order, letters) = match letters.split_at_checked(1) {
        Some(("<" | "|", letters)) => (Order::Little, letters),
        Some((">", letters)) => (Order::Big, letters),
        _ => return Err(damaged()),
    };
    let Some(kind) = Kind::from_letters(letters) else {
        return Err(unsupported(&format!(
            "is a NumPy array of the type {letters}, which is not read"
        )));
    };
    let is_fortran = value("fortran_order").ok_or_else(damaged)?.starts_with("True");
    let shape = value("shape").and_then(|text| text.strip_prefix('(')).ok_or_else(damaged)?;
    let shape = shape.split(')').next().unwrap_or_default();
    let sides: Vec<u64> = shape
        .split(',')
        .map(str::trim)
        .filter(|side| !side.is_empty())
        .map(|side| side.parse().map_err(|_| damaged()))
        .collect::<Result<_, _>>()?;
    let (count, height, width, channels) = match sides[..] {
        [height, width] => (1, height, width, 1),
        [height, width, channels @ (3 | 4)] => (1, height, width, channels),
        [count, height, width] => (count, height, width, 1),
        [count, height, width, channels @ (1 | 3 | 4)] => (count, height, width, channels),
        _ => {
            return Err(unsupported(&format!(
                "is a NumPy array of the shape ({shape}), which is not read"
            )));
        }
    };
    let side = |side: u64| u32::try_from(side).map_err(|_| damaged());
    let size = FrameSize { width: side(width)?, height: side(height)? };
    // In memory, types other than 8 and 16 bits take eight bytes.
    let frame_bytes = width.checked_mul(height).and_then(|area| area.checked_mul(8 * channels));
    if width == 0 || height == 0 || frame_bytes.is_none_or(|bytes| bytes > MOST_FRAME_BYTES) {
        return Err(TiffError::malformed(format!("its frames are {size}")));
    }
    Ok(Layout { offset: start + length, count, size, channels, kind, order, is_fortran })
}

fn unsupported(what: &str) -> TiffError {
    TiffError::Unsupported(format!(
        "{what}; save it in Python as frames of the shape [frames, height, width] or [frames, height, width, 3], for example \
         with numpy.save(\"out.npy\", numpy.ascontiguousarray(frames, dtype=\"float32\"))"
    ))
}

/// Returns true if these are the first bytes of a NumPy array.
pub(crate) fn is_numpy(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

impl FrameSource for NumpyFrames {
    fn info(&self) -> SourceInfo {
        let frames_decoded = self.decoded.load(Ordering::Relaxed);
        self.fixed
            .clone()
            .with_decode_stats(DecodeStats { frames_decoded, restarts: 0 })
            .with_more_warnings(self.levels.warnings())
            .with_levels(self.levels.range())
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        let picture = self.picture(index)?;
        let frame =
            self.levels.render(picture, self.fixed.frame_count, |index| self.picture(index));
        frame.map(Arc::new).map_err(|error| error.about(&self.path))
    }
}
