//! The bundled clips against their ground truth: no worse than the official predictor.

#![allow(missing_docs, clippy::unwrap_used)]

use sam2_tests::clips;
use sam2_tests::fixture::Fixture;
use sam2_tests::truth_runs::{mean_j, track};

/// Largest amount by which the mean J may be below the official predictor's.
const ALLOWANCE: f64 = 0.005;

fn compare(name: &str) {
    let mean = mean_j(name, &track(&clips::micro_model(), name));
    let key = name.replace('-', "_");
    let official = Fixture::open("micro_truth").number(&format!("{key}.mean_j"));
    println!("{name}: mean J {mean:.4}, official {official:.4}");
    assert!(mean >= official - ALLOWANCE, "{name}: {mean} against {official}");
}

#[test]
fn mouse_arena() {
    compare("mouse-arena");
}

#[test]
fn worm() {
    compare("worm");
}

#[test]
fn two_crossing() {
    compare("two-crossing");
}
