//! The process ends at every point at which what is on the disk has just changed, and goes on: what comes out is what would have come
//! out. `make faults` goes through every pass of every point; here each job says which passes it has.

mod driver;
mod jobs;
mod weights;

use std::collections::BTreeSet;

use crate::support::asset;
use driver::Job;

/// Every job that is ended, in this module and below.
fn all_jobs() -> Vec<Job> {
    [jobs::one_recording(), jobs::several(), jobs::folders(), jobs::interrupted(), weights::jobs()]
        .into_iter()
        .flatten()
        .collect()
}

/// Names of the points in the sources of the program.
fn points_in_sources() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let crates = ["cli", "engine", "mask-writer", "weights-convert", "report", "frame-provider"];
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

/// A point that no job passes is a step whose interruption nobody has tried.
#[test]
fn every_point_is_passed_by_a_job() {
    let mut passed = BTreeSet::new();
    for job in all_jobs() {
        passed.extend(job.points().into_keys());
    }
    assert_eq!(passed, points_in_sources());
    assert!(passed.len() >= 40, "{}", passed.len());
}
