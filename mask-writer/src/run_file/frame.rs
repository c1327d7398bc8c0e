//! Encodes and decodes the masks of a single frame.

use std::sync::Arc;

use crate::mask::Mask;
use crate::quality_flags::QualityFlags;
use crate::sink::{LabelledMask, MaskFacts, MaskFrame};

/// One frame of a run file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunFrame {
    /// Index of the frame in the recording, from 0.
    pub index: usize,
    /// Seconds from the recording's start, if the frame rate is known.
    pub seconds: Option<f64>,
    /// The masks, of the recording's size.
    pub objects: Vec<LabelledMask>,
}

impl RunFrame {
    /// Returns the frame as sinks take it, without the image.
    pub fn as_mask_frame(&self) -> MaskFrame<'_> {
        MaskFrame::new(self.index, &self.objects).with_seconds(self.seconds)
    }

    /// Appends a frame to `to`, coded as in a run file, with logits only if `logits` is true. The
    /// image and the size of the masks are not stored.
    pub fn encode(frame: &MaskFrame<'_>, logits: bool, to: &mut Vec<u8>) {
        number(frame.index as u64, to);
        match frame.seconds {
            Some(seconds) => {
                to.push(1);
                to.extend(seconds.to_le_bytes());
            }
            None => to.push(0),
        }
        number(frame.objects.len() as u64, to);
        for LabelledMask { object, mask, facts, logits: values } in frame.objects {
            number(u64::from(*object), to);
            let values = values.as_ref().filter(|_| logits);
            let has = |yes: bool, bit: u8| if yes { bit } else { 0 };
            let agreement = facts.and_then(|facts| facts.agreement);
            to.push(
                has(facts.is_some(), HAS_FACTS)
                    | has(values.is_some(), HAS_LOGITS)
                    | has(agreement.is_some(), HAS_AGREEMENT),
            );
            if let Some(facts) = facts {
                to.extend(facts.object_score.to_le_bytes());
                to.extend(facts.predicted_iou.to_le_bytes());
                to.extend([u8::from(facts.prompted), facts.flags.bits()]);
            }
            if let Some(agreement) = agreement {
                to.extend(agreement.to_le_bytes());
            }
            number(mask.runs().len() as u64, to);
            mask.runs().iter().for_each(|&run| number(u64::from(run), to));
            if let Some(values) = values {
                values.iter().for_each(|value| to.extend(value.to_le_bytes()));
            }
        }
    }

    /// Decodes what [`Self::encode`] appended for masks of `width` x `height` pixels. Memory use is
    /// bounded by the bytes present, not by the lengths that they claim.
    ///
    /// # Errors
    /// [`FrameCodeError`] if the bytes are not one whole frame with masks of that size.
    pub fn decode(bytes: &[u8], (width, height): (u32, u32)) -> Result<Self, FrameCodeError> {
        decode(bytes, (width, height)).map_err(|reason| FrameCodeError { reason })
    }
}

/// Bytes are not the masks of a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are not the masks of a frame ({reason}); use the bytes that were encoded")]
pub struct FrameCodeError {
    reason: String,
}

const HAS_FACTS: u8 = 1;
const HAS_LOGITS: u8 = 2;
const HAS_AGREEMENT: u8 = 4;

fn number(mut value: u64, to: &mut Vec<u8>) {
    while value > 0x7f {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// As [`RunFrame::decode`], with the reason of a failure alone.
pub(super) fn decode(bytes: &[u8], (width, height): (u32, u32)) -> Result<RunFrame, String> {
    let mut rest = Bytes(bytes);
    let index = rest.size()?;
    let seconds = match rest.array::<1>()?[0] {
        0 => None,
        1 => Some(f64::from_le_bytes(rest.array()?)),
        _ => return Err("a time with an invalid marker".into()),
    };
    let mut objects = Vec::new();
    for _ in 0..rest.number()? {
        let object = rest.small("an object's number")?;
        let has = rest.array::<1>()?[0];
        if has & !(HAS_FACTS | HAS_LOGITS | HAS_AGREEMENT) != 0
            || has & (HAS_FACTS | HAS_AGREEMENT) == HAS_AGREEMENT
        {
            return Err("a mask with unknown parts".into());
        }
        let has_agreement = has & HAS_AGREEMENT != 0;
        let facts = if has & HAS_FACTS != 0 { Some(rest.facts(has_agreement)?) } else { None };
        let count = rest.size()?;
        if count > rest.0.len() {
            return Err("more runs than bytes".into());
        }
        let runs = (0..count).map(|_| rest.small("a run")).collect::<Result<Vec<_>, _>>()?;
        let mask = Mask::from_runs(width, height, runs).map_err(|error| error.to_string())?;
        let logits = if has & HAS_LOGITS != 0 {
            let pixels = width as usize * height as usize;
            let bytes = rest.take(pixels.saturating_mul(4))?;
            let values =
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            Some(Arc::new(values.collect()))
        } else {
            None
        };
        objects.push(LabelledMask { object, mask, facts, logits });
    }
    if !rest.0.is_empty() {
        return Err("bytes after a frame's end".into());
    }
    Ok(RunFrame { index, seconds, objects })
}

/// The bytes that are left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("a frame ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.take(N)?;
        <[u8; N]>::try_from(bytes).map_err(|error| error.to_string())
    }

    fn number(&mut self) -> Result<u64, String> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number that is too large".into())
    }

    fn size(&mut self) -> Result<usize, String> {
        usize::try_from(self.number()?).map_err(|error| error.to_string())
    }

    fn small(&mut self, what: &str) -> Result<u32, String> {
        u32::try_from(self.number()?).map_err(|_| format!("{what} that is too large"))
    }

    fn facts(&mut self, has_agreement: bool) -> Result<MaskFacts, String> {
        let object_score = f32::from_le_bytes(self.array()?);
        let predicted_iou = f32::from_le_bytes(self.array()?);
        let [prompted, flags] = self.array()?;
        let flags = QualityFlags::from_bits(flags).ok_or("an unknown flag")?;
        let agreement = if has_agreement { Some(f32::from_le_bytes(self.array()?)) } else { None };
        Ok(MaskFacts { object_score, predicted_iou, prompted: prompted != 0, flags, agreement })
    }
}
