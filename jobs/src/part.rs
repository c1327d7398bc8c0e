//! Parts of a recording, for sharing out a job among processes.

use std::ops::Range;

use sam2_mask_writer::{CompleteOutput, MaskFrame, MaskSink, RunBatch, RunPrompt, WriteError};

use super::plan::{BatchPlan, JobPlan};
use crate::error::JobError;

/// Frames `start..end` of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramePart {
    /// First frame.
    pub start: usize,
    /// End of the range, exclusive.
    pub end: usize,
}

impl FramePart {
    /// Returns the frames as a range.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

impl JobPlan {
    /// Returns the batches of a part, each with its index in the plan.
    pub fn batches_in(&self, part: FramePart) -> impl Iterator<Item = (usize, &BatchPlan)> {
        let within = move |(_, batch): &(usize, &BatchPlan)| {
            part.start <= batch.frames.start && batch.frames.end <= part.end
        };
        self.batches.iter().enumerate().filter(within)
    }

    /// Checks that a part consists of whole batches, so that all parts together give what one
    /// process gives.
    ///
    /// # Errors
    /// [`JobError::PartBorder`], which names the nearest borders; [`JobError::EmptyPart`].
    pub fn check_part(&self, part: FramePart) -> Result<(), JobError> {
        let count = self.frame_count();
        if part.start >= part.end || part.end > count {
            let FramePart { start, end } = part;
            return Err(JobError::EmptyPart { start, end, count });
        }
        for frame in [part.start, part.end] {
            let around = self.batches.iter().map(|batch| &batch.frames);
            let within = around.into_iter().find(|f| f.start < frame && frame < f.end);
            if let Some(batch) = within {
                let (before, after) = (batch.start, batch.end);
                return Err(JobError::PartBorder { frame, before, after });
            }
        }
        Ok(())
    }
}

/// Numbers the frames of a part from 0, for formats that count from the beginning of a file, such
/// as the pages of a stack. Times remain those of the recording.
pub struct PartSink {
    sink: Box<dyn MaskSink>,
    first: usize,
}

impl PartSink {
    /// Wraps `sink`, which gets frame `first` of the recording as its frame 0.
    pub fn new(sink: Box<dyn MaskSink>, first: usize) -> Self {
        Self { sink, first }
    }
}

impl MaskSink for PartSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.sink.write(&MaskFrame { index: frame.index.saturating_sub(self.first), ..*frame })
    }

    fn end_batch(&mut self, batch: &RunBatch) -> Result<(), WriteError> {
        let shifted = |frame: usize| frame.saturating_sub(self.first);
        self.sink.end_batch(&RunBatch {
            frames: shifted(batch.frames.start)..shifted(batch.frames.end),
            prompt_frames: batch.prompt_frames.iter().map(|&frame| shifted(frame)).collect(),
            tracked_from: batch.tracked_from.iter().map(|&frame| shifted(frame)).collect(),
            prompts: batch
                .prompts
                .iter()
                .map(|prompt| RunPrompt { frame: shifted(prompt.frame), ..prompt.clone() })
                .collect(),
        })
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.sink.finish()
    }

    fn wants_logits(&self) -> bool {
        self.sink.wants_logits()
    }

    fn wants_image(&self, index: usize) -> bool {
        self.sink.wants_image(index.saturating_sub(self.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BatchPlan;

    #[test]
    fn parts_consist_of_whole_batches() {
        let batch = |frames| BatchPlan { frames, prompts: Vec::new() };
        let batches = vec![batch(0..4), batch(4..8), batch(8..10)];
        let plan = JobPlan { batches, ..JobPlan::default() };
        let check = |start, end| plan.check_part(FramePart { start, end });
        for (start, end) in [(0, 10), (0, 4), (4, 10), (8, 10), (4, 8)] {
            assert!(check(start, end).is_ok(), "{start}..{end}");
        }
        for (start, end, told) in
            [(2, 8, "0 or 4"), (4, 9, "8 or 10"), (4, 11, "10 frames"), (4, 4, "10 frames")]
        {
            let message = check(start, end).unwrap_err().to_string();
            assert!(message.contains(told), "{message}");
        }
    }
}
