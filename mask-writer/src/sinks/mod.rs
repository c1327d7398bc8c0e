//! The output formats, one file each.

pub(crate) mod bigtiff;
pub(crate) mod coco_json;
pub(crate) mod contact_sheet;
pub(crate) mod davis_pngs;
pub(crate) mod imagej_rois;
pub(crate) mod labelme_json;
pub(crate) mod logits_npy;
pub(crate) mod object_pngs;
pub(crate) mod object_stacks;
pub(crate) mod ome_zarr;
#[cfg(feature = "overlay")]
pub(crate) mod overlay_video;
pub(crate) mod sav_json;
pub(crate) mod table_csv;
#[cfg(feature = "parquet")]
pub(crate) mod table_parquet;
pub(crate) mod yolo_labels;
