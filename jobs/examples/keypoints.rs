//! Segments a recording by its DeepLabCut track: each batch is prompted on its best frame, and
//! masks go straight to files.
//!
//!     cargo run --release -p sam2-jobs --example keypoints [-- MODEL RECORDING TRACK BODYPARTS BATCH_SIZE FOLDER]
//!
//! BODYPARTS are names separated by commas. This is `sam2 segment --keypoints` as a library call,
//! with progress and a time limit.

mod shared;

use std::error::Error;
use std::time::{Duration, Instant};

use sam2_engine::{
    BigTiffSink, ContactSheetSink, DeviceChoice, FrameSource, LazyFrames, LazyOptions, MaskSink,
    PixelValues, RecordingInfo, Sam2,
};
use sam2_jobs::{
    CancelFlag, Job, JobError, JobObserver, JobOptions, JobPlan, JobStage, KeypointPrompts,
    KeypointSelection, KeypointTrack, TrackedRecording,
};

/// Prints progress, and stops the job when its time is up.
struct Watch {
    cancel: CancelFlag,
    deadline: Instant,
}

impl JobObserver for Watch {
    fn on_stage(&mut self, stage: &JobStage) {
        match stage {
            JobStage::Batch { index, count, frames, prompt_frames, .. } => {
                println!("batch {} of {count}: {frames:?}, prompt {prompt_frames:?}", index + 1);
            }
            JobStage::Frame { done, total } if done % 20 == 0 => println!("{done} of {total}"),
            _ => {}
        }
        // The flag may be raised from any thread, or by a signal handler.
        if Instant::now() > self.deadline {
            self.cancel.cancel();
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let model = Sam2::load(shared::file(1, shared::MODEL), &DeviceChoice::Auto.open()?)?;
    let recording = shared::file(2, "clips/mouse-arena.mp4");
    let frames = LazyFrames::open(recording, LazyOptions::default())?;
    let track = shared::file(3, "clips/mouse-arenaDLC_synthetic_micro.csv");
    let bodyparts = shared::argument(4, "snout,body,tailbase".to_owned())?;
    let batch_size = shared::argument(5, 30)?;
    let folder = shared::folder(6, "keypoints")?;

    // The job is planned and checked before anything is computed or written.
    let bodyparts = bodyparts.split(',').map(str::to_owned).collect();
    let selection = KeypointSelection { bodyparts, ..KeypointSelection::default() };
    let recording = TrackedRecording::of(&frames);
    let track = KeypointTrack::read(&track, &selection)?.locate(&recording)?;
    track.check_rows()?;
    let how = KeypointPrompts { batch_size, ..KeypointPrompts::default() };
    let (plan, notices) = JobPlan::from_keypoints(&track, &how)?;
    for notice in track.notices().iter().chain(&notices) {
        eprintln!("{notice}");
    }
    let info = frames.info();
    let (count, size) = (info.frame_count, info.size);
    plan.check(count, size)?;

    let (stack, picture) = (folder.join("masks.btf"), folder.join("overview.png"));
    let size = (size.width, size.height);
    let prompted = plan.prompt_frames();
    let sinks: Vec<Box<dyn MaskSink>> = vec![
        Box::new(BigTiffSink::create(&stack, size, count, PixelValues::Binary, true)?),
        Box::new(ContactSheetSink::create(
            &picture,
            &RecordingInfo::new(size, count),
            &prompted,
            true,
        )?),
    ];
    let cancel = CancelFlag::new();
    let deadline = Instant::now() + Duration::from_secs(3600);
    let mut watch = Watch { cancel: cancel.clone(), deadline };
    let options = JobOptions::default();
    let job = Job::new(&model, &frames, &plan).options(options).sinks(sinks);
    match job.observe(&mut watch).cancel(&cancel).run() {
        Ok(report) => {
            println!("{} frames, {} without the object", report.frames, report.empty_frames);
            for range in report.unprompted {
                println!("frames {range:?} had no usable body part and are empty");
            }
            println!("wrote {} and {}", stack.display(), picture.display());
            Ok(())
        }
        // Both files are removed then; none is left half written.
        Err(JobError::Cancelled { done, total }) => Err(format!("{done} of {total}").into()),
        Err(error) => Err(error.into()),
    }
}
