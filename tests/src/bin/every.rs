//! Measures what is lost and gained if only every N-th frame of held-out clips is computed.
//!
//! `every [--seeds FROM..TO] [--write]`
//!
//! `--write` puts the table into `docs/every-nth-frame.md`.

#![allow(clippy::unwrap_used)] // A test program: a failure is a failed run.

use std::num::NonZeroUsize;
use std::ops::Range;

use sam2_engine::{Passes, SessionOptions};
use sam2_jobs::{Between, FrameStep, JobOptions};
use sam2_tests::clips;
use sam2_tests::held_out::{HeldOut, Kind};
use sam2_tests::measuring::{on_workers, put_table, range};
use sam2_tests::two_way_runs::{Run, prompts_near, run};

/// Seeds that are reported; nothing was chosen by them.
const REPORTED: Range<u64> = 100..104;
const STEPS: [usize; 5] = [1, 2, 3, 5, 10];
const WAYS: [Between; 2] = [Between::Interpolate, Between::Nearest];

/// A clip, and its runs for each step, with each way.
type Row = (Kind, Vec<[Run; 2]>);

fn main() {
    let (mut seeds, mut write) = (REPORTED, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => seeds = range(&args.next().unwrap()),
            "--write" => write = true,
            other => panic!("unknown argument {other}"),
        }
    }
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Long).collect();
    let all: Vec<(Kind, u64)> =
        kinds.iter().flat_map(|&kind| seeds.clone().map(move |seed| (kind, seed))).collect();
    let model = clips::micro_model();
    let rows: Vec<Row> = on_workers(&all, |(kind, seed)| {
        let clip = HeldOut::new(kind, seed);
        let prompts = prompts_near(&clip, &[0, clip.frame_count() - 1]);
        let of_step = |&every: &usize| {
            WAYS.map(|between| {
                let session = SessionOptions::default().passes(Passes::Nearest);
                let step = FrameStep { every: NonZeroUsize::new(every).unwrap(), between };
                let options = JobOptions { session, step, ..JobOptions::default() };
                run(&model, &clip, &prompts, options, None)
            })
        };
        eprintln!("{} {seed}", kind.name());
        (kind, STEPS.iter().map(of_step).collect())
    });
    let mut text = format!(
        "Mean J with `--between interpolate`, in brackets with `nearest`, seeds {} to {}:\n\n| clips | n |",
        seeds.start,
        seeds.end - 1
    );
    text += &STEPS.map(|step| format!(" every {step} |")).concat();
    text += &format!("\n|---|---|{}\n", "---|".repeat(STEPS.len()));
    let total = |of: &[&Row], step: usize, way: usize, value: fn(&Run) -> f64| {
        of.iter().map(|row| value(&row.1[step][way])).sum::<f64>()
    };
    for &kind in &kinds {
        let of: Vec<&Row> = rows.iter().filter(|row| row.0 == kind).collect();
        let mean = |step: usize, way: usize| {
            total(&of, step, way, |run| run.scores.mean_j()) / of.len() as f64
        };
        text += &format!("| {} | {} |", kind.name(), of.len());
        for step in 0..STEPS.len() {
            text += &format!(" {:.3} ({:.3}) |", mean(step, 0), mean(step, 1));
        }
        text += "\n";
    }
    let all: Vec<&Row> = rows.iter().collect();
    let time = |step: usize| total(&all, step, 0, |run| run.time.as_secs_f64());
    text += "| time | |";
    for step in 0..STEPS.len() {
        text += &format!(" {:.2} |", time(step) / time(0));
    }
    text += "\n";
    println!("{text}");
    if write {
        put_table("docs/every-nth-frame.md", "every", &text);
    }
}
