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
    for (shown, overlaps) in masks.iter_mut().zip(overlaps) {
        let (object, mask) = (ObjectId(shown.object), &shown.mask);
        let Some(facts) = &mut shown.facts else { continue };
        // The masks of one pass may have overlapped where the final ones do not.
        facts.flags.remove(QualityFlag::Overlap);
        if overlaps {
            facts.flags.insert(QualityFlag::Overlap);
        }
        let Some(track) = evidence else { continue };
        if track.is_off_track(frame, object, mask) {
            facts.flags.insert(QualityFlag::OffTrack);
        }
        if facts.prompted && track.is_too_large(frame, object, mask) {
            facts.flags.insert(QualityFlag::DoubtfulPrompt);
        }
    }
}
