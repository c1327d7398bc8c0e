//! Quality flags: mark suspicious masks by scores, areas and overlaps with other objects.
//!
//! No model reports its own errors, but some failures are visible: the object's score falls below
//! zero, the area jumps, the mask floods the picture or turns inside out, or two objects have the
//! same pixels. Such frames are flagged in the results, never passed on silently. A flag is not a
//! verdict: an animal that hides *is* lost for a while.

use sam2_mask_writer::{Mask, QualityFlag, QualityFlags};
use serde::{Deserialize, Serialize};

/// Number of frames that make up the expected area: enough that one bad frame does not move the
/// median.
const EXPECTED_FROM: usize = 5;
/// How far back these frames are searched. A bounded session keeps as many frames, so flags never
/// depend on pruning.
pub(super) const AREA_LOOK_BACK: usize = 15;

/// Thresholds for flagging a mask ([`QualityFlag`]); `None` = never. Numbers that are not finite
/// count as `None`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualityOptions {
    /// An area that grew or shrank by more than this factor is a jump; default 3. Values below 1
    /// count as 1. A mask that vanishes is a jump for any factor.
    ///
    /// The reference is the median of the last five frames with a non-empty mask, at most fifteen
    /// frames back in the direction of propagation. One bad frame does not move a median, and a
    /// lasting change moves it after three frames: a jump is flagged where it happens, not for ever
    /// after.
    pub area_factor: Option<f32>,
    /// A mask that covers more than this share of the picture (of
    /// [`super::SessionOptions::region`], if there is one) is nearly full, 0..1; default 0.9.
    pub nearly_full: Option<f32>,
    /// A mask that covers more than this share of the picture may be inverted, 0..1; default 0.5,
    /// because the inverse of an object that covers less than half covers more than half.
    pub inverted_above: Option<f32>,
    /// A mask counts as inverted only if the mask of the closest prompted frame covers less than
    /// this share of the picture, 0..1; default 0.25.
    ///
    /// The reference is the prompted frame, which a person has checked, and not the preceding
    /// frames, because inverted masks come in long rows.
    pub inverted_below: Option<f32>,
    /// The mask of a prompted frame is doubtful if the model predicts a lower IoU for it than this,
    /// 0..1; default 0.2.
    pub doubtful_prompt_below: Option<f32>,
    /// Two objects overlap if their masks have more than this share of the smaller one in common,
    /// 0..1; default 0.5. Both are flagged.
    pub overlap_above: Option<f32>,
    /// Two passes over a frame disagree if the IoU of their masks is below this, 0..1; default 0.5.
    /// Sessions do not compare passes; jobs with [`crate::Passes::Agreed`] do.
    pub disagree_below: Option<f32>,
}

impl Default for QualityOptions {
    fn default() -> Self {
        Self {
            area_factor: Some(3.0),
            nearly_full: Some(0.9),
            inverted_above: Some(0.5),
            inverted_below: Some(0.25),
            doubtful_prompt_below: Some(0.2),
            overlap_above: Some(0.5),
            disagree_below: Some(0.5),
        }
    }
}

/// Area and scores of a mask that is to be judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// Area of the mask in pixels.
    pub(super) area: u64,
    /// Logit; above 0 = the model sees the object.
    pub(super) object_score: f32,
    /// The model's own estimate of the mask's IoU with the ground truth, 0..1.
    pub(super) predicted_iou: f32,
    /// Whether the object was prompted on this frame; a prompted mask is never a jump.
    pub(super) prompted: bool,
}

/// The reference for judging a mask.
#[derive(Clone, Debug, Default)]
pub(super) struct Expectation {
    /// Pixels of the picture or region.
    pub(super) pixels: u64,
    /// Areas of earlier frames in the direction of propagation, nearest first: at most
    /// [`AREA_LOOK_BACK`].
    pub(super) areas: Vec<u64>,
    /// Area on the closest prompted frame.
    pub(super) prompted_area: Option<u64>,
}

