//! A corrected run is the run that the same prompts would have given, and everything else of it stays.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use sam2_engine::{ObjectId, Passes, Sam2, SessionOptions};
use sam2_mask_writer::{
    Action, LabelledMask, Mask, OpenRun, QualityFlag, RunAmender, RunFileSink, RunFrame, RunPrompt,
    RunReader,
};

use super::*;
use crate::tests::{ONE, TWO, batched, click, middles, model, own_click, recording, track};
use crate::{FrameStep, Job, JobPrompt, run_header};

const FRAMES: usize = 16;

fn options(passes: Passes) -> JobOptions {
    JobOptions { session: SessionOptions::default().passes(passes), ..JobOptions::default() }
}

fn author() -> Author {
    Author { who: "ada".into(), now: || "2026-12-01T12:00:00Z".into() }
}

/// Computes a run of two squares, of which the first object gets the wrong one in the middle.
fn plan() -> JobPlan {
    batched(
        FRAMES,
        8,
        [
            own_click(ONE, 1),
            click(ONE, 6, 1),
            own_click(ONE, 13),
            own_click(TWO, 2),
            own_click(TWO, 11),
        ],
    )
}

fn computed(model: &Sam2, plan: &JobPlan, options: JobOptions, path: &Path) {
    compared(model, plan, (options, None), path);
}

/// Computes a run whose masks are compared with a pose track.
fn compared(
    model: &Sam2,
    plan: &JobPlan,
    (options, track): (JobOptions, Option<&TrackEvidence>),
    path: &Path,
) {
    let frames = recording(FRAMES);
    let header = run_header(model, &frames, "r", plan, &options, &[]).unwrap();
    let sink = RunFileSink::create(path, &header, true).unwrap();
    let job = Job::new(model, &frames, plan).options(options).evidence(track);
    job.sink(Box::new(sink)).run().unwrap();
}

/// Returns every frame of a run file.
fn frames(path: &Path) -> Vec<RunFrame> {
    RunReader::open(path).unwrap().frames().map(|frame| frame.unwrap()).collect()
}

fn mask(frames: &[RunFrame], object: ObjectId, frame: usize) -> Option<&LabelledMask> {
    frames[frame].objects.iter().find(|shown| shown.object == object.0)
}

/// Returns the frames on which the masks or facts of an object differ.
fn differing(a: &[RunFrame], b: &[RunFrame], object: ObjectId) -> Vec<usize> {
    (0..a.len()).filter(|&frame| mask(a, object, frame) != mask(b, object, frame)).collect()
}

fn shared(path: &Path) -> SharedRun {
    SharedRun::new(RunAmender::open(path).unwrap())
}

fn prompted(prompt: JobPrompt) -> Action {
    Action::Prompt { prompt: prompt.for_run_file() }
}

fn tracked(model: &Sam2, run: &SharedRun) -> TrackedAgain {
    Correction::new(model, &recording(FRAMES), run, author()).unwrap().run().unwrap()
}

fn corrected(model: &Sam2, path: &Path, actions: impl IntoIterator<Item = Action>) -> TrackedAgain {
    let run = shared(path);
    for action in actions {
        amend(&run, &author(), action).unwrap();
    }
    tracked(model, &run)
}

