//! Stores masks until they can be written.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use sam2_mask_writer::{LabelledMask, MaskFrame, RunFrame};
use tempfile::SpooledTempFile;

use crate::error::JobError;

/// Bytes that stay in memory; more goes to a temporary file.
const MEMORY_LIMIT: usize = 64 << 20;

/// Stores the masks of frames in any order and returns them in any order.
///
/// Masks are coded as in a run file. Logits, if there are any, are stored with their masks.
///
/// A forward pass from the middle of a batch yields frames before their predecessors, which come
/// with the reverse pass. Memory stays bounded however long the batch is: 24 bytes a frame in
/// addition to [`MEMORY_LIMIT`] and one frame.
pub(super) struct MaskSpool {
    file: SpooledTempFile,
    size: (u32, u32),
    /// The frame of the first place.
    first: usize,
    places: Vec<Option<Place>>,
    end: u64,
    record: Vec<u8>,
}

/// Position and length of a frame's masks in the file.
#[derive(Clone, Copy)]
struct Place {
    start: u64,
    length: usize,
}

impl MaskSpool {
    /// Creates a spool for these frames, with masks of `size`, which is width and height in pixels.
    pub(super) fn new(frames: Range<usize>, size: (u32, u32)) -> Self {
        Self {
            file: SpooledTempFile::new(MEMORY_LIMIT),
            size,
            first: frames.start,
            places: vec![None; frames.len()],
            end: 0,
            record: Vec::new(),
        }
    }

    /// Stores the masks of `frame`, in place of those that were stored before.
    ///
    /// # Errors
    /// [`JobError::Spool`].
    pub(super) fn put(&mut self, frame: usize, objects: &[LabelledMask]) -> Result<(), JobError> {
        self.append(frame, objects).map_err(spool_error)
    }

    fn append(&mut self, frame: usize, objects: &[LabelledMask]) -> io::Result<()> {
        self.record.clear();
        RunFrame::encode(&MaskFrame::new(frame, objects), true, &mut self.record);
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&self.record)?;
        let length = self.record.len();
        let place = frame.checked_sub(self.first).and_then(|index| self.places.get_mut(index));
        if let Some(place) = place {
            *place = Some(Place { start: self.end, length });
        }
        self.end += length as u64;
        Ok(())
    }

    /// Returns the masks of `frame`, or `None` if none are stored.
    ///
    /// # Errors
    /// [`JobError::Spool`].
    pub(super) fn get(&mut self, frame: usize) -> Result<Option<Vec<LabelledMask>>, JobError> {
        let index = frame.checked_sub(self.first);
        match index.and_then(|index| self.places.get(index).copied().flatten()) {
            Some(place) => self.read(place).map(Some).map_err(spool_error),
            None => Ok(None),
        }
    }

    fn read(&mut self, Place { start, length }: Place) -> io::Result<Vec<LabelledMask>> {
        self.file.seek(SeekFrom::Start(start))?;
        self.record.resize(length, 0);
        self.file.read_exact(&mut self.record)?;
        let stored = RunFrame::decode(&self.record, self.size)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(stored.objects)
    }

    /// Returns a spool with what is stored of the frames from `first` on, and room up to `end`.
    ///
    /// # Errors
    /// [`JobError::Spool`].
    pub(super) fn moved(&mut self, first: usize, end: usize) -> Result<Self, JobError> {
        let stored = first.max(self.first)..self.first + self.places.len();
        let mut moved = Self::new(first..stored.end.max(end), self.size);
        for frame in stored {
            if let Some(masks) = self.get(frame)? {
                moved.put(frame, &masks)?;
            }
        }
        Ok(moved)
    }
}

fn spool_error(source: io::Error) -> JobError {
    JobError::Spool { folder: std::env::temp_dir(), source }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use sam2_mask_writer::{Mask, MaskFacts, QualityFlag};

    #[test]
    fn gives_back_what_was_put_in_any_order() {
        let facts = |n: u32| MaskFacts {
            object_score: n as f32 - 2.5,
            predicted_iou: 0.25,
            prompted: n == 2,
            flags: QualityFlag::ALL.into_iter().take(n as usize).collect(),
            agreement: (n == 2).then_some(0.5),
        };
        let mask = |n: u32| LabelledMask {
            facts: (n != 3).then(|| facts(n)),
            logits: (n == 2).then(|| Arc::new(vec![0.5, -1.0, f32::MIN, 0.0, 3.0, -0.0])),
            ..LabelledMask::new(n, Mask::from_runs(3, 2, vec![n, 6 - n]).unwrap())
        };
        let mut spool = MaskSpool::new(0..4, (3, 2));
        spool.put(2, &[mask(2), mask(3)]).unwrap();
        spool.put(0, &[]).unwrap();
        spool.put(3, &[mask(5)]).unwrap();
        spool.put(3, &[mask(4), mask(5)]).unwrap();
        assert_eq!(spool.get(3).unwrap(), Some(vec![mask(4), mask(5)]));
        assert_eq!(spool.get(0).unwrap(), Some(vec![]));
        assert_eq!(spool.get(2).unwrap(), Some(vec![mask(2), mask(3)]));
        assert_eq!(spool.get(1).unwrap(), None);
        assert_eq!(spool.get(9).unwrap(), None);
    }

    #[test]
    fn a_mask_of_another_size_is_an_error_when_it_is_read() {
        let mut spool = MaskSpool::new(0..1, (3, 2));
        spool.put(0, &[LabelledMask::new(1, Mask::empty(3, 3))]).unwrap();
        let error = spool.get(0).unwrap_err();
        let JobError::Spool { source, .. } = error else { panic!("{error}") };
        assert_eq!(source.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn frames_count_from_the_first_and_what_is_moved_is_what_is_left() {
        let mask =
            |n: u32| vec![LabelledMask::new(n, Mask::from_runs(3, 2, vec![n, 6 - n]).unwrap())];
        let mut spool = MaskSpool::new(10..13, (3, 2));
        for frame in [10, 12] {
            spool.put(frame, &mask(frame as u32 - 9)).unwrap();
        }
        assert_eq!(spool.get(9).unwrap(), None);
        assert_eq!(spool.get(12).unwrap(), Some(mask(3)));
        let mut moved = spool.moved(11, 20).unwrap();
        assert_eq!((moved.get(10).unwrap(), moved.get(11).unwrap()), (None, None));
        assert_eq!(moved.get(12).unwrap(), Some(mask(3)));
        moved.put(19, &mask(2)).unwrap();
        assert_eq!(moved.get(19).unwrap(), Some(mask(2)));
        // Less room than what is stored is no reason to forget.
        assert_eq!(spool.moved(12, 12).unwrap().get(12).unwrap(), Some(mask(3)));
    }
}
