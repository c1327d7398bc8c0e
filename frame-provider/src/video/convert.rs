//! Decoded frame to RGB8.

use std::sync::Arc;

use video_rs::ffmpeg as ff;

use super::ffi::{Scaler, ScalerInput};
use super::orientation::Orientation;
use crate::frame::{BufferPool, FrameSize, RgbFrame};

/// Converts decoded frames to RGB, keeping the context and the buffer from one frame to the next.
pub(super) struct Converter {
    scaler: Option<Scaler>,
    /// A picture that is still to be turned, with padded rows.
    unturned: Vec<u8>,
    orientation: Orientation,
    pool: Arc<BufferPool>,
}

impl Converter {
    pub(super) fn new(orientation: Orientation) -> Self {
        Self { scaler: None, unturned: Vec::new(), orientation, pool: Arc::default() }
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
            outdated => outdated.insert(Scaler::new(input)?),
        };
        let size = FrameSize { width: input.width, height: input.height };
        let stride = scaler.stride();
        // With padding, so that the same memory can come back for the next frame.
        let mut data = self.pool.take(stride * input.height as usize);
        if self.orientation == Orientation::default() {
            scaler.run(frame, &mut data)?;
            remove_padding(&mut data, stride, size);
        } else {
            scaler.run(frame, &mut self.unturned)?;
            data.clear();
            self.orientation.copy(&self.unturned, stride, size, &mut data);
        }
        Ok(Arc::new(RgbFrame::from_pool(self.orientation.size(size), data, &self.pool)))
    }
}

/// Moves rows that begin `stride` bytes apart together.
fn remove_padding(data: &mut Vec<u8>, stride: usize, size: FrameSize) {
    let row = size.width as usize * 3;
    if stride != row {
        for y in 1..size.height as usize {
            data.copy_within(y * stride..y * stride + row, y * row);
        }
    }
    data.truncate(size.rgb_bytes());
}
