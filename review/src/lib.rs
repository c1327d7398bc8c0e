//! `sam2 review`: one page, served on this machine, to look through the masks of a run and to correct
//! them.
//!
//! The run file is the only state: every action is an amendment that is on the disk before it is
//! answered, so that a killed server, a lost tunnel or a closed tab loses nothing, and opening the run
//! again shows what was there. What page and server say to each other is in `API.md`.
//!
//! | file | what |
//! |---|---|
//! | `server.rs` | addresses, and who may ask |
//! | `answers.rs` | what the page is told |
//! | `acts.rs` | what the page asks for |
//! | `desk.rs` | the run on display, shared by all requests |
//! | `facts.rs` | areas, scores and flags of every frame, for timeline and queue |
//! | `keeping_up.rs` | the thread that reads them from the run file, also while it grows |
//! | `lanes.rs`, `queue.rs` | the timeline; the list of what to look at |
//! | `worker.rs` | the thread that has the model: clicks, and tracking again |
//! | `picture.rs` | frames as JPEG |

#![forbid(unsafe_code)]

mod acts;
mod answers;
mod assets;
mod desk;
mod error;
mod facts;
mod keeping_up;
mod lanes;
mod machine;
mod picture;
mod queue;
mod server;
mod worker;

pub use desk::{Desk, Exporter, Format, Reopener, Setup, Tools, Track};
pub use error::ReviewError;
pub use machine::machine;
pub use server::{Place, serve};
