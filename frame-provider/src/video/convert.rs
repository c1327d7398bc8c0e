//! Decoded frame to RGB8.

use std::sync::Arc;

use video_rs::ffmpeg as ff;

use super::ffi::{Scaler, ScalerInput};
use super::orientation::Orientation;
use crate::frame::{FrameSize, RgbFrame};

/// Converts decoded frames to RGB, keeping the context and the buffer from one frame to the next.
pub(super) struct Converter {
    scaler: Option<Scaler>,
    /// swscale writes whole vectors, past the end of odd rows, so it needs FFmpeg's padded rows as its target.
    padded: ff::frame::Video,
    orientation: Orientation,
}

impl Converter {
    pub(super) fn new(orientation: Orientation) -> Self {
        Self { scaler: None, padded: ff::frame::Video::empty(), orientation }
    }

    /// The frame in RGB, turned upright.
    pub(super) fn convert(&mut self, frame: &ff::frame::Video) -> Result<Arc<RgbFrame>, ff::Error> {
        let input = ScalerInput::of(frame);
        if input.width == 0 || input.height == 0 || input.format == ff::format::Pixel::None {
            return Err(ff::Error::InvalidData);
        }
        let scaler = match &mut self.scaler {
            Some(scaler) if scaler.input() == input => scaler,
            // The first frame, or the size or the colours changed in mid-stream.
            outdated => {
                self.padded = ff::frame::Video::empty();
                outdated.insert(Scaler::new(input)?)
            }
        };
        scaler.run(frame, &mut self.padded)?;
        let size = FrameSize { width: input.width, height: input.height };
        let data = self.orientation.copy(self.padded.data(0), self.padded.stride(0), size);
        Ok(Arc::new(RgbFrame::from_parts(self.orientation.size(size), data)))
    }
}
