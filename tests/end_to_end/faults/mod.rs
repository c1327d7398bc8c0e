//! Kills the process at every point where it has just changed the disk, and then continues. The
//! outputs must be those of an undisturbed run. `make faults` tries every pass of every point;
//! here, each job defines which passes are tried.

mod driver;
mod jobs;
mod weights;

use std::collections::BTreeSet;

use crate::support::asset;
use driver::Job;

/// Returns every job that is killed, in this module and its submodules.
fn all_jobs() -> Vec<Job> {
    [
        jobs::one_recording(),
        jobs::several(),
        jobs::folders(),
        jobs::interrupted(),
        jobs::corrected(),
        weights::jobs(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the names of the points in the program's source code.
fn points_in_sources() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let crates =
        ["cli", "engine", "jobs", "mask-writer", "weights-convert", "report", "frame-provider"];
    let mut folders: Vec<_> = crates.map(|name| asset("..").join(name).join("src")).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                let calls = text.split("fault_point(\"").skip(1);
                names.extend(calls.map(|rest| rest.split('"').next().unwrap().to_owned()));
            }
        }
    }
    names
}

/// Checks every point: one that no job passes is a step whose interruption was never tested.
#[test]
fn every_point_is_passed_by_a_job() {
    let mut passed = BTreeSet::new();
    for job in all_jobs() {
        passed.extend(job.points().into_keys());
    }
    assert_eq!(passed, points_in_sources());
    assert!(passed.len() >= 40, "{}", passed.len());
}
