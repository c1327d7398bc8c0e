//! Converts decoded frames to RGB8.

use std::sync::Arc;

use video_rs::ffmpeg as ff;

use super::ffi;
use super::orientation::Orientation;
use super::scaler::{Scaler, ScalerInput};
use super::upright::upright;
use crate::frame::{BufferPool, RgbFrame};
use crate::picture::{Picture, Samples};
use crate::size::FrameSize;

/// Converts decoded frames to RGB, reusing contexts and buffers from one frame to the next.
pub(super) struct Converter {
    /// Scaler for frames at their own size.
    native: Option<Scaler>,
    /// Scaler for frames at another size.
    scaling: Option<Scaler>,
    /// A picture before it is turned, with padded rows.
    unturned: Vec<u8>,
    orientation: Orientation,
    pool: Arc<BufferPool>,
    scaled_pool: Arc<BufferPool>,
}

impl Converter {
    pub(super) fn new(orientation: Orientation) -> Self {
        Self {
            native: None,
            scaling: None,
            unturned: Vec::new(),
            orientation,
            pool: Arc::default(),
            scaled_pool: Arc::default(),
        }
    }

    /// Converts a frame to RGB, turned upright.
    pub(super) fn convert(&mut self, frame: &ff::frame::Video) -> Result<Arc<RgbFrame>, ff::Error> {
        let input = ScalerInput::of(frame);
        let scaler = match &mut self.native {
            Some(scaler) if scaler.fits(input, input.size()) => scaler,
            // This is the first frame, or the size or the colours changed in mid-stream.
            outdated => outdated.insert(Scaler::new(input)?),
        };
        to_rgb(scaler, frame, self.orientation, &mut self.unturned, &self.pool)
    }

    /// Returns the frame's samples as stored, turned upright, if they are gray or RGB of more than
    /// 8 bits.
    pub(super) fn deep(&self, frame: &ff::frame::Video) -> Option<Picture> {
        let channels = ffi::deep_channels(frame.format())?;
        let stored = ffi::deep_samples(frame)?;
        let size = ScalerInput::of(frame).size();
        let mut samples = Vec::new();
        if self.orientation.is_upright() {
            samples = stored;
        } else {
            let stride = size.width as usize * channels;
            self.orientation.copy(&stored, stride, size, channels, &mut samples);
        }
        let size = self.orientation.size(size);
        Some(Picture { size, channels, samples: Samples::Sixteen(samples) })
    }

    /// Returns the size of the frame, turned upright.
    pub(super) fn size(&self, frame: &ff::frame::Video) -> FrameSize {
        self.orientation.size(ScalerInput::of(frame).size())
    }

    /// Returns the frame turned upright and scaled to `size` by swscale's bilinear filter, directly
    /// from the decoder's format, as decord does: first turned, then scaled, then converted to RGB.
    ///
    /// A few formats, such as 4:2:2 with a quarter turn, cannot be turned before they are RGB.
    /// These are turned last, which shifts the chroma by a fraction of a pixel.
    pub(super) fn scale(
        &mut self,
        frame: &ff::frame::Video,
        size: FrameSize,
    ) -> Result<Arc<RgbFrame>, ff::Error> {
        let turned = match self.orientation.is_upright() {
            true => None,
            false => upright(frame, self.orientation),
        };
        let (frame, to_turn) = match &turned {
            Some(turned) => (turned, Orientation::default()),
            None => (frame, self.orientation),
        };
        let (input, output) = (ScalerInput::of(frame), to_turn.size(size));
        let scaler = match &mut self.scaling {
            Some(scaler) if scaler.fits(input, output) => scaler,
            outdated => outdated.insert(Scaler::bilinear(input, output)?),
        };
        to_rgb(scaler, frame, to_turn, &mut self.unturned, &self.scaled_pool)
    }
}

/// Runs the scaler and turns the result.
fn to_rgb(
    scaler: &mut Scaler,
    frame: &ff::frame::Video,
    orientation: Orientation,
    unturned: &mut Vec<u8>,
    pool: &Arc<BufferPool>,
) -> Result<Arc<RgbFrame>, ff::Error> {
    let (size, stride) = (scaler.output(), scaler.stride());
    // Includes the padding, so that the same memory can be reused for the next frame.
    let mut data = pool.take(scaler.bytes());
    if orientation.is_upright() {
        scaler.run(frame, &mut data)?;
        scaler.remove_padding(&mut data);
    } else {
        scaler.run(frame, unturned)?;
        data.clear();
        orientation.copy(unturned, stride, size, 3, &mut data);
    }
    Ok(Arc::new(RgbFrame::from_pool(orientation.size(size), data, pool)))
}
