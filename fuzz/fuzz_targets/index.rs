//! Any table of packets makes an index that holds together. FFmpeg takes no part, so this is fast.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| sam2_frame_provider::fuzzing::check_index(bytes));
