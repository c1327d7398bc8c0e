//! Scaling with exactly the results of the programs that SAM 2 is used with.
//!
//! A scaler that is off by a few levels changes every logit, so each [`ResizeMode`] names a program
//! and gives its pixels, bit for bit. SAM 2 was trained and evaluated on frames scaled by Pillow's
//! `Image.resize`, so [`pillow_bicubic`] is the default.
//!
//! Pillow's results are those of Pillow up to version 12. Pillow 13 scales columns first where that
//! is cheaper, which changes some bytes of, for example, 720x1280 scaled to 1024x1024. SAM 2 was
//! published at the time of the earlier versions.

mod band;
mod cv2;
mod kernels;
mod passes;
mod pillow;
#[cfg(test)]
mod plain_tests;
mod processor;
#[cfg(feature = "video")]
mod swscale;
mod torch;

use std::fmt;
use std::str::FromStr;

pub use cv2::cv2_linear;
pub use pillow::pillow_bicubic;
#[cfg(feature = "video")]
pub use swscale::decord;
pub use torch::{torch_bilinear_antialias, torch_bilinear_antialias_float};

use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::size::FrameSize;

/// The program whose scaling is reproduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ResizeMode {
    /// `pillow-bicubic`: Pillow's `Image.resize`, which the official code uses for folders of JPEG
    /// files.
    #[default]
    PillowBicubic,
    /// `torch-bilinear-antialias`: torchvision's `Resize`, which the official image predictor uses.
    TorchBilinearAntialias,
    /// `decord`: swscale's bilinear scaling, which the official code gets from decord for MP4
    /// files.
    Decord,
    /// `cv2-linear`: `cv2.resize` with its default, `INTER_LINEAR`.
    Cv2Linear,
}

impl ResizeMode {
    /// All modes.
    pub const ALL: [Self; 4] =
        [Self::PillowBicubic, Self::TorchBilinearAntialias, Self::Decord, Self::Cv2Linear];

    /// Returns the name on the command line.
    fn name(self) -> &'static str {
        match self {
            Self::PillowBicubic => "pillow-bicubic",
            Self::TorchBilinearAntialias => "torch-bilinear-antialias",
            Self::Decord => "decord",
            Self::Cv2Linear => "cv2-linear",
        }
    }
}

impl fmt::Display for ResizeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that is not a valid [`ResizeMode`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a resize mode; use pillow-bicubic, torch-bilinear-antialias, decord or cv2-linear"
)]
pub struct ParseResizeModeError {
    text: String,
}

impl FromStr for ResizeMode {
    type Err = ParseResizeModeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mode = Self::ALL.into_iter().find(|mode| mode.name() == text.trim());
        mode.ok_or_else(|| ParseResizeModeError { text: text.to_owned() })
    }
}

/// Target size and scaling method, as passed by a model to
/// [`FrameSource::scaled`](crate::FrameSource::scaled).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scale {
    /// Size of the result in pixels. A side of 0 counts as 1.
    pub size: FrameSize,
    /// The scaling method.
    pub mode: ResizeMode,
}

impl Scale {
    /// Returns a scale to a square with sides of `side` pixels, the input format of SAM 2.
    pub fn square(side: u32, mode: ResizeMode) -> Self {
        Self { size: FrameSize { width: side, height: side }, mode }
    }

    /// Returns the size of the result.
    pub(crate) fn output(self) -> FrameSize {
        FrameSize { width: self.size.width.max(1), height: self.size.height.max(1) }
    }
}

/// Fails: FFmpeg's scaling needs the feature `video`.
///
/// # Errors
/// [`FrameError::Other`].
#[cfg(not(feature = "video"))]
pub fn decord(_: &RgbFrame, _: u32, _: u32) -> Result<RgbFrame, FrameError> {
    Err(FrameError::Other {
        message: "this build cannot scale as decord does: build sam2-frame-provider with the feature `video`, or choose another \
                  resize mode"
            .to_owned(),
        source: None,
    })
}

/// Scales `frame` to `width` x `height`. A side of 0 counts as 1.
///
/// # Errors
/// Only [`ResizeMode::Decord`] can fail: see [`decord`].
pub fn resize(
    frame: &RgbFrame,
    width: u32,
    height: u32,
    mode: ResizeMode,
) -> Result<RgbFrame, FrameError> {
    match mode {
        ResizeMode::PillowBicubic => Ok(pillow_bicubic(frame, width, height)),
        ResizeMode::TorchBilinearAntialias => Ok(torch_bilinear_antialias(frame, width, height)),
        ResizeMode::Decord => decord(frame, width, height),
        ResizeMode::Cv2Linear => Ok(cv2_linear(frame, width, height)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_nonsense_is_refused_with_the_remedy() {
        for mode in ResizeMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        let error = "bicubic".parse::<ResizeMode>().unwrap_err().to_string();
        assert!(error.contains("use pillow-bicubic, torch"), "{error}");
    }

    #[test]
    fn every_mode_takes_every_size() {
        let frame = RgbFrame::new(3, 2, (0..18).map(|at| at * 14).collect()).unwrap();
        for mode in ResizeMode::ALL {
            for (width, height) in [(1, 1), (0, 0), (3, 2), (1, 9), (50, 1), (64, 64)] {
                let scaled = resize(&frame, width, height, mode).unwrap();
                let size = (scaled.width(), scaled.height());
                assert_eq!(size, (width.max(1), height.max(1)), "{mode}");
            }
            assert_eq!(resize(&frame, 3, 2, mode).unwrap(), frame, "{mode}");
        }
    }
}
