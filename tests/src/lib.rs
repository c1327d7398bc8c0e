//! Shared parts of the tests: fixtures made by the official code, comparisons of every element, and
//! clips.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // Test code: a failure here is a failed test.

pub mod arrays;
pub mod clips;
pub mod compare;
pub mod device;
pub mod exact;
pub mod fixture;
pub mod hard_clips;
pub mod held_out;
pub mod measuring;
pub mod noise;
pub mod parity_automatic;
pub mod parity_images;
pub mod parity_weights;
pub mod policy_runs;
pub mod saved;
pub mod scenario;
pub mod seeded;
pub mod truth_runs;
pub mod two_way_runs;

use std::path::PathBuf;

/// Returns the path of a file of the repository in which this was compiled, or, on another machine,
/// of the one that `SAM2_TEST_REPOSITORY` names.
pub fn repository_file(name: &str) -> PathBuf {
    match std::env::var_os("SAM2_TEST_REPOSITORY") {
        Some(repository) => PathBuf::from(repository).join(name),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name),
    }
}

// `cargo test` compiles the programs of these documents.
#[cfg(doctest)]
#[doc = include_str!("../../docs/library.md")]
mod library_document {}
#[cfg(doctest)]
#[doc = include_str!("../../docs/migrating-from-the-official-predictor.md")]
mod migration_document {}
