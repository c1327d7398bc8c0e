//! Corrections of a finished run, appended to its run file.
//!
//! Nothing that was written before is changed: the run as it was computed stays in the file byte for
//! byte, every [`Amendment`] follows in the order in which it was made, and masks that were computed
//! again follow the amendment that asked for them. So every earlier state can be returned to, and what
//! was on the disk before a crash is there after it.

mod amender;
mod amendment;
mod apply;
mod error;
mod index;
mod open_run;
mod state;
#[cfg(test)]
mod tests;

pub use amender::{AmendFileError, RunAmender};
pub use amendment::{Action, Amendment};
pub use error::AmendError;
pub use open_run::{Added, OpenRun};
pub use state::{RunState, Stretch};

pub(super) use apply::Amended;
pub(super) use index::RunIndex;
