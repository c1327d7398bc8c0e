//! Masks from and to gray pictures of the `image` crate.

use image::GrayImage;

use crate::mask::Mask;

/// Makes a mask of a gray picture: 0 is background, every other value is foreground.
///
/// ```
/// use sam2_mask_writer::Mask;
/// let mut picture = image::GrayImage::new(4, 3);
/// picture.put_pixel(2, 1, image::Luma([255]));
/// assert_eq!(Mask::from(&picture).pixels().collect::<Vec<_>>(), [(2, 1)]);
/// ```
impl From<&GrayImage> for Mask {
    fn from(picture: &GrayImage) -> Self {
        let (width, height) = picture.dimensions();
        Self::encode(width, height, picture.pixels().map(|pixel| pixel.0 != [0]))
    }
}

/// Makes a gray picture of the mask: 255 in the foreground, 0 elsewhere.
///
/// ```
/// use sam2_mask_writer::Mask;
/// let mask = Mask::from_bytes(2, 1, &[0, 1])?;
/// assert_eq!(image::GrayImage::from(&mask).into_raw(), [0, 255]);
/// # Ok::<(), sam2_mask_writer::MaskSizeError>(())
/// ```
impl From<&Mask> for GrayImage {
    fn from(mask: &Mask) -> Self {
        let mut picture = Self::new(mask.width(), mask.height());
        mask.paint(&mut picture, 255);
        picture
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_survive_being_pictures() {
        let mask = Mask::from_bytes(3, 2, &[0, 1, 1, 1, 0, 1]).unwrap();
        let picture = GrayImage::from(&mask);
        assert_eq!((picture.dimensions(), picture.as_raw()), ((3, 2), &mask.to_bytes(255)));
        assert_eq!(Mask::from(&picture), mask);
        assert_eq!(Mask::from(&GrayImage::new(0, 7)).area(), 0);
        assert_eq!(GrayImage::from(&Mask::empty(2, 2)).into_raw(), [0; 4]);
    }
}
