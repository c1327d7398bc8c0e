//! Jobs whose track prompts again: the prompts help, the masks are those of a job that had the
//! prompts from the start, and the job can be cut and interrupted like any other.

use sam2_engine::{BoxPrompt, ObjectId, Passes, Point, QualityFlag, Sam2, SessionOptions};
use sam2_mask_writer::{LabelledMask, RunBatch, RunPrompt};

use crate::memory_shortage::injected::ROOM;
use crate::tests::{
    ONE, SeenFrames, Shortages, TWO, batched, click, middles, model, own_click, recording, run_job,
    run_with_track, track,
};
use crate::{
    CancelFlag, FramePart, JobError, JobOptions, JobPlan, JobPrompt, Journal, Reprompt, run_header,
};

const FRAMES: usize = 16;

/// Returns batches of four frames. The first object is prompted on the wrong square.
fn plan() -> JobPlan {
    let wrong = [click(ONE, 1, 1), click(ONE, 9, 1)];
    batched(FRAMES, 4, wrong.into_iter().chain([own_click(TWO, 2), own_click(TWO, 11)]))
}

fn agreed() -> JobOptions {
    let session = SessionOptions::default().passes(Passes::Agreed);
    JobOptions { session, ..JobOptions::default() }
}

fn again() -> JobOptions {
    JobOptions { reprompt: Some(Reprompt::when(Reprompt::FLAGS)), ..agreed() }
}

/// Runs a job to its end.
fn done(model: &Sam2, plan: &JobPlan, options: JobOptions) -> (SeenFrames, Vec<RunBatch>) {
    let track = track(FRAMES);
    let (report, seen) = run_with_track(
        model,
        FRAMES,
        plan,
        (options, Some(&track)),
        None,
        &mut Shortages::default(),
    );
    report.unwrap();
    seen
}

fn of(seen: &[LabelledMask], object: ObjectId) -> &LabelledMask {
    seen.iter().find(|shown| shown.object == object.0).unwrap()
}

/// Returns the frames on which an object's mask does not cover the middle of a square.
fn wrong(frames: &SeenFrames, object: ObjectId, square: usize) -> Vec<usize> {
    let is_wrong = |frame: usize, seen: &[LabelledMask]| {
        let (x, y) = middles(frame)[square];
        !of(seen, object).mask.contains(x as u32, y as u32)
    };
    frames.iter().filter(|(frame, seen)| is_wrong(*frame, seen)).map(|(frame, _)| *frame).collect()
}

/// Returns the prompt that a run file keeps, as it can be given to a job.
fn given(kept: &RunPrompt) -> JobPrompt {
    let point = |point: &sam2_mask_writer::RunPoint| {
        let make = if point.positive { Point::positive } else { Point::negative };
        (point.name.clone(), make(point.x, point.y))
    };
    JobPrompt {
        points: kept.points.iter().map(point).collect(),
        bounds: kept.bounds.map(|[x0, y0, x1, y1]| BoxPrompt { x0, y0, x1, y1 }),
        candidate: kept.candidate,
        ..JobPrompt::empty(kept.frame, ObjectId(kept.object))
    }
}

#[test]
fn the_track_mends_what_a_wrong_prompt_has_done() {
    ROOM.set(None);
    let model = model();
    let (before, _) = done(&model, &plan(), agreed());
    let (frames, batches) = done(&model, &plan(), again());
    let (was, is) = (wrong(&before, ONE, 0), wrong(&frames, ONE, 0));
    // The wrong prompts themselves stay.
    assert_eq!(was, (0..FRAMES).collect::<Vec<_>>());
    assert_eq!(is, [1, 9], "everything else is mended, before, between and behind them");
    // The other object stays as it is.
    for ((_, before), (frame, now)) in before.iter().zip(&frames) {
        assert!(of(before, TWO).mask == of(now, TWO).mask, "frame {frame}");
    }
    let added = |batch: &RunBatch| {
        let known = plan();
        let known = known.batches.iter().flat_map(|batch| &batch.prompts);
        let known: Vec<_> = known.map(|prompt| (prompt.frame, prompt.object.0)).collect();
        let added = batch.prompts.iter().filter(|p| !known.contains(&(p.frame, p.object)));
        added.cloned().collect::<Vec<_>>()
    };
    let all: Vec<RunPrompt> = batches.iter().flat_map(added).collect();
    assert!(all.len() >= 3 && all.iter().all(|prompt| prompt.object == ONE.0), "{all:?}");
    assert!(all.iter().all(|prompt| prompt.frame != 4 && prompt.frame < 13), "{all:?}");
    for batch in &batches {
        assert!(batch.prompts.iter().all(|prompt| batch.frames.contains(&prompt.frame)));
        let mut frames: Vec<usize> = batch.prompts.iter().map(|prompt| prompt.frame).collect();
        frames.sort();
        frames.dedup();
        assert_eq!(batch.prompt_frames, frames);
    }
    for prompt in &all {
        assert!(of(&frames[prompt.frame].1, ONE).facts.unwrap().prompted);
    }
    // A job that is given these prompts has the same masks.
    let mut more = plan();
    for prompt in &all {
        more.batches[prompt.frame / 4].prompts.push(given(prompt));
    }
    assert!(done(&model, &more, agreed()).0 == frames);
}

