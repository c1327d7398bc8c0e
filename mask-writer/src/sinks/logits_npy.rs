//! Mask logits as a NumPy array.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::WriteError;
use crate::frame_order::FrameOrder;
use crate::known_objects::{KnownObjects, entry};
use crate::output_file::{CompleteOutput, OutputFile};
use crate::recording_info::RecordingInfo;
use crate::sink::{MaskFrame, MaskSink};

/// Number of bytes before the values: enough for any shape, and a multiple of 64, as the format
/// requires (`numpy.lib.format`, version 1.0).
const HEADER: usize = 128;

/// Writes one `.npy` file of `float32` with the shape `(objects, frames, height, width)`; a mask is
/// where its logits are above 0.
///
/// Objects are sorted by number; those that were not announced come last, in order of appearance.
/// Frames on which an object was not tracked are NaN. The frames of each object are contiguous, so
/// that `numpy.load(path, mmap_mode="r")[0]` reads one object without the others. Memory use is one
/// frame.
pub struct LogitsNpySink {
    output: OutputFile,
    file: File,
    order: FrameOrder,
    recording: RecordingInfo,
    objects: KnownObjects,
    bytes: Vec<u8>,
}

impl LogitsNpySink {
    /// Creates the array.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let output = OutputFile::create(path, overwrite)?;
        let mut sink = Self {
            file: output.try_clone()?,
            output,
            order: FrameOrder::new(path, recording.size, recording.frames),
            recording: recording.clone(),
            objects: KnownObjects::new(&recording.objects),
            bytes: Vec::with_capacity(4 * recording.pixels()),
        };
        sink.write_header()?;
        Ok(sink)
    }

    fn write_header(&mut self) -> Result<(), WriteError> {
        let (objects, frames) = (self.objects.numbers().len(), self.recording.frames);
        let (width, height) = self.recording.size;
        let description = format!(
            "{{'descr': '<f4', 'fortran_order': False, 'shape': ({objects}, {frames}, {height}, {width}), }}"
        );
        let mut header = b"\x93NUMPY\x01\x00".to_vec();
        header.extend(((HEADER - 10) as u16).to_le_bytes());
        header.extend(description.bytes());
        header.resize(HEADER - 1, b' ');
        header.push(b'\n');
        self.write_at(0, &header)
    }

    fn write_at(&mut self, position: u64, bytes: &[u8]) -> Result<(), WriteError> {
        self.file
            .seek(SeekFrom::Start(position))
            .and_then(|_| self.file.write_all(bytes))
            .map_err(|source| self.output.io_error(source))
    }

    /// Writes the contents of `bytes` as frame `index` of the object at `place`.
    fn write_frame(&mut self, place: usize, index: usize) -> Result<(), WriteError> {
        let bytes = std::mem::take(&mut self.bytes);
        let frame = (place * self.recording.frames + index) as u64;
        let written = self.write_at(HEADER as u64 + frame * bytes.len() as u64, &bytes);
        self.bytes = bytes;
        written
    }

    fn fill(&mut self, values: impl Iterator<Item = f32>) {
        self.bytes.clear();
        self.bytes.extend(values.flat_map(f32::to_le_bytes));
    }

    fn fill_unknown(&mut self) {
        self.fill(std::iter::repeat_n(f32::NAN, self.recording.pixels()));
    }
}

impl MaskSink for LogitsNpySink {
    fn wants_logits(&self) -> bool {
        true
    }

    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        let new = self.objects.admit(frame.objects).len();
        let known = self.objects.numbers().len();
        for place in known - new..known {
            self.fill_unknown();
            for missed in 0..frame.index {
                self.write_frame(place, missed)?;
            }
        }
        for (place, object) in self.objects.numbers().to_vec().into_iter().enumerate() {
            match entry(frame.objects, object) {
                Some(labelled) => {
                    let logits = labelled.logits.as_deref();
                    let logits = logits.ok_or_else(|| self.order.missing(frame, "the logits"))?;
                    self.order.check_length(frame, logits.len(), 1)?;
                    self.fill(logits.iter().copied());
                }
                None => self.fill_unknown(),
            }
            self.write_frame(place, frame.index)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        self.write_header()?;
        let Self { output, .. } = *self;
        output.complete()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LabelledMask;
    use crate::test_support::{masks, run};
    use std::sync::Arc;

    fn with_logits(mut objects: Vec<LabelledMask>) -> Vec<LabelledMask> {
        for labelled in &mut objects {
            let scale = labelled.object as f32;
            let logits: Vec<f32> =
                labelled.mask.to_bytes(1).iter().map(|&p| scale * (f32::from(p) - 0.5)).collect();
            labelled.logits = Some(Arc::new(logits));
        }
        objects
    }

    #[test]
    fn values_lie_by_object_then_frame_and_late_objects_come_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logits.npy");
        let recording = RecordingInfo { objects: vec![2], ..RecordingInfo::new((2, 1), 3) };
        let sink = LogitsNpySink::create(&path, &recording, false).unwrap();
        assert!(sink.wants_logits());
        let frames = [
            with_logits(masks(&[(2, "01")])),
            with_logits(masks(&[(1, "10")])),
            with_logits(masks(&[(1, "11"), (2, "00")])),
        ];
        run(sink, &frames);
        let bytes = std::fs::read(&path).unwrap();
        let header = std::str::from_utf8(&bytes[10..HEADER]).unwrap();
        assert!(header.contains("'shape': (2, 3, 1, 2)") && header.ends_with(" \n"), "{header}");
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let values: Vec<f32> = bytes[HEADER..]
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        let nan = f32::NAN;
        let expected = [-1.0, 1.0, nan, nan, -1.0, -1.0, nan, nan, 0.5, -0.5, 0.5, 0.5];
        assert_eq!(values.len(), expected.len());
        for (value, expected) in values.iter().zip(expected) {
            assert!(value.to_bits() == expected.to_bits(), "{values:?}");
        }
    }

    #[test]
    fn masks_without_logits_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logits.npy");
        let mut sink = LogitsNpySink::create(&path, &RecordingInfo::new((2, 1), 1), false).unwrap();
        let objects = masks(&[(1, "01")]);
        let refused = sink.write(&MaskFrame::new(0, &objects)).unwrap_err();
        assert!(matches!(refused, WriteError::Missing { frame: 0, .. }), "{refused}");
    }
}
