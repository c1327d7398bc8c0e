//! Tests of jobs on a device that is too small and of jobs that stop: every frame is written once,
//! with the same masks.

use std::path::Path;
use std::sync::{Arc, Mutex};

use sam2_frame_provider::{FrameSource, MemoryFrames, RgbFrame};
use sam2_mask_writer::{
    CompleteOutput, LabelledMask, MaskFrame, MaskSink, OutputFile, RunBatch, WriteError,
};
use sam2_model::{Device, Sam2};

use super::memory_shortage::injected::ROOM;
use super::*;
use crate::error::JobError;
use sam2_engine::{ObjectId, Point};

const FRAMES: usize = 6;
pub(super) const ONE: ObjectId = ObjectId(1);
pub(super) const TWO: ObjectId = ObjectId(2);

pub(super) fn model() -> Sam2 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../assets/micro/sam2.1_hiera_micro.safetensors");
    Sam2::load(path, &Device::flex()).unwrap()
}

/// Returns a recording of two bright squares that move.
pub(super) fn recording(count: usize) -> MemoryFrames {
    let frame = |index: usize| {
        let mut pixels = vec![20; 64 * 48 * 3];
        for (x, y) in [(8 + index, 10), (40, 20 + index)] {
            for row in y..y + 10 {
                let start = (row * 64 + x) * 3;
                pixels[start..start + 30].fill(230);
            }
        }
        RgbFrame::new(64, 48, pixels).unwrap()
    };
    MemoryFrames::new((0..count).map(frame).collect()).unwrap()
}

/// Returns the middles of the two squares on a frame of [`recording`].
pub(super) fn middles(frame: usize) -> [(f32, f32); 2] {
    let moved = frame as f32;
    [(13.0 + moved, 15.0), (45.0, 25.0 + moved)]
}

/// Returns a click on a square, which may be given to the wrong object.
pub(super) fn click(object: ObjectId, frame: usize, square: usize) -> JobPrompt {
    let (x, y) = middles(frame)[square];
    JobPrompt {
        points: vec![("click".into(), Point::positive(x, y))],
        ..JobPrompt::empty(frame, object)
    }
}

/// Returns a click on the square that is the object's own.
pub(super) fn own_click(object: ObjectId, frame: usize) -> JobPrompt {
    click(object, frame, usize::from(object != ONE))
}

/// Makes a track of three body parts on each square. It does not see the first one on frames 4 and
/// 13 to 15.
pub(super) fn track(count: usize) -> TrackEvidence {
    let parts = ["p", "q", "r"];
    let columns = |name: &str| {
        let both = ["ann", "bob"].map(|who| {
            parts.map(|part| if name == "i" { who } else { part }).map(|text| [text; 3].join(","))
        });
        both.as_flattened().join(",")
    };
    let mut text = format!(
        "scorer{}\nindividuals,{}\nbodyparts,{}\ncoords{}\n",
        ",n".repeat(18),
        columns("i"),
        columns("b"),
        ",x,y,likelihood".repeat(6)
    );
    for frame in 0..count {
        let cells = middles(frame).into_iter().enumerate().flat_map(|(who, (x, y))| {
            let likelihood = if who == 0 && (frame == 4 || frame > 12) { 0.1 } else { 1.0 };
            [(-3.0, 0.0), (0.0, 2.0), (3.0, 0.0)]
                .map(|(dx, dy)| format!("{},{},{likelihood}", x + dx, y + dy))
        });
        let cells: Vec<String> = cells.collect();
        text.push_str(&format!("{frame},{}\n", cells.join(",")));
    }
    let selection = KeypointSelection::default();
    let track = KeypointTrack::parse(Path::new("t"), text.into(), &selection).unwrap();
    let frames = recording(count);
    let recording = TrackedRecording { name: "r.mp4".into(), ..TrackedRecording::of(&frames) };
    assert_eq!(frames.info().frame_count, count);
    TrackEvidence::new(track.locate(&recording).unwrap(), 0.6)
}

/// Returns a plan of batches of `length` frames with these prompts.
pub(super) fn batched(
    frames: usize,
    length: usize,
    prompts: impl IntoIterator<Item = JobPrompt>,
) -> JobPlan {
    let mut plan = JobPlan::from_prompts(frames, length, PromptSet::new());
    for prompt in prompts {
        plan.batches[prompt.frame / length].prompts.push(prompt);
    }
    plan
}

fn plan() -> JobPlan {
    JobPlan::whole(FRAMES, vec![own_click(ONE, 0), own_click(TWO, 0)])
}

type Seen = Arc<Mutex<(SeenFrames, Vec<RunBatch>)>>;

/// Keeps every frame that it gets.
struct Collector(Seen, OutputFile);

impl MaskSink for Collector {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.0.lock().unwrap().0.push((frame.index, frame.objects.to_vec()));
        Ok(())
    }

    fn end_batch(&mut self, batch: &RunBatch) -> Result<(), WriteError> {
        self.0.lock().unwrap().1.push(batch.clone());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.1.complete()
    }
}

/// The shortages that the observer was told of.
#[derive(Default)]
pub(super) struct Shortages(pub(super) Vec<usize>, pub(super) Option<(usize, CancelFlag)>);

