//! Frames from and to arrays of `ndarray`, `[height, width, 3]`.

use ndarray::{Array3, ArrayView3};

use crate::error::FrameError;
use crate::frame::RgbFrame;

/// Makes a frame of an array `[height, width, 3]` of RGB, `0..=255`, in any order in memory. The
/// pixels are copied.
///
/// ```
/// use ndarray::{Array3, s};
/// use sam2_frame_provider::RgbFrame;
/// let clip = ndarray::Array4::<u8>::zeros((10, 480, 640, 3));
/// let frame = RgbFrame::try_from(clip.slice(s![7, .., .., ..]))?;
/// assert_eq!((frame.width(), frame.height()), (640, 480));
/// # Ok::<(), sam2_frame_provider::FrameError>(())
/// ```
impl TryFrom<ArrayView3<'_, u8>> for RgbFrame {
    /// [`FrameError::WrongShape`] if the last axis is not 3 long, or a side does not fit 32 bits;
    /// [`FrameError::Empty`] if a side is 0.
    type Error = FrameError;

    fn try_from(array: ArrayView3<'_, u8>) -> Result<Self, FrameError> {
        let (width, height) = sides(array.dim())?;
        Self::new(width, height, array.iter().copied().collect())
    }
}

/// Makes a frame of an array `[height, width, 3]` of RGB, `0..=255`. If it is in standard layout,
/// no pixel is copied.
impl TryFrom<Array3<u8>> for RgbFrame {
    /// As for a view of the array.
    type Error = FrameError;

    fn try_from(array: Array3<u8>) -> Result<Self, FrameError> {
        let (width, height) = sides(array.dim())?;
        let length = array.len();
        if !array.is_standard_layout() {
            return array.view().try_into();
        }
        let (mut pixels, offset) = array.into_raw_vec_and_offset();
        // A slice of a larger array keeps the memory before and after it.
        pixels.drain(..offset.unwrap_or(0));
        pixels.truncate(length);
        Self::new(width, height, pixels)
    }
}

/// Makes an array `[height, width, 3]` of the frame without copying its pixels.
impl From<RgbFrame> for Array3<u8> {
    fn from(frame: RgbFrame) -> Self {
        let shape = shape(&frame);
        // The error stands for another number of bytes; a frame has exactly as many as it needs.
        Self::from_shape_vec(shape, frame.into_data()).unwrap_or_default()
    }
}

/// Shows the frame as an array `[height, width, 3]`. No pixel is copied.
///
/// ```
/// use ndarray::ArrayView3;
/// use sam2_frame_provider::{FrameSource, MemoryFrames, RgbFrame};
/// let clip = MemoryFrames::new(vec![RgbFrame::new(2, 1, vec![1, 2, 3, 4, 5, 6])?])?;
/// let frame = clip.frame(0)?;
/// let array = ArrayView3::from(&*frame);
/// assert_eq!(array[[0, 1, 2]], 6);
/// assert_eq!(array.to_owned().dim(), (1, 2, 3));
/// # Ok::<(), sam2_frame_provider::FrameError>(())
/// ```
impl<'a> From<&'a RgbFrame> for ArrayView3<'a, u8> {
    fn from(frame: &'a RgbFrame) -> Self {
        // As above. A view has no default, so the impossible case is a view of nothing.
        Self::from_shape(shape(frame), frame.data()).unwrap_or_else(|_| {
            ndarray::aview1(&[]).insert_axis(ndarray::Axis(0)).insert_axis(ndarray::Axis(0))
        })
    }
}

fn shape(frame: &RgbFrame) -> (usize, usize, usize) {
    (frame.height() as usize, frame.width() as usize, 3)
}

/// Returns width and height of a frame in an array of this shape.
fn sides((height, width, channels): (usize, usize, usize)) -> Result<(u32, u32), FrameError> {
    let fits = || Some((u32::try_from(width).ok()?, u32::try_from(height).ok()?));
    fits()
        .filter(|_| channels == 3)
        .ok_or(FrameError::WrongShape { shape: [height, width, channels] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_being_arrays() {
        let frame = RgbFrame::new(3, 2, (0..18).collect()).unwrap();
        let view = ArrayView3::from(&frame);
        assert_eq!((view.dim(), view[[1, 2, 0]]), ((2, 3, 3), 15));
        assert_eq!(RgbFrame::try_from(view).unwrap(), frame);
        let place = frame.data().as_ptr();
        let moved = RgbFrame::try_from(Array3::from(frame.clone())).unwrap();
        assert_eq!(moved, frame);
        let moved = RgbFrame::try_from(Array3::from(frame)).unwrap();
        assert_eq!(moved.data().as_ptr(), place, "no pixel was copied");
    }

    #[test]
    fn arrays_in_any_order_are_read_by_their_axes() {
        // [3, height, width], as networks have it, seen as [height, width, 3].
        let planes = Array3::from_shape_fn((3, 2, 3), |(c, y, x)| (c * 100 + y * 10 + x) as u8);
        let frame = RgbFrame::try_from(planes.view().permuted_axes([1, 2, 0])).unwrap();
        assert_eq!(frame.pixel(2, 1), Some([12, 112, 212]));
        assert_eq!(RgbFrame::try_from(planes.permuted_axes([1, 2, 0])).unwrap(), frame);
        let tall = Array3::from_shape_fn((4, 1, 3), |(y, _, _)| y as u8);
        let lower = tall.slice_move(ndarray::s![2..3, .., ..]);
        assert_eq!(RgbFrame::try_from(lower).unwrap().data(), [2; 3]);
    }

    #[test]
    fn other_shapes_are_refused_with_the_right_one() {
        let error = RgbFrame::try_from(Array3::<u8>::zeros((3, 4, 5))).unwrap_err().to_string();
        assert!(error.contains("[3, 4, 5]") && error.contains("[height, width, 3]"), "{error}");
        let empty = RgbFrame::try_from(Array3::<u8>::zeros((0, 4, 3)));
        assert!(matches!(empty, Err(FrameError::Empty { .. })));
    }
}
