//! Overlapping crops of the image, each processed like an image of its own.

use sam2_frame_provider::{FrameError, FrameSize, RgbFrame};

/// Within this many pixels of its crop's edge, a box is probably cut off by the crop.
const EDGE_TOLERANCE: f32 = 20.0;

/// A part of an image, in the image's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CropBox {
    /// Left edge.
    pub x0: u32,
    /// Top edge.
    pub y0: u32,
    /// Right edge, > `x0`; the first column outside.
    pub x1: u32,
    /// Bottom edge, > `y0`; the first row outside.
    pub y1: u32,
}

impl CropBox {
    /// Returns the number of columns.
    pub fn width(self) -> u32 {
        self.x1 - self.x0
    }

    /// Returns the number of rows.
    pub fn height(self) -> u32 {
        self.y1 - self.y0
    }

    /// Cuts this part out of `image`, which must contain it.
    pub(super) fn cut(self, image: &RgbFrame) -> Result<RgbFrame, FrameError> {
        let stride = 3 * image.width() as usize;
        let columns = 3 * self.x0 as usize..3 * self.x1 as usize;
        let rows = image.data().chunks_exact(stride).take(self.y1 as usize);
        let data = rows.skip(self.y0 as usize).flat_map(|row| &row[columns.clone()]).copied();
        RgbFrame::new(self.width(), self.height(), data.collect())
    }

    /// Returns whether a box in this crop (`[x0, y0, x1, y1]`, relative to the crop's corner) lies
    /// at an edge of the crop that is not an edge of the image (`is_box_near_crop_edge`).
    pub(super) fn cuts(self, bounds: [u32; 4], image: FrameSize) -> bool {
        let near = |a: u32, b: u32| (a as f32 - b as f32).abs() <= EDGE_TOLERANCE;
        let corner = [self.x0, self.y0, self.x0, self.y0];
        let crop_edges = [self.x0, self.y0, self.x1, self.y1];
        let image_edges = [0, 0, image.width, image.height];
        (0..4).any(|side| {
            let edge = bounds[side] + corner[side];
            near(edge, crop_edges[side]) && !near(edge, image_edges[side])
        })
    }
}

