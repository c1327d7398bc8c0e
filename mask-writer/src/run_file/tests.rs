//! Tests of run files: what is written can be read back, and damage is reported as an error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::error::WriteError;
use crate::mask::Mask;
use crate::quality_flags::QualityFlag;
use crate::sink::{LabelledMask, MaskFacts, MaskFrame, MaskSink};

const SIZE: (u32, u32) = (5, 3);

fn header(frames: usize) -> RunHeader {
    let mut header = RunHeader::new("mouse.avi", SIZE, frames);
    header.frames_per_second = Some(25.0);
    header.logits = true;
    header.settings.insert("model".into(), "micro".into());
    header.object_names.insert(1, "föo".into());
    header
}

fn object(number: u32) -> LabelledMask {
    let logits: Vec<f32> = (0..15).map(|i| (i * number % 7) as f32 - 2.5).collect();
    LabelledMask {
        object: number,
        mask: Mask::from_logits(SIZE.0, SIZE.1, &logits).unwrap(),
        facts: (number != 2).then(|| MaskFacts {
            object_score: number as f32 - 300.25,
            predicted_iou: 0.75,
            prompted: number == 3,
            flags: [QualityFlag::Lost].into_iter().collect(),
            agreement: (number > 2000).then_some(0.375),
        }),
        logits: (number != 3).then(|| Arc::new(logits)),
    }
}

fn objects(frame: usize) -> Vec<LabelledMask> {
    (0..frame as u32 % 4).map(|n| object(n * 1000 + n + 1)).collect()
}

fn write_frames(writer: &mut RunWriter, frames: std::ops::Range<usize>) {
    for index in frames {
        let objects = objects(index);
        let frame = MaskFrame::new(index, &objects).with_seconds(Some(index as f64 / 25.0));
        writer.write(&frame).unwrap();
    }
}

fn batch(frames: std::ops::Range<usize>) -> RunBatch {
    let points = vec![
        RunPoint { name: "snout".into(), x: 1.5, y: 0.1, positive: true },
        RunPoint { x: 4.0, y: 2.75, ..RunPoint::default() },
    ];
    let of = |object, points, bounds| RunPrompt {
        frame: frames.start,
        object,
        points,
        bounds,
        candidate: Some(2),
        mask: (object == 1).then(|| vec![3, 5, 7]),
    };
    let prompts = vec![of(1, points, None), of(1002, Vec::new(), Some([0.0, 0.5, 3.0, 2.25]))];
    let tracked_from = if frames.start == 4 { vec![2, 9] } else { Vec::new() };
    RunBatch { prompt_frames: vec![frames.start], tracked_from, prompts, frames }
}

/// Writes a finished run of ten frames in batches of four.
fn whole(folder: &Path) -> PathBuf {
    let path = folder.join("run.sam2run");
    let mut writer = RunWriter::create(&path, &header(10)).unwrap();
    for frames in [0..4, 4..8, 8..10] {
        write_frames(&mut writer, frames.clone());
        writer.end_batch(&batch(frames)).unwrap();
    }
    writer.finish().unwrap();
    path
}

#[test]
fn what_is_written_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = whole(folder.path());
    let reader = RunReader::open(&path).unwrap();
    assert_eq!(*reader.header(), header(10));
    let frames: Vec<RunFrame> = reader.frames().map(Result::unwrap).collect();
    assert_eq!(frames.len(), 10);
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!((frame.index, frame.seconds), (index, Some(index as f64 / 25.0)));
        assert_eq!(frame.objects, objects(index));
    }
    let batches = RunReader::open(&path).unwrap().filter_map(|record| match record.unwrap() {
        RunRecord::Batch(batch) => Some(batch),
        RunRecord::Frame(_) => None,
    });
    assert_eq!(batches.collect::<Vec<_>>(), [batch(0..4), batch(4..8), batch(8..10)]);
}

#[test]
fn the_sink_writes_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let expected = std::fs::read(whole(folder.path())).unwrap();
    let path = folder.path().join("sink.sam2run");
    let mut sink = Box::new(RunFileSink::create(&path, &header(10), false).unwrap());
    assert!(sink.wants_logits());
    for frames in [0..4, 4..8, 8..10] {
        for index in frames.clone() {
            let objects = objects(index);
            let frame = MaskFrame::new(index, &objects).with_seconds(Some(index as f64 / 25.0));
            sink.write(&frame).unwrap();
        }
        sink.end_batch(&batch(frames)).unwrap();
    }
    sink.finish().unwrap().publish().unwrap();
    assert!(std::fs::read(&path).unwrap() == expected);
}

