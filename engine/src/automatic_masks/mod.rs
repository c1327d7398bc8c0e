//! Masks of everything in an image, without prompts (`SAM2AutomaticMaskGenerator`; Kirillov et al.
//! 2023, section "segment anything").
//!
//! A grid of points is laid over the image and, on request, over overlapping crops of it. Each
//! point is a click. Its mask is kept if the predicted IoU is high enough and if the mask hardly
//! changes with the threshold. Of several masks with nearly the same box, only the best is kept.

mod crops;
mod generator;
mod nms;
mod options;
mod records;
mod small_regions;
mod stability;

pub use crops::{CropBox, crop_boxes};
pub use generator::{AutomaticMaskGenerator, GenerationProgress};
pub use options::{AutomaticMaskError, AutomaticMaskOptions, MaskOutput, PointGrids, point_grid};
pub use records::{MaskRecord, Segmentation};
pub use small_regions::{postprocess_small_regions, remove_small_regions};