/// Returns the whole image and then the crops of each layer, each with its layer number. Layer n
/// has `2^n` by `2^n` crops, column by column (`generate_crop_boxes`).
///
/// `overlap_ratio` is the overlap of the crops of layer 1 as a share of the shorter side; deeper
/// layers overlap less. Crops beyond the edge of a small image, on which the official code fails,
/// are left out.
pub fn crop_boxes(size: FrameSize, layers: u32, overlap_ratio: f64) -> Vec<(CropBox, usize)> {
    let FrameSize { width, height } = size;
    let mut boxes = vec![(CropBox { x0: 0, y0: 0, x1: width, y1: height }, 0)];
    for layer in 1..=layers.min(u32::BITS - 2) {
        let per_side = 1_u64 << layer;
        let short_side = f64::from(width.min(height));
        let overlap = (overlap_ratio * short_side * (2.0 / per_side as f64)) as u64;
        let length = |whole: u32| (overlap * (per_side - 1) + u64::from(whole)).div_ceil(per_side);
        let spans = |whole: u32| {
            let length = length(whole);
            let whole = u64::from(whole);
            (0..per_side)
                .map(move |i| length.saturating_sub(overlap) * i)
                .map(move |start| (start, (start + length).min(whole)))
                .filter(|(start, end)| start < end)
                .map(|(start, end)| (start as u32, end as u32))
                .collect::<Vec<_>>()
        };
        let rows = spans(height);
        boxes.extend(spans(width).into_iter().flat_map(|(x0, x1)| {
            rows.iter().map(move |&(y0, y1)| (CropBox { x0, y0, x1, y1 }, layer as usize))
        }));
    }
    boxes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edges(width: u32, height: u32, layers: u32, ratio: f64) -> Vec<([u32; 4], usize)> {
        crop_boxes(FrameSize { width, height }, layers, ratio)
            .into_iter()
            .map(|(c, layer)| ([c.x0, c.y0, c.x1, c.y1], layer))
            .collect()
    }

    #[test]
    fn boxes_are_the_official_ones() {
        // `generate_crop_boxes((217, 333), 1, 512 / 1500)`.
        let official = [
            ([0, 0, 333, 217], 0),
            ([0, 0, 204, 146], 1),
            ([0, 72, 204, 217], 1),
            ([130, 0, 333, 146], 1),
            ([130, 72, 333, 217], 1),
        ];
        assert_eq!(edges(333, 217, 1, 512.0 / 1500.0), official);
        assert_eq!(edges(333, 217, 2, 512.0 / 1500.0)[5..], OFFICIAL_LAYER_2);
    }

    const OFFICIAL_LAYER_2: [([u32; 4], usize); 16] = [
        ([0, 0, 111, 82], 2),
        ([0, 45, 111, 127], 2),
        ([0, 90, 111, 172], 2),
        ([0, 135, 111, 217], 2),
        ([74, 0, 185, 82], 2),
        ([74, 45, 185, 127], 2),
        ([74, 90, 185, 172], 2),
        ([74, 135, 185, 217], 2),
        ([148, 0, 259, 82], 2),
        ([148, 45, 259, 127], 2),
        ([148, 90, 259, 172], 2),
        ([148, 135, 259, 217], 2),
        ([222, 0, 333, 82], 2),
        ([222, 45, 333, 127], 2),
        ([222, 90, 333, 172], 2),
        ([222, 135, 333, 217], 2),
    ];

    #[test]
    fn a_single_pixel_is_one_crop_of_each_layer() {
        assert_eq!(edges(1, 1, 2, 0.3), [([0, 0, 1, 1], 0), ([0, 0, 1, 1], 1), ([0, 0, 1, 1], 2)]);
    }

    #[test]
    fn cutting_takes_the_pixels() {
        let image = RgbFrame::new(3, 2, (0..18).collect()).unwrap();
        let cut = CropBox { x0: 1, y0: 1, x1: 3, y1: 2 }.cut(&image).unwrap();
        assert_eq!(cut.data(), [12, 13, 14, 15, 16, 17]);
    }

    #[test]
    fn only_edges_within_the_image_count() {
        let size = FrameSize { width: 400, height: 300 };
        let crop = CropBox { x0: 0, y0: 0, x1: 200, y1: 300 };
        assert!(!crop.cuts([0, 0, 100, 299], size));
        assert!(!crop.cuts([50, 50, 179, 200], size));
        assert!(crop.cuts([50, 50, 180, 200], size));
        // Its right edge is within 20 pixels of both the crop's and the image's right edge.
        let close = CropBox { x0: 0, y0: 0, x1: 385, y1: 300 };
        assert!(!close.cuts([50, 50, 380, 200], size));
        assert!(close.cuts([50, 50, 370, 200], size));
        let shifted = CropBox { x0: 100, y0: 100, x1: 400, y1: 300 };
        assert!(shifted.cuts([20, 60, 100, 100], size));
        assert!(!shifted.cuts([21, 21, 299, 199], size));
    }

    proptest! {
        #[test]
        fn crops_cover_the_image_and_stay_within(
            (width, height) in (1_u32..300, 1_u32..300),
            layers in 0_u32..4,
            ratio in 0.0_f64..=1.0,
        ) {
            let boxes = edges(width, height, layers, ratio);
            for layer in 0..=layers as usize {
                let mut covered = vec![false; (width * height) as usize];
                for ([x0, y0, x1, y1], _) in boxes.iter().filter(|(_, l)| *l == layer) {
                    prop_assert!(x0 < x1 && x1 <= &width && y0 < y1 && y1 <= &height);
                    for y in *y0..*y1 {
                        covered[(y * width + x0) as usize..(y * width + x1) as usize].fill(true);
                    }
                }
                prop_assert!(covered.iter().all(|c| *c));
            }
        }
    }
}