#[test]
fn step_by_step_a_run_becomes_what_its_prompts_give_from_the_start() {
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let witness = track(FRAMES);
    let frames_of_it = recording(FRAMES);
    let kinds = [
        (Passes::Nearest, None),
        (Passes::Agreed, None),
        (Passes::Nearest, Some(&witness)),
        (Passes::Agreed, Some(&witness)),
    ];
    for (passes, track) in kinds {
        let corrected = |path: &Path, actions: Vec<Action>| {
            let run = shared(path);
            for action in actions {
                amend(&run, &author(), action).unwrap();
            }
            let correction = Correction::new(&model, &frames_of_it, &run, author()).unwrap();
            correction.evidence(track).run().unwrap();
        };
        let path = folder.path().join("r.sam2run");
        compared(&model, &plan(), (options(passes), track), &path);
        let before = frames(&path);
        // The wrong prompt becomes a right one; the other is taken away again; a new object comes.
        let third = ObjectId(7);
        let steps = [
            vec![prompted(own_click(ONE, 6))],
            vec![prompted(own_click(TWO, 7)), prompted(click(third, 9, 1))],
            vec![Action::Unprompt { object: TWO.0, frame: 11 }],
        ];
        for step in steps.clone() {
            corrected(&path, step);
        }
        let wanted = batched(
            FRAMES,
            8,
            [
                own_click(ONE, 1),
                own_click(ONE, 6),
                own_click(ONE, 13),
                own_click(TWO, 2),
                own_click(TWO, 7),
                click(third, 9, 1),
            ],
        );
        let fresh = folder.path().join("fresh.sam2run");
        compared(&model, &wanted, (options(passes), track), &fresh);
        let (now, expected) = (frames(&path), frames(&fresh));
        for object in [ONE, TWO, third] {
            assert_eq!(differing(&now, &expected, object), [0; 0], "object {object}, {passes:?}");
        }
        // The witness sees that the first object was on the wrong animal, and that it no longer is.
        let off_track = |frames: &[RunFrame]| {
            let of = |frame: usize| mask(frames, ONE, frame).and_then(|shown| shown.facts);
            (0..FRAMES)
                .filter(|&frame| of(frame).is_some_and(|f| f.flags.contains(QualityFlag::OffTrack)))
                .count()
        };
        assert_eq!(off_track(&before) > off_track(&now), track.is_some());
        // What lies outside of the prompts next to the changed ones is not computed again.
        let outside: Vec<usize> = (0..=1).chain(13..FRAMES).collect();
        let changed = differing(&before, &now, ONE);
        assert!(!changed.is_empty() && changed.iter().all(|frame| !outside.contains(frame)));
        // The same at once.
        let at_once = folder.path().join("once.sam2run");
        compared(&model, &plan(), (options(passes), track), &at_once);
        corrected(&at_once, steps.into_iter().flatten().collect());
        assert!(frames(&at_once) == now, "{passes:?}");
        // A report shows the prompts that hold now.
        let batches = RunReader::open(&path).unwrap().filter_map(|record| match record.unwrap() {
            sam2_mask_writer::RunRecord::Batch(batch) => Some(batch),
            _ => None,
        });
        let shown: Vec<(usize, u32)> =
            batches.flat_map(|batch| batch.prompts).map(|p| (p.frame, p.object)).collect();
        assert_eq!(shown, [(1, 1), (2, 2), (6, 1), (7, 2), (9, 7), (13, 1)]);
    }
}

#[test]
fn what_was_computed_stays_in_the_file_and_can_be_returned_to() {
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.sam2run");
    computed(&model, &plan(), options(Passes::Nearest), &path);
    let bytes = std::fs::read(&path).unwrap();
    let first = frames(&path);
    corrected(&model, &path, [prompted(own_click(ONE, 6))]);
    let second = frames(&path);
    corrected(&model, &path, [prompted(own_click(TWO, 7))]);
    let third = frames(&path);
    assert!(first != second && second != third);
    assert!(std::fs::read(&path).unwrap().starts_with(&bytes));
    let run = shared(&path);
    undo(&run, &author()).unwrap();
    assert!(frames(&path) == second);
    undo(&run, &author()).unwrap();
    assert!(frames(&path) == first);
    assert!(undo(&run, &author()).unwrap_err().to_string().contains("nothing to undo"));
    assert_eq!(tracked(&model, &run), TrackedAgain::default());
    redo(&run, &author()).unwrap();
    assert!(frames(&path) == second);
    redo(&run, &author()).unwrap();
    assert!(frames(&path) == third);
    assert!(redo(&run, &author()).unwrap_err().to_string().contains("nothing to redo"));
    amend(&run, &author(), Action::Return { to: 0 }).unwrap();
    assert!(frames(&path) == first);
    drop(run);
    let opened = OpenRun::open(&path).unwrap();
    assert!(opened.amendments().iter().all(|a| a.who == "ada" && a.when.starts_with("2026-12")));
    assert!(RunReader::open_as_computed(&path).unwrap().frames().map(|f| f.unwrap()).eq(first));
}

