//! Products in bfloat16 on the CPU give masks as good as those in f32. On a processor without
//! instructions for bfloat16, both are identical.

#![allow(missing_docs, clippy::unwrap_used)]

use sam2_engine::Precision;
use sam2_model::kernels::CpuTier;
use sam2_tests::clips;
use sam2_tests::truth_runs::{mean_j, track};

/// Minimum mean IoU of masks in bf16 with those in f32.
const AGREEMENT: f64 = 0.995;
/// Largest difference between the mean J in bf16 and in f32.
const ALLOWANCE: f64 = 0.005;

#[test]
fn masks_agree_with_those_in_f32_and_are_as_good() {
    let model = clips::micro_model();
    let rounded = model.clone().with_precision(Precision::Bf16).unwrap();
    assert_eq!(rounded.precision(), Precision::Bf16);
    let tier = CpuTier::current();
    let mut changed = false;
    for name in ["mouse-arena", "worm", "two-crossing"] {
        let (exact, rounded) = (track(&model, name), track(&rounded, name));
        let pairs = || exact.iter().flatten().zip(rounded.iter().flatten());
        let ious: Vec<f64> = pairs().map(|(a, b)| a.iou(b)).collect();
        let mean = ious.iter().sum::<f64>() / ious.len() as f64;
        let (j, j_rounded) = (mean_j(name, &exact), mean_j(name, &rounded));
        println!("{name} on {tier}: mean IoU {mean:.4}, J {j:.4} in f32, {j_rounded:.4} in bf16");
        assert!(mean >= AGREEMENT, "{name}: {mean}");
        assert!((j - j_rounded).abs() <= ALLOWANCE, "{name}: {j} and {j_rounded}");
        changed |= exact != rounded;
    }
    // If no value differs, nothing was rounded.
    assert_eq!(changed, tier.multiplies_bf16());
}
