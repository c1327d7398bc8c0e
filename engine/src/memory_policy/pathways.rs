//! Several hypotheses about one object, and the choice of those that are followed.

/// How many hypotheses ("pathways") about an object a session follows, and how it chooses them.
///
/// Each pathway has memories of its own. On every tracked frame the model makes three masks for each
/// pathway, and each mask is a candidate. A candidate's score is the sum of its pathway plus the
/// logarithm of the mask's predicted IoU. The best candidates are the pathways of the next frame.
/// The idea is that of SAM2Long (Ding et al., ICCV 2025, arXiv:2410.16268).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pathways {
    /// Maximum number of pathways of an object; 0 counts as 1. With 1, the default, the mask with
    /// the highest predicted IoU is taken, as in the official predictor.
    pub count: usize,
    /// The model is unsure about a frame if the object score (a logit) of every pathway is closer to
    /// 0 than this. Candidates whose predicted IoUs are equal when rounded to two decimals then count
    /// as the same mask, and only the best of them is followed. `None` or a number that is not
    /// finite = never.
    pub unsure_below: Option<f32>,
}

impl Default for Pathways {
    fn default() -> Self {
        Self { count: 1, unsure_below: None }
    }
}

/// Added to predicted IoUs, so that an IoU of 0 has a logarithm.
const EPSILON: f64 = 1e-6;

/// The candidates of one pathway on a frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Branch {
    /// The pathway's sum before this frame.
    pub(crate) sum: f64,
    /// Logit; above 0 = the model sees the object.
    pub(crate) object_score: f32,
    /// Predicted IoU of each candidate, 0..1, in the decoder's order.
    pub(crate) predicted_ious: Vec<f32>,
}

/// A candidate that is followed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Followed {
    /// Index of the pathway that it continues.
    pub(crate) pathway: usize,
    /// Index of its mask among the pathway's candidates.
    pub(crate) candidate: usize,
    /// The new sum.
    pub(crate) sum: f64,
}

impl Pathways {
    /// Returns the candidates to follow, those with the highest sums, best first. Of candidates with
    /// equal sums, those of the earlier pathway come first, then those earlier in the decoder's
    /// order.
    pub(crate) fn choose(&self, branches: &[Branch]) -> Vec<Followed> {
        let mut candidates: Vec<(Followed, i64)> = Vec::new();
        for (pathway, branch) in branches.iter().enumerate() {
            for (candidate, &iou) in branch.predicted_ious.iter().enumerate() {
                // `max` also turns a NaN into 0.
                let iou = f64::from(iou).max(0.0);
                let sum = branch.sum + (iou + EPSILON).ln();
                candidates
                    .push((Followed { pathway, candidate, sum }, (iou * 100.0).round() as i64));
            }
        }
        // The sort is stable, which settles ties.
        candidates.sort_by(|(a, _), (b, _)| b.sum.total_cmp(&a.sum));
        if self.is_unsure(branches) {
            let mut known = Vec::new();
            candidates.retain(|&(_, rounded)| {
                let new = !known.contains(&rounded);
                known.push(rounded);
                new
            });
        }
        candidates.truncate(self.count.max(1));
        candidates.into_iter().map(|(followed, _)| followed).collect()
    }

    /// Returns true if the model is unsure in every pathway. A score that is not a number counts as
    /// unsure.
    fn is_unsure(&self, branches: &[Branch]) -> bool {
        let is_sure = |score: f32, limit: f32| score.abs() >= limit;
        super::finite(self.unsure_below)
            .is_some_and(|limit| !branches.iter().any(|branch| is_sure(branch.object_score, limit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Pathways = Pathways { count: 3, unsure_below: Some(2.0) };

    fn branch(sum: f64, object_score: f32, predicted_ious: &[f32]) -> Branch {
        Branch { sum, object_score, predicted_ious: predicted_ious.to_vec() }
    }

    /// Returns pathway and candidate of those that are followed.
    fn followed(pathways: Pathways, branches: &[Branch]) -> Vec<(usize, usize)> {
        pathways.choose(branches).iter().map(|f| (f.pathway, f.candidate)).collect()
    }

    #[test]
    fn one_pathway_becomes_as_many_as_are_followed() {
        let first = [branch(0.0, 9.0, &[0.5, 0.9, 0.7])];
        assert_eq!(followed(THREE, &first), [(0, 1), (0, 2), (0, 0)]);
        assert_eq!(followed(Pathways { count: 2, ..THREE }, &first), [(0, 1), (0, 2)]);
        for one in [Pathways::default(), Pathways { count: 0, ..THREE }] {
            assert_eq!(followed(one, &first), [(0, 1)]);
        }
        assert_eq!(followed(THREE, &[]), []);
    }

    #[test]
    fn the_highest_sums_go_on_whatever_pathway_they_continue() {
        let branches = [
            branch(-1.0, 9.0, &[0.2, 0.3, 0.1]),
            branch(-1.2, 9.0, &[0.9, 0.8, 0.1]),
            branch(-3.0, 9.0, &[1.0, 1.0, 1.0]),
        ];
        // -1.2 + ln 0.9 = -1.31, -1.2 + ln 0.8 = -1.42, -1 + ln 0.3 = -2.20, -1 + ln 0.2 = -2.61.
        assert_eq!(followed(THREE, &branches), [(1, 0), (1, 1), (0, 1)]);
        let best = THREE.choose(&branches)[0];
        assert!((best.sum - (-1.2 + 0.9_f64.ln())).abs() < 1e-5, "{}", best.sum);
    }

    #[test]
    fn while_the_model_is_unsure_nearly_equal_ious_are_one_mask() {
        let ious = [[0.801, 0.802, 0.5], [0.8, 0.41, 0.3]];
        let branches = |scores: [f32; 2]| {
            [branch(0.0, scores[0], &ious[0]), branch(-0.1, scores[1], &ious[1])]
        };
        for unsure in [[1.9, -1.9], [0.0, 0.5], [f32::NAN, 1.0]] {
            assert_eq!(followed(THREE, &branches(unsure)), [(0, 1), (0, 2), (1, 1)], "{unsure:?}");
        }
        // One pathway that is sure is enough, also if it is sure that the object is absent.
        for sure in [[2.0, 0.0], [0.0, -2.0]] {
            assert_eq!(followed(THREE, &branches(sure)), [(0, 1), (0, 0), (1, 0)], "{sure:?}");
        }
        for never in [None, Some(f32::NAN), Some(f32::INFINITY)] {
            let pathways = Pathways { unsure_below: never, ..THREE };
            assert_eq!(followed(pathways, &branches([0.0; 2])), [(0, 1), (0, 0), (1, 0)]);
        }
        // Fewer than three differ.
        assert_eq!(followed(THREE, &[branch(0.0, 0.0, &[0.5; 3])]), [(0, 0)]);
    }

    #[test]
    fn of_equal_sums_the_first_comes_first_and_what_is_no_number_comes_last() {
        let equal = [branch(-1.0, 9.0, &[0.5; 3]), branch(-1.0, 9.0, &[0.5; 3])];
        assert_eq!(followed(THREE, &equal), [(0, 0), (0, 1), (0, 2)]);
        let odd = [branch(0.0, 9.0, &[f32::NAN, -1.0, 0.1])];
        assert_eq!(followed(THREE, &odd), [(0, 2), (0, 0), (0, 1)]);
        assert!(THREE.choose(&odd).iter().all(|followed| followed.sum.is_finite()));
    }
}
