//! Any records must give a run file that is read or rejected: as a run, as a journal to be resumed,
//! and frame by frame. Checksums are corrected, so that the code after the check is reached. Each
//! record of the input is a kind, a length of two bytes and the contents.

#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use sam2_mask_writer::{OpenRun, RunReader, RunRecord, RunWriter};

fn run_file(mut data: &[u8]) -> Vec<u8> {
    let mut bytes = b"SAM2RUN\n".to_vec();
    while let [kind, low, high, rest @ ..] = data {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (contents, after) = rest.split_at(length);
        let head = [&[*kind][..], &(length as u64).to_le_bytes()].concat();
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&crc32fast::hash(&[&head, contents].concat()).to_le_bytes());
        bytes.extend_from_slice(contents);
        data = after;
    }
    bytes
}

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&run_file(data)).unwrap();
    let Ok(found) = RunReader::recover(file.path()) else { return };
    let frames = found.header.frames.clone();
    assert!(found.next_frame() >= frames.start && found.next_frame() <= frames.end);
    let mut next = frames.start;
    // Damaged amendments are an error at most.
    if let Ok(amended) = RunReader::open(file.path()) {
        amended.map_while(Result::ok).for_each(drop);
    }
    if let Ok(mut run) = OpenRun::open(file.path()) {
        let _ = (run.frame(frames.start), run.undo(), run.redo(), run.state().stretches());
    }
    for record in RunReader::open_as_computed(file.path()).unwrap().map_while(Result::ok) {
        if let RunRecord::Frame(frame) = record {
            assert_eq!(frame.index, next);
            next += 1;
        }
    }
    // A resumed file can be continued, and keeps its content.
    let mut writer = RunWriter::append(file.path(), &found).unwrap();
    writer.cut(&found, 0).unwrap();
    drop(writer);
    let again = RunReader::recover(file.path()).unwrap();
    assert_eq!((again.batches, again.length), (found.batches, found.length));
});
