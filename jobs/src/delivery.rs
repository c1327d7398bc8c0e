//! Sends frames to every sink, into the journal and into the report.

use std::time::{Duration, Instant};

use sam2_frame_provider::FrameSource;
use sam2_mask_writer::{LabelledMask, MaskFrame, MaskSink, RunBatch, RunFrame, fault_point};

use super::flagged::FlagCollector;
use super::journal::Journal;
use super::receipt::ReceiptPlace;
use super::recording_stamp::RecordingStamp;
use super::report::JobReport;
use crate::error::JobError;

/// The destinations of a job's masks.
#[derive(Default)]
pub(super) struct JobOutputs {
    /// Sinks. Each gets every frame of the job, in order, and is told where batches end.
    pub(super) sinks: Vec<Box<dyn MaskSink>>,
    /// The record of finished work, with which an interrupted job can be resumed.
    pub(super) journal: Option<Journal>,
    /// Where to write, once the outputs are complete, how they were made.
    pub(super) receipt: Option<ReceiptPlace>,
    /// The state of the recording's files when it was opened. It is checked again before a batch
    /// counts as done.
    pub(super) recording: RecordingStamp,
}

/// Sends each frame out exactly once, and counts.
pub(super) struct Delivery<'a, S: ?Sized> {
    /// The recording, for sinks that want its images.
    recording: Option<&'a S>,
    sinks: Vec<Box<dyn MaskSink>>,
    pub(super) journal: Option<Journal>,
    receipt: Option<ReceiptPlace>,
    pub(super) stamp: RecordingStamp,
    report: JobReport,
    flags: FlagCollector,
    /// Index of the next frame to send.
    next_frame: usize,
    /// Number of frames without any mask since the last end of a batch.
    empty: usize,
    /// Masks of the frame that was sent last, without logits.
    last: Vec<LabelledMask>,
    /// Time spent on writing since it was last taken.
    spent: Duration,
}

impl<'a, S: FrameSource + ?Sized> Delivery<'a, S> {
    /// Creates a delivery that begins with frame `first`.
    pub(super) fn new(recording: Option<&'a S>, outputs: JobOutputs, first: usize) -> Self {
        Self {
            recording,
            sinks: outputs.sinks,
            journal: outputs.journal,
            receipt: outputs.receipt,
            stamp: outputs.recording,
            report: JobReport::default(),
            flags: FlagCollector::default(),
            next_frame: first,
            empty: 0,
            last: Vec::new(),
            spent: Duration::ZERO,
        }
    }

    pub(super) fn next_frame(&self) -> usize {
        self.next_frame
    }

    pub(super) fn last_masks(&self) -> &[LabelledMask] {
        &self.last
    }

    /// Returns the time spent on writing since the previous call.
    pub(super) fn take_time(&mut self) -> Duration {
        std::mem::take(&mut self.spent)
    }

    pub(super) fn wants_logits(&self) -> bool {
        self.sinks.iter().any(|sink| sink.wants_logits())
    }

    /// Sends out frame `index`. Skips a frame that was sent before: its batch is being repeated.
    pub(super) fn put(
        &mut self,
        index: usize,
        seconds: Option<f64>,
        objects: &[LabelledMask],
    ) -> Result<(), JobError> {
        if index < self.next_frame {
            return Ok(());
        }
        let started = Instant::now();
        let frame = MaskFrame::new(index, objects).with_seconds(seconds);
        self.hand_out(&frame)?;
        if let Some(journal) = &mut self.journal {
            journal.write(&frame)?;
        }
        self.spent += started.elapsed();
        Ok(())
    }

    /// Ends a batch in the outputs and in the journal.
    pub(super) fn end_batch(&mut self, batch: &RunBatch) -> Result<(), JobError> {
        let started = Instant::now();
        self.stamp.check()?;
        self.note_batch(batch)?;
        if let Some(journal) = &mut self.journal {
            journal.end_batch(batch)?;
        }
        self.spent += started.elapsed();
        Ok(())
    }

    /// Sends a frame of a run file to the sinks, not to the journal.
    pub(super) fn replay(&mut self, frame: &RunFrame) -> Result<(), JobError> {
        self.hand_out(&frame.as_mask_frame())
    }

    /// Ends a batch in the outputs and the report, not in the journal.
    pub(super) fn note_batch(&mut self, batch: &RunBatch) -> Result<(), JobError> {
        let empty = std::mem::take(&mut self.empty);
        if batch.is_unprompted() {
            self.report.unprompted.push(batch.frames.clone());
        } else {
            self.report.empty_frames += empty;
        }
        for sink in &mut self.sinks {
            sink.end_batch(batch)?;
        }
        fault_point("batch in outputs");
        Ok(())
    }

    fn hand_out(&mut self, frame: &MaskFrame<'_>) -> Result<(), JobError> {
        let index = frame.index;
        let wanted = self.sinks.iter().any(|sink| sink.wants_image(index));
        let image = match self.recording.filter(|_| wanted) {
            Some(recording) => Some(recording.frame(index)?),
            None => None,
        };
        let frame = frame.with_image(image.as_ref().map(|image| image.data()));
        for sink in &mut self.sinks {
            sink.write(&frame)?;
            fault_point("frame in output");
        }
        self.flags.note(index, frame.objects);
        // A frame that has no objects, not even empty masks, was not looked at.
        let is_empty = frame.objects.iter().all(|labelled| labelled.mask.area() == 0);
        if is_empty && !frame.objects.is_empty() {
            self.empty += 1;
        }
        self.last = frame
            .objects
            .iter()
            .map(|shown| LabelledMask { logits: None, ..shown.clone() })
            .collect();
        self.next_frame = index + 1;
        self.report.frames += 1;
        Ok(())
    }

    /// Completes and publishes every output and removes the journal. `unprompted` says whether an
    /// object had no usable prompt in batches that have prompts for others.
    pub(super) fn finish(mut self, unprompted: bool) -> Result<JobReport, JobError> {
        // All outputs are complete before the first gets its name.
        let outputs =
            self.sinks.into_iter().map(MaskSink::finish).collect::<Result<Vec<_>, _>>()?;
        fault_point("outputs complete");
        if let Some(journal) = &mut self.journal {
            journal.finish()?;
            fault_point("journal finished");
        }
        if let Some(receipt) = &self.receipt {
            receipt.write(&outputs, unprompted || !self.report.unprompted.is_empty())?;
        }
        fault_point("receipt written");
        for output in outputs {
            output.publish()?;
            fault_point("output published");
        }
        if let Some(journal) = self.journal {
            journal.remove();
        }
        fault_point("journal removed");
        self.report.flagged = self.flags.into_flagged();
        Ok(self.report)
    }
}
