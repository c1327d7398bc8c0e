//! Amendments add up, never change what was there before, and are never half there.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rangemap::RangeSet;

use super::*;
use crate::mask::Mask;
use crate::run_file::{
    RunBatch, RunFrame, RunHeader, RunPoint, RunPrompt, RunReader, RunRecord, RunWriter,
};
use crate::sink::{LabelledMask, MaskFrame};

const SIZE: (u32, u32) = (4, 2);
const FRAMES: usize = 12;
const WHEN: &str = "2026-12-01T12:00:00Z";

/// A mask of the pixels that are set in `bits`.
fn mask(bits: u8) -> Mask {
    Mask::from_pixels(SIZE.0, SIZE.1, (0..8).map(|bit| bits >> bit & 1 == 1)).unwrap()
}

fn prompt(object: u32, frame: usize) -> RunPrompt {
    let points = vec![RunPoint { x: 1.0, y: 1.0, positive: true, ..RunPoint::default() }];
    RunPrompt { frame, object, points, ..RunPrompt::default() }
}

/// The mask of an object as it is computed at first: its number.
fn first(object: u32, frame: usize) -> LabelledMask {
    LabelledMask::new(object, mask((object as u8) << (frame % 2)))
}

/// Writes a run of two objects in batches of six frames.
fn run(folder: &Path, across_batches: bool) -> PathBuf {
    let path = folder.join("run.sam2run");
    let mut header = RunHeader::new("mouse.avi", SIZE, FRAMES);
    let passes = if across_batches { "nearest" } else { "own" };
    header.settings.insert("passes".into(), passes.into());
    header.settings.insert("quality".into(), r#"{"overlap_above":0.5}"#.into());
    let mut writer = RunWriter::create(&path, &header).unwrap();
    for start in [0, 6] {
        for frame in start..start + 6 {
            let objects = [first(1, frame), first(2, frame)];
            writer.write(&MaskFrame::new(frame, &objects)).unwrap();
        }
        let prompts = vec![prompt(1, start), prompt(2, start + 3)];
        let (frames, prompt_frames) = (start..start + 6, vec![start, start + 3]);
        writer
            .end_batch(&RunBatch { frames, prompt_frames, prompts, ..RunBatch::default() })
            .unwrap();
    }
    writer.finish().unwrap();
    path
}

fn frames(path: &Path) -> Vec<RunFrame> {
    RunReader::open(path).unwrap().frames().map(|frame| frame.unwrap()).collect()
}

fn bits(frames: &[RunFrame], object: u32, frame: usize) -> Option<Vec<(u32, u32)>> {
    let shown = frames[frame].objects.iter().find(|shown| shown.object == object);
    shown.map(|shown| shown.mask.pixels().collect())
}

#[test]
fn a_prompt_makes_stale_what_lies_between_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    for across in [true, false] {
        let path = run(folder.path(), across);
        let mut run = RunAmender::open(&path).unwrap();
        run.amend("ada", WHEN, Action::Prompt { prompt: prompt(1, 4) }).unwrap();
        let stale = run.run().state().stretches();
        let [Stretch { object: 1, frames, within, prompts, masks }] = &stale[..] else {
            panic!("{stale:?}")
        };
        assert_eq!(*frames, 1..6);
        assert_eq!(*within, if across { 0..12 } else { 0..6 });
        assert_eq!(prompts, if across { &[0, 4, 6][..] } else { &[0, 4] });
        assert!(masks.is_empty());
        // Taken back before it was tracked, nothing is left to do.
        run.amend("ada", WHEN, Action::Return { to: 0 }).unwrap();
        assert!(run.run().state().stretches().is_empty());
        drop(run);
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn masks_are_replaced_where_they_were_computed_and_only_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = run(folder.path(), true);
    let before = frames(&path);
    let mut run = RunAmender::open(&path).unwrap();
    run.amend("ada", WHEN, Action::Prompt { prompt: prompt(1, 4) }).unwrap();
    let number =
        run.amend("ada", WHEN, Action::Computed { objects: vec![1], frames: 1..6 }).unwrap();
    for frame in 1..4 {
        let new = [LabelledMask::new(1, mask(0xf0))];
        run.patch(number, &MaskFrame::new(frame, &new)).unwrap();
    }
    let wrong = run.patch(number, &MaskFrame::new(6, &[])).unwrap_err().to_string();
    assert!(wrong.contains("frame 6"), "{wrong}");
    run.sync().unwrap();
    let stale = run.run().state().stretches();
    assert_eq!(stale[0].frames, 4..6, "what is not there is still to be computed");
    let opened = run.run_mut();
    for (frame, before) in before.iter().enumerate() {
        let shown = opened.frame(frame).unwrap().unwrap();
        let is_new = (1..4).contains(&frame);
        let of_one = if is_new { mask(0xf0) } else { before.objects[0].mask.clone() };
        assert_eq!(shown.objects[0].mask, of_one);
        assert_eq!(shown.objects[1], before.objects[1]);
        assert_eq!(opened.frame_after(frame, 0).unwrap().unwrap(), *before);
    }
    assert_eq!(opened.frame(FRAMES).unwrap(), None);
    let read = frames(&path);
    assert!(
        (0..FRAMES).all(|frame| Some(&read[frame]) == run.run_mut().frame(frame).unwrap().as_ref())
    );
}

#[test]
fn an_open_run_sees_what_another_process_adds() {
    let folder = tempfile::tempdir().unwrap();
    let path = run(folder.path(), true);
    let mut watching = OpenRun::open(&path).unwrap();
    let mut run = RunAmender::open(&path).unwrap();
    assert_eq!(watching.read_on().unwrap().amendments, 0);
    run.amend("ada", WHEN, Action::Name { object: 2, name: "Bob".into() }).unwrap();
    assert_eq!(watching.read_on().unwrap().amendments, 1);
    assert_eq!(watching.state().objects[&2], "Bob");
    assert_eq!(watching.state(), run.run().state());
    assert_eq!(RunReader::open(&path).unwrap().header().object_names[&2], "Bob");
    // A run that is still being computed cannot be amended, but looked at.
    let growing = folder.path().join("growing.sam2run");
    let mut writer = RunWriter::create(&growing, &RunHeader::new("m", SIZE, 3)).unwrap();
    writer.write(&MaskFrame::new(0, &[first(1, 0)])).unwrap();
    writer.sync().unwrap();
    let mut watching = OpenRun::open(&growing).unwrap();
    assert_eq!((watching.frames_there(), watching.is_finished()), (1, false));
    drop(writer);
    let refused = RunAmender::open(&growing).unwrap_err().to_string();
    assert!(refused.contains("1 of 3 frames"), "{refused}");
    assert_eq!(watching.frame(0).unwrap().unwrap().objects, [first(1, 0)]);
    assert_eq!(watching.frame(1).unwrap(), None);
}

#[test]
fn damaged_amendments_are_told_and_torn_ones_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = run(folder.path(), true);
    let base = std::fs::read(&path).unwrap();
    {
        let mut run = RunAmender::open(&path).unwrap();
        for frame in [4, 5] {
            run.amend("ada", WHEN, Action::Prompt { prompt: prompt(1, frame) }).unwrap();
        }
    }
    let whole = std::fs::read(&path).unwrap();
    assert!(whole.starts_with(&base));
    for cut in base.len()..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let count = OpenRun::open(&path).unwrap().amendments().len();
        assert!(count < 2);
        assert!(
            RunReader::open(&path).unwrap().frames().all(|frame| frame.is_ok()),
            "cut at {cut}"
        );
        let mut run = RunAmender::open(&path).unwrap();
        run.amend("ada", WHEN, Action::Prompt { prompt: prompt(1, 9) }).unwrap();
        drop(run);
        let run = OpenRun::open(&path).unwrap();
        assert_eq!((run.amendments().len(), run.damage()), (count + 1, None), "cut at {cut}");
    }
    for at in base.len()..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        std::fs::write(&path, &bytes).unwrap();
        let run = OpenRun::open(&path).unwrap();
        // Nothing is written over what may follow the damage.
        let refused = run.damage().map(|_| RunAmender::open(&path).unwrap_err().to_string());
        assert!(refused.is_none_or(|told| told.contains("is damaged")), "byte {at}");
        assert!(std::fs::read(&path).unwrap() == bytes);
        // The first amendment is whole if the damage is in the second, and nothing is taken for more.
        assert!(run.amendments().len() < 2, "byte {at}");
        assert!(run.amendments().iter().all(|known| known.who == "ada"));
    }
}

