//! Any table of packets must give a consistent index. FFmpeg is not involved, so this is fast.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| sam2_frame_provider::fuzzing::check_index(bytes));
