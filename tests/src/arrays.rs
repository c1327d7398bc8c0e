//! Frames as NumPy arrays: a lossless file that the program reads without FFmpeg.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use sam2_engine::FrameSource;

/// Writes all frames into a `.npy` file of the shape `[frames, height, width, 3]`, one at a time.
///
/// # Panics
/// If a frame cannot be read or the file cannot be written.
pub fn write_array(frames: &dyn FrameSource, path: &Path) {
    let (size, count) = (frames.info().size, frames.info().frame_count);
    let shape = format!("({count}, {}, {}, 3)", size.height, size.width);
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
    // The values begin at a multiple of 64 bytes.
    let length = (header.len() + 11).next_multiple_of(64) - 10;
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(b"\x93NUMPY\x01\x00").unwrap();
    file.write_all(&u16::try_from(length).unwrap().to_le_bytes()).unwrap();
    file.write_all(format!("{header:<width$}\n", width = length - 1).as_bytes()).unwrap();
    for index in 0..count {
        file.write_all(frames.frame(index).unwrap().data()).unwrap();
    }
    file.flush().unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held_out::{HeldOut, Kind};
    use sam2_frame_provider::NumpyFrames;

    #[test]
    fn a_written_clip_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.npy");
        let clip = HeldOut::with_frames(Kind::MiceCross, 9, 5);
        write_array(&clip, &path);
        let read = NumpyFrames::open(&path).unwrap();
        assert_eq!((read.info().frame_count, read.info().size), (5, clip.info().size));
        for index in 0..5 {
            assert!(read.frame(index).unwrap().data() == clip.frame(index).unwrap().data());
        }
    }
}
