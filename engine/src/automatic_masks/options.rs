//! Options of the generator and their validation.

/// More layers than this would give hundreds of thousands of crops.
const MOST_CROP_LAYERS: u32 = 8;

/// Options of an [`AutomaticMaskGenerator`](super::AutomaticMaskGenerator); names and defaults are
/// the official ones.
#[derive(Clone, Debug, PartialEq)]
pub struct AutomaticMaskOptions {
    /// The points to click on (`points_per_side`, `point_grids`). Default: 32 per side.
    pub point_grids: PointGrids,
    /// Points that go through the mask decoder at a time, at least 1. Default: 64. More points take
    /// more memory; with candidates, each point has three low-resolution masks.
    pub points_per_batch: usize,
    /// Masks whose predicted IoU is not above this are dropped; 0 or less drops none. Default: 0.8.
    pub pred_iou_thresh: f64,
    /// Masks whose stability score is below this are dropped; 0 or less drops none. Default: 0.95.
    pub stability_score_thresh: f64,
    /// How far the threshold is moved up and down for the stability score, in logits, at least 0.
    /// Default: 1.
    pub stability_score_offset: f64,
    /// A pixel belongs to a mask if its logit is above this. Default: 0.
    pub mask_threshold: f64,
    /// If two masks of the same crop have boxes with more than this IoU, the one with the lower
    /// predicted IoU is dropped. Default: 0.7.
    pub box_nms_thresh: f64,
    /// Layers of crops in addition to the whole image, at most 8: layer n cuts it into `2^n` by
    /// `2^n` overlapping parts. Default: 0.
    pub crop_n_layers: u32,
    /// If two masks have boxes with more than this IoU, the one from the larger crop is dropped.
    /// Default: 0.7.
    pub crop_nms_thresh: f64,
    /// Overlap of the crops of the first layer as a share of the image's shorter side, 0..=1;
    /// deeper layers overlap less. Default: 512 / 1500.
    pub crop_overlap_ratio: f64,
    /// Layer n has fewer points per side, by this factor to the power of n; at least 1. Default: 1.
    /// Explicit grids ignore it.
    pub crop_n_points_downscale_factor: u32,
    /// Holes and islands of up to this many low-resolution pixels (a quarter of the model's side)
    /// are filled and removed before a mask is judged; 0 = off, the default.
    ///
    /// The official generator does this with a CUDA kernel and skips it elsewhere; this one does it
    /// on every device. The official documentation promises regions in the image's pixels; for
    /// those see [`postprocess_small_regions`](super::postprocess_small_regions).
    pub min_mask_region_area: u32,
    /// The form in which masks are returned. Default: [`MaskOutput::Mask`].
    pub output: MaskOutput,
    /// Feed every mask back to the model once, with its point, and keep the refined result.
    /// Default: false.
    pub use_m2m: bool,
    /// Request three candidates for every point instead of one mask. Default: true.
    pub multimask_output: bool,
}

impl Default for AutomaticMaskOptions {
    fn default() -> Self {
        Self {
            point_grids: PointGrids::PerSide(32),
            points_per_batch: 64,
            pred_iou_thresh: 0.8,
            stability_score_thresh: 0.95,
            stability_score_offset: 1.0,
            mask_threshold: 0.0,
            box_nms_thresh: 0.7,
            crop_n_layers: 0,
            crop_nms_thresh: 0.7,
            crop_overlap_ratio: 512.0 / 1500.0,
            crop_n_points_downscale_factor: 1,
            min_mask_region_area: 0,
            output: MaskOutput::Mask,
            use_m2m: false,
            multimask_output: true,
        }
    }
}

/// The points of every layer.
#[derive(Clone, Debug, PartialEq)]
pub enum PointGrids {
    /// A regular grid with this many points per side; see [`point_grid`].
    PerSide(u32),
    /// Custom points `[x, y]`, each 0..=1 of the crop's width and height: the first list is for the
    /// whole image, the second for each crop of the first layer, and so on.
    Explicit(Vec<Vec<[f64; 2]>>),
}

