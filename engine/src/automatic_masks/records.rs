//! The result for each mask.

use sam2_mask_writer::{CocoRle, CocoRleError, Mask};

use super::options::MaskOutput;

/// One mask of an image with its scores and origin.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskRecord {
    /// The mask, at the image's size.
    pub segmentation: Segmentation,
    /// Number of pixels in the mask.
    pub area: u64,
    /// Box around the mask: left column, top row, width, height. As in the official code, width and
    /// height are the distances to the last column and row, one less than the number of columns and
    /// rows.
    pub bbox: [u32; 4],
    /// The model's own estimate of the mask's IoU with the ground truth, 0..1.
    pub predicted_iou: f32,
    /// The point that prompted the mask: x, y in the image's pixels.
    pub point_coords: [f32; 2],
    /// IoU of the mask at a raised and a lowered threshold, 0..=1.
    pub stability_score: f32,
    /// The crop in which the mask was found: left, top, width, height in the image's pixels.
    pub crop_box: [u32; 4],
}

/// A mask in one of the forms of [`MaskOutput`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Segmentation {
    /// Runs along the rows.
    Mask(Mask),
    /// COCO's runs down the columns.
    UncompressedRle(CocoRle),
    /// COCO's compressed text.
    CocoRle {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// The text.
        counts: String,
    },
}

impl Segmentation {
    /// Converts `mask` to the form of `output`.
    pub fn new(mask: Mask, output: MaskOutput) -> Self {
        match output {
            MaskOutput::Mask => Self::Mask(mask),
            MaskOutput::UncompressedRle => Self::UncompressedRle(CocoRle::from_mask(&mask)),
            MaskOutput::CocoRle => Self::CocoRle {
                width: mask.width(),
                height: mask.height(),
                counts: CocoRle::from_mask(&mask).to_compressed(),
            },
        }
    }

    /// Returns the form of this mask.
    pub fn output(&self) -> MaskOutput {
        match self {
            Self::Mask(_) => MaskOutput::Mask,
            Self::UncompressedRle(_) => MaskOutput::UncompressedRle,
            Self::CocoRle { .. } => MaskOutput::CocoRle,
        }
    }

    /// Converts back to a mask.
    ///
    /// # Errors
    /// If compressed text was changed and no longer describes a mask.
    pub fn to_mask(&self) -> Result<Mask, CocoRleError> {
        match self {
            Self::Mask(mask) => Ok(mask.clone()),
            Self::UncompressedRle(rle) => Ok(rle.to_mask()),
            Self::CocoRle { width, height, counts } => {
                Ok(CocoRle::from_compressed(*width, *height, counts)?.to_mask())
            }
        }
    }
}

/// Converts `[x0, y0, x1, y1]` to left, top, width and height.
pub(super) fn xywh([x0, y0, x1, y1]: [u32; 4]) -> [u32; 4] {
    [x0, y0, x1 - x0, y1 - y0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_holds_the_same_mask() {
        let mask = Mask::from_runs(5, 4, vec![6, 2, 3, 2, 7]).unwrap();
        for output in [MaskOutput::Mask, MaskOutput::UncompressedRle, MaskOutput::CocoRle] {
            let segmentation = Segmentation::new(mask.clone(), output);
            assert_eq!(segmentation.output(), output);
            assert_eq!(segmentation.to_mask().unwrap(), mask);
        }
        let broken = Segmentation::CocoRle { width: 5, height: 4, counts: "!".to_owned() };
        assert!(broken.to_mask().is_err());
    }
}
