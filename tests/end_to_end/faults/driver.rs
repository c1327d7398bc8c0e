//! Kills a job at its fault points, runs it again and compares the outputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::{Outcome, Workshop};

/// Files and folders with their contents; folders have no contents.
type Files = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// The passes of a point that are tried in CI.
#[derive(Clone, Copy, PartialEq)]
pub enum Quick {
    FirstAndLast,
    /// The first and last pass, of these points only.
    FirstAndLastOf(&'static [&'static str]),
    /// The last pass, of these points only.
    Last(&'static [&'static str]),
}

/// Points whose number of passes depends on the network. At least half of the passes will certainly
/// occur again.
const VARYING: [&str; 1] = ["piece of a download written"];

/// A command that is killed, and how it is continued.
pub struct Job {
    pub name: &'static str,
    /// Makes the folder in which the job starts.
    pub begin: Box<dyn Fn() -> Workshop>,
    pub arguments: Vec<String>,
    pub variables: Vec<(&'static str, &'static str)>,
    /// Additional arguments of the second attempt.
    pub again: &'static [&'static str],
    /// Commands that are run after the job and make further outputs.
    pub then: Vec<Vec<&'static str>>,
    /// The outputs: files and folders.
    pub outputs: &'static [&'static str],
    /// Whether an output that is being replaced is missing for a moment.
    pub steps_aside: bool,
    pub quick: Quick,
}

impl Job {
    fn run(&self, workshop: &Workshop, fault: &[(&str, &str)], more: &[&str]) -> Outcome {
        let typed = self.arguments.iter().map(String::as_str);
        let arguments: Vec<&str> = typed.chain(more.iter().copied()).collect();
        workshop.sam2_where(&[&self.variables[..], fault].concat(), &arguments)
    }

    /// Returns the files at an output's path.
    fn state(files: &Files, output: &str) -> Files {
        let at = files.iter().filter(|(path, _)| path.starts_with(output));
        at.map(|(path, contents)| (path.clone(), contents.clone())).collect()
    }

    fn complete(&self, workshop: &Workshop) {
        self.then.iter().for_each(|command| drop(workshop.sam2(command).succeeded()));
    }

    /// Returns the points that the job passes, and how often.
    pub fn points(&self) -> BTreeMap<String, usize> {
        self.whole(&(self.begin)().snapshot()).0
    }

    /// Runs the job to its end. Returns the points that it passes, and the resulting files.
    fn whole(&self, begun: &Files) -> (BTreeMap<String, usize>, Files) {
        let workshop = restored(begun);
        let list = workshop.path("tmp/points").display().to_string();
        self.run(&workshop, &[("SAM2_FAULT_LIST", &list)], &[]).succeeded();
        let mut points = BTreeMap::new();
        for point in String::from_utf8(workshop.read("tmp/points")).unwrap().lines() {
            *points.entry(point.to_owned()).or_default() += 1;
        }
        self.complete(&workshop);
        (points, workshop.snapshot())
    }

    fn passes(&self, point: &str, count: usize) -> Vec<usize> {
        let count = if VARYING.contains(&point) { count.div_ceil(2) } else { count };
        let ends = if count == 1 { vec![1] } else { vec![1, count] };
        if std::env::var("SAM2_FAULTS").is_ok_and(|which| which == "all") {
            return (1..=count).collect();
        }
        match self.quick {
            Quick::FirstAndLast => ends,
            Quick::FirstAndLastOf(points) if points.contains(&point) => ends,
            Quick::Last(points) if points.contains(&point) => vec![count],
            Quick::FirstAndLastOf(_) | Quick::Last(_) => vec![],
        }
    }

    /// Kills the job at its points, runs it again and expects the outputs of an undisturbed run.
    /// Returns the number of kills.
    pub fn ends_everywhere(&self) -> usize {
        let begun = (self.begin)().snapshot();
        let (points, expected) = self.whole(&begun);
        let mut tried = 0;
        for (point, &count) in &points {
            for pass in self.passes(point, count) {
                let place = format!("{point}:{pass}");
                let about = format!("{}, ended at '{place}'", self.name);
                let workshop = restored(&begun);
                let killed = self.run(&workshop, &[("SAM2_FAULT", &place)], &[]);
                assert_eq!(killed.code, None, "{about}: {}", killed.stderr);
                let after = workshop.snapshot();
                for output in self.outputs {
                    let state = Self::state(&after, output);
                    let is_whole = state == Self::state(&begun, output)
                        || state == Self::state(&expected, output)
                        || self.steps_aside && state.is_empty();
                    assert!(is_whole, "{about}: half of {output}");
                }
                make_old(&workshop, &after);
                let resumed = self.run(&workshop, &[], self.again);
                assert_eq!(resumed.code, Some(0), "{about}: {}", resumed.stderr);
                self.complete(&workshop);
                let resumed = workshop.snapshot();
                for output in self.outputs {
                    let same = Self::state(&resumed, output) == Self::state(&expected, output);
                    assert!(same, "{about}: another {output}");
                }
                let left: Vec<_> = resumed.keys().filter(|path| is_left_over(path)).collect();
                assert!(left.is_empty(), "{about}: {left:?} left");
                tried += 1;
            }
        }
        println!("{}: ended {tried} times at {} points", self.name, points.len());
        tried
    }
}

/// Makes a folder with these files, as if they were an hour old.
fn restored(files: &Files) -> Workshop {
    let workshop = Workshop::with(files);
    make_old(&workshop, files);
    workshop
}

/// Returns whether a file or folder is one that a killed process leaves: an unfinished output, a
/// journal or a checkpoint.
fn is_left_over(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    !path.starts_with("tmp") && ["part", "old", "session"].contains(&ending)
}

/// Makes files old: leftovers count as such only after a second, and tests do not wait.
pub fn make_old(workshop: &Workshop, files: &Files) {
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    for path in files.keys().filter(|path| is_left_over(path)) {
        let file = std::fs::File::open(workshop.path(path.to_str().unwrap())).unwrap();
        file.set_modified(hour_ago).unwrap();
    }
}
