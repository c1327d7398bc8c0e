//! What the tests share: fixtures made by the official code, comparisons that look at every element, and clips.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // Test code: a failure here is a failed test.

pub mod clips;
pub mod compare;
pub mod device;
pub mod exact;
pub mod fixture;
pub mod hard_clips;
pub mod noise;
pub mod parity_automatic;
pub mod parity_images;
pub mod parity_weights;
pub mod policy_runs;
pub mod saved;
pub mod scenario;
pub mod seeded;
pub mod truth_runs;

use std::path::PathBuf;

/// A file of the repository.
pub fn repository_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}
