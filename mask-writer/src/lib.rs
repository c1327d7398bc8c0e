//! Writes segmentation masks to files that other programs read.
//!
//! A [`Mask`] is one object in one frame, run-length encoded. A [`MaskSink`] takes the masks of a
//! recording frame by frame and in order, holds no more of them than it must, and leaves either a
//! complete file or folder under its name or none at all. This crate is useful on its own: it does
//! not depend on models, and its only use of video is to write one.
//!
//! | sink | output | read by |
//! |---|---|---|
//! | [`BigTiffSink`] | a stack: 0/255, or object numbers | tifffile, OpenCV, Fiji |
//! | [`ObjectStacksSink`] | a folder with one stack per object | the same |
//! | [`DavisPngsSink`] | a folder of palette images | DAVIS's tools, the official `vos_inference.py` |
//! | [`ObjectPngsSink`] | a folder of images per object | SA-V's tools |
//! | [`CocoJsonSink`] | COCO's JSON with run lengths | pycocotools |
//! | [`SavJsonSink`] | SA-V's JSON with run lengths | SA-V's tools |
//! | [`YoloLabelsSink`] | a folder of polygon labels | Ultralytics |
//! | [`LabelmeJsonSink`] | a folder of polygons, one JSON file per frame | Labelme |
//! | [`ImageJRoisSink`] | a ZIP file of outlines | the ROI Manager of ImageJ and Fiji |
//! | [`OmeZarrSink`] | object numbers as an OME-Zarr label image | ome-zarr, napari, zarr |
//! | [`CsvTableSink`], [`ParquetTableSink`] | one row per object and frame | pandas, R, spreadsheets |
//! | [`OverlayVideoSink`] | MP4 with the masks drawn in | players |
//! | [`ContactSheetSink`] | one PNG that shows the result at a glance | people |
//! | [`LogitsNpySink`] | mask logits | NumPy |
//!
//! The same masks give the same bytes: no output contains a time stamp or the version of anything
//! but this crate.

#![forbid(unsafe_code)]

mod corner_outline;
mod error;
mod fault;
mod frame_names;
mod frame_order;
mod json_file;
mod known_objects;
mod label_image;
mod mask;
mod mask_coco;
#[cfg(feature = "image")]
mod mask_image;
#[cfg(feature = "ndarray")]
mod mask_ndarray;
mod mask_table;
mod outline;
mod output_file;
mod output_folder;
mod overlay;
mod palette_png;
mod quality_flags;
mod recording_info;
mod run_file;
mod sink;
mod sinks;
mod stack_reader;
mod temporary;
#[cfg(test)]
mod test_support;
mod text;
mod tiff_stack;
#[cfg(feature = "overlay")]
mod yuv;

pub use error::WriteError;
pub use fault::fault_point;
pub use label_image::{LabelImage, LabelImageError};
pub use mask::{Mask, MaskSizeError};
pub use mask_coco::{CocoRle, CocoRleError};
pub use outline::{Pixel, polygons};
pub use output_file::{CompleteOutput, OutputFile};
pub use output_folder::OutputFolder;
pub use overlay::{OBJECT_COLOURS, blend};
pub use quality_flags::{QualityFlag, QualityFlags};
pub use recording_info::RecordingInfo;
pub use run_file::{
    Action, Added, AmendError, AmendFileError, Amendment, FrameCodeError, OpenRun, RecoveredRun,
    RunAmender, RunBatch, RunFileError, RunFileSink, RunFrame, RunFrames, RunHeader, RunPoint,
    RunPrompt, RunReader, RunRecord, RunState, RunWriter, Stretch,
};
pub use sink::{LabelledMask, MaskFacts, MaskFrame, MaskSink};
pub use sinks::bigtiff::{BigTiffSink, PixelValues};
pub use sinks::coco_json::{CocoJsonSink, CocoOutlines};
pub use sinks::contact_sheet::ContactSheetSink;
pub use sinks::davis_pngs::DavisPngsSink;
pub use sinks::imagej_rois::ImageJRoisSink;
pub use sinks::labelme_json::LabelmeJsonSink;
pub use sinks::logits_npy::LogitsNpySink;
pub use sinks::object_pngs::ObjectPngsSink;
pub use sinks::object_stacks::ObjectStacksSink;
pub use sinks::ome_zarr::OmeZarrSink;
#[cfg(feature = "overlay")]
pub use sinks::overlay_video::OverlayVideoSink;
pub use sinks::sav_json::SavJsonSink;
pub use sinks::table_csv::CsvTableSink;
#[cfg(feature = "parquet")]
pub use sinks::table_parquet::ParquetTableSink;
pub use sinks::yolo_labels::YoloLabelsSink;
pub use stack_reader::{MaskStackReader, ReadError};
pub use temporary::sweep as sweep_left_overs;
pub use tiff_stack::StackCompression;
