//! The bundled clips as NumPy arrays, for a machine without FFmpeg.

use std::io::Write;
use std::path::PathBuf;

use sam2_engine::FrameSource;
use sam2_frame_provider::NumpyFrames;
use sam2_tests::clips;

#[test]
fn clips_as_arrays_are_the_clips() {
    let kept = std::env::var_os("SAM2_PACK_CLIPS").map(PathBuf::from);
    let scratch = tempfile::tempdir().unwrap();
    let folder = kept.as_deref().unwrap_or_else(|| scratch.path());
    for name in ["mouse-arena", "two-crossing"] {
        let clip = clips::frames(name);
        let size = clip.frame(0).unwrap().size();
        let path = folder.join(format!("{name}.npy"));
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
        let shape = format!("({}, {}, {}, 3)", clip.frame_count(), size.height, size.width);
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
        // The values begin at a multiple of 64 bytes.
        let length = (header.len() + 11).next_multiple_of(64) - 10;
        file.write_all(b"\x93NUMPY\x01\x00").unwrap();
        file.write_all(&u16::try_from(length).unwrap().to_le_bytes()).unwrap();
        file.write_all(format!("{header:<width$}\n", width = length - 1).as_bytes()).unwrap();
        for index in 0..clip.frame_count() {
            file.write_all(clip.frame(index).unwrap().data()).unwrap();
        }
        drop(file);
        let arrays = NumpyFrames::open(&path).unwrap();
        assert_eq!(arrays.frame_count(), clip.frame_count());
        for index in 0..clip.frame_count() {
            assert_eq!(arrays.frame(index).unwrap().data(), clip.frame(index).unwrap().data());
        }
    }
}
