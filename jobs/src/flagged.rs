//! Frames that a person should look at.

use std::collections::BTreeMap;
use std::ops::Range;

use sam2_mask_writer::LabelledMask;

use sam2_engine::ObjectId;
use sam2_engine::{FrameRuns, QualityFlag};

/// The frames in which the masks of one object have one flag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlaggedFrames {
    /// The flag.
    pub flag: QualityFlag,
    /// The object of the masks.
    pub object: ObjectId,
    /// Frame ranges in ascending order. No two touch.
    pub ranges: Vec<Range<usize>>,
}

impl FlaggedFrames {
    /// Creates a list of frames from `ranges`, which must be in ascending order and must not touch.
    pub fn new(flag: QualityFlag, object: ObjectId, ranges: Vec<Range<usize>>) -> Self {
        Self { flag, object, ranges }
    }

    /// Returns the number of frames.
    pub fn count(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }
}

/// Collects flags of frames in any order. Consecutive flagged frames take no additional memory.
#[derive(Default)]
pub(super) struct FlagCollector(BTreeMap<(QualityFlag, ObjectId), FrameRuns<()>>);

impl FlagCollector {
    /// Adds the flags of frame `frame`, numbered in the recording.
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

    /// Returns the flagged frames, ordered by flag, then by object.
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
