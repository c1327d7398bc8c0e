//! Width and height of frames.

use std::fmt;

/// Width and height of a frame in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub struct FrameSize {
    /// Pixels per row.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
}

impl FrameSize {
    /// Largest number of pixels in a frame that is read: 8192 x 8192. No video camera has more, and
    /// a file of a few hundred kilobytes can claim a frame of gigabytes.
    pub(crate) const MOST_PIXELS: u64 = 1 << 26;

    /// Returns the number of pixels.
    pub(crate) fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Returns the number of bytes of one RGB8 frame of this size: `width * height * 3`.
    pub fn rgb_bytes(self) -> usize {
        self.width as usize * self.height as usize * 3
    }
}

impl fmt::Display for FrameSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}
