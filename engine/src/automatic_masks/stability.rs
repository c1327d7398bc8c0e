//! Stability score: how little a mask depends on the threshold.

/// Returns the IoU of the masks at a raised and a lowered threshold, 0..=1
/// (`calculate_stability_score`): `offset` above and below `threshold`, in logits. NaN if even the
/// larger mask is empty; NaN fails every threshold.
pub(super) fn stability_score(logits: &[f32], threshold: f64, offset: f64) -> f32 {
    let (high, low) = ((threshold + offset) as f32, (threshold - offset) as f32);
    // One mask contains the other.
    let (mut inner, mut outer) = (0_u32, 0_u32);
    for &logit in logits {
        inner += u32::from(logit > high);
        outer += u32::from(logit > low);
    }
    inner as f32 / outer as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_share_that_survives() {
        let logits = [3.0, 2.0, 1.0, 0.5, -0.5, -1.0, -2.0];
        assert_eq!(stability_score(&logits, 0.0, 1.0), 2.0 / 5.0);
        assert_eq!(stability_score(&logits, 1.0, 0.75), 2.0 / 4.0);
        assert_eq!(stability_score(&logits, 0.0, 0.0), 1.0);
        assert!(stability_score(&logits, 9.0, 1.0).is_nan());
        assert!(stability_score(&[], 0.0, 1.0).is_nan());
    }
}
