//! The process ends at every point at which what is on the disk has just changed, and goes on: what comes out is what would have come
//! out. `make faults` goes through every pass of every point; here each point has its first and its last.

use std::collections::BTreeMap;

use crate::support::{Outcome, Workshop, scaled_track};

/// A job whose outputs are a file, a folder and a run file.
struct Job {
    name: &'static str,
    arguments: &'static [&'static str],
    /// Whether outputs of an earlier job are there, and are replaced.
    replaces: bool,
}

const OUTPUTS: [&str; 8] =
    ["segment", "mouse.mkv", "-o", "masks.btf", "-o", "davis:davis", "-o", "masks.sam2run"];
const FILES: [&str; 3] = ["masks.btf", "masks.sam2run", "davis/00004.png"];

const JOBS: [Job; 3] = [
    Job {
        name: "batches",
        arguments: &["--keypoints", "track.csv", "--batch-size", "4"],
        replaces: false,
    },
    Job {
        name: "one batch with checkpoints",
        arguments: &["--point", "0:122,40", "--checkpoint-frames", "3"],
        replaces: false,
    },
    Job {
        name: "outputs replaced",
        arguments: &["--point", "0:122,40", "--batch-size", "0", "--overwrite"],
        replaces: true,
    },
];

impl Job {
    fn workshop(&self) -> Workshop {
        let workshop = Workshop::new();
        workshop.mouse(8, "mouse.mkv");
        workshop.write("track.csv", scaled_track(0, 8, 0.5));
        if self.replaces {
            let other = [&OUTPUTS[..], &["--point", "0:10,10"]].concat();
            workshop.sam2(&other).succeeded();
        }
        workshop
    }

    fn run(&self, workshop: &Workshop, variables: &[(&str, &str)], more: &[&str]) -> Outcome {
        workshop.sam2_where(variables, &[&OUTPUTS[..], self.arguments, more].concat())
    }

    fn outputs(workshop: &Workshop) -> Vec<Vec<u8>> {
        FILES.iter().map(|name| workshop.read(name)).collect()
    }
}

#[test]
fn a_job_that_ends_anywhere_goes_on_to_the_same_outputs() {
    let every_pass = std::env::var("SAM2_FAULTS").is_ok_and(|which| which == "all");
    let mut tried = 0;
    for job in &JOBS {
        let workshop = job.workshop();
        let list = workshop.path("tmp/points").display().to_string();
        job.run(&workshop, &[("SAM2_FAULT_LIST", &list)], &[]).succeeded();
        let expected = Job::outputs(&workshop);
        let mut points: BTreeMap<String, usize> = BTreeMap::new();
        for point in String::from_utf8(workshop.read("tmp/points")).unwrap().lines() {
            *points.entry(point.to_owned()).or_default() += 1;
        }
        assert!(points.len() >= 12, "{points:?}");
        for (point, &passes) in &points {
            let passes: Vec<usize> = match every_pass {
                true => (1..=passes).collect(),
                false if passes == 1 => vec![1],
                false => vec![1, passes],
            };
            for pass in passes {
                let place = format!("{point}:{pass}");
                let about = format!("{}, ended at '{place}'", job.name);
                let workshop = job.workshop();
                let killed = job.run(&workshop, &[("SAM2_FAULT", &place)], &[]);
                assert_eq!(killed.code, None, "{about}: {}", killed.stderr);
                let resumed = job.run(&workshop, &[], &["--resume"]);
                assert_eq!(resumed.code, Some(0), "{about}: {}", resumed.stderr);
                assert!(Job::outputs(&workshop) == expected, "{about}: other outputs");
                let left = workshop.names().into_iter().filter(|name| {
                    name.starts_with("masks")
                        && (name.contains(".part") || name.contains(".session"))
                });
                assert_eq!(left.count(), 0, "{about}: a journal is left");
                tried += 1;
            }
        }
    }
    println!("{tried} ends, all resumed to the same bytes");
    assert!(tried >= 60, "{tried}");
}
