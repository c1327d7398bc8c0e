//! The bundled clips as NumPy arrays, for a machine without FFmpeg.

use std::path::PathBuf;

use sam2_engine::FrameSource;
use sam2_frame_provider::NumpyFrames;
use sam2_tests::arrays::write_array;
use sam2_tests::clips;

#[test]
fn clips_as_arrays_are_the_clips() {
    let kept = std::env::var_os("SAM2_PACK_CLIPS").map(PathBuf::from);
    let scratch = tempfile::tempdir().unwrap();
    let folder = kept.as_deref().unwrap_or_else(|| scratch.path());
    for name in ["mouse-arena", "two-crossing"] {
        let clip = clips::frames(name);
        let path = folder.join(format!("{name}.npy"));
        write_array(&clip, &path);
        let arrays = NumpyFrames::open(&path).unwrap();
        assert_eq!(arrays.info().frame_count, clip.info().frame_count);
        for index in 0..clip.info().frame_count {
            assert_eq!(arrays.frame(index).unwrap().data(), clip.frame(index).unwrap().data());
        }
    }
}
