//! Chooses between the two masks of a frame that was tracked from both sides.

use std::collections::BTreeMap;

use sam2_engine::{ObjectId, QualityFlag};
use sam2_mask_writer::LabelledMask;

use super::stretches::Stretches;
use crate::track_evidence::TrackEvidence;

/// How much the model's scores count beside the pose track: they only break ties.
const SCORES_BESIDE_TRACK: f32 = 0.01;

/// One of the two sides from which a frame was tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// From the prompt before it.
    Forward,
    /// From the prompt after it.
    Reverse,
}

/// What is known of the two masks of an object on a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    /// IoU of the two masks, 0..1.
    pub(super) agreement: f32,
    /// How much speaks for the forward mask; negative if more speaks for the reverse one.
    pub(super) gain: f32,
}

impl Pair {
    /// Compares the two masks of an object.
    pub(super) fn of(
        frame: usize,
        forward: &LabelledMask,
        reverse: &LabelledMask,
        track: Option<&TrackEvidence>,
    ) -> Self {
        let agreement = forward.mask.iou(&reverse.mask) as f32;
        let scores = confidence(forward) - confidence(reverse);
        let object = ObjectId(forward.object);
        let fit = track.and_then(|track| {
            let of = |shown: &LabelledMask| track.of(frame, object, &shown.mask);
            Some(of(forward)?.fit() - of(reverse)?.fit())
        });
        let gain = match (fit, track) {
            (Some(fit), _) => fit + SCORES_BESIDE_TRACK * scores,
            // The track is not sure here, but it may be on the frames around.
            (None, Some(_)) => SCORES_BESIDE_TRACK * scores,
            (None, None) => scores,
        };
        Self { agreement, gain: if gain.is_finite() { gain } else { 0.0 } }
    }
}

/// Returns how sure the model is of a mask, 0..2: that it sees the object at all, and how well the
/// mask fits.
fn confidence(shown: &LabelledMask) -> f32 {
    shown.facts.map_or(0.0, |facts| {
        let seen = 1.0 / (1.0 + (-facts.object_score).exp());
        seen + facts.predicted_iou
    })
}

/// The decisions about the frames of a stretch.
#[derive(Debug, Default)]
pub(super) struct Choices {
    /// For each object, the frames on which its two masks differ, and the side that is taken there.
    differing: BTreeMap<ObjectId, BTreeMap<usize, Side>>,
}

impl Choices {
    /// Decides on every run of frames on which the two masks of an object disagree, their IoU being
    /// below `limit`.
    ///
    /// A pass follows the animal from its prompt until it takes another, and seldom comes back. So
    /// along a run the forward mask is right first, and the reverse mask at last: the change is where
    /// most speaks for either side, summed over the run. A single frame, on which the scores or the
    /// track may be wrong, does not decide.
    pub(super) fn new(
        pairs: &BTreeMap<ObjectId, BTreeMap<usize, Pair>>,
        limit: Option<f32>,
    ) -> Self {
        let mut choices = Self::default();
        let Some(limit) = limit.filter(|limit| limit.is_finite()) else { return choices };
        for (&object, pairs) in pairs {
            let mut run: Vec<(usize, f32)> = Vec::new();
            let differing = choices.differing.entry(object).or_default();
            for (&frame, pair) in pairs {
                let disagrees = !(pair.agreement >= limit);
                let continues = run.last().is_none_or(|(last, _)| last + 1 == frame);
                if !(disagrees && continues) {
                    decide(&std::mem::take(&mut run), differing);
                }
                if disagrees {
                    run.push((frame, pair.gain));
                }
            }
            decide(&run, differing);
        }
        choices
    }

    /// Returns the side that is taken where the masks of an object disagree on the frame; `None` where
    /// they agree.
    pub(super) fn of(&self, object: ObjectId, frame: usize) -> Option<Side> {
        self.differing.get(&object)?.get(&frame).copied()
    }
}

