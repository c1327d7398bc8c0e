//! Turns a decoded picture upright before it becomes RGB.

use video_rs::ffmpeg as ff;

use ff::frame::Video as VideoFrame;

use super::ffi;
use super::orientation::Orientation;
use crate::size::FrameSize;

/// Returns the turned picture in its own format; `None` if its pixels cannot be moved one by one,
/// or if memory runs out.
///
/// A quarter turn needs chroma with the same subsampling in rows and columns (4:4:4, 4:2:0).
pub(super) fn upright(frame: &VideoFrame, orientation: Orientation) -> Option<VideoFrame> {
    let planes = ffi::planes(frame.format())?;
    if orientation.is_transposed() && planes.iter().any(|plane| plane.shift_x != plane.shift_y) {
        return None;
    }
    // A copy has its rows from top to bottom; some decoders store them upside down.
    let mut straight = VideoFrame::new(frame.format(), frame.width(), frame.height());
    let size = orientation.size(FrameSize { width: frame.width(), height: frame.height() });
    let mut turned = VideoFrame::new(frame.format(), size.width, size.height);
    let has_memory = ffi::copy_picture(frame, &mut straight) && ffi::frame_bytes(&turned) > 0;
    if !has_memory || planes.len() > straight.planes() {
        return None;
    }
    ffi::copy_colour(frame, &mut turned);
    let mut pixels = Vec::new();
    for (number, plane) in planes.iter().enumerate() {
        let size = FrameSize {
            width: frame.width().div_ceil(1 << plane.shift_x),
            height: frame.height().div_ceil(1 << plane.shift_y),
        };
        pixels.clear();
        let stride = straight.stride(number);
        orientation.copy(straight.data(number), stride, size, plane.step, &mut pixels);
        let row_bytes = orientation.size(size).width as usize * plane.step;
        let stride = turned.stride(number);
        let rows = turned.data_mut(number).chunks_mut(stride);
        for (padded, row) in rows.zip(pixels.chunks_exact(row_bytes)) {
            padded[..row_bytes].copy_from_slice(row);
        }
    }
    Some(turned)
}
