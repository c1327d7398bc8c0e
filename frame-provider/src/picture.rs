//! A decoded still image before its samples are brought to 8 bits.

use crate::frame::FrameSize;

/// What an image file holds, with alpha and further channels dropped.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) size: FrameSize,
    /// Samples per pixel: 1 (gray) or 3 (red, green, blue).
    pub(crate) channels: usize,
    /// `[height, width, channels]`.
    pub(crate) samples: Samples,
}

/// Samples of one depth; 10-, 12- and 14-bit cameras use the lower bits of 16.
#[derive(Debug, Clone)]
pub(crate) enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
}

impl Picture {
    /// Bits per sample as stored: 8 or 16.
    pub(crate) fn bits(&self) -> u32 {
        match self.samples {
            Samples::Eight(_) => 8,
            Samples::Sixteen(_) => 16,
        }
    }
}
