//! Checks: what counts as a fault, what is done about it, and the shadow of shared memory that finds races.

mod finding;
mod race;

pub use finding::{Action, Finding, Findings, Kind};
pub use race::{Conflict, RaceShadow, Touch};
