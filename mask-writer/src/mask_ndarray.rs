//! Masks from and to arrays of `ndarray`, `[height, width]`.

use ndarray::{Array2, ArrayView2};

use crate::mask::{Mask, MaskSizeError};

/// Makes a mask of an array `[height, width]`, `true` for foreground, in any order in memory.
///
/// ```
/// use sam2_mask_writer::Mask;
/// let array = ndarray::array![[false, true, true], [false, false, true]];
/// let mask = Mask::try_from(array.view())?;
/// assert_eq!(mask.pixels().collect::<Vec<_>>(), [(1, 0), (2, 0), (2, 1)]);
/// # Ok::<(), sam2_mask_writer::MaskSizeError>(())
/// ```
impl TryFrom<ArrayView2<'_, bool>> for Mask {
    /// For an array with a side that does not fit 32 bits.
    type Error = MaskSizeError;

    fn try_from(array: ArrayView2<'_, bool>) -> Result<Self, MaskSizeError> {
        encode(array, |inside| inside)
    }
}

/// Makes a mask of an array `[height, width]`, in any order in memory: 0 is background, every other
/// value is foreground.
impl TryFrom<ArrayView2<'_, u8>> for Mask {
    /// For an array with a side that does not fit 32 bits.
    type Error = MaskSizeError;

    fn try_from(array: ArrayView2<'_, u8>) -> Result<Self, MaskSizeError> {
        encode(array, |value| value != 0)
    }
}

/// Makes an array `[height, width]` of the mask, `true` in the foreground.
///
/// ```
/// use sam2_mask_writer::Mask;
/// let mask = Mask::from_bytes(2, 1, &[0, 1])?;
/// assert_eq!(ndarray::Array2::<bool>::from(&mask), ndarray::array![[false, true]]);
/// assert_eq!(ndarray::Array2::<u8>::from(&mask), ndarray::array![[0, 255]]);
/// # Ok::<(), sam2_mask_writer::MaskSizeError>(())
/// ```
impl From<&Mask> for Array2<bool> {
    fn from(mask: &Mask) -> Self {
        painted(mask, true)
    }
}

/// Makes an array `[height, width]` of the mask: 255 in the foreground, 0 elsewhere.
impl From<&Mask> for Array2<u8> {
    fn from(mask: &Mask) -> Self {
        painted(mask, 255)
    }
}

fn encode<T: Copy>(
    array: ArrayView2<'_, T>,
    is_inside: impl Fn(T) -> bool,
) -> Result<Mask, MaskSizeError> {
    // A side that does not fit makes the number of pixels differ.
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let (height, width) = array.dim();
    Mask::from_pixels(side(width), side(height), array.iter().map(|&value| is_inside(value)))
}

fn painted<T: Copy + Default>(mask: &Mask, value: T) -> Array2<T> {
    let shape = (mask.height() as usize, mask.width() as usize);
    let mut array = Array2::from_elem(shape, T::default());
    if let Some(pixels) = array.as_slice_mut() {
        for run in mask.foreground() {
            pixels[run].fill(value);
        }
    }
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_survive_being_arrays() {
        let mask = Mask::from_bytes(3, 2, &[0, 1, 1, 1, 0, 1]).unwrap();
        let (bits, bytes) = (Array2::<bool>::from(&mask), Array2::<u8>::from(&mask));
        assert_eq!((bits.dim(), bits[[1, 0]], bits[[1, 1]]), ((2, 3), true, false));
        assert_eq!(bytes.as_slice().unwrap(), mask.to_bytes(255));
        assert_eq!(Mask::try_from(bits.view()).unwrap(), mask);
        assert_eq!(Mask::try_from(bytes.view()).unwrap(), mask);
    }

    #[test]
    fn arrays_in_any_order_are_read_by_their_axes() {
        let array = ndarray::array![[0_u8, 1, 0], [1, 1, 0]];
        let turned = Mask::try_from(array.t()).unwrap();
        assert_eq!((turned.width(), turned.height()), (2, 3));
        assert_eq!(turned.pixels().collect::<Vec<_>>(), [(1, 0), (0, 1), (1, 1)]);
        let empty = Mask::try_from(Array2::<bool>::default((0, 4)).view()).unwrap();
        assert_eq!((empty.width(), empty.area()), (4, 0));
    }

    #[test]
    fn a_side_that_does_not_fit_is_refused() {
        let wide = ArrayView2::from_shape((1, 1), &[true]).unwrap();
        let wide = wide.broadcast((1, 1 << 33)).unwrap();
        let error = Mask::try_from(wide).unwrap_err();
        assert_eq!((error.width, error.found), (u32::MAX, 1 << 33));
    }
}