#[test]
fn a_run_cut_off_anywhere_goes_on_behind_its_last_batch_and_ends_in_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let expected = std::fs::read(whole(folder.path())).unwrap();
    let path = folder.path().join("torn.sam2run");
    let mut starts = std::collections::BTreeSet::new();
    for length in 0..expected.len() {
        std::fs::write(&path, &expected[..length]).unwrap();
        let Ok(found) = RunReader::recover(&path) else { continue };
        assert!(!found.finished, "{length}");
        starts.insert(found.next_frame());
        let read: Vec<_> = RunReader::open(&path).unwrap().frames().collect();
        assert!(matches!(read.last(), Some(Err(RunFileError::Unfinished { .. }))), "{length}");
        let mut writer = RunWriter::append(&path, &found).unwrap();
        let loose = found.loose_frames.len() / 2;
        writer.cut(&found, loose).unwrap();
        for frames in [0..4, 4..8, 8..10] {
            if frames.start >= found.next_frame() {
                let first = frames.start.max(found.next_frame() + loose);
                write_frames(&mut writer, first..frames.end);
                writer.end_batch(&batch(frames)).unwrap();
            }
        }
        writer.finish().unwrap();
        assert!(std::fs::read(&path).unwrap() == expected, "cut at {length}");
    }
    assert_eq!(starts.into_iter().collect::<Vec<_>>(), [0, 4, 8, 10]);
    std::fs::write(&path, &expected).unwrap();
    assert!(RunReader::recover(&path).unwrap().finished);
}

#[test]
fn a_run_is_written_by_one_process_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.sam2run");
    let first = RunWriter::create(&path, &header(3)).unwrap();
    let error = RunWriter::create(&path, &header(3)).unwrap_err();
    assert!(matches!(error, WriteError::InUse(_)), "{error}");
    drop(first);
    drop(RunWriter::create(&path, &header(3)).unwrap());
}

#[test]
fn frames_that_are_lost_shifted_or_of_another_size_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(&folder.path().join("a"), &header(3)).unwrap();
    let wrong = writer.write(&MaskFrame::new(1, &[]));
    assert!(matches!(wrong, Err(WriteError::OutOfOrder { .. })));
    let small = [LabelledMask::new(1, Mask::empty(2, 2))];
    let wrong = writer.write(&MaskFrame::new(0, &small));
    assert!(matches!(wrong, Err(WriteError::Size { .. })));
    writer.write(&MaskFrame::new(0, &[])).unwrap();
    assert!(matches!(writer.finish(), Err(WriteError::Incomplete { .. })));
}

#[test]
fn other_files_and_impossible_heads_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        RunReader::open(&path).unwrap_err().to_string()
    };
    assert!(open(b"").contains("too short"));
    assert!(open(b"II\x2b\0\x08\0\0\0").contains("does not begin like one"));
    assert!(open(b"SAM2RUN\n").contains("cut off"));
    assert!(RunReader::open(folder.path()).is_err());
    let with = |change: &dyn Fn(&mut RunHeader)| {
        let mut header = header(10);
        change(&mut header);
        let mut bytes = record::MAGIC.to_vec();
        record::write(&mut bytes, record::Kind::Header, &serde_json::to_vec(&header).unwrap())
            .unwrap();
        open(&bytes)
    };
    assert!(with(&|h| h.format_version = 2).contains("format 2"));
    assert!(with(&|h| (h.width, h.height) = (u32::MAX, u32::MAX)).contains("4294967295"));
    assert!(with(&|h| h.width = 0).contains("0x3"));
    assert!(with(&|h| h.frames = 3..11).contains("3..11"));
    assert!(with(&|h| h.frames_per_second = Some(-1.0)).contains("frame rate"));
}

#[test]
fn what_differs_between_two_heads_is_named() {
    let mut other = header(10);
    assert_eq!(header(10).difference(&other), None);
    // Options that are typed differently can mean the same.
    other.options.push(("--batch-size".into(), "400".into()));
    assert_eq!(header(10).difference(&other), None);
    other.settings.insert("batch size".into(), "400".into());
    let expected = ("batch size".to_owned(), "none".to_owned(), "400".to_owned());
    assert_eq!(header(10).difference(&other), Some(expected));
    other.width = 6;
    assert_eq!(header(10).difference(&other).unwrap().0, "frame size");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Checksums would stop nearly all mutations of a whole file, so the payload below the checksum
    /// is mutated as well.
    #[test]
    fn mutated_files_never_panic_and_never_invent_frames(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = whole(folder.path());
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(bytes.len() - cut.index(bytes.len()) / 4);
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(reader) = RunReader::open(&path) {
            for frame in reader.frames().filter_map(Result::ok) {
                prop_assert_eq!(frame.objects, objects(frame.index));
            }
        }
        let _ = RunReader::recover(&path);
    }

    #[test]
    fn frames_with_valid_checksums_and_nonsense_inside_are_errors_at_most(
        payload in prop::collection::vec(any::<u8>(), 0..60),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let _ = RunFrame::decode(&payload, SIZE);
        let objects = objects(3);
        let mut bytes = Vec::new();
        RunFrame::encode(&MaskFrame::new(3, &objects), true, &mut bytes);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(read) = RunFrame::decode(&bytes, SIZE) {
            for shown in read.objects {
                prop_assert_eq!((shown.mask.width(), shown.mask.height()), SIZE);
                let _ = (shown.mask.area(), shown.mask.bounds(), shown.mask.to_bytes(1));
            }
        }
    }
}
