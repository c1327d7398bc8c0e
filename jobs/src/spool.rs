//! Stores masks until they can be written.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use sam2_mask_writer::{LabelledMask, Mask, MaskFacts, QualityFlags};
use tempfile::SpooledTempFile;

/// Bytes that stay in memory; more goes to a temporary file.
const MEMORY_LIMIT: usize = 64 << 20;

/// Stores the masks of frames in any order and returns them in any order.
///
/// Logits, if there are any, are stored with their masks.
///
/// A forward pass from the middle of a batch yields frames before their predecessors, which come
/// with the reverse pass. Memory stays bounded however long the batch is: 8 bytes a frame in
/// addition to [`MEMORY_LIMIT`].
pub(super) struct MaskSpool {
    file: SpooledTempFile,
    offsets: Vec<Option<u64>>,
    end: u64,
}

impl MaskSpool {
    pub(super) fn new(frames: usize) -> Self {
        Self { file: SpooledTempFile::new(MEMORY_LIMIT), offsets: vec![None; frames], end: 0 }
    }

    /// Stores the masks of `frame`, in place of those that were stored before.
    pub(super) fn put(&mut self, frame: usize, objects: &[LabelledMask]) -> io::Result<()> {
        let mut record = Vec::new();
        let mut word = |value: u32| record.extend(value.to_le_bytes());
        word(objects.len() as u32);
        for LabelledMask { object, mask, facts, logits } in objects {
            word(*object);
            word(u32::from(facts.is_some()));
            word(logits.as_ref().map_or(0, |logits| logits.len() as u32));
            if let Some(facts) = facts {
                word(facts.object_score.to_bits());
                word(facts.predicted_iou.to_bits());
                word(u32::from(facts.prompted));
                word(u32::from(facts.flags.bits()));
                word(facts.agreement.map_or(f32::NAN, f32::from).to_bits());
            }
            word(mask.width());
            word(mask.height());
            word(mask.runs().len() as u32);
            mask.runs().iter().for_each(|&run| word(run));
            logits.iter().flat_map(|logits| logits.iter()).for_each(|l| word(l.to_bits()));
        }
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&record)?;
        if let Some(offset) = self.offsets.get_mut(frame) {
            *offset = Some(self.end);
        }
        self.end += record.len() as u64;
        Ok(())
    }

    /// Returns the masks of `frame`, or `None` if none are stored.
    pub(super) fn get(&mut self, frame: usize) -> io::Result<Option<Vec<LabelledMask>>> {
        let Some(offset) = self.offsets.get(frame).copied().flatten() else { return Ok(None) };
        self.file.seek(SeekFrom::Start(offset))?;
        let mut objects = Vec::new();
        for _ in 0..self.word()? {
            let object = self.word()?;
            let (has_facts, logits) = (self.word()? != 0, self.word()? as usize);
            let facts = if has_facts { Some(self.facts()?) } else { None };
            let (width, height) = (self.word()?, self.word()?);
            let runs = self.word()? as usize;
            let runs = self.words(runs)?;
            let logits = match logits {
                0 => None,
                count => {
                    Some(Arc::new(self.words(count)?.into_iter().map(f32::from_bits).collect()))
                }
            };
            let mask = Mask::from_runs(width, height, runs)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            objects.push(LabelledMask { object, mask, facts, logits });
        }
        Ok(Some(objects))
    }

    fn facts(&mut self) -> io::Result<MaskFacts> {
        Ok(MaskFacts {
            object_score: f32::from_bits(self.word()?),
            predicted_iou: f32::from_bits(self.word()?),
            prompted: self.word()? != 0,
            flags: QualityFlags::from_bits(self.word()? as u8).unwrap_or_default(),
            agreement: Some(f32::from_bits(self.word()?)).filter(|iou| !iou.is_nan()),
        })
    }

    fn words(&mut self, count: usize) -> io::Result<Vec<u32>> {
        let mut bytes = vec![0; 4 * count];
        self.file.read_exact(&mut bytes)?;
        let words = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Ok(words.collect())
    }

    fn word(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.file.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam2_mask_writer::QualityFlag;

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
        let mut spool = MaskSpool::new(4);
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
}
