//! Frames that a person should look at.

use std::collections::BTreeMap;
use std::ops::Range;

use sam2_mask_writer::LabelledMask;

use crate::prompt::ObjectId;
use crate::session::{FrameRuns, QualityFlag};

/// The frames in which one object's masks have one flag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlaggedFrames {
    /// The flag.
    pub flag: QualityFlag,
    /// Whose masks.
    pub object: ObjectId,
    /// In order; no two touch.
    pub ranges: Vec<Range<usize>>,
}

impl FlaggedFrames {
    /// The frames in `ranges`, which are in order and do not touch.
    pub fn new(flag: QualityFlag, object: ObjectId, ranges: Vec<Range<usize>>) -> Self {
        Self { flag, object, ranges }
    }

    /// Number of frames.
    pub fn count(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }
}

/// Collects flags in any order of frames, in memory that does not grow with rows of flagged frames.
#[derive(Default)]
pub(super) struct FlagCollector(BTreeMap<(QualityFlag, ObjectId), FrameRuns<()>>);

impl FlagCollector {
    /// Takes the flags of a frame, which is number `frame` in the recording.
    pub(super) fn note(&mut self, frame: usize, masks: &[LabelledMask]) {
        for shown in masks {
            for flag in shown.facts.iter().flat_map(|facts| facts.flags.iter()) {
                self.insert(flag, ObjectId(shown.object), frame);
            }
        }
    }

    fn insert(&mut self, flag: QualityFlag, object: ObjectId, frame: usize) {
        self.0.entry((flag, object)).or_default().set(frame, Some(()));
    }

    /// By flag, then by object.
    pub(super) fn into_flagged(self) -> Vec<FlaggedFrames> {
        let flagged = |((flag, object), runs): ((QualityFlag, ObjectId), FrameRuns<()>)| {
            let ranges = runs.iter().map(|(first, last, ())| first..last + 1).collect();
            FlaggedFrames { flag, object, ranges }
        };
        self.0.into_iter().map(flagged).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_ranges_by_flag_and_object() {
        let mut all = FlagCollector::default();
        for frame in [7, 3, 4, 5, 4] {
            all.insert(QualityFlag::AreaJump, ObjectId(2), frame);
        }
        all.insert(QualityFlag::Lost, ObjectId(9), 1);
        all.insert(QualityFlag::AreaJump, ObjectId(1), 0);
        let flagged = all.into_flagged();
        let expected = [
            FlaggedFrames {
                flag: QualityFlag::Lost,
                object: ObjectId(9),
                ranges: std::iter::once(1..2).collect(),
            },
            FlaggedFrames {
                flag: QualityFlag::AreaJump,
                object: ObjectId(1),
                ranges: std::iter::once(0..1).collect(),
            },
            FlaggedFrames {
                flag: QualityFlag::AreaJump,
                object: ObjectId(2),
                ranges: vec![3..6, 7..8],
            },
        ];
        assert_eq!(flagged, expected);
        assert_eq!(flagged[2].count(), 4);
    }
}
