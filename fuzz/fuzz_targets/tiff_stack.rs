//! Any bytes as a TIFF stack: tests the walk through directories, the checks of pages, and the
//! codecs. Start from real files: `seeds/tiff_stack`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sam2_frame_provider::{Axes, FrameSource, Intensity, TiffStack};

fuzz_target!(|data: &[u8]| {
    let Ok(stack) = TiffStack::from_bytes("fuzz.tif", data.to_vec(), &Axes::default()) else {
        return;
    };
    let stack = stack.with_intensity(Intensity::Full);
    let count = stack.info().frame_count;
    for index in [0, 1, count / 2, count.saturating_sub(1), count] {
        let read = stack.frame(index);
        assert!(index < count || read.is_err());
    }
});
