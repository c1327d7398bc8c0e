//! Arrays in Fortran order: the frame index changes fastest, so all frames of a pixel are adjacent.

use std::sync::{Mutex, PoisonError};

use super::Layout;
use crate::tiff::{Bytes, TiffError};

/// Number of bytes of the frames that are kept; at least one frame is kept.
const KEPT_BYTES: u64 = 64 << 20;

/// Number of bytes read from the file at once; at least all wanted frames of one sample.
const READ_BYTES: u64 = 1 << 20;

/// Reads runs of frames, and keeps the last run.
#[derive(Debug, Default)]
pub(super) struct Fortran {
    kept: Mutex<Option<Run>>,
}

/// Consecutive frames, each in C order.
#[derive(Debug)]
struct Run {
    first: u64,
    data: Vec<u8>,
}

impl Fortran {
    /// Returns the bytes of frame `index` in C order.
    pub(super) fn frame(
        &self,
        bytes: &Bytes,
        layout: &Layout,
        index: u64,
    ) -> Result<Vec<u8>, TiffError> {
        let frame_bytes = layout.frame_bytes();
        let frames = (KEPT_BYTES / frame_bytes.max(1)).clamp(1, layout.count.max(1));
        let first = index / frames * frames;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let run = match kept.take().filter(|run| run.first == first) {
            Some(run) => run,
            None => {
                Run { first, data: read(bytes, layout, first, frames.min(layout.count - first))? }
            }
        };
        let start = ((index - first) * frame_bytes) as usize;
        let data = run.data[start..start + frame_bytes as usize].to_vec();
        *kept = Some(run);
        Ok(data)
    }
}

/// Reads `frames` frames from `first` onwards.
fn read(bytes: &Bytes, layout: &Layout, first: u64, frames: u64) -> Result<Vec<u8>, TiffError> {
    let sample = layout.kind.sample_bytes();
    let (width, height) = (u64::from(layout.size.width), u64::from(layout.size.height));
    let samples = width * height * layout.channels;
    // Bytes from one sample to the next: all frames.
    let stride = layout.count * sample;
    let wanted = frames * sample;
    let at_once = (READ_BYTES / stride).clamp(1, samples);
    let frame_bytes = layout.frame_bytes() as usize;
    let mut data = vec![0; frame_bytes * frames as usize];
    for begin in (0..samples).step_by(at_once as usize) {
        let count = at_once.min(samples - begin);
        let place = layout.offset + begin * stride + first * sample;
        let read = bytes.read(place, (count - 1) * stride + wanted)?;
        for number in 0..count {
            // The row changes fastest, then the column, then the channel.
            let at = begin + number;
            let (row, column, channel) = (at % height, at / height % width, at / height / width);
            let target = ((row * width + column) * layout.channels + channel) * sample;
            let source = &read[(number * stride) as usize..][..wanted as usize];
            let frames = source.chunks_exact(sample as usize);
            for (frame, value) in frames.enumerate() {
                let target = frame * frame_bytes + target as usize;
                data[target..target + sample as usize].copy_from_slice(value);
            }
        }
    }
    Ok(data)
}