/// The form in which masks are returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaskOutput {
    /// A [`Mask`](crate::Mask) (`binary_mask`, which has one byte per pixel in the official code).
    #[default]
    Mask,
    /// COCO's runs down the columns (`uncompressed_rle`).
    UncompressedRle,
    /// COCO's compressed text (`coco_rle`).
    CocoRle,
}

/// Error of the generator: invalid options, or cancelled by the caller.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AutomaticMaskError {
    /// An option is out of its range.
    #[error("{option} is {value}: give {allowed}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        value: f64,
        /// The allowed values.
        allowed: &'static str,
    },
    /// A layer has no points.
    #[error(
        "crop layer {layer} has no point: give more points per side, a smaller downscale factor or a grid for it"
    )]
    NoPoints {
        /// Index of the layer; 0 is the whole image.
        layer: usize,
    },
    /// A point of an explicit grid is outside the image or NaN.
    #[error("point {index} of grid {layer} is ({x}, {y}): give parts of width and height, 0 to 1")]
    PointOutside {
        /// Index of the grid, from 0.
        layer: usize,
        /// Index of the point, from 0.
        index: usize,
        /// Position as a fraction of the width.
        x: f64,
        /// Position as a fraction of the height.
        y: f64,
    },
    /// The caller stopped the generator.
    #[error("stopped after {done} of {total} points")]
    Cancelled {
        /// Points that had been through the model.
        done: usize,
        /// Points in all crops.
        total: usize,
    },
}

impl AutomaticMaskOptions {
    /// Checks all options and returns the points of each layer, at least one in each.
    pub(super) fn grids(&self) -> Result<Vec<Vec<[f64; 2]>>, AutomaticMaskError> {
        self.check()?;
        let layers = 0..=self.crop_n_layers as usize;
        let grids: Vec<Vec<[f64; 2]>> = match &self.point_grids {
            PointGrids::PerSide(count) => layers
                .map(|layer| {
                    let divisor = self.crop_n_points_downscale_factor.checked_pow(layer as u32);
                    point_grid(divisor.map_or(0, |divisor| count / divisor))
                })
                .collect(),
            PointGrids::Explicit(grids) => {
                layers.map(|layer| grids.get(layer).cloned().unwrap_or_default()).collect()
            }
        };
        for (layer, grid) in grids.iter().enumerate() {
            if grid.is_empty() {
                return Err(AutomaticMaskError::NoPoints { layer });
            }
            let inside = |value: f64| (0.0..=1.0).contains(&value);
            if let Some(index) = grid.iter().position(|&[x, y]| !inside(x) || !inside(y)) {
                let [x, y] = grid[index];
                return Err(AutomaticMaskError::PointOutside { layer, index, x, y });
            }
        }
        Ok(grids)
    }

    fn check(&self) -> Result<(), AutomaticMaskError> {
        let finite = [
            ("pred_iou_thresh", self.pred_iou_thresh),
            ("stability_score_thresh", self.stability_score_thresh),
            ("mask_threshold", self.mask_threshold),
            ("box_nms_thresh", self.box_nms_thresh),
            ("crop_nms_thresh", self.crop_nms_thresh),
        ]
        .map(|(option, value)| (option, value, value.is_finite(), "a finite number"));
        let (offset, ratio) = (self.stability_score_offset, self.crop_overlap_ratio);
        let side = match &self.point_grids {
            PointGrids::PerSide(count) => *count,
            PointGrids::Explicit(_) => 1,
        };
        let ranges = [
            (
                "stability_score_offset",
                offset,
                offset.is_finite() && offset >= 0.0,
                "a finite number of at least 0",
            ),
            ("crop_overlap_ratio", ratio, (0.0..=1.0).contains(&ratio), "a number from 0 to 1"),
            (
                "points_per_batch",
                self.points_per_batch as f64,
                self.points_per_batch > 0,
                "at least 1",
            ),
            ("points_per_side", f64::from(side), (1..=4096).contains(&side), "1 to 4096"),
            (
                "crop_n_points_downscale_factor",
                f64::from(self.crop_n_points_downscale_factor),
                self.crop_n_points_downscale_factor > 0,
                "at least 1",
            ),
            (
                "crop_n_layers",
                f64::from(self.crop_n_layers),
                self.crop_n_layers <= MOST_CROP_LAYERS,
                "at most 8",
            ),
        ];
        match finite.into_iter().chain(ranges).find(|(_, _, good, _)| !good) {
            Some((option, value, _, allowed)) => {
                Err(AutomaticMaskError::Option { option, value, allowed })
            }
            None => Ok(()),
        }
    }
}

