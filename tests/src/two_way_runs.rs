//! Runs jobs on held-out clips with different passes, and compares masks and flags with the ground
//! truth.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sam2_engine::{Mask, ObjectId, Sam2};
use sam2_jobs::{
    Job, JobOptions, JobPlan, JobPrompt, KeypointPrompts, KeypointSelection, KeypointTrack,
    TrackEvidence, TrackedRecording,
};
use sam2_mask_writer::{
    CompleteOutput, LabelledMask, MaskFacts, MaskFrame, MaskSink, OutputFile, QualityFlags,
    WriteError,
};

use crate::held_out::{FaultOptions, FlagScore, HeldOut, Scores, csv_of};
use crate::policy_runs::bounds;

/// An animal is prompted only where at least this share of it shows.
const SHOWS: f64 = 0.6;

/// Frames on which each animal of a clip is prompted with the box of its ground truth.
pub type Prompts = Vec<Vec<usize>>;

/// Returns prompts on the frames nearest to `frames` on which each animal shows well.
///
/// # Panics
/// If an animal shows nowhere.
pub fn prompts_near(clip: &HeldOut, frames: &[usize]) -> Prompts {
    let shows = |animal: usize, frame: usize| {
        let area = clip.truth(frame)[animal].area();
        area > 50 && area as f64 >= SHOWS * clip.whole(frame, animal).area() as f64
    };
    (0..clip.animals())
        .map(|animal| {
            let nearest = |&wanted: &usize| {
                let mut order: Vec<usize> = (0..clip.frame_count()).collect();
                order.sort_by_key(|frame| frame.abs_diff(wanted));
                order.into_iter().find(|&frame| shows(animal, frame)).unwrap()
            };
            let mut found: Vec<usize> = frames.iter().map(nearest).collect();
            found.sort_unstable();
            found.dedup();
            found
        })
        .collect()
}

/// What a job made of a clip.
pub struct Run {
    /// The scores of all frames; prompted masks are right by construction and not among them.
    pub scores: Scores,
    /// Facts by frame and animal.
    pub facts: BTreeMap<(usize, usize), MaskFacts>,
    /// Time that the job took.
    pub time: Duration,
}

impl Run {
    /// Compares the flags that `counts` accepts with what is wrong.
    pub fn flag_score(&self, counts: impl Fn(QualityFlags) -> bool) -> FlagScore {
        FlagScore::of(&self.scores, |frame, object| {
            self.facts.get(&(frame, object)).is_some_and(|facts| counts(facts.flags))
        })
    }
}

/// Masks by frame.
type Seen = Arc<Mutex<BTreeMap<usize, Vec<LabelledMask>>>>;

/// Keeps all masks.
struct Collector {
    seen: Seen,
    output: OutputFile,
}

impl MaskSink for Collector {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.seen.lock().unwrap().insert(frame.index, frame.objects.to_vec());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.output.complete()
    }
}

/// Returns the witness that a pose track with the usual faults is, which prompts as `prompts` says.
///
/// # Panics
/// If the track cannot be read, which the tests of the reader exclude.
pub fn evidence(clip: &HeldOut, prompts: KeypointPrompts) -> TrackEvidence {
    let track = clip.faulty_track(&FaultOptions::default(), clip.seed()).track;
    let (csv, selection) = (csv_of(&track), KeypointSelection::default());
    let track = KeypointTrack::parse(Path::new("track.csv"), csv.into(), &selection).unwrap();
    let track = track.locate(&TrackedRecording::of(clip)).unwrap();
    prompts.evidence(track)
}

/// Runs a job on a clip.
///
/// # Panics
/// If the job fails.
pub fn run(
    model: &Sam2,
    clip: &HeldOut,
    prompts: &Prompts,
    options: JobOptions,
    evidence: Option<&TrackEvidence>,
) -> Run {
    let prompt = |object: usize, frame: usize| {
        let truth = &clip.truth(frame)[object];
        let mut prompt = JobPrompt::empty(frame, ObjectId(object as u32 + 1));
        prompt.bounds = Some(bounds(truth));
        prompt
    };
    let all = prompts.iter().enumerate();
    let all =
        all.flat_map(|(object, frames)| frames.iter().map(move |&frame| prompt(object, frame)));
    let plan = JobPlan::whole(clip.frame_count(), all.collect());
    let seen = Seen::default();
    let folder = tempfile::tempdir().unwrap();
    let output = OutputFile::create(&folder.path().join("out"), false).unwrap();
    let sink = Box::new(Collector { seen: Arc::clone(&seen), output });
    let started = Instant::now();
    Job::new(model, clip, &plan).options(options).evidence(evidence).sink(sink).run().unwrap();
    let time = started.elapsed();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let (mut scores, mut facts) = (Scores::default(), BTreeMap::new());
    for (&frame, shown) in &seen {
        if prompts.iter().any(|frames| frames.contains(&frame)) {
            continue;
        }
        let truth = clip.truth(frame);
        let of = |object: usize| shown.iter().find(|shown| shown.object as usize == object + 1);
        let size = (truth[0].width(), truth[0].height());
        let masks: Vec<Mask> = (0..truth.len())
            .map(|object| of(object).map_or(Mask::empty(size.0, size.1), |s| s.mask.clone()))
            .collect();
        scores.add(frame, &truth, &masks);
        for object in 0..truth.len() {
            facts.extend(of(object).and_then(|s| s.facts).map(|f| ((frame, object), f)));
        }
    }
    Run { scores, facts, time }
}
