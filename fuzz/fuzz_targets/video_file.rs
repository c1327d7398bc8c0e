//! Any file must be opened and read, or rejected. Start with a corpus of small films, as
//! scripts/fuzz.sh does; otherwise the fuzzer learns little.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sam2_frame_provider::resize::{ResizeMode, Scale};
use sam2_frame_provider::{FrameSource, VideoFrames};
use std::io::Write;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    if let Ok(video) = VideoFrames::open(file.path()) {
        let count = video.info().frame_count;
        for index in (0..count.min(4)).chain((count.saturating_sub(8)..count).rev()) {
            let _ = video.frame(index);
        }
        let _ = video.scaled(0, Scale::square(16, ResizeMode::Decord));
    }
});
