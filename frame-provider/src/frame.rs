//! One frame: RGB8 pixels and their size.

use std::fmt;
use std::mem;
use std::path::Path;
#[cfg(any(feature = "video", test))]
use std::sync::Arc;
use std::sync::{Mutex, PoisonError, Weak};

use crate::error::FrameError;
use crate::size::FrameSize;

impl FrameSize {
    /// Returns an error if a size claimed by a file is too large. Call it before reading or
    /// decoding anything of that size.
    pub(crate) fn check(self, path: &Path) -> Result<Self, FrameError> {
        if self.pixels() <= Self::MOST_PIXELS {
            return Ok(self);
        }
        let what = format!(
            "claims frames of {self} pixels, more than 8192x8192, which are not read; scale or cut it first, for example with ffmpeg"
        );
        Err(FrameError::Unsupported { path: path.to_owned(), what })
    }
}

/// A frame in RGB, 8 bits per channel, row-major: `[height, width, 3]` without padding.
pub struct RgbFrame {
    size: FrameSize,
    data: Vec<u8>,
    /// The pool that the memory returns to.
    pool: Weak<BufferPool>,
}

/// Memory of dropped frames, reused for new frames. Requesting megabytes from the system for each
/// frame and releasing them again costs as much as converting the frame.
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    buffers: Mutex<Vec<Vec<u8>>>,
}

/// Most buffers kept for reuse. A cache drops about one frame for each new one.
const MOST_BUFFERS: usize = 2;

impl BufferPool {
    /// Returns a buffer of any length with capacity for at least `bytes`.
    #[cfg(any(feature = "video", test))]
    pub(crate) fn take(&self, bytes: usize) -> Vec<u8> {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let found = buffers.pop().filter(|buffer| buffer.capacity() >= bytes);
        found.unwrap_or_else(|| Vec::with_capacity(bytes))
    }

    fn give(&self, buffer: Vec<u8>) {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < MOST_BUFFERS {
            buffers.push(buffer);
        }
    }
}

impl Drop for RgbFrame {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.give(mem::take(&mut self.data));
        }
    }
}

impl Clone for RgbFrame {
    fn clone(&self) -> Self {
        Self { size: self.size, data: self.data.clone(), pool: Weak::new() }
    }
}

impl PartialEq for RgbFrame {
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size && self.data == other.data
    }
}

impl Eq for RgbFrame {}

impl RgbFrame {
    /// Makes a frame of `width` x `height` pixels from `data`, `[height, width, 3]`.
    ///
    /// # Errors
    /// [`FrameError::Empty`] if a side is 0, [`FrameError::WrongLength`] if the length of `data` is
    /// not `width * height * 3`.
    pub fn new(width: u32, height: u32, data: Vec<u8>) -> Result<Self, FrameError> {
        let size = FrameSize { width, height };
        if width == 0 || height == 0 {
            return Err(FrameError::Empty { what: format!("a {size} frame") });
        }
        // Computed in u64: `rgb_bytes` of an absurd size must not wrap on a 32-bit machine.
        let needed = u64::from(width).saturating_mul(u64::from(height)).saturating_mul(3);
        if needed != data.len() as u64 {
            return Err(FrameError::WrongLength { size, length: data.len() });
        }
        Ok(Self { size, data, pool: Weak::new() })
    }

    /// Makes a frame whose length is right by construction.
    pub(crate) fn from_parts(size: FrameSize, data: Vec<u8>) -> Self {
        debug_assert_eq!(size.rgb_bytes(), data.len());
        Self { size, data, pool: Weak::new() }
    }

    /// Makes a frame like [`Self::from_parts`], with memory that came from a pool and returns to
    /// it.
    #[cfg(any(feature = "video", test))]
    pub(crate) fn from_pool(size: FrameSize, data: Vec<u8>, pool: &Arc<BufferPool>) -> Self {
        debug_assert_eq!(size.rgb_bytes(), data.len());
        Self { size, data, pool: Arc::downgrade(pool) }
    }

    /// Returns the number of pixels per row.
    pub fn width(&self) -> u32 {
        self.size.width
    }

    /// Returns the number of rows.
    pub fn height(&self) -> u32 {
        self.size.height
    }

    /// Returns width and height in pixels.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// Returns the pixels, `[height, width, 3]`, `0..=255`.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Returns the pixels, `[height, width, 3]`, without a copy.
    pub fn into_data(mut self) -> Vec<u8> {
        self.pool = Weak::new();
        mem::take(&mut self.data)
    }

    /// Returns `[red, green, blue]` of the pixel in column `x` and row `y`, or `None` outside the
    /// frame.
    pub fn pixel(&self, x: u32, y: u32) -> Option<[u8; 3]> {
        if x >= self.size.width || y >= self.size.height {
            return None;
        }
        let at = (y as usize * self.size.width as usize + x as usize) * 3;
        self.data.get(at..at + 3)?.try_into().ok()
    }
}

// Leaves the pixels out: a failing assertion should not print megabytes.
impl fmt::Debug for RgbFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RgbFrame")
            .field("size", &format_args!("{}", self.size))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_the_length() {
        assert!(RgbFrame::new(2, 3, vec![0; 18]).is_ok());
        let error = RgbFrame::new(2, 3, vec![0; 17]).unwrap_err();
        assert_eq!(error.to_string(), "a 2x3 RGB frame needs 18 bytes, not 17");
        assert!(matches!(RgbFrame::new(0, 3, vec![]), Err(FrameError::Empty { .. })));
        assert!(RgbFrame::new(u32::MAX, u32::MAX, vec![0; 3]).is_err());
    }

    #[test]
    fn memory_of_gone_frames_is_used_again() {
        let pool = Arc::new(BufferPool::default());
        let size = FrameSize { width: 2, height: 1 };
        let make = || {
            let mut data = pool.take(size.rgb_bytes());
            data.resize(6, 7);
            RgbFrame::from_pool(size, data, &pool)
        };
        let first = make();
        let place = first.data().as_ptr();
        drop(first);
        let second = make();
        assert_eq!(second.data().as_ptr(), place);
        assert_eq!(second.clone(), second);
        assert_eq!(second.into_data(), [7; 6]);
        drop((0..10).map(|_| make()).collect::<Vec<_>>());
        assert_eq!(pool.buffers.lock().unwrap().len(), MOST_BUFFERS);
        let last = make();
        drop(pool);
        assert_eq!(last.data(), [7; 6]);
    }

    #[test]
    fn addresses_pixels_by_column_and_row() {
        let frame = RgbFrame::new(2, 2, (0..12).collect()).unwrap();
        assert_eq!(frame.pixel(1, 0), Some([3, 4, 5]));
        assert_eq!(frame.pixel(0, 1), Some([6, 7, 8]));
        assert_eq!(frame.pixel(2, 0), None);
        assert_eq!(frame.size().to_string(), "2x2");
        assert_eq!(format!("{frame:?}"), "RgbFrame { size: 2x2, .. }");
    }
}