#[test]
fn nothing_is_tracked_across_locks_and_borders_of_batches() {
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.sam2run");
    // Each batch by itself, as most runs are computed.
    let plan = batched(FRAMES, 8, [own_click(ONE, 1), click(ONE, 10, 1), own_click(TWO, 2)]);
    computed(&model, &plan, options(Passes::Own), &path);
    let before = frames(&path);
    assert!(mask(&before, TWO, 12).is_none());
    let done = corrected(
        &model,
        &path,
        [
            Action::Lock { object: None, frames: 13..15, on: true },
            prompted(own_click(ONE, 10)),
            prompted(own_click(TWO, 9)),
        ],
    );
    assert_eq!(done.spans, [(1, 8..13), (2, 8..13)]);
    let now = frames(&path);
    for object in [ONE, TWO] {
        let changed = differing(&before, &now, object);
        assert!(changed.iter().all(|frame| (8..13).contains(frame)), "{object}: {changed:?}");
    }
    // The locked mask is where the frames next to it come from: as if it had been the prompt.
    let locked = mask(&before, ONE, 13).unwrap().mask.clone();
    let by_mask = JobPrompt { mask: Some(locked), ..JobPrompt::empty(13, ONE) };
    let same = batched(FRAMES, FRAMES, [own_click(ONE, 10), by_mask]);
    let fresh = folder.path().join("fresh.sam2run");
    computed(&model, &same, options(Passes::Nearest), &fresh);
    let expected = frames(&fresh);
    for frame in 8..13 {
        // The other run has no second object that could have the same pixels.
        let of = |frames: &[RunFrame]| mask(frames, ONE, frame).unwrap().mask.clone();
        assert!(of(&now) == of(&expected), "frame {frame}");
    }
    let run = shared(&path);
    let refused = |action| amend(&run, &author(), action).unwrap_err().to_string();
    assert!(refused(prompted(own_click(ONE, 14))).contains("frame 14 is locked"));
    assert!(refused(Action::Delete { object: 1, frames: 0..14 }).contains("frame 13 is locked"));
    amend(&run, &author(), Action::Lock { object: None, frames: 13..15, on: false }).unwrap();
    amend(&run, &author(), prompted(own_click(ONE, 14))).unwrap();
    let too_early = refused(Action::Lock { object: Some(1), frames: 12..16, on: true });
    assert!(too_early.contains("not tracked again yet"), "{too_early}");
}

#[test]
fn exchanged_and_joined_objects_keep_their_masks() {
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.sam2run");
    computed(&model, &plan(), options(Passes::Nearest), &path);
    let before = frames(&path);
    let run = shared(&path);
    let frames_of = exchanged_from(&run, [1, 2], 5).unwrap();
    assert_eq!(frames_of, 5..FRAMES);
    amend(&run, &author(), Action::Swap { objects: [1, 2], frames: frames_of }).unwrap();
    assert_eq!(tracked(&model, &run), TrackedAgain::default(), "masks are there already");
    let now = frames(&path);
    let pixels =
        |frames: &[RunFrame], object, frame| mask(frames, object, frame).unwrap().mask.clone();
    for frame in 0..FRAMES {
        let (one, two) = if frame < 5 { (ONE, TWO) } else { (TWO, ONE) };
        assert!(pixels(&now, ONE, frame) == pixels(&before, one, frame));
        assert!(pixels(&now, TWO, frame) == pixels(&before, two, frame));
    }
    let state = run.lock().run().state().clone();
    let prompts: Vec<_> = state.prompts.keys().copied().collect();
    assert_eq!(prompts, [(1, 1), (1, 11), (2, 2), (2, 6), (2, 13)]);
    assert_eq!(state.kept.iter().copied().collect::<Vec<_>>(), [(1, 4), (1, 5), (2, 4), (2, 5)]);
    // What is tracked next to the border comes from both sides of it.
    amend(&run, &author(), prompted(own_click(TWO, 3))).unwrap();
    let stale = run.lock().run().state().stretches();
    assert_eq!((stale[0].frames.clone(), stale.len()), (3..4, 1));
    tracked(&model, &run);
    undo(&run, &author()).unwrap();
    amend(&run, &author(), Action::Merge { object: 2, into: 1 }).unwrap();
    let joined = frames(&path);
    for frame in 0..FRAMES {
        assert!(mask(&joined, TWO, frame).is_none());
        let both = pixels(&before, ONE, frame).union(&pixels(&before, TWO, frame));
        assert!(pixels(&joined, ONE, frame) == both, "frame {frame}");
    }
}

