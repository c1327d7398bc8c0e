//! Jobs that compute every N-th frame: computed frames are a recording of their own, every frame is
//! written once, and jobs can be cut and interrupted like any other.

use std::num::NonZeroUsize;

use sam2_engine::{Passes, Sam2, SessionOptions};
use sam2_frame_provider::{FrameSource, MemoryFrames};
use sam2_mask_writer::{LabelledMask, Mask};

use crate::memory_shortage::injected::ROOM;
use crate::tests::{
    ONE, SeenFrames, Shortages, TWO, batched, model, own_click, recording, run_job,
};
use crate::{
    BatchPlan, Between, CancelFlag, FramePart, FrameStep, JobError, JobOptions, JobPlan, JobPrompt,
    Journal, run_header,
};

const FRAMES: usize = 14;
/// The frames that are computed with a step of three: of batches of seven frames each third and the
/// last, and the prompted ones.
const COMPUTED: [usize; 7] = [0, 3, 6, 7, 8, 10, 13];

/// Returns batches of seven frames. In the second one, tracking goes both ways.
fn plan() -> JobPlan {
    batched(FRAMES, 7, [0, 8].into_iter().flat_map(clicks))
}

/// Returns a click on each square.
fn clicks(frame: usize) -> [JobPrompt; 2] {
    [own_click(ONE, frame), own_click(TWO, frame)]
}

fn options(passes: Passes, between: Between) -> JobOptions {
    let step = FrameStep { every: NonZeroUsize::new(3).unwrap(), between };
    JobOptions { session: SessionOptions::default().passes(passes), step, ..JobOptions::default() }
}

fn job(model: &Sam2, options: JobOptions) -> SeenFrames {
    let (report, seen) = run_job(model, FRAMES, &plan(), options, None, &mut Shortages::default());
    let report = report.unwrap();
    assert_eq!((report.frames, report.empty_frames), (FRAMES, 0));
    seen
}

fn masks(shown: &[LabelledMask]) -> Vec<(u32, &Mask)> {
    shown.iter().map(|shown| (shown.object, &shown.mask)).collect()
}

/// Runs the job on a recording that has only the computed frames.
fn alone(model: &Sam2, passes: Passes) -> SeenFrames {
    let all = recording(FRAMES);
    let frames = COMPUTED.map(|frame| (*all.frame(frame).unwrap()).clone());
    let frames = MemoryFrames::new(frames.to_vec()).unwrap();
    let batch = |range: std::ops::Range<usize>, frame: usize, at: usize| BatchPlan {
        frames: range,
        prompts: clicks(frame).map(|prompt| JobPrompt { frame: at, ..prompt }).to_vec(),
    };
    let plan = JobPlan { batches: vec![batch(0..3, 0, 0), batch(3..7, 8, 4)], ..plan() };
    let every = JobOptions { step: FrameStep::default(), ..options(passes, Between::None) };
    let (report, seen) =
        crate::tests::run_on(model, &frames, &plan, (every, None), None, &mut Shortages::default());
    report.unwrap();
    seen.0
}

#[test]
fn computed_frames_are_a_recording_of_their_own() {
    ROOM.set(None);
    let model = model();
    for passes in [Passes::Own, Passes::Official, Passes::Nearest, Passes::Agreed] {
        let seen = job(&model, options(passes, Between::Nearest));
        for ((_, alone), frame) in alone(&model, passes).iter().zip(COMPUTED) {
            assert!(seen[frame].1 == *alone, "{passes:?}, frame {frame}");
        }
        for (frame, shown) in &seen {
            let is_computed = COMPUTED.contains(frame);
            assert!(shown.iter().all(|shown| shown.facts.is_some() == is_computed), "{frame}");
            assert_eq!(shown.len(), 2);
        }
    }
}

