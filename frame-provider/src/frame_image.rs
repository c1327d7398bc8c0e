//! Frames from and to the pictures of the `image` crate.

use image::{DynamicImage, RgbImage};

use crate::error::FrameError;
use crate::frame::RgbFrame;

/// Makes a frame of an 8-bit RGB picture without copying its pixels.
///
/// ```
/// use sam2_frame_provider::RgbFrame;
/// let picture = image::RgbImage::from_pixel(4, 3, image::Rgb([255, 128, 0]));
/// let frame = RgbFrame::try_from(picture)?;
/// assert_eq!(frame.pixel(3, 2), Some([255, 128, 0]));
/// # Ok::<(), sam2_frame_provider::FrameError>(())
/// ```
impl TryFrom<RgbImage> for RgbFrame {
    /// [`FrameError::Empty`] for a picture without pixels.
    type Error = FrameError;

    fn try_from(picture: RgbImage) -> Result<Self, FrameError> {
        let (width, height) = picture.dimensions();
        Self::new(width, height, picture.into_raw())
    }
}

/// Makes a frame of any picture, as [`DynamicImage::into_rgb8`] converts it: gray becomes R = G =
/// B, alpha is dropped, and samples of other depths are scaled from the whole range of their type.
/// For scientific pictures that use a part of that range, see [`Intensity`](crate::Intensity).
impl TryFrom<DynamicImage> for RgbFrame {
    /// [`FrameError::Empty`] for a picture without pixels.
    type Error = FrameError;

    fn try_from(picture: DynamicImage) -> Result<Self, FrameError> {
        picture.into_rgb8().try_into()
    }
}

/// Makes a picture of the frame without copying its pixels.
impl From<RgbFrame> for RgbImage {
    fn from(frame: RgbFrame) -> Self {
        let (width, height) = (frame.width(), frame.height());
        // `None` stands for too few bytes; a frame has exactly as many as it needs.
        Self::from_raw(width, height, frame.into_data()).unwrap_or_default()
    }
}

/// Makes a picture with a copy of the frame's pixels, for frames that are shared in an
/// [`Arc`](std::sync::Arc).
///
/// ```
/// use sam2_frame_provider::{FrameSource, MemoryFrames, RgbFrame};
/// let clip = MemoryFrames::new(vec![RgbFrame::new(1, 1, vec![1, 2, 3])?])?;
/// let picture = image::RgbImage::from(&*clip.frame(0)?);
/// assert_eq!(picture.get_pixel(0, 0).0, [1, 2, 3]);
/// # Ok::<(), sam2_frame_provider::FrameError>(())
/// ```
impl From<&RgbFrame> for RgbImage {
    fn from(frame: &RgbFrame) -> Self {
        frame.clone().into()
    }
}

/// Makes a picture of the frame without copying its pixels.
impl From<RgbFrame> for DynamicImage {
    fn from(frame: RgbFrame) -> Self {
        Self::ImageRgb8(frame.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_being_pictures() {
        let frame = RgbFrame::new(3, 2, (0..18).collect()).unwrap();
        let picture = RgbImage::from(&frame);
        assert_eq!((picture.dimensions(), picture.get_pixel(2, 1).0), ((3, 2), [15, 16, 17]));
        let place = frame.data().as_ptr();
        let same = RgbFrame::try_from(RgbImage::from(frame.clone())).unwrap();
        assert_eq!(same, frame);
        let moved = RgbFrame::try_from(RgbImage::from(frame)).unwrap();
        assert_eq!(moved.data().as_ptr(), place, "no pixel was copied");
        assert_eq!(RgbFrame::try_from(DynamicImage::from(moved.clone())).unwrap(), moved);
    }

    #[test]
    fn other_kinds_of_pictures_become_rgb() {
        let gray = image::GrayImage::from_pixel(2, 1, image::Luma([9]));
        let frame = RgbFrame::try_from(DynamicImage::from(gray)).unwrap();
        assert_eq!(frame.data(), [9; 6]);
        let empty = RgbFrame::try_from(RgbImage::new(0, 5));
        assert!(matches!(empty, Err(FrameError::Empty { .. })));
    }
}