#[test]
fn absent_and_deleted_objects_are_not_there_whatever_is_tracked() {
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.sam2run");
    computed(&model, &plan(), options(Passes::Nearest), &path);
    let before = frames(&path);
    corrected(
        &model,
        &path,
        [
            Action::Absent { object: 1, frames: 3..6, on: true },
            Action::Delete { object: 2, frames: 12..FRAMES },
            prompted(own_click(ONE, 6)),
            prompted(own_click(TWO, 9)),
        ],
    );
    let now = frames(&path);
    let of = |object, frame| mask(&now, object, frame).map(|shown| shown.mask.area());
    for frame in 3..6 {
        assert_eq!(of(ONE, frame), Some(0));
        assert_eq!(mask(&now, ONE, frame).unwrap().facts.unwrap().flags.iter().count(), 0);
    }
    assert!((12..FRAMES).all(|frame| of(TWO, frame).is_none()));
    assert!((0..12).all(|frame| of(TWO, frame) > Some(0)));
    let run = shared(&path);
    let refused = |action| amend(&run, &author(), action).unwrap_err().to_string();
    assert!(refused(prompted(own_click(ONE, 4))).contains("marked as absent"));
    assert!(refused(prompted(own_click(TWO, 14))).contains("was deleted"));
    amend(&run, &author(), Action::Absent { object: 1, frames: 0..FRAMES, on: false }).unwrap();
    let back = frames(&path);
    assert!((3..6).all(|frame| mask(&back, ONE, frame).unwrap().mask.area() > 0));
    // Both objects were on the same square where the first was wrong, and that was flagged.
    let overlaps = |frames: &[RunFrame], frame| {
        let facts = mask(frames, TWO, frame).unwrap().facts.unwrap();
        facts.flags.contains(QualityFlag::Overlap)
    };
    assert!(overlaps(&before, 6) && !overlaps(&back, 6));
    // An object without a prompt has no masks.
    let actions = [1, 6, 13].map(|frame| Action::Unprompt { object: 1, frame });
    for action in actions {
        amend(&run, &author(), action).unwrap();
    }
    tracked(&model, &run);
    assert!(frames(&path).iter().all(|frame| frame.objects.iter().all(|shown| shown.object != 1)));
}

#[test]
fn stopped_and_torn_corrections_go_on() {
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.sam2run");
    computed(&model, &plan(), options(Passes::Nearest), &whole);
    let steps = || [prompted(own_click(ONE, 6)), prompted(own_click(TWO, 7))];
    let path = folder.path().join("r.sam2run");
    std::fs::copy(&whole, &path).unwrap();
    let base = std::fs::metadata(&whole).unwrap().len();
    corrected(&model, &whole, steps());
    let expected = frames(&whole);

    /// Stops after some frames.
    struct Stop(usize, CancelFlag);
    impl JobObserver for Stop {
        fn on_stage(&mut self, stage: &JobStage) {
            if let JobStage::Frame { done, .. } = stage
                && *done >= self.0
            {
                self.1.cancel();
            }
        }
    }
    let run = shared(&path);
    for action in steps() {
        amend(&run, &author(), action).unwrap();
    }
    let mut stops = 0;
    for after in [1, 4, 9, 3] {
        let cancel = CancelFlag::new();
        let mut stop = Stop(after, cancel.clone());
        let result = Correction::new(&model, &recording(FRAMES), &run, author())
            .unwrap()
            .observe(&mut stop)
            .cancel(&cancel)
            .run();
        stops += usize::from(matches!(result, Err(JobError::Cancelled { .. })));
    }
    assert!(stops >= 2, "{stops}");
    tracked(&model, &run);
    drop(run);
    assert!(frames(&path) == expected);

    // Cut off anywhere behind the run itself, what is whole counts, and the rest is tracked again.
    let bytes = std::fs::read(&whole).unwrap();
    let torn = folder.path().join("torn.sam2run");
    for cut in (base..bytes.len() as u64).step_by(389) {
        std::fs::write(&torn, &bytes[..cut as usize]).unwrap();
        let run = shared(&torn);
        let known = run.lock().run().state().prompts.clone();
        for action in steps() {
            let Action::Prompt { prompt } = &action else { continue };
            if known.get(&(prompt.object, prompt.frame)).is_none_or(|(had, _)| had != prompt) {
                amend(&run, &author(), action).unwrap();
            }
        }
        tracked(&model, &run);
        drop(run);
        assert!(frames(&torn) == expected, "cut at {cut}");
    }
}

