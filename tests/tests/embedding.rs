//! Properties that other programs rely on: the examples run, types cross threads, errors have
//! causes.

#![allow(missing_docs, clippy::unwrap_used)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sam2_engine::*;
use sam2_jobs::keypoints::Keypoint;
use sam2_jobs::*;
use sam2_tests::clips;

fn send<T: Send>() {}
fn send_and_sync<T: Send + Sync>() {}
fn error<T: Error + Send + Sync + 'static>() {}

#[test]
fn everything_crosses_threads() {
    // What works or owns state, with any source of frames.
    send_and_sync::<VideoSession<LazyFrames>>();
    send_and_sync::<VideoSession<Box<dyn FrameSource>>>();
    send_and_sync::<VideoSession<&'static MemoryFrames>>();
    send_and_sync::<Propagation<'static, LazyFrames>>();
    send_and_sync::<StreamSession>();
    send_and_sync::<ImagePredictor>();
    send_and_sync::<EncodedImage>();
    send_and_sync::<Sam2>();
    send_and_sync::<Device>();
    send_and_sync::<CancelFlag>();
    send_and_sync::<(KeypointTrack, LocatedTrack, TrackedRecording, TrackNotice)>();
    send_and_sync::<MemoryBank>();
    // Types of arguments.
    send_and_sync::<(Point, BoxPrompt, ObjectId, Region, Fit, Direction, ImagePrompt)>();
    send_and_sync::<(SessionOptions, StreamOptions, MemoryRetention, MemoryReach, ResizeMode)>();
    send_and_sync::<(JobPlan, BatchPlan, JobPrompt, JobOptions, FramesMode, KeypointSelection)>();
    send_and_sync::<(KeypointPrompts, PromptFrames, BoxMargin, PromptSet, LabelImage)>();
    send_and_sync::<(Sam2Config, DeviceChoice, ModelVersion, Variant, PointLabel)>();
    send_and_sync::<(LazyOptions, OpenOptions, Intensity, BadFrames, Scale, PixelValues)>();
    // Types of results.
    send_and_sync::<(FrameMasks, ObjectMask, ImageMask, Outcome, Mask, LabelledMask)>();
    send_and_sync::<(JobReport, JobStage, UnpromptedObject, Keypoint, LazyStats)>();
    send_and_sync::<(MaskPrediction, MemoryFeatures, MemorySelection, Tensor<4>)>();
    send_and_sync::<(RgbFrame, FrameSize, ScaledFrame, Timing, MaskFrame<'static>)>();
    // Frames and files.
    send_and_sync::<(LazyFrames, MemoryFrames, VideoFrames, frames::TiffStack)>();
    send_and_sync::<(frames::ImageFolder, frames::NdTiff, frames::MmStack)>();
    send_and_sync::<frames::BatchFrames<LazyFrames>>();
    send_and_sync::<BigTiffSink>();
    send_and_sync::<ContactSheetSink>();
    send::<Box<dyn MaskSink>>();
    send_and_sync::<CompleteOutput>();
    send_and_sync::<MaskStackReader>();
}

#[test]
fn every_error_is_one_that_any_program_can_pass_on() {
    error::<EngineError>();
    error::<FrameError>();
    error::<WriteError>();
    error::<KeypointError>();
    error::<PromptFileError>();
    error::<PromptConflict>();
    error::<LabelImageError>();
    error::<SessionFileError>();
    error::<LoadError>();
    error::<DeviceError>();
    error::<MaskSizeError>();
    error::<ParseRegionError>();
    error::<masks::ReadError>();
    // The cause is preserved, even through the engine's own error.
    let missing = Path::new("missing.csv");
    let track = KeypointTrack::read(missing, &KeypointSelection::default()).unwrap_err();
    let cause = JobError::from(track);
    let cause = cause.source().unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(cause.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn sessions_run_on_other_threads_with_one_model() {
    let model = clips::micro_model();
    let frame = clips::frames("worm").frame(0).unwrap();
    let frames = Arc::new(MemoryFrames::new(vec![(*frame).clone(); 3]).unwrap());
    let track = |mut session: VideoSession<Arc<MemoryFrames>>| -> Vec<Mask> {
        session.add_points(0, ObjectId(1), &[Point::positive(137.0, 110.0)]).unwrap();
        let pass = session.propagate(Direction::Forward);
        pass.map(|frame| frame.unwrap().objects[0].mask.clone()).collect()
    };
    let open = || VideoSession::new(&model, Arc::clone(&frames)).unwrap();
    let here = track(open());
    assert!(here.iter().all(|mask| mask.area() > 0));
    // Opened on this thread, moved to others.
    let sessions = [open(), open()];
    std::thread::scope(|scope| {
        let there = sessions.map(|session| scope.spawn(|| track(session)));
        for masks in there {
            assert_eq!(masks.join().unwrap(), here);
        }
    });
}

/// Runs an example of the engine with the arguments and then the folder for its results. Returns
/// what the example printed.
fn example(name: &str, folder: &Path, arguments: &[&str]) -> String {
    // Test binaries are in `deps`; examples are in the folder next to it.
    let profile = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let program = profile.join("examples").join(name);
    assert!(
        program.exists(),
        "{name} is not built; `cargo test` does that unless it is told what to build: run `cargo build --release --workspace --examples` first"
    );
    let mut command = Command::new(program);
    // Without arguments, results go to the folder for temporary files.
    command.env("TMPDIR", folder).args(arguments);
    if !arguments.is_empty() {
        command.arg(folder);
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the areas of the masks in a stack.
fn areas(stack: PathBuf) -> Vec<u64> {
    MaskStackReader::open(&stack).unwrap().map(|mask| mask.unwrap().area()).collect()
}

fn all_found(stack: PathBuf, frames: usize) {
    let areas = areas(stack);
    assert_eq!(areas.len(), frames);
    assert!(areas.iter().all(|&area| area > 0), "{areas:?}");
}

/// Checks that the mask of object 1 agrees with the ground truth in the first frames.
fn agrees_with_truth(stack: PathBuf, clip: &str, frames: usize) {
    let truth = clips::truth(clip, 1);
    for (mask, truth) in MaskStackReader::open(&stack).unwrap().zip(&truth).take(frames) {
        let iou = mask.unwrap().iou(truth);
        assert!(iou > 0.5, "{}: {iou}", stack.display());
    }
}

fn is_png(path: PathBuf) {
    assert!(std::fs::read(path).unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
}

#[test]
fn examples_run_on_the_bundled_recordings() {
    let folder = tempfile::tempdir().unwrap();
    let results =
        |name: &str, file: &str| folder.path().join("sam2-examples").join(name).join(file);

    let printed = example("image_click", folder.path(), &[]);
    assert_eq!(printed.matches("predicted IoU").count(), 4, "{printed}");
    is_png(results("image_click", "answers.png"));
    agrees_with_truth(results("image_click", "mask.tif"), "two-crossing", 1);

    let printed = example("video_click", folder.path(), &[]);
    assert!(printed.contains("Reverse: 31 of 31"), "{printed}");
    all_found(results("video_click", "masks.btf"), 60);
    agrees_with_truth(results("video_click", "masks.btf"), "mouse-arena", 60);

    let printed = example("keypoints", folder.path(), &[]);
    assert!(printed.contains("batch 2 of 2") && printed.contains("60 of 60"), "{printed}");
    is_png(results("keypoints", "overview.png"));
    all_found(results("keypoints", "masks.btf"), 60);

    let printed = example("streaming", folder.path(), &[]);
    assert!(printed.contains("continued from"), "{printed}");
    for (part, frames) in [(0, 25), (1, 25), (2, 10)] {
        all_found(results("streaming", &format!("masks-00{part}.btf")), frames);
    }

    let printed = example("several_objects", folder.path(), &[]);
    assert!(printed.contains("after the correction"), "{printed}");
    is_png(results("several_objects", "overview.png"));
    all_found(results("several_objects", "objects.btf"), 48);

    let printed = example("custom_frame_source", folder.path(), &[]);
    assert!(printed.contains("20 frames of 320x240"), "{printed}");
    all_found(results("custom_frame_source", "masks.btf"), 20);
}

#[test]
fn examples_take_files_of_your_own() {
    let folder = tempfile::tempdir().unwrap();
    let weights = clips::micro_weights().display().to_string();
    // Four frames of the worm as a raw recording, at half its size.
    let raw = folder.path().join("small.raw");
    let clip = clips::frames("worm");
    let mut bytes = Vec::new();
    for index in 0..4 {
        let frame = frames::resize::pillow_bicubic(&clip.frame(index).unwrap(), 160, 120);
        bytes.extend(frame.data().chunks_exact(3).map(|rgb| rgb[1]));
    }
    std::fs::write(&raw, bytes).unwrap();
    let raw = raw.display().to_string();
    let arguments = [&weights, &raw, "160", "120", "68", "55"];
    let printed = example("custom_frame_source", folder.path(), &arguments);
    assert!(printed.contains("4 frames of 160x120"), "{printed}");
    let masks = areas(folder.path().join("masks.btf"));
    assert_eq!(masks.len(), 4);
    assert!(masks[0] > 0, "{masks:?}");

    let recording = clips::clip("worm").display().to_string();
    let arguments = [&weights, &recording, "137", "110"];
    example("image_click", folder.path(), &arguments);
    assert!(areas(folder.path().join("mask.tif"))[0] > 0);
}
