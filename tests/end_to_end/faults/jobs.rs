//! Jobs that make masks: one recording, several, parts, folders, and jobs that were interrupted
//! before.

use super::driver::{Job, Quick};
use crate::support::{Workshop, scaled_track};

const CLICK: [&str; 2] = ["--point", "0:122,40"];
const TRACK: [&str; 4] = ["--keypoints", "track.csv", "--batch-size", "4"];
/// Three outputs: a file, a folder and a run file.
const ONE: [&str; 8] =
    ["segment", "mouse.mkv", "-o", "masks.btf", "-o", "davis:davis", "-o", "masks.sam2run"];
const FOLDERS: [&str; 12] = [
    "segment",
    "mouse.mkv",
    "-o",
    "davis:davis",
    "-o",
    "object-pngs:objects",
    "-o",
    "object-tiffs:stacks",
    "-o",
    "masks.zarr",
    "-o",
    "yolo:labels",
];

fn workshop(frames: usize) -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(frames, "mouse.mkv");
    workshop.write("track.csv", scaled_track(0, frames, 0.5));
    workshop
}

/// Returns a job of `sam2 segment` that is continued with `--resume`.
fn job(name: &'static str, arguments: &[&[&str]], outputs: &'static [&'static str]) -> Job {
    Job {
        name,
        begin: Box::new(|| workshop(8)),
        arguments: arguments.concat().into_iter().map(str::to_owned).collect(),
        variables: vec![],
        again: &["--resume"],
        then: vec![],
        outputs,
        steps_aside: false,
        quick: Quick::FirstAndLast,
    }
}

pub fn one_recording() -> Vec<Job> {
    let outputs = &["masks.btf", "masks.sam2run", "davis"];
    vec![
        job("batches", &[&ONE, &TRACK], outputs),
        Job {
            quick: Quick::FirstAndLastOf(&[
                "journal flushed",
                "journal ahead of checkpoint",
                "file begun",
                "file renamed",
                "name synced",
                "checkpoint saved",
                "batch synced",
                "checkpoint removed",
                "journal not removed",
            ]),
            ..job(
                "one batch with checkpoints",
                &[&ONE, &CLICK, &["--checkpoint-frames", "3"]],
                outputs,
            )
        },
        Job {
            begin: Box::new(|| {
                let workshop = workshop(8);
                workshop.sam2(&[&ONE[..], &["--point", "0:10,10"]].concat()).succeeded();
                workshop
            }),
            quick: Quick::Last(&[
                "outputs complete",
                "receipt written",
                "file not renamed",
                "file renamed",
                "folder not renamed",
                "folders exchanged",
                "old folder removed",
                "output published",
                "journal not removed",
            ]),
            ..job(
                "outputs replaced",
                &[&ONE, &CLICK, &["--batch-size", "0", "--overwrite"]],
                outputs,
            )
        },
    ]
}

/// A run that is corrected. Its file keeps what was done before the kill.
pub fn corrected() -> Vec<Job> {
    vec![Job {
        begin: Box::new(|| {
            let workshop = workshop(8);
            let clicks = ["--point", "0:122,40", "-o", "m.sam2run"];
            workshop.sam2(&[&["segment", "mouse.mkv"][..], &clicks].concat()).succeeded();
            workshop
        }),
        again: &[],
        quick: Quick::FirstAndLastOf(&["amendment written", "amendment synced", "masks added"]),
        ..job(
            "a run corrected",
            &[&["correct", "m.sam2run", "--point", "5:122,40", "-o", "masks.btf", "--overwrite"]],
            &["masks.btf"],
        )
    }]
}

pub fn several() -> Vec<Job> {
    let quick = Quick::Last(&["frame written", "batch synced", "file renamed", "output published"]);
    vec![
        Job {
            begin: Box::new(|| {
                let workshop = workshop(4);
                workshop.mouse(5, "second.mkv");
                workshop
            }),
            quick,
            ..job(
                "two recordings",
                &[
                    &["segment", "mouse.mkv", "second.mkv", "-o", "{stem}.btf"],
                    &["-o", "{stem}.sam2run"],
                    &CLICK,
                ],
                &["mouse.btf", "mouse.sam2run", "second.btf", "second.sam2run"],
            )
        },
        Job {
            begin: Box::new(|| {
                let workshop = workshop(8);
                let first = ["segment", "mouse.mkv", "-o", "a.sam2run", "--frames", "0..4"];
                workshop.sam2(&[&first[..], &TRACK].concat()).succeeded();
                workshop
            }),
            then: vec![vec!["merge", "b.sam2run", "a.sam2run", "-o", "masks.btf"]],
            quick,
            ..job(
                "a part",
                &[
                    &["segment", "mouse.mkv", "-o", "b.sam2run", "-o", "b.btf"],
                    &TRACK,
                    &["--frames", "4..8"],
                ],
                &["b.sam2run", "b.btf", "masks.btf"],
            )
        },
        Job {
            begin: Box::new(|| {
                let workshop = workshop(8);
                for (name, frames) in [("a.sam2run", "0..4"), ("b.sam2run", "4..8")] {
                    let part = ["segment", "mouse.mkv", "-o", name, "--frames", frames];
                    workshop.sam2(&[&part[..], &TRACK].concat()).succeeded();
                }
                workshop
            }),
            // Some of its outputs may already have their final names.
            again: &["--overwrite"],
            ..job(
                "parts put together",
                &[
                    &["merge", "a.sam2run", "b.sam2run", "-o", "masks.btf", "-o", "masks.sam2run"],
                    &["-o", "davis:davis"],
                ],
                &["masks.btf", "masks.sam2run", "davis"],
            )
        },
    ]
}

pub fn folders() -> Vec<Job> {
    let begin = || {
        let workshop = workshop(3);
        workshop.sam2(&[&FOLDERS[..], &["--point", "0:10,10"]].concat()).succeeded();
        workshop
    };
    let replaced = |name| Job {
        begin: Box::new(begin),
        ..job(
            name,
            &[&FOLDERS, &CLICK, &["--overwrite"]],
            &["davis", "objects", "stacks", "masks.zarr", "labels"],
        )
    };
    vec![
        Job {
            begin: Box::new(|| workshop(3)),
            quick: Quick::Last(&["file in folder written", "folder synced", "folder renamed"]),
            ..job(
                "folders",
                &[&FOLDERS, &CLICK],
                &["davis", "objects", "stacks", "masks.zarr", "labels"],
            )
        },
        Job {
            quick: Quick::Last(&["folders exchanged", "old folder removed", "name synced"]),
            ..replaced("folders replaced")
        },
        Job {
            variables: vec![("SAM2_FAULT_NO_EXCHANGE", "1")],
            steps_aside: true,
            quick: Quick::Last(&[
                "old folder stepped aside",
                "new folder took its place",
                "old folder removed",
            ]),
            ..replaced("folders replaced in two steps")
        },
    ]
}

/// Returns jobs that start with the leftovers of an earlier interruption.
pub fn interrupted() -> Vec<Job> {
    let begun = |arguments: Vec<&'static str>, place: &'static str| {
        Box::new(move || {
            let workshop = workshop(8);
            let killed = workshop.sam2_where(&[("SAM2_FAULT", place)], &arguments);
            assert_eq!(killed.code, None, "{place}: {}", killed.stderr);
            workshop
        })
    };
    let outputs = &["masks.btf", "masks.sam2run", "davis"];
    let checkpoints = ["--checkpoint-frames", "3"];
    let quick = Quick::Last(&["left-over removed", "journal cut", "old checkpoint removed"]);
    vec![
        Job {
            begin: begun([&ONE[..], &TRACK].concat(), "frame written:6"),
            again: &[],
            quick,
            ..job("a job taken up", &[&ONE, &TRACK, &["--resume"]], outputs)
        },
        Job {
            begin: begun([&ONE[..], &CLICK, &checkpoints].concat(), "checkpoint saved:2"),
            quick,
            ..job("a job begun anew", &[&ONE, &CLICK, &checkpoints], outputs)
        },
    ]
}

fn end_everywhere(jobs: &[Job], at_least: usize) {
    let tried: usize = jobs.iter().map(Job::ends_everywhere).sum();
    assert!(tried >= at_least, "{tried}");
}

#[test]
fn a_job_that_ends_anywhere_goes_on_to_the_same_outputs() {
    end_everywhere(&one_recording(), 60);
}

#[test]
fn several_recordings_and_parts_go_on_to_the_same_outputs() {
    end_everywhere(&several(), 20);
}

#[test]
fn folders_are_whole_whenever_a_process_ends() {
    end_everywhere(&folders(), 9);
}

#[test]
fn a_second_end_changes_nothing_either() {
    end_everywhere(&interrupted(), 3);
}

#[test]
fn a_correction_that_ends_anywhere_goes_on_to_the_same_masks() {
    end_everywhere(&corrected(), 6);
}
