//! Adds masks that are computed again to a run file.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use sam2_mask_writer::{
    AmendFileError, CompleteOutput, LabelledMask, MaskFrame, MaskSink, RunAmender, WriteError,
};

use super::shared::SharedRun;

/// How often masks are brought to the disk, and shown to those who look at the run.
const SYNC_INTERVAL: Duration = Duration::from_millis(500);

/// Stores the masks of some objects on some frames.
pub(super) struct PatchSink {
    run: SharedRun,
    number: usize,
    objects: BTreeSet<u32>,
    frames: Range<usize>,
    logits: bool,
    synced: Instant,
}

impl PatchSink {
    pub(super) fn new(
        run: SharedRun,
        number: usize,
        objects: Vec<u32>,
        frames: Range<usize>,
        logits: bool,
    ) -> Self {
        let objects = objects.into_iter().collect();
        Self { run, number, objects, frames, logits, synced: Instant::now() }
    }

    fn within(
        &self,
        change: impl FnOnce(&mut RunAmender) -> Result<(), AmendFileError>,
    ) -> Result<(), WriteError> {
        let mut run = self.run.lock();
        let path = run.run().path().to_owned();
        change(&mut run).map_err(|error| match error {
            AmendFileError::Write(error) => error,
            other => WriteError::Io { path, source: std::io::Error::other(other) },
        })
    }
}

impl MaskSink for PatchSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        if !self.frames.contains(&frame.index) {
            return Ok(());
        }
        let is_ours = |shown: &&LabelledMask| self.objects.contains(&shown.object);
        let objects: Vec<LabelledMask> = frame.objects.iter().filter(is_ours).cloned().collect();
        let frame = MaskFrame { objects: &objects, image: None, ..*frame };
        let sync = self.synced.elapsed() > SYNC_INTERVAL;
        self.within(|run| {
            run.patch(self.number, &frame)?;
            if sync { run.sync() } else { Ok(()) }
        })?;
        if sync {
            self.synced = Instant::now();
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.within(RunAmender::sync)?;
        let path = self.run.lock().run().path().to_owned();
        Ok(CompleteOutput::in_place(path))
    }

    fn wants_logits(&self) -> bool {
        self.logits
    }
}