#[test]
fn nothing_is_prompted_again_where_nothing_is_flagged() {
    ROOM.set(None);
    let model = model();
    let mut plan = plan();
    plan.batches[0].prompts[0] = own_click(ONE, 1);
    plan.batches[2].prompts[0] = own_click(ONE, 9);
    let quiet = JobOptions { reprompt: Some(Reprompt::when([QualityFlag::Lost])), ..agreed() };
    assert!(done(&model, &plan, quiet) == done(&model, &plan, agreed()));
    let never = Reprompt::when(Reprompt::FLAGS).rounds(0);
    let never = JobOptions { reprompt: Some(never), ..agreed() };
    assert!(done(&model, &self::plan(), never) == done(&model, &self::plan(), agreed()));
}

#[test]
fn a_job_that_is_cut_interrupted_or_short_of_memory_prompts_the_same() {
    ROOM.set(None);
    let (model, plan, track) = (model(), plan(), track(FRAMES));
    let whole = done(&model, &plan, again());
    let mut parts = (Vec::new(), Vec::new());
    for (start, end) in [(0, 4), (4, 12), (12, 16)] {
        let part = Some(FramePart { start, end });
        let (frames, batches) = done(&model, &plan, JobOptions { part, ..again() });
        parts.0.extend(frames);
        parts.1.extend(batches);
    }
    assert!(parts == whole);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.sam2run.part");
    let header = run_header(&model, &recording(FRAMES), "r", &plan, &again(), &[]).unwrap();
    for stop in [1, 3, 6, 9, 11, 14] {
        let run = |stops: &mut Shortages| {
            let journal = Journal::resume(&path, header.clone()).unwrap().with_checkpoints_every(3);
            let options = (again(), Some(&track));
            run_with_track(&model, FRAMES, &plan, options, Some(journal), stops)
        };
        let (report, seen) = run(&mut Shortages(Vec::new(), Some((stop, CancelFlag::new()))));
        if report.is_ok() {
            assert!(seen == whole);
            continue;
        }
        assert!(matches!(report, Err(JobError::Cancelled { .. })), "{report:?}");
        let (report, seen) = run(&mut Shortages::default());
        report.unwrap();
        assert!(seen.0 == whole.0, "stopped after {stop}");
        assert_eq!(seen.1, whole.1, "stopped after {stop}");
    }

    for at in [0, 3, 7, 12] {
        ROOM.set(Some((1, at)));
        let options = (again(), Some(&track));
        let (report, seen) =
            run_with_track(&model, FRAMES, &plan, options, None, &mut Shortages::default());
        report.unwrap();
        assert!(seen == whole, "too little memory on frame {at}");
    }
    ROOM.set(None);
}

#[test]
fn prompting_again_needs_a_track_and_both_sides() {
    ROOM.set(None);
    let model = model();
    let told = |options: JobOptions| {
        let nobody = &mut Shortages::default();
        run_job(&model, FRAMES, &plan(), options, None, nobody).0.unwrap_err().to_string()
    };
    assert!(told(again()).contains("needs a pose track"));
    let session = SessionOptions::default().passes(Passes::Nearest);
    assert!(told(JobOptions { session, ..again() }).contains("agreed"));
}
