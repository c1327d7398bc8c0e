//! Jobs that track from both sides: every frame once, with the same masks however the job is cut,
//! interrupted or short of memory.

use std::collections::BTreeMap;

use sam2_engine::{Direction, ObjectId, Passes, Sam2, SessionOptions, VideoSession};
use sam2_frame_provider::FramesMode;
use sam2_mask_writer::{LabelledMask, Mask, RunReader};

use crate::memory_shortage::injected::ROOM;
use crate::tests::{
    ONE, SeenFrames, Shortages, TWO, batched, model, own_click, recording, run_job,
};
use crate::{CancelFlag, FramePart, JobError, JobOptions, JobPlan, Journal, run_header};

const FRAMES: usize = 14;
/// Objects with their prompted frames. No prompt lies in the second batch or the last.
const PROMPTS: [(ObjectId, &[usize]); 2] = [(ONE, &[1, 3, 9]), (TWO, &[2, 8, 11])];

/// Returns a plan of batches of four frames.
fn plan(prompts: &[(ObjectId, &'static [usize])]) -> JobPlan {
    let clicks = |&(object, frames): &(ObjectId, &'static [usize])| {
        frames.iter().map(move |&frame| own_click(object, frame))
    };
    batched(FRAMES, 4, prompts.iter().flat_map(clicks))
}

fn options(passes: Passes) -> JobOptions {
    JobOptions { session: SessionOptions::default().passes(passes), ..JobOptions::default() }
}

fn job(model: &Sam2, plan: &JobPlan, options: JobOptions) -> SeenFrames {
    let (report, seen) = run_job(model, FRAMES, plan, options, None, &mut Shortages::default());
    let report = report.unwrap();
    assert!(report.unprompted.is_empty() && report.unprompted_objects.is_empty());
    seen
}

/// Returns the masks that an object has if it has this prompt only.
fn alone(
    model: &Sam2,
    object: ObjectId,
    frame: usize,
    direction: Direction,
) -> BTreeMap<usize, Mask> {
    let mut session = VideoSession::new(model, recording(FRAMES)).unwrap();
    own_click(object, frame).give(&mut session, 0).unwrap();
    let masks = session.propagate(direction).map(|masks| masks.unwrap());
    masks.map(|masks| (masks.frame_index, masks.objects[0].mask.clone())).collect()
}

fn of(seen: &[LabelledMask], object: ObjectId) -> &LabelledMask {
    seen.iter().find(|shown| shown.object == object.0).unwrap()
}

#[test]
fn every_frame_has_the_mask_of_its_nearest_prompt() {
    ROOM.set(None);
    let model = model();
    let nearest = job(&model, &plan(&PROMPTS), options(Passes::Nearest));
    let agreed = job(&model, &plan(&PROMPTS), options(Passes::Agreed));
    for (object, prompts) in PROMPTS {
        for (frame, masks) in &nearest {
            let nearer = prompts.iter().min_by_key(|&&p| (p.abs_diff(*frame), p > *frame)).unwrap();
            let direction = if nearer <= frame { Direction::Forward } else { Direction::Reverse };
            let expected = &alone(&model, object, *nearer, direction)[frame];
            let shown = of(masks, object);
            assert!(shown.mask == *expected, "object {object} frame {frame}");
            let facts = shown.facts.unwrap();
            assert_eq!(facts.prompted, prompts.contains(frame));
            assert_eq!(facts.agreement, None);
            // The two squares are easy: both sides agree.
            let compared = of(&agreed[*frame].1, object);
            let between = prompts[0] < *frame && *frame < prompts[2] && !prompts.contains(frame);
            assert_eq!(compared.facts.unwrap().agreement.is_some(), between, "{object} {frame}");
            assert!(compared.mask == shown.mask, "object {object} frame {frame}");
        }
    }
}

#[test]
fn parts_add_up_to_the_whole() {
    ROOM.set(None);
    let model = model();
    for passes in [Passes::Nearest, Passes::Agreed] {
        let whole = job(&model, &plan(&PROMPTS), options(passes));
        let mut parts = Vec::new();
        for (start, end) in [(0, 4), (4, 12), (12, 14)] {
            let part = Some(FramePart { start, end });
            parts.extend(job(&model, &plan(&PROMPTS), JobOptions { part, ..options(passes) }));
        }
        assert!(parts == whole, "{passes:?}");
        // Without batches they are the same.
        let prompts = plan(&PROMPTS).batches.into_iter().flat_map(|batch| batch.prompts).collect();
        assert!(job(&model, &JobPlan::whole(FRAMES, prompts), options(passes)) == whole);
    }
}

#[test]
fn a_job_that_stops_anywhere_goes_on() {
    ROOM.set(None);
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.sam2run.part");
    let early: [(ObjectId, &[usize]); 2] = [(ONE, &[1]), (TWO, &[0, 3])];
    for (passes, prompts) in
        [(Passes::Agreed, &PROMPTS), (Passes::Nearest, &PROMPTS), (Passes::Agreed, &early)]
    {
        let (plan, options) = (plan(prompts), options(passes));
        let whole = job(&model, &plan, options);
        let header = run_header(&model, &recording(FRAMES), "r", &plan, &options, &[]).unwrap();
        for every in [0, 3] {
            for stop in [1, 4, 7, 10, 13] {
                let journal = || Journal::resume(&path, header.clone()).unwrap();
                let mut stops = Shortages(Vec::new(), Some((stop, CancelFlag::new())));
                let begun = journal().with_checkpoints_every(every);
                let (report, seen) =
                    run_job(&model, FRAMES, &plan, options, Some(begun), &mut stops);
                if let Ok(report) = report {
                    // The work of the last stretch was done when the flag was raised.
                    assert_eq!(report.frames, FRAMES);
                    assert!(seen == whole);
                    continue;
                }
                assert!(matches!(report, Err(JobError::Cancelled { .. })), "{report:?}");
                let rest = journal().with_checkpoints_every(every);
                let (report, seen) =
                    run_job(&model, FRAMES, &plan, options, Some(rest), &mut Shortages::default());
                assert_eq!(report.unwrap().frames, FRAMES);
                assert!(seen == whole, "{passes:?}, stopped after {stop}");
                let left = std::fs::read_dir(folder.path()).unwrap().count();
                assert_eq!(left, 0, "nothing is left");
            }
        }
    }
}

#[test]
fn too_little_memory_is_less_at_a_time_and_the_same_masks() {
    let model = model();
    for passes in [Passes::Nearest, Passes::Agreed] {
        ROOM.set(None);
        let whole = job(&model, &plan(&PROMPTS), options(passes));
        for at in [0, 2, 6, 9, 13] {
            ROOM.set(Some((1, at)));
            let mut shortages = Shortages::default();
            let (report, seen) =
                run_job(&model, FRAMES, &plan(&PROMPTS), options(passes), None, &mut shortages);
            assert_eq!(report.unwrap().frames, FRAMES);
            assert!(shortages.0.is_empty() || shortages.0 == [1], "{:?}", shortages.0);
            assert!(seen == whole, "{passes:?}, too little memory on frame {at}");
        }
    }
    ROOM.set(None);
}

#[test]
fn run_files_say_from_where_batches_were_tracked() {
    ROOM.set(None);
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.sam2run.part");
    let (plan, options) = (plan(&PROMPTS), options(Passes::Agreed));
    let header = run_header(&model, &recording(FRAMES), "r", &plan, &options, &[]).unwrap();
    let mut stops = Shortages(Vec::new(), Some((12, CancelFlag::new())));
    let journal = Some(Journal::create(&path, header).unwrap());
    run_job(&model, FRAMES, &plan, options, journal, &mut stops).0.unwrap_err();
    let batches = RunReader::recover(&path).unwrap().batches;
    let told: Vec<_> =
        batches.iter().map(|b| (&b.prompt_frames[..], &b.tracked_from[..])).collect();
    assert_eq!(told[0], (&[1, 2, 3][..], &[8, 9][..]));
    assert_eq!(told[1], (&[][..], &[2, 3, 8, 9][..]));
    assert!(!batches[1].is_unprompted());
}

#[test]
fn what_cannot_go_together_is_refused() {
    ROOM.set(None);
    let model = model();
    let told = |options: JobOptions| {
        let plan = plan(&PROMPTS);
        let (report, seen) =
            run_job(&model, FRAMES, &plan, options, None, &mut Shortages::default());
        assert!(seen.is_empty());
        report.unwrap_err().to_string()
    };
    let jpeg = JobOptions { frames_mode: FramesMode::Jpeg, ..options(Passes::Agreed) };
    assert!(told(jpeg).contains("use lazy"));
    let carried = JobOptions { carry_over: true, ..options(Passes::Nearest) };
    assert!(told(carried).contains("nothing to carry over"));
}

#[test]
fn a_batch_that_was_written_but_not_ended_is_ended() {
    ROOM.set(None);
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.sam2run.part");
    let (plan, options) = (plan(&PROMPTS), options(Passes::Agreed));
    let whole = job(&model, &plan, options);
    let header = run_header(&model, &recording(FRAMES), "r", &plan, &options, &[]).unwrap();
    let mut stops = Shortages(Vec::new(), Some((12, CancelFlag::new())));
    let journal = Some(Journal::create(&path, header.clone()).unwrap());
    run_job(&model, FRAMES, &plan, options, journal, &mut stops).0.unwrap_err();
    let bytes = std::fs::read(&path).unwrap();
    // The journal is torn behind the last frame of the first batch.
    let is_torn_there = |&length: &usize| {
        std::fs::write(&path, &bytes[..length]).unwrap();
        RunReader::recover(&path)
            .is_ok_and(|found| found.batches.is_empty() && found.loose_frames.len() == 4)
    };
    (0..bytes.len()).find(is_torn_there).unwrap();
    assert_eq!(Journal::frames_kept(&path), 4);
    assert_eq!(Journal::check(&path, &header).unwrap(), 4);
    let journal = Some(Journal::resume(&path, header).unwrap());
    let (report, seen) =
        run_job(&model, FRAMES, &plan, options, journal, &mut Shortages::default());
    let report = report.unwrap();
    assert_eq!((report.frames, report.resumed, report.unprompted.len()), (FRAMES, 4, 0));
    assert!(seen == whole);
}

#[test]
fn a_job_that_stops_before_its_first_batch_ends_keeps_its_frames() {
    ROOM.set(None);
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.sam2run.part");
    let prompts = plan(&PROMPTS).batches.into_iter().flat_map(|batch| batch.prompts).collect();
    let (plan, options) = (JobPlan::whole(FRAMES, prompts), options(Passes::Nearest));
    let header = run_header(&model, &recording(FRAMES), "r", &plan, &options, &[]).unwrap();
    let mut stops = Shortages(Vec::new(), Some((8, CancelFlag::new())));
    let journal = Some(Journal::create(&path, header).unwrap());
    run_job(&model, FRAMES, &plan, options, journal, &mut stops).0.unwrap_err();
    let kept = Journal::frames_kept(&path);
    assert!((3..9).contains(&kept), "{kept}");
}