impl JobObserver for Shortages {
    fn on_stage(&mut self, stage: &JobStage) {
        match stage {
            JobStage::LessInFlight { objects_per_pass, .. } => self.0.push(*objects_per_pass),
            JobStage::Frame { done, .. } => {
                if let Some((at, flag)) = &self.1
                    && done >= at
                {
                    flag.cancel();
                }
            }
            _ => {}
        }
    }
}

/// Frames and their masks, in the order in which a sink got them.
pub(super) type SeenFrames = Vec<(usize, Vec<LabelledMask>)>;

fn run(
    model: &Sam2,
    journal: Option<Journal>,
    shortages: &mut Shortages,
) -> (Result<JobReport, JobError>, SeenFrames) {
    run_job(model, FRAMES, &plan(), JobOptions::default(), journal, shortages)
}

/// Runs a job on [`recording`], and returns the frames that a sink got.
pub(super) fn run_job(
    model: &Sam2,
    frames: usize,
    plan: &JobPlan,
    options: JobOptions,
    journal: Option<Journal>,
    shortages: &mut Shortages,
) -> (Result<JobReport, JobError>, SeenFrames) {
    let (report, (frames, _)) =
        run_with_track(model, frames, plan, (options, None), journal, shortages);
    (report, frames)
}

/// Does the same with a track, and also returns the batches that the sink got.
pub(super) fn run_with_track(
    model: &Sam2,
    frames: usize,
    plan: &JobPlan,
    (options, track): (JobOptions, Option<&TrackEvidence>),
    journal: Option<Journal>,
    shortages: &mut Shortages,
) -> (Result<JobReport, JobError>, (SeenFrames, Vec<RunBatch>)) {
    run_on(model, &recording(frames), plan, (options, track), journal, shortages)
}

/// Does the same on other frames.
pub(super) fn run_on(
    model: &Sam2,
    frames: &MemoryFrames,
    plan: &JobPlan,
    (options, track): (JobOptions, Option<&TrackEvidence>),
    journal: Option<Journal>,
    shortages: &mut Shortages,
) -> (Result<JobReport, JobError>, (SeenFrames, Vec<RunBatch>)) {
    let folder = tempfile::tempdir().unwrap();
    let output = OutputFile::create(&folder.path().join("out"), false).unwrap();
    let seen = Seen::default();
    let sinks: Vec<Box<dyn MaskSink>> = vec![Box::new(Collector(Arc::clone(&seen), output))];
    let cancel = shortages.1.as_ref().map(|(_, flag)| flag.clone()).unwrap_or_default();
    let job = Job::new(model, frames, plan).options(options).evidence(track).sinks(sinks);
    let job = job.observe(shortages).cancel(&cancel);
    let report = match journal {
        Some(journal) => job.journal(journal).run(),
        None => job.run(),
    };
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (report, seen)
}

#[test]
fn too_little_memory_is_less_at_a_time_and_the_same_masks() {
    let model = model();
    ROOM.set(None);
    let (_, expected) = run(&model, None, &mut Shortages::default());
    assert_eq!(expected.len(), FRAMES);
    // In the middle of a batch, when some frames have been sent out.
    ROOM.set(Some((1, 3)));
    let mut shortages = Shortages::default();
    let (report, seen) = run(&model, None, &mut shortages);
    assert_eq!(report.unwrap().frames, FRAMES);
    assert_eq!(shortages.0, [1]);
    assert!(seen == expected, "every frame once, in order, with the same masks");
    // Nothing is small enough.
    ROOM.set(Some((0, 3)));
    let (report, seen) = run(&model, None, &mut Shortages::default());
    let error = report.unwrap_err();
    assert!(matches!(error, JobError::DeviceMemory { objects: 1, cached: 1, .. }), "{error}");
    assert!(error.to_string().contains("3.2 GB wanted"), "{error}");
    assert_eq!(seen.len(), 4);
    ROOM.set(None);
}

#[test]
fn a_job_that_stops_anywhere_goes_on_from_its_checkpoint() {
    let model = model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.sam2run.part");
    let (_, expected) = run(&model, None, &mut Shortages::default());
    let frames = recording(FRAMES);
    let header = || run_header(&model, &frames, "r", &plan(), &JobOptions::default(), &[]).unwrap();
    for every in [1, 2, 4] {
        for stop in 1..FRAMES {
            let journal = Journal::resume(&path, header()).unwrap().with_checkpoints_every(every);
            let flag = CancelFlag::new();
            let mut stops = Shortages(Vec::new(), Some((stop, flag)));
            let (report, _) = run(&model, Some(journal), &mut stops);
            assert!(matches!(report, Err(JobError::Cancelled { done, total: 6 }) if done == stop));
            assert_eq!(Journal::frames_kept(&path), stop);
            let journal = Journal::resume(&path, header()).unwrap().with_checkpoints_every(every);
            let (report, seen) = run(&model, Some(journal), &mut Shortages::default());
            assert_eq!(report.unwrap().resumed, stop);
            assert!(seen == expected, "stopped after {stop}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
        }
    }
    assert_eq!(frames.info().frame_count, FRAMES);
}
