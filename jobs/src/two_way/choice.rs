//! Chooses between the two masks of a frame that was tracked from both sides.

use std::collections::BTreeMap;

use sam2_engine::{ObjectId, QualityFlag};
use sam2_mask_writer::LabelledMask;

use super::witness::Witness;

/// The comparisons of each object, by frame.
pub(super) type Pairs = BTreeMap<ObjectId, BTreeMap<usize, Pair>>;

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
    /// How much the track speaks for the forward mask; negative if it speaks for the reverse one. 0
    /// without a track, and where it is not sure.
    pub(super) gain: f32,
    /// The one mask that is where the track is, if the other one is not.
    pub(super) confirmed: Option<Side>,
}

impl Pair {
    /// Compares the two masks of an object.
    ///
    /// The model's own scores do not count. On held-out clips they were no help: a pass that follows
    /// the wrong animal is as sure of it as the other pass is of the right one (`docs/passes.md`).
    pub(super) fn of(
        frame: usize,
        forward: &LabelledMask,
        reverse: &LabelledMask,
        track: Option<&Witness<'_>>,
    ) -> Self {
        let agreement = forward.mask.iou(&reverse.mask) as f32;
        let object = ObjectId(forward.object);
        let witnessed = |shown: &LabelledMask| track?.of(frame, object, &shown.mask);
        let (Some(ahead), Some(back)) = (witnessed(forward), witnessed(reverse)) else {
            return Self { agreement, gain: 0.0, confirmed: None };
        };
        let seen = ahead.own.is_some();
        let confirmed = match (seen && ahead.is_on_track(), seen && back.is_on_track()) {
            (true, false) => Some(Side::Forward),
            (false, true) => Some(Side::Reverse),
            _ => None,
        };
        // Where the animal is not seen, the track says at most where it is not.
        let gain = if seen { ahead.fit() - back.fit() } else { 0.0 };
        Self { agreement, gain, confirmed }
    }
}

/// The decisions about the frames of a stretch.
#[derive(Debug, Default)]
pub(super) struct Choices {
    /// For each object, the frames on which its two masks differ, and the side that is taken there.
    differing: BTreeMap<ObjectId, BTreeMap<usize, Side>>,
}

