//! The data of one object on the page.

use std::ops::Range;

use sam2_mask_writer::{MaskFacts, QualityFlag, QualityFlags};

use crate::series::Series;
use crate::spans::Spans;

/// Returns the agreement of the two masks that a mask was chosen from, if it is known and a number.
pub(crate) fn agreement(facts: Option<&MaskFacts>) -> Option<f32> {
    facts?.agreement.filter(|agreement| agreement.is_finite())
}

/// The history of one object over the recording.
#[derive(Clone, Debug)]
pub(crate) struct ObjectHistory {
    pub object: u32,
    /// Area of the mask in pixels.
    pub area: Series,
    /// Object scores (logits).
    pub score: Series,
    /// Predicted IoU, 0 to 1.
    pub iou: Series,
    /// IoU of the two masks of frames that were tracked from two sides, 0 to 1.
    pub agreement: Series,
    /// Frames with each flag, in the order of [`QualityFlag::ALL`].
    flagged: [Spans; QualityFlag::ALL.len()],
    /// Frames with any flag.
    pub any_flag: Spans,
    /// Frames on which the object was prompted.
    pub prompted: Spans,
    /// Number of frames in which its mask has pixels.
    pub visible: usize,
    /// Number of frames in which it was tracked.
    pub tracked: usize,
    /// The frame that was added last, and the object's area there.
    last: Option<(usize, u64)>,
}

impl ObjectHistory {
    /// Starts the history of an object over these frames.
    pub(crate) fn new(object: u32, frames: &Range<usize>) -> Self {
        Self {
            object,
            area: Series::new(frames),
            score: Series::new(frames),
            iou: Series::new(frames),
            agreement: Series::new(frames),
            flagged: Default::default(),
            any_flag: Spans::default(),
            prompted: Spans::default(),
            visible: 0,
            tracked: 0,
            last: None,
        }
    }

    /// Adds the next frame. Returns the factor by which the area changed since the previous frame,
    /// 1 or more; `None` if the mask of either frame has no pixels.
    pub(crate) fn add(
        &mut self,
        frame: usize,
        area: u64,
        facts: Option<&MaskFacts>,
    ) -> Option<f64> {
        self.tracked += 1;
        self.visible += usize::from(area > 0);
        self.area.push(frame, area as f32);
        if let Some(facts) = facts {
            self.score.push(frame, facts.object_score);
            self.iou.push(frame, facts.predicted_iou);
            if let Some(agreement) = facts.agreement {
                self.agreement.push(frame, agreement);
            }
            for (flag, spans) in QualityFlag::ALL.into_iter().zip(&mut self.flagged) {
                if facts.flags.contains(flag) {
                    spans.push(frame);
                }
            }
            if !facts.flags.is_empty() {
                self.any_flag.push(frame);
            }
            if facts.prompted {
                self.prompted.push(frame);
            }
        }
        let before = self.last.replace((frame, area));
        let (_, before) =
            before.filter(|&(last, before)| last + 1 == frame && before > 0 && area > 0)?;
        let (a, b) = (before as f64, area as f64);
        Some((a / b).max(b / a))
    }

    /// Returns the frames with a flag.
    pub(crate) fn flagged(&self, flag: QualityFlag) -> &Spans {
        let at = QualityFlag::ALL.iter().position(|&other| other == flag).unwrap_or(0);
        &self.flagged[at]
    }

    /// Returns the flags of the frame that was added last that the frame before it did not have.
    pub(crate) fn begun(&self) -> QualityFlags {
        let begins = |spans: &Spans| {
            let first = spans.ranges().last().map(|range| range.start);
            first.is_some() && first == self.last.map(|(frame, _)| frame)
        };
        let flagged = QualityFlag::ALL.into_iter().zip(&self.flagged);
        flagged.filter(|(_, spans)| begins(spans)).map(|(flag, _)| flag).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_begins_once() {
        let mut history = ObjectHistory::new(1, &(0..4));
        let begun = [
            &[QualityFlag::Overlap][..],
            &[QualityFlag::Overlap, QualityFlag::Disagree],
            &[],
            &[QualityFlag::Overlap],
        ]
        .map(|flags| {
            let facts = MaskFacts {
                object_score: 1.0,
                predicted_iou: 0.5,
                prompted: false,
                flags: flags.iter().copied().collect(),
                agreement: None,
            };
            history.add(history.tracked, 1, Some(&facts));
            history.begun().iter().collect::<Vec<_>>()
        });
        let expected = [
            vec![QualityFlag::Overlap],
            vec![QualityFlag::Disagree],
            vec![],
            vec![QualityFlag::Overlap],
        ];
        assert_eq!(begun, expected);
    }
}
