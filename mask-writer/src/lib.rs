//! Segmentation masks to the files that other programs read.
//!
//! A [`Mask`] is one object in one frame, run-length encoded. A [`MaskSink`] takes the masks of a recording frame by
//! frame and in order, holds no more than it must, and leaves a complete file under its name or none at all. This crate
//! knows nothing of models or videos, so it is useful alone.

mod bigtiff;
mod contact_sheet;
mod error;
mod label_image;
mod mask;
mod mask_coco;
mod output_file;
mod overlay;
mod quality_flags;
mod sink;
mod stack_reader;

pub use bigtiff::{BigTiffSink, PixelValues};
pub use contact_sheet::ContactSheetSink;
pub use error::WriteError;
pub use label_image::{LabelImage, LabelImageError};
pub use mask::{Mask, MaskSizeError};
pub use mask_coco::{CocoRle, CocoRleError};
pub use output_file::{CompleteOutput, OutputFile};
pub use overlay::{OBJECT_COLOURS, blend};
pub use quality_flags::{QualityFlag, QualityFlags};
pub use sink::{LabelledMask, MaskFacts, MaskFrame, MaskSink};
pub use stack_reader::{MaskStackReader, ReadError};