impl Choices {
    /// Decides on every run of frames on which the two masks of an object disagree, their IoU being
    /// below `limit`. `middle` gives the frame in the middle between the prompts on both sides of one.
    ///
    /// A pass follows the animal from its prompt until it takes another, and seldom comes back. So
    /// along a run the forward mask is right first, and the reverse mask at last: the change is where
    /// the track speaks most for either side, summed over the run, since on a single frame it may be
    /// wrong. Where it has nothing to say, the change is in the middle between the prompts.
    pub(super) fn new(
        pairs: &Pairs,
        limit: Option<f32>,
        middle: impl Fn(ObjectId, usize) -> f32,
    ) -> Self {
        let mut choices = Self::default();
        let Some(limit) = limit.filter(|limit| limit.is_finite()) else { return choices };
        for (&object, pairs) in pairs {
            let mut run: Vec<(usize, f32)> = Vec::new();
            let differing = choices.differing.entry(object).or_default();
            let mut end = |run: &mut Vec<(usize, f32)>| {
                if let Some(&(first, _)) = run.first() {
                    decide(run, middle(object, first), differing);
                    run.clear();
                }
            };
            for (&frame, pair) in pairs {
                let disagrees = pair.agreement.is_nan() || pair.agreement < limit;
                let continues = run.last().is_none_or(|(last, _)| last + 1 == frame);
                if !(disagrees && continues) {
                    end(&mut run);
                }
                if disagrees {
                    run.push((frame, pair.gain));
                }
            }
            end(&mut run);
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
fn decide(run: &[(usize, f32)], middle: f32, differing: &mut BTreeMap<usize, Side>) {
    let first = run.first().map_or(0, |(frame, _)| *frame);
    // The first frame of the reverse side is `first + place`, half a frame behind the change.
    let from_middle = |place: usize| ((first + place) as f32 - 0.5 - middle).abs();
    let mut best = (f32::NEG_INFINITY, 0);
    let mut sum: f32 = run.iter().map(|(_, gain)| -gain).sum();
    for place in 0..=run.len() {
        // The frame in the middle belongs to the forward side.
        if sum > best.0 || (sum == best.0 && from_middle(place) <= from_middle(best.1)) {
            best = (sum, place);
        }
        sum += run.get(place).map_or(0.0, |(_, gain)| 2.0 * gain);
    }
    for (index, &(frame, _)) in run.iter().enumerate() {
        let side = if index < best.1 { Side::Forward } else { Side::Reverse };
        differing.insert(frame, side);
    }
}

/// Returns the masks of a frame from those of both sides, by object. `middle` gives the frame in the
/// middle between the prompts on both sides of one.
pub(super) fn combined(
    frame: usize,
    forward: Vec<LabelledMask>,
    reverse: Vec<LabelledMask>,
    middle: impl Fn(ObjectId, usize) -> f32,
    pairs: &Pairs,
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
        let side = differs.unwrap_or(match frame as f32 > middle(object, frame) {
            true => Side::Reverse,
            false => Side::Forward,
        });
        if side == Side::Reverse {
            *mine = other;
        }
        if let Some(facts) = &mut mine.facts {
            facts.agreement = Some(pair.agreement);
            // Where the track confirms the mask that is taken, and not the other, nothing is open.
            if differs.is_some() && pair.confirmed != Some(side) {
                facts.flags.insert(QualityFlag::Disagree);
            }
        }
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ObjectId = ObjectId(1);

    fn pair(agreement: f32, gain: f32) -> Pair {
        Pair { agreement, gain, confirmed: None }
    }

    /// Returns the sides chosen along the frames from 10 on, with these agreements and gains, where 12
    /// is the middle between two prompts.
    fn sides(pairs: &[(f32, f32)]) -> String {
        let pairs: BTreeMap<usize, Pair> =
            (10..).zip(pairs.iter().map(|&(agreement, gain)| pair(agreement, gain))).collect();
        let count = pairs.len();
        let choices = Choices::new(&BTreeMap::from([(ONE, pairs)]), Some(0.5), |_, _| 12.0);
        let side = |frame| match choices.of(ONE, frame) {
            None => '.',
            Some(Side::Forward) => 'f',
            Some(Side::Reverse) => 'r',
        };
        (10..10 + count).map(side).collect()
    }

    #[test]
    fn a_run_changes_sides_once_where_the_track_speaks_most_for_it() {
        let runs = [(0.9, -9.0), (0.1, 1.0), (0.1, -0.4), (0.1, 1.0), (0.4, -1.0), (0.0, -1.0)];
        assert_eq!(sides(&runs), ".fffrr");
        // Runs are decided one by one.
        assert_eq!(sides(&[(0.1, 1.0), (0.5, 0.0), (0.1, -1.0)]), "f.r");
        assert_eq!(sides(&[(0.1, 1.0); 3]), "fff");
        assert_eq!(sides(&[(0.1, -1.0); 3]), "rrr");
        // Nothing to go by: each frame is taken from the nearer prompt, the middle from the earlier.
        assert_eq!(sides(&[(0.1, 0.0); 6]), "fffrrr");
        assert_eq!(sides(&[(0.1, 0.0); 2]), "ff");
        assert_eq!(sides(&[(f32::NAN, 1.0)]), "f");
        assert_eq!(sides(&[]), "");
    }

    #[test]
    fn nothing_is_decided_without_a_limit() {
        let pairs = BTreeMap::from([(ONE, BTreeMap::from([(3, pair(0.0, 1.0))]))]);
        assert_eq!(Choices::new(&pairs, None, |_, _| 0.0).of(ONE, 3), None);
    }
}
