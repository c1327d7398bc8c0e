//! Measures what passes, the pose track and flags do for the masks of held-out clips.
//!
//! `two_way [--seeds FROM..TO] [--kinds NAME,NAME...] [--verbose] [--write]`
//!
//! Thresholds were chosen on the seeds from 0; without `--seeds` others are measured ([`REPORTED`]).
//! `--write` puts the tables into `docs/passes.md`.

#![allow(clippy::unwrap_used)] // A test program: a failure is a failed run.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sam2_engine::{Passes, QualityFlag, SessionOptions};
use sam2_tests::held_out::{FlagScore, HeldOut, Kind};
use sam2_tests::two_way_runs::{Run, evidence, prompts_near, run};
use sam2_tests::{clips, repository_file};

/// Number of clips that are tracked at the same time.
const WORKERS: usize = 2;
/// Seeds that are reported.
const REPORTED: Range<u64> = 100..104;
/// Lines of the document that enclose the tables.
const MARKS: [&str; 2] = ["<!-- table: two_way --write -->", "<!-- end of table -->"];

/// The runs of a clip, in the order of [`WAYS`].
type Row = (Kind, u64, Vec<Run>);

const WAYS: [(&str, Passes, bool, bool); 6] = [
    ("official, first prompt", Passes::Official, false, false),
    ("official", Passes::Official, true, false),
    ("own", Passes::Own, true, false),
    ("nearest", Passes::Nearest, true, false),
    ("agreed", Passes::Agreed, true, false),
    ("agreed, track", Passes::Agreed, true, true),
];

fn main() {
    let (mut seeds, mut kinds, mut verbose) = (REPORTED, Kind::ALL.to_vec(), false);
    let mut write = false;
    kinds.retain(|kind| *kind != Kind::Long);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => seeds = range(&args.next().unwrap()),
            "--kinds" => {
                let names = args.next().unwrap();
                let find = |name: &str| Kind::ALL.into_iter().find(|kind| kind.name() == name);
                kinds = names.split(',').map(|name| find(name).unwrap()).collect();
            }
            "--verbose" => verbose = true,
            "--write" => write = true,
            other => panic!("unknown argument {other}"),
        }
    }
    let all: Vec<(Kind, u64)> =
        kinds.iter().flat_map(|&kind| seeds.clone().map(move |seed| (kind, seed))).collect();
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::<Row>::new()));
    let model = clips::micro_model();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(&(kind, seed)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let clip = HeldOut::new(kind, seed);
                    let last = clip.frame_count() - 1;
                    let (first, both) =
                        (prompts_near(&clip, &[0]), prompts_near(&clip, &[0, last]));
                    let track = evidence(&clip);
                    let runs: Vec<Run> = WAYS
                        .iter()
                        .map(|&(_, passes, two, with_track)| {
                            let session = SessionOptions::default().passes(passes);
                            let prompts = if two { &both } else { &first };
                            run(&model, &clip, prompts, session, with_track.then_some(&track))
                        })
                        .collect();
                    eprintln!("{} {seed} done", kind.name());
                    if verbose {
                        tell(kind, seed, &runs);
                    }
                    rows.lock().unwrap().push((kind, seed, runs));
                }
            });
        }
    });
    let rows = rows.into_inner().unwrap();
    if write {
        put_into_document(&kinds, &seeds, &rows);
    }
    for &kind in &kinds {
        println!("\n{}", kind.name());
        println!(
            "{:24} {:>6} {:>7} {:>7} {:>7} {:>9} {:>9} {:>6}",
            "", "mean J", "swaps", "wrong", "flagged", "found", "false", "time"
        );
        for (way, (name, ..)) in WAYS.iter().enumerate() {
            let of: Vec<&Run> =
                rows.iter().filter(|row| row.0 == kind).map(|row| &row.2[way]).collect();
            println!("{:24} {}", name, summary(&of));
        }
    }
    println!("\nall");
    for (way, (name, ..)) in WAYS.iter().enumerate() {
        let of: Vec<&Run> = rows.iter().map(|row| &row.2[way]).collect();
        println!("{:24} {}", name, summary(&of));
    }
    println!("\nflags: on wrong masks, on right ones");
    for (way, (name, ..)) in WAYS.iter().enumerate() {
        let told: Vec<String> = QualityFlag::ALL
            .into_iter()
            .map(|flag| {
                let count = |run: &Run| {
                    FlagScore::of(&run.scores, |frame, object| {
                        run.facts.get(&(frame, object)).is_some_and(|f| f.flags.contains(flag))
                    })
                };
                let counts: Vec<FlagScore> = rows.iter().map(|row| count(&row.2[way])).collect();
                let wrong: usize = counts.iter().map(|c| c.wrong_flagged).sum();
                let right: usize = counts.iter().map(|c| c.right_flagged).sum();
                format!("{} {wrong}/{right}", flag.name())
            })
            .collect();
        println!("{:24} {}", name, told.join("  "));
    }
    println!(
        "\nagreement of the two passes (agreed): below .3, .5, .7, .9, rest: wrong masks / right masks"
    );
    for (way, (name, ..)) in WAYS.iter().enumerate().skip(4) {
        let mut bins = [[0_usize; 2]; 5];
        for (_, _, runs) in &rows {
            let run = &runs[way];
            for verdict in run.scores.verdicts() {
                let agreement =
                    run.facts.get(&(verdict.frame, verdict.object)).and_then(|f| f.agreement);
                if let Some(agreement) = agreement {
                    let bin = [0.3, 0.5, 0.7, 0.9].iter().filter(|&&b| agreement >= b).count();
                    bins[bin][usize::from(!verdict.is_wrong())] += 1;
                }
            }
        }
        println!("{name:24} {bins:?}");
    }
}