#[test]
#[allow(clippy::reversed_empty_ranges)]
fn impossible_amendments_with_right_checksums_are_damage() {
    use crate::run_file::record::{self, Kind};
    let folder = tempfile::tempdir().unwrap();
    let path = run(folder.path(), true);
    let base = std::fs::read(&path).unwrap();
    let amendment = |number, parent, action| Amendment {
        number,
        parent,
        when: WHEN.into(),
        who: "eve".into(),
        action,
    };
    let absent = |frames| Action::Absent { object: 1, frames, on: true };
    let wrong = [
        amendment(1, 0, absent(5..5)),
        amendment(1, 0, absent(9..3)),
        amendment(1, 0, absent(3..usize::MAX)),
        amendment(1, 0, Action::Swap { objects: [1, 2], frames: 0..FRAMES + 1 }),
        amendment(1, 0, Action::Prompt { prompt: prompt(1, usize::MAX) }),
        amendment(1, 0, Action::Return { to: 7 }),
        amendment(1, 1, absent(3..4)),
        amendment(2, 0, absent(3..4)),
        amendment(0, 0, absent(3..4)),
    ];
    for wrong in wrong {
        let mut bytes = base.clone();
        record::write(&mut bytes, Kind::Amendment, &serde_json::to_vec(&wrong).unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let opened = OpenRun::open(&path).unwrap();
        assert!(opened.damage().is_some() && opened.amendments().is_empty(), "{wrong:?}");
    }
    // A mask for a frame that was not announced, and records that are too short.
    for payload in [vec![], vec![1; 7], [0_u64.to_le_bytes(), 3_u64.to_le_bytes()].concat()] {
        let mut bytes = base.clone();
        record::write(&mut bytes, Kind::Patch, &payload).unwrap();
        std::fs::write(&path, bytes).unwrap();
        assert!(OpenRun::open(&path).unwrap().damage().is_some());
    }
}

fn any_action() -> impl Strategy<Value = Action> {
    let object = || 1..4_u32;
    let span = || (0..FRAMES, 1..6_usize).prop_map(|(first, n)| first..(first + n).min(FRAMES));
    prop_oneof![
        4 => (object(), 0..FRAMES).prop_map(|(o, f)| Action::Prompt { prompt: prompt(o, f) }),
        2 => (object(), 0..FRAMES).prop_map(|(object, frame)| Action::Unprompt { object, frame }),
        1 => (object(), span(), any::<bool>())
            .prop_map(|(object, frames, on)| Action::Absent { object, frames, on }),
        1 => (object(), span()).prop_map(|(object, frames)| Action::Delete { object, frames }),
        2 => (object(), object(), span())
            .prop_map(|(a, b, frames)| Action::Swap { objects: [a, b], frames }),
        1 => (object(), object()).prop_map(|(object, into)| Action::Merge { object, into }),
        2 => (proptest::option::of(object()), span(), any::<bool>())
            .prop_map(|(object, frames, on)| Action::Lock { object, frames, on }),
        3 => (object(), span())
            .prop_map(|(object, frames)| Action::Computed { objects: vec![object], frames }),
        1 => (0..8_usize).prop_map(|to| Action::Return { to }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever is done in whatever order: locked frames and absent objects stay, stale frames are none of
    /// the anchors', what is read at random is what is read in order, and undoing everything leads back.
    #[test]
    fn any_amendments_leave_a_run_whole(
        actions in proptest::collection::vec(any_action(), 1..14),
        across in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = run(folder.path(), across);
        let before = frames(&path);
        let base = std::fs::read(&path).unwrap();
        let mut run = RunAmender::open(&path).unwrap();
        for action in actions {
            let locked = run.run().state().locks.clone();
            let shown = frames(&path);
            let Ok(number) = run.amend("ada", WHEN, action.clone()) else { continue };
            if let Action::Computed { objects, frames } = &action {
                for frame in frames.clone() {
                    let is_free = objects.iter().all(|o| !run.run().state().is_locked(*o, frame));
                    // As tracking does, which never goes beyond what is stale.
                    if is_free && run.run().state().stretches().iter().any(|s| {
                        s.object == objects[0] && s.frames.contains(&frame)
                    }) {
                        let new = [LabelledMask::new(objects[0], mask(number as u8))];
                        run.patch(number, &MaskFrame::new(frame, &new)).unwrap();
                    }
                }
                run.sync().unwrap();
            }
            if matches!(action, Action::Return { .. }) {
                continue;
            }
            let now = frames(&path);
            for (object, locks) in &locked {
                for frame in locks.iter().flat_map(|range| range.clone()) {
                    for known in 1..4 {
                        if object.is_none_or(|object| object == known) {
                            prop_assert_eq!(
                                bits(&shown, known, frame),
                                bits(&now, known, frame),
                                "{:?} {} {}", action, known, frame
                            );
                        }
                    }
                }
            }
        }
        let state = run.run().state().clone();
        for stretch in state.stretches() {
            prop_assert!(!stretch.frames.is_empty());
            prop_assert!(stretch.frames.start >= stretch.within.start);
            prop_assert!(stretch.frames.end <= stretch.within.end);
            let anchors = stretch.prompts.iter().chain(&stretch.masks);
            for anchor in anchors {
                prop_assert!(stretch.within.contains(anchor), "{:?}", stretch);
            }
            for mask in &stretch.masks {
                prop_assert!(!stretch.frames.contains(mask), "{:?}", stretch);
            }
        }
        let read = frames(&path);
        for (frame, shown) in read.iter().enumerate() {
            let at_random = run.run_mut().frame(frame).unwrap();
            prop_assert_eq!(Some(shown), at_random.as_ref());
            for shown in &shown.objects {
                prop_assert!(!state.is_absent(shown.object, frame) || shown.mask.area() == 0);
                let deleted = state.deleted.get(&shown.object);
                prop_assert!(deleted.is_none_or(|deleted| !deleted.contains(&frame)));
                prop_assert!(state.objects.contains_key(&shown.object));
            }
        }
        run.amend("ada", WHEN, Action::Return { to: 0 }).unwrap();
        prop_assert!(frames(&path) == before);
        drop(run);
        let reopened = OpenRun::open(&path).unwrap();
        prop_assert!(reopened.state().stale.values().all(RangeSet::is_empty));
        prop_assert!(std::fs::read(&path).unwrap().starts_with(&base));
        let batches = RunReader::open(&path).unwrap().filter_map(|record| match record {
            Ok(RunRecord::Batch(batch)) => Some(batch.frames),
            _ => None,
        });
        prop_assert_eq!(batches.collect::<Vec<_>>(), [0..6, 6..12]);
    }
}
