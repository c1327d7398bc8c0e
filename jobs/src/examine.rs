//! Flags that depend on all masks of a frame, or on the pose track.

use sam2_engine::{ObjectId, QualityFlag, QualityOptions};
use sam2_mask_writer::LabelledMask;

use crate::track_evidence::TrackEvidence;

/// Sets and clears these flags on the final masks of a frame.
pub(super) fn examine(
    frame: usize,
    masks: &mut [LabelledMask],
    quality: &QualityOptions,
    evidence: Option<&TrackEvidence>,
) {
    let all: Vec<_> = masks.iter().map(|shown| &shown.mask).collect();
    let overlaps = quality.overlapping(&all);
    let off_track = evidence.map(|track| track.off_track(frame, masks));
    for (index, shown) in masks.iter_mut().enumerate() {
        let Some(facts) = &mut shown.facts else { continue };
        // The masks of one pass may have overlapped where the final ones do not.
        facts.flags.remove(QualityFlag::Overlap);
        if overlaps.get(index) == Some(&true) {
            facts.flags.insert(QualityFlag::Overlap);
        }
        if off_track.as_ref().and_then(|off| off.get(index)) == Some(&true) {
            facts.flags.insert(QualityFlag::OffTrack);
        }
        let too_large =
            |track: &TrackEvidence| track.is_too_large(frame, ObjectId(shown.object), &shown.mask);
        if facts.prompted && evidence.is_some_and(too_large) {
            facts.flags.insert(QualityFlag::DoubtfulPrompt);
        }
    }
}