#[test]
fn options_of_a_run_are_read_back() {
    use sam2_engine::{MemoryPolicyChoice, Region};
    let model = model();
    let every = std::num::NonZeroUsize::new(3).unwrap();
    let session = SessionOptions::default()
        .passes(Passes::Agreed)
        .region(Some(Region { x: 1, y: 2, width: 40, height: 30 }))
        .memory_temporal_stride(2)
        .fill_hole_area(0)
        .memory_policy(MemoryPolicyChoice::Guarded(Default::default()));
    let job = JobOptions {
        session,
        step: FrameStep { every, between: crate::Between::Nearest },
        mixed_processors: true,
        ..JobOptions::default()
    };
    for job in [job, JobOptions::default(), JobOptions { carry_over: true, ..options(Passes::Own) }]
    {
        let plan = JobPlan::whole(FRAMES, vec![own_click(ONE, 3)]);
        let mut header = run_header(&model, &recording(FRAMES), "r", &plan, &job, &[]).unwrap();
        assert_eq!(RunOptions::of(&header).unwrap().job, job);
        let same =
            run_header(&model, &recording(FRAMES), "s", &JobPlan::whole(FRAMES, vec![]), &job, &[]);
        assert_eq!(difference_to_run(&header, &same.unwrap()), None);
        header.settings.insert("memory policy".into(), "Psychic".into());
        let error = RunOptions::of(&header).unwrap_err().to_string();
        assert!(error.contains("memory policy = Psychic"), "{error}");
    }
}

#[test]
fn between_computed_frames_masks_are_made_again_too() {
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let every = std::num::NonZeroUsize::new(3).unwrap();
    let step = FrameStep { every, between: crate::Between::Interpolate };
    let options = JobOptions { step, ..options(Passes::Nearest) };
    let path = folder.path().join("r.sam2run");
    let clicks = |middle| batched(FRAMES, 8, [own_click(ONE, 1), middle, own_click(ONE, 13)]);
    computed(&model, &clicks(click(ONE, 6, 1)), options, &path);
    let before = frames(&path);
    corrected(&model, &path, [prompted(own_click(ONE, 6))]);
    let now = frames(&path);
    let fresh = folder.path().join("fresh.sam2run");
    computed(&model, &clicks(own_click(ONE, 6)), options, &fresh);
    assert_eq!(differing(&now, &frames(&fresh), ONE), [0; 0]);
    let right = |frames: &[RunFrame], frame: usize| {
        let (x, y) = middles(frame)[0];
        mask(frames, ONE, frame).unwrap().mask.contains(x as u32, y as u32)
    };
    assert!((2..13).all(|frame| right(&now, frame)));
    assert!((2..13).any(|frame| !right(&before, frame)));
}

#[test]
fn prompts_that_are_wrong_are_refused_before_they_are_noted() {
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.sam2run");
    computed(&model, &plan(), options(Passes::Nearest), &path);
    let length = std::fs::metadata(&path).unwrap().len();
    let run = shared(&path);
    let refused = |action| amend(&run, &author(), action).unwrap_err().to_string();
    let outside = JobPrompt {
        points: vec![("click".into(), sam2_engine::Point::positive(65.0, 3.0))],
        ..JobPrompt::empty(3, ONE)
    };
    assert!(refused(prompted(outside)).contains("64x48"));
    assert!(refused(prompted(JobPrompt::empty(3, ONE))).contains("is empty"));
    assert!(refused(prompted(own_click(ONE, FRAMES))).contains("no frame 16"));
    assert!(refused(prompted(own_click(ObjectId(0), 3))).contains("numbered from 1"));
    let other_size = JobPrompt { mask: Some(Mask::empty(3, 3)), ..JobPrompt::empty(3, ONE) };
    assert!(refused(prompted(other_size)).contains("64x48"));
    assert!(refused(Action::Unprompt { object: 1, frame: 3 }).contains("no prompt on frame 3"));
    assert!(refused(Action::Swap { objects: [1, 1], frames: 0..4 }).contains("twice"));
    assert!(refused(Action::Merge { object: 1, into: 9 }).contains("no object 9"));
    assert!(refused(Action::Return { to: 1 }).contains("no amendment 1"));
    let backwards = Range { start: 4, end: 4 };
    assert!(
        refused(Action::Absent { object: 1, frames: backwards, on: true }).contains("no frames")
    );
    let wrong = RunPrompt { mask: Some(vec![1, 2]), ..own_click(ONE, 3).for_run_file() };
    assert!(refused(Action::Prompt { prompt: wrong }).contains("size of the frames"));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), length);
    // Nobody else may amend the file meanwhile.
    let second = RunAmender::open(&path).unwrap_err().to_string();
    assert!(second.contains("another sam2"), "{second}");
    let objects: BTreeMap<u32, String> = run.lock().run().state().objects.clone();
    assert_eq!(objects.keys().copied().collect::<Vec<_>>(), [1, 2]);
}