#[test]
fn the_frames_between_have_the_masks_that_are_asked_for() {
    ROOM.set(None);
    let model = model();
    let nearest = job(&model, options(Passes::Own, Between::Nearest));
    for (frame, from) in [(1, 0), (2, 3), (4, 3), (5, 6), (9, 8), (11, 10), (12, 13)] {
        assert_eq!(masks(&nearest[frame].1), masks(&nearest[from].1), "frame {frame}");
    }
    let none = job(&model, options(Passes::Own, Between::None));
    for (frame, shown) in &none {
        assert_eq!(shown.is_empty(), !COMPUTED.contains(frame));
    }
    // The squares move steadily.
    let every = JobOptions { step: FrameStep::default(), ..options(Passes::Own, Between::None) };
    let (truth, between) = (
        job(&model, every),
        job(&model, JobOptions { ..options(Passes::Own, Between::Interpolate) }),
    );
    let ious = |seen: &SeenFrames| -> f64 {
        let of = |frame: usize, at: usize| {
            let (a, b) = (&seen[frame].1[at].mask, &truth[frame].1[at].mask);
            a.iou(b)
        };
        (0..FRAMES).flat_map(|frame| [of(frame, 0), of(frame, 1)]).sum::<f64>() / 28.0
    };
    assert!(ious(&between) > 0.8, "{}", ious(&between));
}

#[test]
fn a_job_that_is_cut_interrupted_or_short_of_memory_has_the_same_masks() {
    ROOM.set(None);
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.sam2run.part");
    for passes in [Passes::Own, Passes::Nearest, Passes::Agreed] {
        let options = options(passes, Between::Interpolate);
        let whole = job(&model, options);
        let mut parts = Vec::new();
        for (start, end) in [(0, 7), (7, 14)] {
            let part = JobOptions { part: Some(FramePart { start, end }), ..options };
            let (report, seen) =
                run_job(&model, FRAMES, &plan(), part, None, &mut Shortages::default());
            assert_eq!(report.unwrap().frames, 7);
            parts.extend(seen);
        }
        assert!(parts == whole, "{passes:?}");

        let header = run_header(&model, &recording(FRAMES), "r", &plan(), &options, &[]).unwrap();
        for stop in 1..FRAMES {
            let run = |stops: &mut Shortages| {
                let journal = Journal::resume(&path, header.clone()).unwrap();
                let journal = Some(journal.with_checkpoints_every(1));
                run_job(&model, FRAMES, &plan(), options, journal, stops)
            };
            let (report, seen) = run(&mut Shortages(Vec::new(), Some((stop, CancelFlag::new()))));
            match report {
                Ok(_) => assert!(seen == whole),
                Err(JobError::Cancelled { done, total }) => {
                    assert_eq!(total, FRAMES);
                    assert!(done <= FRAMES, "{done} after {stop}");
                    let (report, seen) = run(&mut Shortages::default());
                    assert_eq!(report.unwrap().frames, FRAMES);
                    assert!(seen == whole, "{passes:?}, stopped after {stop}");
                }
                Err(error) => panic!("{error}"),
            }
        }
        // A journal that is torn within the frames between two computed ones.
        let stops = &mut Shortages(Vec::new(), Some((11, CancelFlag::new())));
        let journal = Journal::create(&path, header.clone()).unwrap().with_checkpoints_every(1);
        let _ = run_job(&model, FRAMES, &plan(), options, Some(journal), stops);
        if let Ok(bytes) = std::fs::read(&path) {
            std::fs::write(&path, &bytes[..bytes.len() - 200]).unwrap();
        }
        let journal = Journal::resume(&path, header).unwrap();
        let (report, seen) =
            run_job(&model, FRAMES, &plan(), options, Some(journal), &mut Shortages::default());
        assert_eq!(report.unwrap().frames, FRAMES);
        assert!(seen == whole, "{passes:?}, torn");

        for at in [0, 2, 4] {
            ROOM.set(Some((1, at)));
            let (report, seen) =
                run_job(&model, FRAMES, &plan(), options, None, &mut Shortages::default());
            assert_eq!(report.unwrap().frames, FRAMES);
            assert!(seen == whole, "{passes:?}, too little memory on frame {at}");
        }
        ROOM.set(None);
    }
}