impl QualityOptions {
    /// Returns the flags of a mask.
    pub(super) fn judge(&self, found: Found, expected: &Expectation) -> QualityFlags {
        let share = |area: u64| area as f64 / expected.pixels.max(1) as f64;
        let exceeds =
            |area: u64, limit: Option<f32>| finite(limit).is_some_and(|limit| share(area) > limit);
        let mut flags = QualityFlags::NONE;
        // NaN is not above 0 either.
        if found.area == 0 || found.object_score.is_nan() || found.object_score <= 0.0 {
            flags.insert(QualityFlag::Lost);
        }
        if !found.prompted && self.jumps(found.area, &expected.areas) {
            flags.insert(QualityFlag::AreaJump);
        }
        if exceeds(found.area, self.nearly_full) {
            flags.insert(QualityFlag::NearlyFull);
        }
        let was_small = expected.prompted_area.zip(finite(self.inverted_below));
        let was_small = was_small.is_some_and(|(area, limit)| share(area) < limit);
        if was_small && exceeds(found.area, self.inverted_above) {
            flags.insert(QualityFlag::Inverted);
        }
        let predicted = f64::from(found.predicted_iou);
        let is_doubtful = |limit| predicted.is_nan() || predicted < limit;
        if found.prompted && finite(self.doubtful_prompt_below).is_some_and(is_doubtful) {
            flags.insert(QualityFlag::DoubtfulPrompt);
        }
        flags
    }

    /// Returns, for each of the masks of a frame, whether it [overlaps](Self::overlap_above) another.
    pub fn overlapping(&self, masks: &[&Mask]) -> Vec<bool> {
        match finite(self.overlap_above) {
            Some(limit) => Mask::overlapping(masks, limit),
            None => vec![false; masks.len()],
        }
    }

    fn jumps(&self, area: u64, earlier: &[u64]) -> bool {
        let Some(factor) = finite(self.area_factor) else { return false };
        if area == 0 {
            return earlier.first().is_some_and(|&last| last > 0);
        }
        let seen = earlier.iter().copied().filter(|&area| area > 0).take(EXPECTED_FROM);
        let Some(usual) = median(seen.collect()) else { return false };
        let factor = factor.max(1.0);
        let (area, usual) = (area as f64, usual as f64);
        area > usual * factor || usual > area * factor
    }
}

