//! What the page says about one object.

use std::ops::Range;

use sam2_mask_writer::{MaskFacts, QualityFlag};

use crate::series::Series;
use crate::spans::Spans;

/// One object through the recording.
#[derive(Clone, Debug)]
pub(crate) struct ObjectHistory {
    pub object: u32,
    /// Pixels.
    pub area: Series,
    /// Logits.
    pub score: Series,
    /// 0 to 1.
    pub iou: Series,
    /// Frames with each flag, in the order of [`QualityFlag::ALL`].
    flagged: [Spans; QualityFlag::ALL.len()],
    /// Frames with any flag.
    pub any_flag: Spans,
    /// Frames on which somebody said where it is.
    pub prompted: Spans,
    /// Frames in which its mask has pixels.
    pub visible: usize,
    /// Frames in which it was looked for.
    pub tracked: usize,
    /// The frame looked at last, and its area there.
    last: Option<(usize, u64)>,
}

impl ObjectHistory {
    /// For these frames.
    pub(crate) fn new(object: u32, frames: &Range<usize>) -> Self {
        Self {
            object,
            area: Series::new(frames),
            score: Series::new(frames),
            iou: Series::new(frames),
            flagged: Default::default(),
            any_flag: Spans::default(),
            prompted: Spans::default(),
            visible: 0,
            tracked: 0,
            last: None,
        }
    }

    /// Takes the next frame; says by what factor the area changed since the frame before, 1 or more (`None` if that frame or
    /// this has no pixels).
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

    /// The frames with a flag.
    pub(crate) fn flagged(&self, flag: QualityFlag) -> &Spans {
        let at = QualityFlag::ALL.iter().position(|&other| other == flag).unwrap_or(0);
        &self.flagged[at]
    }
}
