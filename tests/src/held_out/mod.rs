//! Clips of animals that no model was trained on, with exact ground truth and pose tracks: what the
//! measurements of tracking over long recordings are made on.
//!
//! A [`HeldOut`] clip is generated from a [`Kind`] and a seed. It draws each frame on demand, so
//! that 2,000 frames take no memory, and it is a [`FrameSource`](sam2_frame_provider::FrameSource).
//! The animals look like those that the demonstration model was trained on
//! (`assets/micro/evaluation.md`), so that it can follow them at all.
//!
//! | subject | where |
//! |---|---|
//! | what happens in a clip | `kind`, `staging`, `walk` |
//! | what the animals look like | `animal`, `plan`, `mouse`, `worm`, `tube`, `ground` |
//! | frames and ground truth | `scene`, `clip` |
//! | pose tracks, their faults and their files | `track`, `faults`, `fault_runs`, `dlc_csv` |
//! | how good masks are | `scores`, `flag_score`, `tracked` |
//! | pictures for people | `preview` |
//!
//! Coordinates are in pixels: the pixel in column 3 reaches from 3.0 to 4.0.

mod animal;
mod clip;
mod dlc_csv;
mod fault_runs;
mod faults;
mod flag_score;
mod ground;
mod kind;
mod mouse;
mod plan;
mod preview;
mod scene;
mod scores;
mod staging;
mod track;
mod tracked;
mod tube;
mod walk;
mod worm;

pub use clip::{HeldOut, SIZE};
pub use dlc_csv::{csv_of, multi_animal_csv, single_animal_csv};
pub use faults::{CellFault, FaultOptions, FaultyTrack};
pub use flag_score::FlagScore;
pub use kind::Kind;
pub use preview::{preview, write_png};
pub use scores::{Scores, Swap, Verdict};
pub use track::PoseTrack;
pub use tracked::tracked_from_boxes;
