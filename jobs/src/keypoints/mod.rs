//! Pose tracks as prompts: the files that DeepLabCut, SLEAP and other programs write.
//!
//! Whatever the file, a track is one table in memory: frames x individuals x body parts, with gaps
//! where a body part was not seen. [`KeypointTrack::read`] recognises the kind of a file by its
//! contents, never by its name:
//!
//! | kind | recognised by | read in |
//! |---|---|---|
//! | DeepLabCut CSV, of one or several animals, filtered, or labelled data | header rows `scorer`, `bodyparts`, `coords` | `dlc_csv` |
//! | DeepLabCut HDF5 (pandas, fixed and table format) | HDF5 signature, a group with a `pandas_type` | `dlc_hdf5` |
//! | SLEAP analysis CSV | a header row with `frame_idx` and `NODE.x` | `sleap_csv` |
//! | SLEAP analysis HDF5 | HDF5 signature, a data set `tracks` | `sleap_hdf5` |
//! | SLEAP labels (`.slp`, `.pkg.slp`) | HDF5, data sets `frames`, `instances`, `points`, `pred_points` | `sleap_labels` |
//! | NWB with poses (ndx-pose) | HDF5, an attribute `nwb_version` | `nwb`, `row_times` |
//! | CVAT, COCO, Labelme, Label Studio | XML or JSON, see there | `annotations` |
//! | napari points | a header row with `axis-0` and `axis-1` | `napari_csv` |
//! | idtracker.ai trajectories | a header row `time,x1,y1,...` | `idtracker_csv` |
//! | a table of points | a header row with `frame`, `x` and `y` | `points_table` |
//!
//! Files of other programs are refused by name (`foreign`). Text may be UTF-16, and tables may have
//! semicolons, tabs and decimal commas.
//!
//! HDF5 files need the feature `hdf5`. Without it they are recognised and refused by name.
//!
//! Rows are identified by the frame number or the image that the file gives, never by their
//! position in the file. An image's name alone does not give a frame number: only
//! [`KeypointTrack::locate`], which knows the recording, assigns frames to rows.

mod annotations;
#[cfg(feature = "hdf5")]
mod column_names;
mod dlc_columns;
mod dlc_csv;
#[cfg(feature = "hdf5")]
mod dlc_hdf5;
mod dlc_meta;
mod error;
mod foreign;
#[cfg(test)]
mod foreign_tests;
#[cfg(test)]
mod formats_tests;
#[cfg(feature = "hdf5")]
mod hdf5_file;
mod idtracker_csv;
mod image_names;
mod keypoint;
mod kinds;
mod locate;
mod located;
mod napari_csv;
mod notice;
#[cfg(feature = "hdf5")]
mod nwb;
mod pickle;
mod pickle_numpy;
mod picture;
#[cfg(test)]
mod plain_table_tests;
mod points_table;
mod quoting;
#[cfg(test)]
mod real_files;
mod recording;
mod recording_column;
mod row_times;
mod selection;
#[cfg(test)]
mod several_videos_tests;
#[cfg(test)]
mod sizes_tests;
mod sleap_csv;
#[cfg(feature = "hdf5")]
mod sleap_hdf5;
#[cfg(feature = "hdf5")]
mod sleap_labels;
#[cfg(feature = "hdf5")]
mod sleap_store;
mod table;
#[cfg(test)]
mod tests;
mod track;
mod track_kind;

pub(crate) use annotations::{Annotations, read as read_annotations, read_folder};
pub use error::KeypointError;
pub(crate) use foreign::refuse_binary;
pub use keypoint::{Individual, Keypoint};
pub use located::LocatedTrack;
pub use notice::TrackNotice;
pub use recording::TrackedRecording;
pub use selection::KeypointSelection;
pub use track::KeypointTrack;
pub use track_kind::TrackKind;