/// Decides on one run.
fn decide(run: &[(usize, f32)], differing: &mut BTreeMap<usize, Side>) {
    // Of equally good places, the one nearest to the middle: each mask is better near its prompt.
    let mut best = (f32::NEG_INFINITY, 0);
    let mut sum: f32 = run.iter().map(|(_, gain)| -gain).sum();
    for place in 0..=run.len() {
        let middle = |place: usize| place.abs_diff(run.len() - place);
        if sum > best.0 || (sum == best.0 && middle(place) < middle(best.1)) {
            best = (sum, place);
        }
        sum += run.get(place).map_or(0.0, |(_, gain)| 2.0 * gain);
    }
    for (index, &(frame, _)) in run.iter().enumerate() {
        let side = if index < best.1 { Side::Forward } else { Side::Reverse };
        differing.insert(frame, side);
    }
}

/// Returns the masks of a frame from those of both sides, by object.
pub(super) fn combined(
    frame: usize,
    forward: Vec<LabelledMask>,
    reverse: Vec<LabelledMask>,
    stretches: &Stretches,
    pairs: &BTreeMap<ObjectId, BTreeMap<usize, Pair>>,
    choices: &Choices,
) -> Vec<LabelledMask> {
    let mut all: BTreeMap<u32, LabelledMask> =
        forward.into_iter().map(|shown| (shown.object, shown)).collect();
    for other in reverse {
        let object = ObjectId(other.object);
        let Some(mine) = all.get_mut(&other.object) else {
            all.insert(other.object, other);
            continue;
        };
        let Some(pair) = pairs.get(&object).and_then(|pairs| pairs.get(&frame)) else { continue };
        let differs = choices.of(object, frame);
        let side = differs.unwrap_or_else(|| nearer(stretches, object, frame));
        if side == Side::Reverse {
            *mine = other;
        }
        if let Some(facts) = &mut mine.facts {
            facts.agreement = Some(pair.agreement);
            if differs.is_some() {
                facts.flags.insert(QualityFlag::Disagree);
            }
        }
    }
    all.into_values().collect()
}

/// Returns the side whose prompt is nearer; forward in the middle.
fn nearer(stretches: &Stretches, object: ObjectId, frame: usize) -> Side {
    match (stretches.behind(object, frame), stretches.ahead(object, frame)) {
        (Some(behind), Some(ahead)) if ahead - frame < frame - behind => Side::Reverse,
        (None, Some(_)) => Side::Reverse,
        _ => Side::Forward,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ObjectId = ObjectId(1);

    /// Returns the sides chosen along frames with these agreements and gains.
    fn sides(pairs: &[(f32, f32)]) -> String {
        let pairs: BTreeMap<usize, Pair> =
            (10..).zip(pairs.iter().map(|&(agreement, gain)| Pair { agreement, gain })).collect();
        let count = pairs.len();
        let choices = Choices::new(&BTreeMap::from([(ONE, pairs)]), Some(0.5));
        let side = |frame| match choices.of(ONE, frame) {
            None => '.',
            Some(Side::Forward) => 'f',
            Some(Side::Reverse) => 'r',
        };
        (10..10 + count).map(side).collect()
    }

    #[test]
    fn a_run_changes_sides_once_where_most_speaks_for_it() {
        let runs = [(0.9, -9.0), (0.1, 1.0), (0.1, -0.4), (0.1, 1.0), (0.4, -1.0), (0.0, -1.0)];
        assert_eq!(sides(&runs), ".fffrr");
        // Runs are decided one by one.
        assert_eq!(sides(&[(0.1, 1.0), (0.5, 0.0), (0.1, -1.0)]), "f.r");
        assert_eq!(sides(&[(0.1, 1.0); 3]), "fff");
        assert_eq!(sides(&[(0.1, -1.0); 3]), "rrr");
        // Nothing to go by: each side has its half.
        assert_eq!(sides(&[(0.1, 0.0); 4]), "ffrr");
        assert_eq!(sides(&[(f32::NAN, 1.0)]), "f");
        assert_eq!(sides(&[]), "");
    }

    #[test]
    fn nothing_is_decided_without_a_limit() {
        let pairs = BTreeMap::from([(3, Pair { agreement: 0.0, gain: 1.0 })]);
        let choices = Choices::new(&BTreeMap::from([(ONE, pairs)]), None);
        assert_eq!(choices.of(ONE, 3), None);
    }
}
