//! Candidates for the frames that a person should look at first. They are found in one pass, take
//! little memory, and are chosen to differ from each other.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use sam2_mask_writer::{LabelledMask, MaskFacts, QualityFlag, QualityFlags};

use crate::object::agreement;
use crate::shot::Shot;

/// Number of segments of the recording. Each keeps its own worst frames, so that one bad minute
/// does not crowd out everything else.
const SEGMENTS: usize = 24;
/// Number of frames that a segment keeps.
const MOST_OF_SEGMENT: usize = 16;
/// Number of unflagged frames that are shown.
const MOST_UNFLAGGED: usize = 6;
/// A mask whose predicted IoU is below this is worth a look.
const DOUBTFUL_IOU: f32 = 0.9;
/// A change of area by more than this factor is worth a look, flagged or not.
const NOTICEABLE_CHANGE: f64 = 1.3;
/// Weight of another frame with the same reason or the same object.
const SAME_REASON: f64 = 0.75;
const SAME_OBJECT: f64 = 0.85;

/// A reason to look at a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// A flag of the run.
    Flag(QualityFlag),
    /// The predicted IoU of the mask is low.
    Doubtful,
    /// The area changes, but too little for a flag; or the mask vanishes and there are no facts
    /// that explain it.
    Change,
}

/// The facts about one mask when its frame is added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    pub object: u32,
    pub facts: Option<&'a MaskFacts>,
    /// Fraction of the frame that the mask covers, 0 to 1.
    pub share: f64,
    /// Factor by which the area changed, 1 or more; `None` unless both this frame's mask and the
    /// previous one have pixels.
    pub change: Option<f64>,
    /// Flags that the mask has and that of the frame before did not have.
    pub begun: QualityFlags,
}

impl Sight<'_> {
    /// Returns the reasons to look at the frame, each with its urgency.
    fn reasons(&self) -> impl Iterator<Item = (Reason, f64)> + '_ {
        let Self { facts, change, .. } = *self;
        let change = change.map(f64::ln);
        let flags = facts.map(|facts| facts.flags).unwrap_or_default();
        let flagged = flags.iter().map(|flag| (Reason::Flag(flag), self.urgency(flag)));
        let doubt = facts.filter(|facts| flags.is_empty() && facts.predicted_iou < DOUBTFUL_IOU);
        let doubt = doubt
            .map(|facts| (Reason::Doubtful, 2.0 * (1.0 - f64::from(facts.predicted_iou.max(0.0)))));
        // Prompts are meant to change masks, so a change on a prompted frame is no reason.
        let quiet = flags.is_empty() && !facts.is_some_and(|facts| facts.prompted);
        let change = change.filter(|&change| quiet && change > NOTICEABLE_CHANGE.ln());
        flagged.chain(doubt).chain(change.map(|change| (Reason::Change, change.min(1.0))))
    }

    /// Returns the urgency of a flag of this mask.
    fn urgency(&self, flag: QualityFlag) -> f64 {
        // The first frame of a span says most: it shows what happened, and a prompt there mends the
        // frames that follow.
        let begins = self.begun.contains(flag);
        let at_first = |first: f64, later: f64| if begins { first } else { later };
        match flag {
            QualityFlag::Inverted => 7.0 + self.share,
            QualityFlag::NearlyFull => 6.0 + self.share,
            // The wrong animal is worse than a lost one: nothing else in the masks shows it. Such a
            // frame comes before the first lost one also where its object was shown before.
            QualityFlag::OffTrack | QualityFlag::Overlap => at_first(5.6, 3.0),
            QualityFlag::Disagree => {
                let agreement = f64::from(agreement(self.facts).unwrap_or(0.5)).clamp(0.0, 1.0);
                at_first(5.4, 2.8) + 0.4 * (1.0 - agreement)
            }
            QualityFlag::DoubtfulPrompt => at_first(4.5, 2.5),
            QualityFlag::Lost => at_first(4.0, 2.0),
            QualityFlag::AreaJump => 3.0 + self.change.map_or(1.5, f64::ln).min(3.0) / 3.0,
            _ => 3.0,
        }
    }
}

/// A frame that may be shown.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    frame: usize,
    object: u32,
    reason: Reason,
    urgency: f64,
}

/// A frame that may be shown, with its masks until they are drawn.
type Worst = (Candidate, Arc<Vec<LabelledMask>>);

/// The worst frames of the recording so far.
pub(crate) struct Candidates {
    frames: Range<usize>,
    picture: (u32, u32),
    segment: usize,
    /// The worst frames of the current segment, one per reason and object.
    present: BTreeMap<(Reason, u32), Worst>,
    past: Vec<Candidate>,
    shots: BTreeMap<usize, Shot>,
}

