//! The pose track as a witness of the computed frames.

use std::ops::Range;

use sam2_engine::{ObjectId, ObjectMask};
use sam2_mask_writer::Mask;

use crate::computed::ComputedFrames;
use crate::job_prompt::JobPrompt;
use crate::track_evidence::{TrackEvidence, Witnessed};

/// A pose track whose frames are the positions of computed frames. Each method does what the method
/// of the same name of [`TrackEvidence`] does.
#[derive(Clone, Debug)]
pub(super) struct Witness<'a> {
    track: &'a TrackEvidence,
    computed: ComputedFrames,
}

impl<'a> Witness<'a> {
    pub(super) fn new(track: &'a TrackEvidence, computed: &ComputedFrames) -> Self {
        Self { track, computed: computed.clone() }
    }

    pub(super) fn of(&self, position: usize, object: ObjectId, mask: &Mask) -> Option<Witnessed> {
        self.track.of(self.computed.frame(position), object, mask)
    }

    pub(super) fn is_off_track(&self, position: usize, object: ObjectId, mask: &Mask) -> bool {
        self.track.is_off_track(self.computed.frame(position), object, mask)
    }

    pub(super) fn sees(&self, position: usize, object: ObjectId) -> bool {
        self.track.sees(self.computed.frame(position), object)
    }

    pub(super) fn last_seen(&self, object: ObjectId) -> Option<usize> {
        let last = self.track.last_seen(object)?;
        (0..self.computed.position(last + 1)).rev().find(|&position| self.sees(position, object))
    }

    pub(super) fn best_frame(&self, object: ObjectId, positions: Range<usize>) -> Option<usize> {
        let last = positions.end.checked_sub(1)?;
        let frames = self.computed.frame(positions.start)..self.computed.frame(last) + 1;
        let best = self.track.best_frame(object, frames, |frame| self.computed.contains(frame))?;
        Some(self.computed.position(best))
    }

    pub(super) fn prompt(&self, position: usize, object: ObjectId) -> Option<JobPrompt> {
        let prompt = self.track.prompt(self.computed.frame(position), object)?;
        Some(JobPrompt { frame: position, ..prompt })
    }

    pub(super) fn fits(&self, position: usize, object: ObjectId, mask: &Mask) -> bool {
        self.track.fits(self.computed.frame(position), object, mask)
    }

    pub(super) fn choose(
        &self,
        position: usize,
        object: ObjectId,
        candidates: &[ObjectMask],
    ) -> Option<usize> {
        self.track.choose(self.computed.frame(position), object, candidates)
    }
}