fn finite(limit: Option<f32>) -> Option<f64> {
    limit.filter(|limit| limit.is_finite()).map(f64::from)
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(area: u64, object_score: f32) -> Found {
        Found { area, object_score, predicted_iou: 0.8, prompted: false }
    }

    fn expectation(areas: &[u64], prompted_area: u64) -> Expectation {
        Expectation { pixels: 1000, areas: areas.to_vec(), prompted_area: Some(prompted_area) }
    }

    fn judge(found: Found, expected: &Expectation) -> Vec<QualityFlag> {
        QualityOptions::default().judge(found, expected).iter().collect()
    }

    /// Returns the flags of a mask of `area` with a good score after masks of these areas, nearest
    /// first; the mask of the prompted frame had area 100.
    fn after(areas: &[u64], area: u64) -> Vec<QualityFlag> {
        judge(found(area, 5.0), &expectation(areas, 100))
    }

    #[test]
    fn a_usual_mask_has_no_flags() {
        for area in [34, 100, 300] {
            assert_eq!(after(&[100; 5], area), [], "{area}");
        }
        assert_eq!(after(&[], 100), []);
    }

    #[test]
    fn a_score_that_is_not_above_zero_or_no_pixel_is_lost() {
        let nothing_known = Expectation { pixels: 1000, ..Expectation::default() };
        for (area, score) in [(50, 0.0), (50, -0.1), (0, 3.0), (50, f32::NAN)] {
            let flags = judge(found(area, score), &nothing_known);
            assert_eq!(flags, [QualityFlag::Lost], "{area} {score}");
        }
        assert_eq!(judge(found(50, 0.01), &nothing_known), []);
    }

    #[test]
    fn areas_that_jump() {
        assert_eq!(after(&[100; 5], 301), [QualityFlag::AreaJump]);
        assert_eq!(after(&[100; 5], 33), [QualityFlag::AreaJump]);
        // One bad frame does not move the expected area.
        assert_eq!(after(&[900, 100, 100, 100], 110), []);
        // After three frames a lasting change is the expected area.
        assert_eq!(after(&[400, 400, 100, 100, 100], 400), [QualityFlag::AreaJump]);
        assert_eq!(after(&[400, 400, 400, 100, 100], 400), []);
    }

    #[test]
    fn a_mask_that_vanishes_jumps_once_and_one_that_returns_is_measured_by_what_it_was() {
        assert_eq!(after(&[100, 100], 0), [QualityFlag::Lost, QualityFlag::AreaJump]);
        assert_eq!(after(&[0, 100], 0), [QualityFlag::Lost]);
        assert_eq!(after(&[0, 0, 0, 0, 0, 0, 100], 90), []);
        assert_eq!(after(&[0, 0, 100], 20), [QualityFlag::AreaJump]);
        assert_eq!(after(&[0, 0], 20), []);
    }

    #[test]
    fn a_prompted_frame_is_no_jump() {
        let prompted = Found { prompted: true, ..found(400, 5.0) };
        assert_eq!(judge(prompted, &expectation(&[20; 5], 400)), []);
    }

    #[test]
    fn a_prompt_whose_mask_the_model_does_not_believe_in_is_doubtful() {
        for (predicted_iou, doubtful) in [(0.19, true), (f32::NAN, true), (0.2, false)] {
            let prompted = Found { prompted: true, predicted_iou, ..found(100, 5.0) };
            let flags = QualityOptions::default().judge(prompted, &expectation(&[], 100));
            assert_eq!(flags.contains(QualityFlag::DoubtfulPrompt), doubtful, "{predicted_iou}");
            let tracked = Found { prompted: false, ..prompted };
            assert_eq!(judge(tracked, &expectation(&[], 100)), []);
        }
    }

    #[test]
    fn masks_with_the_same_pixels_overlap() {
        let row = |from: usize, to: usize| {
            Mask::from_pixels(20, 1, (0..20).map(|x| (from..to).contains(&x))).unwrap()
        };
        // The first two share 6 of 10 pixels, the third lies within the second, the fourth touches.
        let masks = [row(0, 10), row(4, 16), row(12, 14), row(16, 20), row(0, 0)];
        let overlaps = |count: usize, options: QualityOptions| {
            options.overlapping(&masks.iter().take(count).collect::<Vec<_>>())
        };
        let usual = QualityOptions::default();
        assert_eq!(overlaps(5, usual), [true, true, true, false, false]);
        assert_eq!(overlaps(1, usual), [false]);
        let strict = QualityOptions { overlap_above: Some(0.6), ..usual };
        assert_eq!(overlaps(2, strict), [false, false]);
        assert_eq!(overlaps(3, QualityOptions { overlap_above: None, ..usual }), [false; 3]);
    }

    #[test]
    fn a_flooded_picture_and_an_inverted_mask() {
        let all = [QualityFlag::AreaJump, QualityFlag::NearlyFull, QualityFlag::Inverted];
        assert_eq!(after(&[100; 5], 901), all);
        // Inverted masks are still flagged after they have become usual.
        assert_eq!(after(&[860; 5], 860), [QualityFlag::Inverted]);
        // An object that was large when prompted is not inverted.
        let usual = |area, prompted| judge(found(area, 5.0), &expectation(&[area; 5], prompted));
        assert_eq!(usual(860, 250), []);
        assert_eq!(usual(500, 249), []);
        assert_eq!(usual(950, 800), [QualityFlag::NearlyFull]);
    }

    #[test]
    fn nothing_is_flagged_by_what_is_off_and_nonsense_does_no_harm() {
        let jumps = |factor: f32, area| {
            let options = QualityOptions { area_factor: Some(factor), ..QualityOptions::default() };
            !options.judge(found(area, 5.0), &expectation(&[100; 3], 100)).is_empty()
        };
        for factor in [f32::NAN, f32::INFINITY] {
            assert!(!jumps(factor, 400), "{factor}");
        }
        for factor in [-1.0, 0.0, 1.0] {
            assert!(!jumps(factor, 100) && jumps(factor, 101), "{factor}");
        }
        let off = QualityOptions {
            area_factor: None,
            nearly_full: None,
            inverted_above: None,
            inverted_below: None,
            doubtful_prompt_below: None,
            overlap_above: None,
            disagree_below: None,
        };
        assert!(off.judge(found(990, 5.0), &expectation(&[10; 5], 10)).is_empty());
        assert_eq!(judge(found(0, 5.0), &Expectation::default()), [QualityFlag::Lost]);
    }
}