impl Candidates {
    /// Starts the search in these frames, which are shown as pictures of size `picture`.
    pub(crate) fn new(frames: Range<usize>, picture: (u32, u32)) -> Self {
        Self {
            frames,
            picture,
            segment: 0,
            present: BTreeMap::new(),
            past: Vec::new(),
            shots: BTreeMap::new(),
        }
    }

    /// Adds the next frame.
    pub(crate) fn add(&mut self, frame: usize, masks: &[LabelledMask], sights: &[Sight<'_>]) {
        let at = frame.saturating_sub(self.frames.start) as u128;
        let segment = (at * SEGMENTS as u128 / self.frames.len().max(1) as u128) as usize;
        if segment != self.segment {
            self.close_segment();
            self.segment = segment;
        }
        // Copied at most once, and only if the frame is among the worst so far.
        let mut copy: Option<Arc<Vec<LabelledMask>>> = None;
        for sight in sights {
            for (reason, urgency) in sight.reasons() {
                let key = (reason, sight.object);
                if self.present.get(&key).is_some_and(|(worst, _)| worst.urgency >= urgency) {
                    continue;
                }
                let candidate = Candidate { frame, object: sight.object, reason, urgency };
                let masks = copy.get_or_insert_with(|| Arc::new(masks.to_vec()));
                self.present.insert(key, (candidate, Arc::clone(masks)));
            }
        }
    }

    /// Ends a segment and draws the frames it keeps, so that their masks can be released.
    fn close_segment(&mut self) {
        let mut worst: Vec<_> = std::mem::take(&mut self.present).into_values().collect();
        worst.sort_by(|(a, _), (b, _)| b.urgency.total_cmp(&a.urgency));
        worst.truncate(MOST_OF_SEGMENT);
        for (candidate, masks) in worst {
            let draw = || Shot::draw(candidate.frame, &masks, self.picture);
            self.shots.entry(candidate.frame).or_insert_with(draw);
            self.past.push(candidate);
        }
    }

    /// Returns at most `most` frames, worst first. They are not close to each other, and have
    /// different reasons and objects where possible.
    pub(crate) fn choose(mut self, most: usize) -> Vec<(Shot, Reason, u32)> {
        self.close_segment();
        let mut spacing = (self.frames.len() / (3 * most.max(1))).max(2);
        let closest = (spacing / 8).max(2);
        let mut chosen: Vec<Candidate> = Vec::new();
        while chosen.len() < most {
            let weight = |candidate: &Candidate| {
                chosen.iter().fold(candidate.urgency, |weight, other| {
                    let reason = if other.reason == candidate.reason { SAME_REASON } else { 1.0 };
                    let object = if other.object == candidate.object { SAME_OBJECT } else { 1.0 };
                    weight * reason * object
                })
            };
            let apart = |candidate: &&Candidate| {
                chosen.iter().all(|other| other.frame.abs_diff(candidate.frame) >= spacing)
            };
            // Flagged frames are shown as long as there is room; of the others only a few.
            let quiet = |candidate: &Candidate| !matches!(candidate.reason, Reason::Flag(_));
            let enough = chosen.iter().filter(|other| quiet(other)).count() >= MOST_UNFLAGGED;
            let wanted = |candidate: &&Candidate| !(enough && quiet(candidate));
            let open = self.past.iter().filter(apart).filter(wanted);
            let next = open.max_by(|a, b| weight(a).total_cmp(&weight(b)));
            match next {
                Some(next) => chosen.push(*next),
                None if spacing > closest => spacing = (spacing / 2).max(closest),
                None => break,
            }
        }
        let shot = |candidate: Candidate| {
            let shot = self.shots.remove(&candidate.frame)?;
            Some((shot, candidate.reason, candidate.object))
        };
        chosen.into_iter().filter_map(shot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam2_mask_writer::Mask;

    fn facts(iou: f32, flags: &[QualityFlag]) -> MaskFacts {
        let flags: QualityFlags = flags.iter().copied().collect();
        MaskFacts { object_score: 5.0, predicted_iou: iou, prompted: false, flags, agreement: None }
    }

    fn sight(object: u32, facts: &MaskFacts, begun: QualityFlags) -> Sight<'_> {
        Sight { object, facts: Some(facts), share: 0.1, change: Some(1.0), begun }
    }

    /// Returns the frames chosen from a recording whose frames have these facts of one object.
    fn chosen(frames: usize, most: usize, facts_of: impl Fn(usize) -> MaskFacts) -> Vec<usize> {
        let mut candidates = Candidates::new(0..frames, (4, 4));
        let mut before = QualityFlags::NONE;
        for frame in 0..frames {
            let facts = facts_of(frame);
            let masks = [LabelledMask::new(1, Mask::empty(4, 4))];
            let begun = facts.flags.iter().filter(|&flag| !before.contains(flag)).collect();
            candidates.add(frame, &masks, &[sight(1, &facts, begun)]);
            before = facts.flags;
        }
        candidates.choose(most).iter().map(|(shot, ..)| shot.frame).collect()
    }

    #[test]
    fn the_worst_comes_first_and_neighbours_do_not_crowd() {
        let frames = chosen(1000, 6, |frame| match frame {
            500..540 => facts(0.2, &[QualityFlag::Inverted]),
            100..400 => facts(0.1, &[QualityFlag::Lost]),
            900 => facts(0.5, &[]),
            _ => facts(0.95, &[]),
        });
        assert_eq!(frames[0], 500);
        assert_eq!(frames[1], 100, "where it was lost: {frames:?}");
        assert!(frames.contains(&900), "{frames:?}");
        let near = |a: usize| frames.iter().filter(|b| b.abs_diff(a) < 6).count();
        assert!(frames.iter().all(|&frame| near(frame) == 1), "{frames:?}");
    }

    #[test]
    fn the_wrong_animal_comes_before_a_lost_one_and_a_span_is_shown_where_it_begins() {
        let frames = chosen(2400, 8, |frame| match frame {
            100..200 => facts(0.9, &[QualityFlag::Lost]),
            500 => facts(0.9, &[QualityFlag::AreaJump]),
            700..790 => facts(0.9, &[QualityFlag::OffTrack]),
            1000..1190 => {
                MaskFacts { agreement: Some(0.2), ..facts(0.9, &[QualityFlag::Disagree]) }
            }
            1400..1600 => facts(0.9, &[QualityFlag::Overlap]),
            1800 => facts(0.9, &[QualityFlag::DoubtfulPrompt]),
            2000..2100 => facts(0.9, &[QualityFlag::Inverted]),
            2200 => facts(0.9, &[QualityFlag::NearlyFull]),
            _ => facts(0.95, &[]),
        });
        // The weight of a further frame of the same object is the same for all of these.
        assert_eq!(frames[..2], [2000, 2200]);
        let wrong_animal: Vec<usize> = {
            let mut frames = frames[2..5].to_vec();
            frames.sort_unstable();
            frames
        };
        assert_eq!(wrong_animal, [700, 1000, 1400], "{frames:?}");
        assert_eq!(frames[5..8], [1800, 100, 500], "{frames:?}");
    }

    #[test]
    fn masks_that_agree_least_come_first() {
        let frames = chosen(1000, 1, |frame| match frame {
            200 => MaskFacts { agreement: Some(0.4), ..facts(0.9, &[QualityFlag::Disagree]) },
            400 => MaskFacts { agreement: Some(0.0), ..facts(0.9, &[QualityFlag::Disagree]) },
            600 => MaskFacts { agreement: Some(f32::NAN), ..facts(0.9, &[QualityFlag::Disagree]) },
            _ => facts(0.95, &[]),
        });
        assert_eq!(frames, [400]);
    }

    #[test]
    fn a_prompted_frame_is_shown_if_the_model_doubts_it() {
        let frames = chosen(100, 6, |frame| {
            let iou = if frame == 40 { 0.2 } else { 0.7 + 0.001 * frame as f32 };
            MaskFacts { prompted: frame == 40, ..facts(iou, &[]) }
        });
        assert_eq!(frames[0], 40);
        assert!(frames.len() <= MOST_UNFLAGGED);
    }

    #[test]
    fn a_good_run_has_nothing_to_show() {
        assert!(chosen(100, 6, |_| facts(0.97, &[])).is_empty());
        assert!(chosen(0, 6, |_| facts(0.97, &[])).is_empty());
    }

    #[test]
    fn one_object_in_trouble_does_not_hide_another() {
        let mut candidates = Candidates::new(0..1000, (4, 4));
        let lost = facts(0.1, &[QualityFlag::Lost]);
        let jump = facts(0.6, &[QualityFlag::AreaJump]);
        for frame in 0..1000 {
            let begun = if frame % 50 == 0 { lost.flags } else { QualityFlags::NONE };
            let mut sights = vec![sight(1, &lost, begun)];
            if frame == 700 {
                sights.push(sight(2, &jump, jump.flags));
            }
            candidates.add(frame, &[], &sights);
        }
        let chosen = candidates.choose(8);
        assert!(chosen.iter().any(|(shot, _, object)| shot.frame == 700 && *object == 2));
    }
}
