//! The checks: the kinds of fault, the actions they cause, and the shadow of shared memory that
//! detects races.

mod finding;
mod race;

pub use finding::{Action, Finding, Findings, Kind};
pub use race::{Conflict, RaceShadow, Touch};
