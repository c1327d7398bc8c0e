//! Shows and writes the held-out clips, and tracks them with the micro model.
//!
//! `held_out --preview FOLDER` writes four frames of each kind as PNG, with the outlines of the
//! ground truth and the points of a faulty track. `held_out --write FOLDER KIND` writes a clip as
//! the program reads it: `KIND-SEED.npy`, its track as DeepLabCut's CSV, and its true masks as a run file. `held_out --micro`
//! prints the mean J and the identity swaps of the micro model, prompted with boxes on frame 0.
//! `--seed N` (default 0) and `--frames N` (default: the usual length of the kind) apply to all.

#![allow(clippy::unwrap_used)] // A test program: a failure is a failed run.

use std::path::{Path, PathBuf};

use sam2_engine::{FrameSource, SessionOptions};
use sam2_mask_writer::{LabelledMask, MaskFrame, MaskSink as _, RunFileSink, RunHeader};
use sam2_tests::arrays::write_array;
use sam2_tests::clips;
use sam2_tests::held_out::{
    FaultOptions, HeldOut, Kind, csv_of, preview, tracked_from_boxes, write_png,
};

/// Frames of a clip that are shown.
const SHOWN: usize = 4;
/// Frames of a clip that the micro model tracks, at most.
const TRACKED: usize = 300;

enum Task {
    Preview(PathBuf),
    Write(PathBuf, Kind),
    Micro,
}

fn main() {
    let (mut seed, mut frames, mut task) = (0, None, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
        match arg.as_str() {
            "--seed" => seed = value().parse().unwrap(),
            "--frames" => frames = Some(value().parse().unwrap()),
            "--preview" => task = Some(Task::Preview(value().into())),
            "--write" => task = Some(Task::Write(value().into(), Kind::named(&value()))),
            "--micro" => task = Some(Task::Micro),
            other => panic!("unknown argument {other}"),
        }
    }
    let make = |kind: Kind, most: usize| {
        HeldOut::with_frames(kind, seed, frames.unwrap_or(kind.frames().min(most)))
    };
    match task.expect("give --preview FOLDER, --write FOLDER KIND or --micro") {
        Task::Preview(folder) => {
            std::fs::create_dir_all(&folder).unwrap();
            Kind::ALL.iter().for_each(|&kind| show(&make(kind, usize::MAX), &folder));
        }
        Task::Write(folder, kind) => {
            std::fs::create_dir_all(&folder).unwrap();
            write(&make(kind, usize::MAX), &folder);
        }
        Task::Micro => Kind::ALL.iter().for_each(|&kind| track(&make(kind, TRACKED))),
    }
}

fn show(clip: &HeldOut, folder: &Path) {
    let track = clip.faulty_track(&FaultOptions::default(), clip.seed());
    for number in 0..SHOWN {
        let frame = number * (clip.frame_count() - 1) / (SHOWN - 1);
        let path = folder.join(format!("{}-{frame:04}.png", clip.info().description));
        write_png(&preview(clip, frame, Some(&track)), &path);
    }
}

fn write(clip: &HeldOut, folder: &Path) {
    let name = clip.info().description;
    write_array(clip, &folder.join(format!("{name}.npy")));
    let track = clip.faulty_track(&FaultOptions::default(), clip.seed()).track;
    std::fs::write(folder.join(format!("{name}DLC.csv")), csv_of(&track)).unwrap();
    let size = clip.info().size;
    let header =
        RunHeader::new(&format!("{name}.npy"), (size.width, size.height), clip.frame_count());
    let path = folder.join(format!("{name}-truth.sam2run"));
    let mut truth = Box::new(RunFileSink::create(&path, &header, true).unwrap());
    for frame in 0..clip.frame_count() {
        let masks =
            (1..).zip(clip.truth(frame)).map(|(object, mask)| LabelledMask::new(object, mask));
        truth.write(&MaskFrame::new(frame, &masks.collect::<Vec<_>>())).unwrap();
    }
    truth.finish().unwrap().publish().unwrap();
}

fn track(clip: &HeldOut) {
    let scores = tracked_from_boxes(&clips::micro_model(), clip, SessionOptions::default());
    println!(
        "{}: {} frames, mean J {:.3}, {:.1} swaps in 1,000 frames, {} of {} masks wrong",
        clip.info().description,
        clip.frame_count(),
        scores.mean_j(),
        scores.swaps_per_1000_frames(),
        scores.wrong().len(),
        scores.verdicts().len(),
    );
}