/// Returns `per_side` by `per_side` evenly spaced points, row by row, with half a space at the
/// edges (`build_point_grid`).
pub fn point_grid(per_side: u32) -> Vec<[f64; 2]> {
    // As `numpy.linspace` computes it, to the last bit.
    let start = 1.0 / (2.0 * f64::from(per_side));
    let stop = 1.0 - start;
    let step = (stop - start) / f64::from(per_side.saturating_sub(1).max(1));
    let at = |i: u32| {
        if i > 0 && i + 1 == per_side { stop } else { f64::from(i) * step + start }
    };
    (0..per_side).flat_map(|y| (0..per_side).map(move |x| [at(x), at(y)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_those_of_numpy() {
        assert_eq!(point_grid(0), [] as [[f64; 2]; 0]);
        assert_eq!(point_grid(1), [[0.5, 0.5]]);
        assert_eq!(point_grid(2), [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]);
        // `np.linspace(1 / 14, 1 - 1 / 14, 7)`.
        let row: Vec<f64> = point_grid(7)[..7].iter().map(|p| p[0]).collect();
        assert_eq!(row, NUMPY);
    }

    const NUMPY: [f64; 7] = [
        0.07142857142857142,
        0.2142857142857143,
        0.3571428571428572,
        0.5,
        0.6428571428571429,
        0.7857142857142858,
        0.9285714285714286,
    ];

    #[test]
    fn layers_have_fewer_points() {
        let options = AutomaticMaskOptions {
            point_grids: PointGrids::PerSide(9),
            crop_n_layers: 3,
            crop_n_points_downscale_factor: 2,
            ..AutomaticMaskOptions::default()
        };
        let counts = |o: &AutomaticMaskOptions| o.grids().map(|g| g.iter().map(Vec::len).collect());
        assert_eq!(counts(&options), Ok(vec![81, 16, 4, 1]));
        let options = AutomaticMaskOptions { crop_n_layers: 4, ..options };
        assert_eq!(counts(&options), Err(AutomaticMaskError::NoPoints { layer: 4 }));
        let options = AutomaticMaskOptions { crop_n_points_downscale_factor: u32::MAX, ..options };
        assert_eq!(counts(&options), Err(AutomaticMaskError::NoPoints { layer: 1 }));
    }

    #[test]
    fn bad_options_are_named() {
        let refused = |change: fn(&mut AutomaticMaskOptions)| {
            let mut options = AutomaticMaskOptions::default();
            change(&mut options);
            options.grids().unwrap_err().to_string()
        };
        assert_eq!(refused(|o| o.points_per_batch = 0), "points_per_batch is 0: give at least 1");
        assert!(refused(|o| o.box_nms_thresh = f64::NAN).starts_with("box_nms_thresh is NaN"));
        assert!(refused(|o| o.crop_overlap_ratio = 1.5).starts_with("crop_overlap_ratio is 1.5"));
        assert!(refused(|o| o.crop_n_layers = 30).starts_with("crop_n_layers is 30"));
        assert!(refused(|o| o.point_grids = PointGrids::PerSide(0)).contains("points_per_side"));
        assert!(refused(|o| o.point_grids = PointGrids::Explicit(vec![])).contains("no point"));
        let outside = refused(|o| {
            o.point_grids = PointGrids::Explicit(vec![vec![[0.5, 0.5], [0.5, 1.5]]]);
        });
        assert!(outside.starts_with("point 1 of grid 0 is (0.5, 1.5)"), "{outside}");
    }
}