/// Puts the tables into the document.
fn put_into_document(kinds: &[Kind], seeds: &Range<u64>, rows: &[Row]) {
    let mut text = format!(
        "Mean J over all frames but the prompted ones, seeds {} to {}:\n\n| clips | n |",
        seeds.start,
        seeds.end - 1
    );
    let names: Vec<&str> = WAYS.iter().map(|way| way.0).collect();
    text += &format!(" {} |\n|---|---|{}\n", names.join(" | "), "---|".repeat(WAYS.len()));
    for &kind in kinds {
        let of: Vec<&Row> = rows.iter().filter(|row| row.0 == kind).collect();
        let mean = |way: usize| {
            let sum: f64 = of.iter().map(|row| row.2[way].scores.mean_j()).sum();
            format!("{:.3}", sum / of.len().max(1) as f64)
        };
        let cells: Vec<String> = (0..WAYS.len()).map(mean).collect();
        text += &format!("| {} | {} | {} |\n", kind.name(), of.len(), cells.join(" | "));
    }
    for (title, several) in [("Several animals", true), ("One animal", false)] {
        text += &format!(
            "\n{title}:\n\n| passes | swaps in 1,000 frames | wrong masks (J < 0.5) | of these flagged | right masks flagged | time |\n|---|---|---|---|---|---|\n"
        );
        for (way, name) in names.iter().enumerate() {
            let of: Vec<&Run> = rows
                .iter()
                .filter(|row| is_several(row.0) == several)
                .map(|row| &row.2[way])
                .collect();
            let total = total(&of);
            let base: f64 = rows
                .iter()
                .filter(|row| is_several(row.0) == several)
                .map(|row| row.2[1].time.as_secs_f64())
                .sum();
            let time: f64 = of.iter().map(|run| run.time.as_secs_f64()).sum();
            let swaps: f64 = of.iter().map(|run| run.scores.swaps_per_1000_frames()).sum();
            let share = |value: Option<f64>| {
                value.map_or("-".to_owned(), |value| format!("{:.1} %", 100.0 * value))
            };
            let right = total.right_flagged + total.right_unflagged;
            text += &format!(
                "| {name} | {:.1} | {} of {} | {} | {} | {:.2} |\n",
                swaps / of.len().max(1) as f64,
                total.wrong_flagged + total.wrong_unflagged,
                total.wrong_flagged + total.wrong_unflagged + right,
                share(total.recall()),
                share((right > 0).then(|| total.right_flagged as f64 / right as f64)),
                time / base.max(f64::MIN_POSITIVE),
            );
        }
    }
    let path = repository_file("docs/passes.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(MARKS[0]).unwrap();
    let (_, after) = rest.split_once(MARKS[1]).unwrap();
    std::fs::write(path, format!("{before}{}\n{text}{}{after}", MARKS[0], MARKS[1])).unwrap();
}

/// Returns true if a kind of clip has several animals.
fn is_several(kind: Kind) -> bool {
    !matches!(kind, Kind::SingleMouse | Kind::SingleWorm | Kind::MouseTurns | Kind::WormCurls)
}

/// Adds up the flags of several runs.
fn total(runs: &[&Run]) -> FlagScore {
    let any = |run: &Run| {
        FlagScore::of(&run.scores, |frame, object| {
            run.facts.get(&(frame, object)).is_some_and(|facts| !facts.flags.is_empty())
        })
    };
    runs.iter().map(|run| any(run)).fold(FlagScore::default(), |a, b| FlagScore {
        wrong_flagged: a.wrong_flagged + b.wrong_flagged,
        wrong_unflagged: a.wrong_unflagged + b.wrong_unflagged,
        right_flagged: a.right_flagged + b.right_flagged,
        right_unflagged: a.right_unflagged + b.right_unflagged,
    })
}

fn tell(kind: Kind, seed: u64, runs: &[Run]) {
    for ((name, ..), run) in WAYS.iter().zip(runs) {
        println!("{} {seed} {name:24} {}", kind.name(), summary(&[run]));
    }
}

/// Mean J, swaps in 1,000 frames, wrong masks, flagged masks, share of wrong ones that are flagged,
/// share of right ones that are flagged, and time beside the official passes.
fn summary(runs: &[&Run]) -> String {
    let count = runs.len().max(1) as f64;
    let mean = |value: &dyn Fn(&Run) -> f64| runs.iter().map(|run| value(run)).sum::<f64>() / count;
    let FlagScore {
        wrong_flagged: wf,
        wrong_unflagged: wu,
        right_flagged: rf,
        right_unflagged: ru,
    } = total(runs);
    format!(
        "{:6.3} {:7.1} {:7} {:7} {:8.1}% {:8.1}% {:5.1} s",
        mean(&|run| run.scores.mean_j()),
        mean(&|run| run.scores.swaps_per_1000_frames()),
        wf + wu,
        wf + rf,
        100.0 * wf as f64 / (wf + wu).max(1) as f64,
        100.0 * rf as f64 / (rf + ru).max(1) as f64,
        mean(&|run| run.time.as_secs_f64()),
    )
}

fn range(text: &str) -> Range<u64> {
    let (from, to) = text.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}
